import { type Duration, toMilliseconds } from '../primitives/duration.js';
import { countIn, sumOf, WINDOW_PARTS, type WindowCounts } from '../primitives/window-counts.js';

/**
 * How many of the calls may be retries. When a resource goes down, everything that calls it fails, and retries multiply
 * the calls just then; a budget keeps them at a share of the first attempts, over all workers.
 */
export interface RetryBudgetOptions {
  /** Policies that name the same one share it: that of a resource, say. @defaultValue one for the queue of the task */
  readonly name?: string;
  /** How many retries there may be for each first attempt within `per`. @defaultValue 0.1 */
  readonly share?: number;
  /** How many there may be beside that, so that a quiet queue has some, too. @defaultValue 10 */
  readonly floor?: number;
  /** @defaultValue '1m' */
  readonly per?: Duration;
  /**
   * What becomes of a retry that is over it. `fail`: the task fails with a RetryBudgetExceededError, whose cause is the
   * error. `wait`: it is parked until there is room, which spends no attempt; `maxElapsed` and `expires` bound that.
   *
   * @defaultValue 'fail'
   */
  readonly over?: 'fail' | 'wait';
}

/** A budget of a policy after it was read. */
export interface RetryBudget {
  /** Undefined for that of the queue. */
  readonly name: string | undefined;
  readonly rule: BudgetRule;
  readonly over: 'fail' | 'wait';
}

/** The numbers of a budget, as the store needs them. */
export interface BudgetRule {
  readonly share: number;
  readonly floor: number;
  /** A part of the window that is counted. */
  readonly partMs: number;
}

export const BUDGET_KEYS: readonly (keyof RetryBudgetOptions)[] = ['name', 'share', 'floor', 'per', 'over'];

/**
 * Reads a budget: options, or the name of one with the default numbers.
 *
 * @throws RangeError when it cannot be read; the message says what was expected
 */
export function readRetryBudget(given: string | RetryBudgetOptions): RetryBudget {
  const options = typeof given === 'string' ? { name: given } : given;
  const { name, share = 0.1, floor = 10, per = '1m', over = 'fail' } = options;
  if (name !== undefined && (typeof name !== 'string' || !/^\S{1,200}$/.test(name))) {
    throw new RangeError('expected budget.name to be 1 to 200 characters without spaces');
  }
  if (typeof share !== 'number' || !(share >= 0) || share > 100) {
    throw new RangeError(`expected budget.share to be from 0 to 100, got ${String(share)}`);
  }
  if (!Number.isSafeInteger(floor) || floor < 0) {
    throw new RangeError(`expected budget.floor to be a whole number of 0 or more, got ${String(floor)}`);
  }
  if (share === 0 && floor === 0) throw new RangeError('expected budget.share or budget.floor to be above 0');
  if (over !== 'fail' && over !== 'wait') {
    throw new RangeError(`expected budget.over to be 'fail' or 'wait', got ${String(over)}`);
  }
  const perMs = toMilliseconds(per);
  if (perMs < 1) throw new RangeError('expected budget.per to be 1 ms or more');
  return { name, over, rule: { share, floor, partMs: perMs / WINDOW_PARTS } };
}

/**
 * One retry is to be made. The script of the Redis store does the same; a test compares the two.
 *
 * @returns what is kept, and nothing when it may be made, else after which time it is worth to ask again
 */
export function spendRetry(
  kept: WindowCounts,
  { share, floor, partMs }: BudgetRule,
  nowMs: number,
): readonly [WindowCounts, waitMs: number | undefined] {
  const { all, some } = sumOf(kept, partMs, nowMs);
  if (some + 1 <= floor + share * all) return [countIn(kept, partMs, nowMs, { all: 0, some: 1 }), undefined];
  return [kept, Math.ceil((Math.floor(nowMs / partMs) + 1) * partMs - nowMs)];
}
