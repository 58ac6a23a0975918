import type { ChordData } from '../canvas/canvas-data.js';
import { type HeaderRules, makeChord } from '../canvas/chord.js';
import { type Deadline, readDeadline } from '../canvas/deadline-rule.js';
import { FAIL_FAST, shown } from '../canvas/header-rules.js';
import { readLate } from '../canvas/late-rule.js';
import {
  type BodyInputKind,
  type ErrbackOnly,
  type Outcome,
  recoveryName,
} from '../chords/built-in-recoveries.js';
import type { ChordRecovery, ChordRecoveryType } from '../chords/chord-recovery.js';
import type { LateOutcomes } from '../chords/late-outcomes.js';
import { Tolerance } from '../chords/tolerate.js';
import { InvalidCanvasError } from '../errors/publish.errors.js';
import type { Duration } from '../primitives/duration.js';
import type { AsyncResult } from '../results/async-result.js';
import type {
  AnyCanvas,
  Follower,
  InputOfAll,
  MissingOfAll,
  InputOf,
  MissingOf,
  ResultOf,
} from './canvas-types.js';
import { CanvasValue } from './canvas-value.js';
import type { Group, MemberOf, Members, ValuesOf } from './group.js';
import type { CanvasPublisher } from './port.js';

/**
 * Members side by side, then a body that gets the list of their values in front of its arguments. It misses
 * what its members miss, and its value is the body's.
 */
export class Chord<Missing extends unknown[], R, Input extends unknown[] = Missing> extends CanvasValue<
  ChordData,
  Missing,
  R,
  Input,
  AsyncResult<R>
> {
  /** All members ignore the value that a canvas would put in front of their arguments. */
  immutable(this: Chord<[], R, never>): Chord<[], R, unknown[]> {
    return new Chord(this.publisher, this.closed());
  }

  protected copy(data: ChordData): this {
    return new Chord<Missing, R, Input>(this.publisher, data) as this;
  }

  protected publish(data: ChordData): Promise<AsyncResult<R>> {
    return this.publisher.publish<R>(data);
  }
}

/** What a header can be made of. A group lends its members. */
export type Header = Members | Group<never, unknown[], never>;

/**
 * What becomes of outcomes that come after a deadline or a budget has closed the header:
 *
 * - `drop`: nothing, whatever they are;
 * - `amend`: when the last of the late members has ended, and the chord has, its next generation begins: nothing is run
 *   again, the recovery is asked anew, and the body runs over all members, told which of them are new. Only of a chord that
 *   is the canvas as a whole;
 * - a callback: gets all of them in one call, when the last of the late members has ended.
 *
 * Both happen once, and only as long as the results of the canvas are kept. Members that were revoked are not late. `R` is
 * what a member returns.
 */
export type LatePolicy<R = never> = 'drop' | 'amend' | { readonly callback: Follower<LateOutcomes<R>> };

/** How a chord deals with members that fail, or that take too long. `R` is what a member returns. */
export interface ChordOptions<Recovery extends RecoveryChoice = RecoveryChoice, R = never> {
  /**
   * Decides what runs when members fail: a strategy, or `Tolerate({ … })`. Name it here where the body is made for it,
   * also when it is the module's default: a chord that names none is checked as under `ErrbackOnly`.
   */
  readonly recovery?: Recovery;
  /**
   * Ends the header with the first member that fails: the errbacks run, members that have not begun never do. The budget
   * `Tolerate({ count: 0 })` by another name. @defaultValue false
   */
  readonly failFast?: boolean;
  /**
   * When it stops waiting for its members: a time after the chord was published, or from something else. The body then
   * runs with what is there, unless the recovery says otherwise; members that have not ended count as pending.
   */
  readonly deadline?: Duration | Deadline;
  /** What becomes of outcomes that come after a deadline or a budget has closed the header. @defaultValue 'drop' */
  readonly late?: LatePolicy<R>;
}

/** What a chord can name as its recovery: the class of a strategy, or a budget. */
export type RecoveryChoice = ChordRecoveryType | Tolerance;

/** What the data of a chord says about its options. @throws InvalidCanvasError when they cannot be read */
export function headerRules({
  deadline,
  late,
  ...options
}: Omit<ChordOptions, 'late'> & { readonly late?: unknown }): HeaderRules {
  const odd = Object.keys(options).find((name) => !KNOWN.includes(name));
  if (odd !== undefined) {
    throw new InvalidCanvasError(odd, `unknown; known are ${[...KNOWN, 'deadline', 'late'].join(', ')}`);
  }
  return {
    ...recoveryRules(options),
    ...(deadline === undefined ? {} : { deadline: readDeadline(deadline) }),
    late: readLate(late),
  };
}

