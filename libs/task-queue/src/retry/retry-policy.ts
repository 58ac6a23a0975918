import type { Backoff, BackoffOptions } from './backoff.js';
import { compileBackoff } from './backoff.js';

/** An error class, or its name: errors cross process borders as data, where only the name is left. */
export type ErrorMatcher = ErrorClass | string;

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
  readonly matches: (error: unknown) => boolean;
  readonly never: (error: unknown) => boolean;
  /** The classes that it lists, for whoever makes errors of them again that come from another process. */
  readonly classes: readonly ErrorClass[];
  readonly maxRetries: number;
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
    matches: matchers === undefined ? () => true : (error) => matchesAny(error, matchers),
    never: (error) => matchesAny(error, options.never ?? []),
    classes: [...(matchers ?? []), ...(options.never ?? [])].filter(isErrorClass),
    maxRetries,
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
  const wrong = matchers.findIndex((matcher) => typeof matcher !== 'function' && typeof matcher !== 'string');
  if (wrong < 0) return undefined;
  return {
    path: `${path}[${wrong}]`,
    expected: 'an error class or its name',
    found: matchers[wrong] as unknown,
  };
}

/** Whether a matcher is a class, rather than the name of one. */
export function isErrorClass(matcher: ErrorMatcher): matcher is ErrorClass {
  return typeof matcher !== 'string';
}

/** Whether an error is of one of the classes; a name also matches the names of base classes. */
export function matchesAny(error: unknown, matchers: readonly ErrorMatcher[]): boolean {
  return matchers.some((matcher) =>
    typeof matcher === 'string' ? namesOf(error).includes(matcher) : error instanceof matcher,
  );
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
