import type { TaskFailure } from '../failure/task-failure.js';
import type { JsonValue } from '../primitives/json.js';

/** What one member of a chord's header came to. */
export type MemberOutcome<R = JsonValue> =
  | {
      readonly status: 'fulfilled';
      readonly index: number;
      readonly taskId: string;
      readonly value: R;
    }
  | {
      readonly status: 'rejected';
      readonly index: number;
      readonly taskId: string;
      readonly failure: TaskFailure;
    };

/** What a whole header came to, once every member is terminal. Members stand in definition order. */
export interface ChordOutcome<R = JsonValue> {
  readonly chordId: string;
  readonly size: number;
  readonly members: readonly MemberOutcome<R>[];
  /** Members that returned. */
  readonly successes: readonly Extract<MemberOutcome<R>, { status: 'fulfilled' }>[];
  /** Members that failed. */
  readonly failures: readonly Extract<MemberOutcome<R>, { status: 'rejected' }>[];
}

/**
 * What follows a header with failed members. Whatever a strategy decides, exactly one of callback and
 * errback is released, exactly once.
 *
 * - `callback`: the body runs with these arguments in front of its stored ones;
 * - `errback`: the chord fails with a ChordError, and its errbacks run;
 * - `fail`: the same, with an error of the strategy's own in the place of the ChordError.
 */
export type ChordDecision<In = JsonValue> =
  | { readonly run: 'callback'; readonly args: readonly [In] | readonly [] }
  | { readonly run: 'errback' }
  | { readonly run: 'fail'; readonly error: Error };

/**
 * Decides what runs when members of a chord's header failed (with none failed the body always runs with the
 * list of values, and no strategy is asked).
 *
 * A strategy of your own is an injectable provider in every worker application of the same prefix; it is
 * asked once per chord, its decision is stored, and a crash after that does not ask again. `In` is the type
 * of what the body gets as its first argument.
 */
export abstract class ChordRecovery<In = unknown> {
  /** Ties `In` to the class for the type checker; holds nothing at run time. */
  declare readonly bodyInput?: In;

  /** Decides. What it throws fails the chord with a RecoveryFailedError, so that nothing hangs. */
  abstract recover(outcome: ChordOutcome): ChordDecision | Promise<ChordDecision>;
}

/** A strategy as it is named for a chord: its class. */
export type ChordRecoveryType<In = unknown> = abstract new (...args: never[]) => ChordRecovery<In>;
