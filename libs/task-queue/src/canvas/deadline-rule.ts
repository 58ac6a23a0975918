import { InvalidCanvasError } from '../errors/publish.errors.js';
import { type Duration, LONGEST_WAIT_MS, toMilliseconds } from '../primitives/duration.js';
import type { RestPolicy } from './header-rules.js';

/**
 * From when a deadline counts:
 *
 * - `dispatch`: when the chord is published; of a part of a canvas, when its turn comes;
 * - `seal`: when all members are there, which is the same unless they are read from a source or are more than 1,000;
 * - `first-outcome`: when the first member has ended;
 * - `last-outcome`: when the latest of those that have ended did, so that each one moves it.
 */
export type DeadlineStart = 'dispatch' | 'seal' | 'first-outcome' | 'last-outcome';

/** When a chord stops waiting for its members. */
export interface Deadline {
  readonly after: Duration;
  /** @defaultValue 'dispatch' */
  readonly from?: DeadlineStart;
  /** What becomes of the members that have not ended by then. @defaultValue 'leave' */
  readonly rest?: RestPolicy;
}

/** The same as data. */
export interface DeadlineData {
  readonly afterMs: number;
  readonly from: DeadlineStart;
  readonly rest: RestPolicy;
}

/** Whether a deadline counts from the ends of members, which are noted for it. */
export function countsOutcomes(deadline: DeadlineData | undefined): boolean {
  return deadline?.from === 'first-outcome' || deadline?.from === 'last-outcome';
}

const STARTS: readonly unknown[] = ['dispatch', 'seal', 'first-outcome', 'last-outcome'];
const REST: readonly unknown[] = ['leave', 'revoke', 'terminate'];
const FIELDS: readonly string[] = ['after', 'from', 'rest'];

/** Reads what a user wrote. @throws InvalidCanvasError with the path of what cannot be read */
export function readDeadline(given: Duration | Deadline): DeadlineData {
  const deadline: Deadline = typeof given === 'object' && given !== null ? given : { after: given };
  const odd = Object.keys(deadline).find((field) => !FIELDS.includes(field));
  if (odd !== undefined) {
    throw new InvalidCanvasError(`deadline.${odd}`, `unknown; known are ${FIELDS.join(', ')}`);
  }
  const { after, from = 'dispatch', rest = 'leave' } = deadline;
  let afterMs: number;
  try {
    afterMs = toMilliseconds(after);
  } catch (error) {
    throw new InvalidCanvasError('deadline', error instanceof Error ? error.message : String(error));
  }
  return checkDeadline({ afterMs, from, rest }, 'deadline');
}

/** Checks data of any origin. @throws InvalidCanvasError */
export function checkDeadline(data: unknown, at: string): DeadlineData {
  const { afterMs, from, rest } = (data ?? {}) as Readonly<Record<string, unknown>>;
  if (!Number.isInteger(afterMs) || (afterMs as number) < 1) {
    throw new InvalidCanvasError(at, `expected a time of 1 ms or more, got ${JSON.stringify(afterMs)}`);
  }
  if ((afterMs as number) > LONGEST_WAIT_MS) {
    throw new InvalidCanvasError(
      at,
      `expected a time of at most 10 years, got ${JSON.stringify(afterMs)} ms`,
    );
  }
  for (const [value, known, field] of [
    [from, STARTS, 'from'],
    [rest, REST, 'rest'],
  ] as const) {
    if (known.includes(value)) continue;
    const problem = `expected one of ${known.join(', ')}, got ${JSON.stringify(value)}`;
    throw new InvalidCanvasError(`${at}.${field}`, problem);
  }
  return data as DeadlineData;
}
