import type { TaskFailure } from '../failure/task-failure.js';
import type { JsonValue } from '../primitives/json.js';
import {
  type ChordDecision,
  type ChordOutcome,
  ChordRecovery,
  type ChordRecoveryType,
  type MemberOutcome,
} from './chord-recovery.js';

/**
 * Marks, in the type of a built-in strategy, how the body's first argument follows from the members' type:
 * `values` is a list of what they return, `outcomes` a list of settled outcomes.
 */
export interface BodyInputKind<Kind extends 'values' | 'outcomes'> {
  readonly kind: Kind;
}

/** The body never runs after a failure; the errbacks do. Celery's behaviour, and the default. */
export class ErrbackOnly extends ChordRecovery<BodyInputKind<'values'>> {
  recover(): ChordDecision {
    return { run: 'errback' };
  }
}

/** The body runs with the values of the members that succeeded, in definition order. */
export class CallbackWithSuccesses extends ChordRecovery<BodyInputKind<'values'>> {
  recover(outcome: ChordOutcome): ChordDecision {
    return { run: 'callback', args: [outcome.successes.map((member) => member.value)] };
  }
}

/**
 * The body always runs, with one settled outcome per member in definition order: also when none failed, so
 * that its argument has the same form every time.
 */
export class CallbackWithOutcomes extends ChordRecovery<BodyInputKind<'outcomes'>> {
  recover(outcome: ChordOutcome): ChordDecision {
    return { run: 'callback', args: [outcome.members.map((member) => settledOutcome(member))] };
  }
}

/** One entry of what the body gets under `CallbackWithOutcomes`, in the form of `Promise.allSettled`. */
export type Outcome<R = JsonValue> =
  | { readonly status: 'fulfilled'; readonly value: R }
  | { readonly status: 'rejected'; readonly reason: TaskFailure };

/** Puts a member's outcome into the form that bodies and `settled()` show. */
export function settledOutcome(
  member: MemberOutcome,
): { status: 'fulfilled'; value: JsonValue } | { status: 'rejected'; reason: JsonValue } {
  return member.status === 'fulfilled'
    ? { status: 'fulfilled', value: member.value }
    : { status: 'rejected', reason: member.failure as unknown as JsonValue };
}

/** The strategies that every application knows, by the name under which a canvas carries them. */
export const BUILT_IN_RECOVERIES: ReadonlyMap<string, ChordRecovery> = new Map<string, ChordRecovery>([
  ['ErrbackOnly', new ErrbackOnly()],
  ['CallbackWithSuccesses', new CallbackWithSuccesses()],
  ['CallbackWithOutcomes', new CallbackWithOutcomes()],
]);

/** The name under which a canvas carries a strategy: its class's. */
export function recoveryName(type: ChordRecoveryType): string {
  return type.name;
}