/** Beside those that it takes out; a window is for those who read a source. */
const KNOWN: readonly string[] = ['recovery', 'failFast', 'window'];

function recoveryRules({ recovery, failFast = false }: Omit<ChordOptions, 'deadline' | 'late'>): HeaderRules {
  if (typeof failFast !== 'boolean')
    throw new InvalidCanvasError('failFast', `expected true or false, got ${shown(failFast)}`);
  if (recovery instanceof Tolerance) {
    if (failFast)
      throw new InvalidCanvasError('failFast', 'Tolerate({ … }) says already when the header ends');
    return { recovery: nameOf(recovery.recovery, 'recovery.recovery'), budget: recovery.budget };
  }
  return {
    ...(recovery === undefined ? {} : { recovery: nameOf(recovery, 'recovery') }),
    ...(failFast ? { budget: FAIL_FAST } : {}),
  };
}

/** Where types are not looked at, a name in the place of the class would leave the chord to the module's default. */
function nameOf(recovery: unknown, at: string): string {
  if (typeof recovery === 'function') return recoveryName(recovery as ChordRecoveryType);
  const expected =
    at === 'recovery' ? 'the class of a strategy, or Tolerate({ … })' : 'the class of a strategy';
  throw new InvalidCanvasError(at, `expected ${expected}, got ${shown(recovery)}`);
}

/** The list of a header's values. */
export type HeaderValues<H extends Header> = H extends AnyCanvas
  ? Extract<ResultOf<H>, unknown[]>
  : H extends Members
    ? ValuesOf<H>
    : never;

/** The chord of this header, with a body that returns `R`. */
export type ChordOf<H extends Header, Body extends AnyCanvas> = H extends AnyCanvas
  ? Chord<MissingOf<H>, ResultOf<Body>, InputOf<H>>
  : H extends Members
    ? Chord<MissingOfAll<MemberOf<H>>, ResultOf<Body>, InputOfAll<MemberOf<H>>>
    : never;

/**
 * What a body gets as its first argument, from the values of the members and the strategy:
 *
 * - `ErrbackOnly`: the values of all members;
 * - `CallbackWithSuccesses`: a list of values, of which some may be missing;
 * - `CallbackWithOutcomes`: a settled outcome for every member;
 * - `Tolerate`: what the strategy within it says, `CallbackWithSuccesses` if it names none;
 * - a strategy of your own: what it declares, or the values of all members, because with no failure that is
 *   what the body gets and no strategy is asked.
 */
export type BodyInput<Values extends unknown[], Recovery extends RecoveryChoice> =
  Recovery extends Tolerance<infer Within>
    ? InputUnder<Values, Within>
    : Recovery extends ChordRecoveryType
      ? InputUnder<Values, Recovery>
      : never;

type InputUnder<Values extends unknown[], Recovery extends ChordRecoveryType> =
  // A strategy that never looks at the outcome cannot leave any value out.
  Recovery extends typeof ErrbackOnly
    ? Values
    : DeclaredInput<Recovery> extends infer In
      ? unknown extends In
        ? Values
        : In extends BodyInputKind<'outcomes'>
          ? { [I in keyof Values]: Outcome<Values[I]> }
          : In extends BodyInputKind<'values'>
            ? Values[number][]
            : In | Values
      : never;

type DeclaredInput<Recovery extends ChordRecoveryType> =
  InstanceType<Recovery> extends ChordRecovery<infer In> ? In : unknown;

/**
 * A chord of this header and body.
 *
 * @throws InvalidCanvasError when the body is missing, or the header is a group with callbacks of its own
 */
export function createChord<
  const H extends Header,
  Body extends Follower<BodyInput<HeaderValues<H>, Recovery>>,
  Recovery extends RecoveryChoice = typeof ErrbackOnly,
>(
  publisher: CanvasPublisher,
  header: H,
  body: Body,
  options: ChordOptions<Recovery, HeaderValues<H>[number]> = {},
): ChordOf<H, Body> {
  const data = makeChord(header as AnyCanvas | Iterable<AnyCanvas>, body, headerRules(options));
  return new Chord(publisher, data) as unknown as ChordOf<H, Body>;
}
