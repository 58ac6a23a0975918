import type { DeadlineData } from '../canvas/deadline-rule.js';

/** When what a deadline can count from has happened; epoch milliseconds. */
export interface HeaderTimes {
  readonly dispatchMs: number;
  /** Undefined while members are still being published; of a header that is never sealed, when it was published. */
  readonly sealMs?: number;
  readonly firstOutcomeMs?: number;
  readonly lastOutcomeMs?: number;
}

/** When a deadline is due, as far as it is known by now; undefined while nothing has happened that it counts from. */
export function dueAt(
  { afterMs, from }: Pick<DeadlineData, 'afterMs' | 'from'>,
  times: HeaderTimes,
): number | undefined {
  const startMs = startOf(from, times);
  return startMs === undefined ? undefined : startMs + afterMs;
}

function startOf(from: DeadlineData['from'], times: HeaderTimes): number | undefined {
  switch (from) {
    case 'dispatch':
      return times.dispatchMs;
    case 'seal':
      return times.sealMs;
    case 'first-outcome':
      return times.firstOutcomeMs;
    case 'last-outcome':
      return times.lastOutcomeMs;
  }
}
