import type { DeadlineData } from '../canvas/deadline-rule.js';
import type { Budget, RestPolicy } from '../canvas/header-rules.js';

/** What a header has come to by now. */
export interface HeaderView {
  /** Members that there are, or will be. */
  readonly size: number;
  /** Whether `size` is that of the whole header; else more members may come. */
  readonly isSealed: boolean;
  readonly succeeded: number;
  /** Members that ended without a value, in whatever way. */
  readonly failed: number;
  /** How many failed with an error of this name; looked at for the names of `byError`. */
  readonly byError: ReadonlyMap<string, number>;
  /** Whether its deadline has passed. */
  readonly isDue: boolean;
}

/** Which limit cannot hold any more. */
export interface Breach {
  readonly limit: 'count' | 'percentage' | 'minSuccesses' | 'byError';
  /** In words, for errors and logs. */
  readonly message: string;
}

/**
 * What follows for a header:
 *
 * - `wait`: for the members that have not ended;
 * - `close`: nothing more is waited for, and the recovery is asked or the errbacks run;
 * - `park`: nothing follows until somebody changes the budget.
 */
export type Judgement =
  | { readonly do: 'wait' }
  | { readonly do: 'park'; readonly why: string }
  | {
      readonly do: 'close';
      readonly by: ClosedBy;
      readonly follow: Follow;
      readonly rest: RestPolicy;
      readonly why: string;
    };

/** What closed a header: its last member, or before that a breach of its budget, or its deadline. */
export type ClosedBy = 'end' | 'budget' | 'deadline';

/**
 * What follows a header that is closed: what the recovery says, the errbacks, or the body with the values that are there; or
 * the failure of one that was not published as a whole.
 */
export type Follow = 'recovery' | 'errback' | 'successes' | 'incomplete';

/** What a header is judged by. */
export interface HeaderLaw {
  readonly budget?: Budget | undefined;
  readonly deadline?: Pick<DeadlineData, 'rest'> | undefined;
  /** Name of the strategy; undefined for a group. */
  readonly recovery?: string | undefined;
}

/**
 * Judges a header by its budget and its deadline: a pure decision, the same for every store. A success can breach
 * nothing, so it is asked for when a member fails, when the header is sealed, when its budget is changed, when its
 * deadline has passed, and when all have ended.
 */
export function judgeHeader({ budget, deadline, recovery }: HeaderLaw, view: HeaderView): Judgement {
  // At its deadline a header is what has been published by then, and who is pending does not succeed.
  const breach =
    budget && (breachOf(budget, { ...view, isSealed: view.isSealed || view.isDue }) ?? missed(budget, view));
  if (breach !== undefined) {
    const { onBreach = 'errback', rest = 'revoke' } = budget ?? {};
    if (onBreach === 'park') return { do: 'park', why: breach.message };
    const follow = onBreach === 'callback' ? 'recovery' : 'errback';
    return { do: 'close', by: 'budget', follow, rest, why: breach.message };
  }
  if (view.isSealed && view.succeeded + view.failed >= view.size) {
    return { do: 'close', by: 'end', follow: 'recovery', rest: 'leave', why: 'all members have ended' };
  }
  if (!view.isDue || deadline === undefined) return { do: 'wait' };
  return {
    do: 'close',
    by: 'deadline',
    follow: atDeadline(recovery, view),
    rest: deadline.rest,
    why: 'its deadline has passed',
  };
}

/** Whoever is pending has not failed: under `ErrbackOnly` only a member that has keeps the body from running. */
function atDeadline(recovery: string | undefined, { failed }: HeaderView): Follow {
  if (recovery !== 'ErrbackOnly') return 'recovery';
  return failed > 0 ? 'errback' : 'successes';
}

function missed({ minSuccesses = 0 }: Budget, { isDue, succeeded, size }: HeaderView): Breach | undefined {
  if (!isDue || succeeded >= minSuccesses) return undefined;
  const message = `${succeeded} of ${size} members had succeeded at the deadline, and ${minSuccesses} have to`;
  return { limit: 'minSuccesses', message };
}

/** The first limit that cannot hold any more, if one cannot. */
export function breachOf(
  { count, percentage, minSuccesses, byError = {} }: Budget,
  { size, isSealed, failed, byError: errors }: HeaderView,
): Breach | undefined {
  if (count !== undefined && failed > count) {
    return { limit: 'count', message: `${membersFailed(failed)}, and ${count} may` };
  }
  for (const [name, most] of Object.entries(byError)) {
    const found = errors.get(name) ?? 0;
    if (found > most)
      return { limit: 'byError', message: `${membersFailed(found)} with ${name}, and ${most} may` };
  }
  if (!isSealed) return undefined;
  if (percentage !== undefined && failed * 100 > percentage * size) {
    return { limit: 'percentage', message: `${failed} of ${size} members failed, and ${percentage} % may` };
  }
  if (minSuccesses !== undefined && size - failed < minSuccesses) {
    const left = `${size - failed} of ${size} members can still succeed`;
    return { limit: 'minSuccesses', message: `${left}, and ${minSuccesses} have to` };
  }
  return undefined;
}

function membersFailed(count: number): string {
  return count === 1 ? '1 member failed' : `${count} members failed`;
}
