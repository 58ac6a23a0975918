import type { Backoff, BackoffOptions } from './backoff.js';
import { compileBackoff } from './backoff.js';
import { readRetryBudget, type RetryBudget, type RetryBudgetOptions } from './retry-budget.js';
import { type Duration, toMilliseconds } from '../primitives/duration.js';

/** A test for errors that no class tells apart, such as HTTP responses by their status. */
export interface ErrorTest {
  /** What it tests for, in words. */
  readonly what?: string;
  readonly matches: (error: unknown) => boolean;
}

/**
 * An error class, or its name: errors cross process borders as data, where only the name is left. Or a test; `ErrorKinds`
 * has some.
 */
export type ErrorMatcher = ErrorClass | string | ErrorTest;

/** A class of errors. */
export type ErrorClass = abstract new (...args: never[]) => Error;

/** Options of `@Retry`. */
export interface RetryOptions {
  /**
   * The errors that this policy is for. An empty list is for none: such a policy holds for what the task asks for
   * itself, with `task.retry()`. @defaultValue every error
   */
  readonly for?: readonly ErrorMatcher[];
  /** Errors that fail the task at once, whatever else is said. */
  readonly never?: readonly ErrorMatcher[];
  /**
   * How many times the task is run again, as in Celery: the first run is not counted, so 3 means at most
   * 4 runs. `Infinity` never gives up. @defaultValue 3
   */
  readonly maxRetries?: number;
  /**
   * How long after the start of the first attempt another one may begin, over all attempts and the waits between them.
   * `maxRetries` holds as well. @defaultValue no limit
   */
  readonly maxElapsed?: Duration;
  /**
   * How many of the calls may be retries of this policy, over all workers: options, or the name of a budget with the
   * default numbers. `{}` is one for the queue. @defaultValue no budget
   */
  readonly budget?: string | RetryBudgetOptions;
  /** @defaultValue exponential from 1 s to 10 min, with full jitter */
  readonly backoff?: BackoffOptions;
  /**
   * Whether a `retryAfter` that the error carries (seconds or a date), or a `Retry-After` header of the HTTP
   * response it carries, replaces the backoff. @defaultValue true
   */
  readonly honourRetryAfter?: boolean;
}

/** A policy whose options have been read. */
export interface RetryPolicy {
  /** Whether the policy lists its errors; one that is for every error does not cover a hard time limit. */
  readonly explicit: boolean;
  /** Whether it holds for requests of the task alone. */
  readonly manualOnly: boolean;
  /** Whether it is only there to rule errors out, and says nothing of requests that name none. */
  readonly forbids: boolean;
  readonly matches: (error: unknown) => boolean;
  readonly never: (error: unknown) => boolean;
  /** The classes that it lists, for whoever makes errors of them again that come from another process. */
  readonly classes: readonly ErrorClass[];
  readonly maxRetries: number;
  readonly maxElapsedMs: number;
  readonly budget?: RetryBudget;
  readonly backoff: Backoff;
  readonly honourRetryAfter: boolean;
}

/**
 * Reads the options of one `@Retry`.
 *
 * @throws RangeError when a value cannot be read; the caller adds the path
 */
export function compileRetryPolicy(options: RetryOptions = {}): RetryPolicy {
  const maxRetries = options.maxRetries ?? 3;
  if (
    typeof maxRetries !== 'number' ||
    !(maxRetries >= 0) ||
    (maxRetries !== Infinity && !Number.isInteger(maxRetries))
  ) {
    throw new RangeError(`expected maxRetries of 0 or more, or Infinity, got ${String(maxRetries)}`);
  }
  const matchers = options.for;
  return {
    explicit: matchers !== undefined,
    manualOnly: matchers?.length === 0,
    forbids: maxRetries === 0 && options.never !== undefined,
    matches: matchers === undefined ? () => true : (error) => matchesAny(error, matchers),
    never: (error) => matchesAny(error, options.never ?? []),
    classes: [...(matchers ?? []), ...(options.never ?? [])].filter(isErrorClass),
    maxRetries,
    maxElapsedMs: options.maxElapsed === undefined ? Infinity : toMilliseconds(options.maxElapsed),
    ...(options.budget === undefined ? {} : { budget: readRetryBudget(options.budget) }),
    backoff: compileBackoff(options.backoff ?? { type: 'exponential' }),
    honourRetryAfter: options.honourRetryAfter ?? true,
  };
}

/** What is wrong with a list of error classes and names, if something is. */
export function matchersProblem(
  path: string,
  matchers: unknown,
): { readonly path: string; readonly expected: string; readonly found: unknown } | undefined {
  if (!Array.isArray(matchers)) return { path, expected: 'a list of error classes', found: matchers };
  const wrong = matchers.findIndex((matcher) => !isMatcher(matcher));
  if (wrong < 0) return undefined;
  return {
    path: `${path}[${wrong}]`,
    expected: 'an error class, its name or a test',
    found: matchers[wrong] as unknown,
  };
}

/** Whether a matcher is a class, rather than the name of one or a test. */
export function isErrorClass(matcher: ErrorMatcher): matcher is ErrorClass {
  return typeof matcher === 'function';
}

function isMatcher(matcher: unknown): matcher is ErrorMatcher {
  if (typeof matcher === 'function' || typeof matcher === 'string') return true;
  return typeof (matcher as Partial<ErrorTest> | null | undefined)?.matches === 'function';
}

/** Whether an error is of one of the classes; a name also matches the names of base classes. */
export function matchesAny(error: unknown, matchers: readonly ErrorMatcher[]): boolean {
  return matchers.some((matcher) => {
    if (typeof matcher === 'string') return namesOf(error).includes(matcher);
    return typeof matcher === 'function' ? error instanceof matcher : matcher.matches(error);
  });
}

function namesOf(error: unknown): string[] {
  if (typeof error !== 'object' || error === null) return [];
  const names = [String((error as { name?: unknown }).name)];
  for (
    let at: unknown = Object.getPrototypeOf(error);
    at !== null && at !== Object.prototype;
    at = Object.getPrototypeOf(at)
  ) {
    const name = (at as { constructor?: { name?: string } }).constructor?.name;
    if (name) names.push(name);
  }
  return names;
}
