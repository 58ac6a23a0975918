import { InvalidCanvasError } from '../errors/publish.errors.js';

/**
 * What becomes of the members that have not ended when their header is closed:
 *
 * - `leave`: they go on, and nobody hears what they come to;
 * - `revoke`: those that have not begun never do; what runs may finish, and is not tried again;
 * - `terminate`: what runs is ended as well.
 */
export type RestPolicy = 'leave' | 'revoke' | 'terminate';

/** What follows when more members have failed than a budget allows. */
export type BreachPolicy = 'errback' | 'callback' | 'park';

/**
 * How much may go wrong in a header. Every limit that is given has to hold; the budget is breached as soon as one of
 * them cannot hold any more, whatever the members that have not ended come to.
 */
export interface Budget {
  /** So many members may fail. 0 is fail-fast. */
  readonly count?: number;
  /**
   * This share of the members may fail, 0 to 100. While members are still being read from a source nobody knows what
   * they are a share of: it is looked at once the header is sealed, and then at each failure.
   */
  readonly percentage?: number;
  /** At least so many members have to succeed. */
  readonly minSuccesses?: number;
  /** By the name of the error: so many members may fail with it. What is not named here counts for the others alone. */
  readonly byError?: Readonly<Record<string, number>>;
  /**
   * What a breach leads to, in the moment in which it happens: the errbacks; the recovery, with what is there; or
   * nothing, until somebody changes the budget or revokes the chord. @defaultValue 'errback'
   */
  readonly onBreach?: BreachPolicy;
  /** What becomes of the members that have not ended when it is breached. @defaultValue 'revoke' */
  readonly rest?: RestPolicy;
}

const FIELDS = ['count', 'percentage', 'minSuccesses', 'byError', 'onBreach', 'rest'] as const;
const LIMITS = ['count', 'percentage', 'minSuccesses', 'byError'] as const;
const ON_BREACH: readonly unknown[] = ['errback', 'callback', 'park'];
const REST: readonly unknown[] = ['leave', 'revoke', 'terminate'];

/** The budget of fail-fast groups and chords. */
export const FAIL_FAST: Budget = Object.freeze({ count: 0 });

/**
 * Reads a budget of any origin.
 *
 * @param size how many members there are, where that is known
 * @throws InvalidCanvasError with the path of what cannot be read
 */
export function readBudget(budget: unknown, at: string, size?: number): Budget {
  if (typeof budget !== 'object' || budget === null || Array.isArray(budget)) {
    throw new InvalidCanvasError(at, `expected a budget such as { count: 3 }, got ${shown(budget)}`);
  }
  const given = budget as Readonly<Record<string, unknown>>;
  const odd = Object.keys(given).find((field) => !(FIELDS as readonly string[]).includes(field));
  if (odd !== undefined) {
    throw new InvalidCanvasError(`${at}.${odd}`, `unknown; known are ${FIELDS.join(', ')}`);
  }
  if (LIMITS.every((limit) => given[limit] === undefined)) {
    throw new InvalidCanvasError(at, `a budget needs a limit: ${LIMITS.join(', ')}`);
  }
  checkCount(given['count'], `${at}.count`);
  checkCount(given['minSuccesses'], `${at}.minSuccesses`);
  checkPercentage(given['percentage'], `${at}.percentage`);
  checkByError(given['byError'], `${at}.byError`);
  checkOneOf(given['onBreach'], ON_BREACH, `${at}.onBreach`);
  checkOneOf(given['rest'], REST, `${at}.rest`);
  const { minSuccesses } = given as Budget;
  if (size !== undefined && minSuccesses !== undefined && minSuccesses > size) {
    const problem = `${minSuccesses} members would have to succeed, and there are ${size}`;
    throw new InvalidCanvasError(`${at}.minSuccesses`, problem);
  }
  return budget as Budget;
}

function checkCount(count: unknown, at: string): void {
  if (count === undefined || (Number.isSafeInteger(count) && (count as number) >= 0)) return;
  throw new InvalidCanvasError(at, `expected a whole number of 0 or more, got ${shown(count)}`);
}

function checkPercentage(share: unknown, at: string): void {
  if (share === undefined || (typeof share === 'number' && share >= 0 && share <= 100)) return;
  throw new InvalidCanvasError(at, `expected a number from 0 to 100, got ${shown(share)}`);
}

function checkByError(byError: unknown, at: string): void {
  if (byError === undefined) return;
  if (typeof byError !== 'object' || byError === null || Array.isArray(byError)) {
    throw new InvalidCanvasError(at, `expected counts by the name of an error, got ${shown(byError)}`);
  }
  for (const [name, count] of Object.entries(byError)) checkCount(count ?? null, `${at}.${name}`);
}

function checkOneOf(value: unknown, known: readonly unknown[], at: string): void {
  if (value === undefined || known.includes(value)) return;
  throw new InvalidCanvasError(at, `expected one of ${known.join(', ')}, got ${shown(value)}`);
}

/** A value of an option as it was written, for messages. */
export function shown(value: unknown): string {
  return JSON.stringify(value) ?? typeof value;
}
