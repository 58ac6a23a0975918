import { type Duration, toMilliseconds } from '../primitives/duration.js';
import { WINDOW_PARTS } from '../primitives/window-counts.js';
import { readRate } from '../rate-limit/rate-limit.js';
import { ErrorKinds } from '../retry/error-kinds.js';
import { type ErrorMatcher, matchersProblem } from '../retry/retry-policy.js';

/** When a breaker opens, and how it closes again. */
export interface BreakerOptions {
  /**
   * The errors that are failures of the resource. Others say that it has answered.
   *
   * @defaultValue network errors, timeouts and HTTP 500, 502, 503, 504, as `ErrorKinds` tells them
   */
  readonly for?: readonly ErrorMatcher[];
  /** It opens at so many failures within `within` … @defaultValue 5 */
  readonly threshold?: number;
  /** … when they are this share of the calls that began within it, above 0 up to 1. @defaultValue 0.5 */
  readonly share?: number;
  /** @defaultValue '1m' */
  readonly within?: Duration;
  /** For how long nobody starts, before a task probes whether the resource works again. @defaultValue '30s' */
  readonly openFor?: Duration;
  /** How often a task may probe then, as a rate. @defaultValue '1/s' */
  readonly probes?: string;
  /** It closes after so many probes in a row that were no failure. @defaultValue 3 */
  readonly closeAfter?: number;
  /** How fast tasks come back that were parked, as a rate. @defaultValue '50/s' */
  readonly release?: string;
}

/** The breaker of a resource, as one task has it. */
export interface Breaker {
  readonly name: string;
  readonly failures: readonly ErrorMatcher[];
  readonly rule: BreakerRule;
}

/** The numbers of a breaker, as the store needs them. */
export interface BreakerRule {
  readonly threshold: number;
  readonly share: number;
  /** A part of the window that is counted. */
  readonly partMs: number;
  readonly openMs: number;
  /** From one probe to the next. */
  readonly probeMs: number;
  readonly closeAfter: number;
  /** From one parked task that comes back to the next. */
  readonly releaseMs: number;
}

export const BREAKER_KEYS: readonly (keyof BreakerOptions)[] = [
  'for',
  'threshold',
  'share',
  'within',
  'openFor',
  'probes',
  'closeAfter',
  'release',
];

const DEFAULT_FAILURES = [ErrorKinds.network, ErrorKinds.timeout, ErrorKinds.serviceDown];

/**
 * Reads a breaker.
 *
 * @throws RangeError naming the option, when it cannot be read
 */
export function readBreaker(name: string, options: BreakerOptions = {}): Breaker {
  assertBreakerName(name);
  const failures = options.for ?? DEFAULT_FAILURES;
  const problem = matchersProblem('for', failures);
  if (problem !== undefined) throw new RangeError(`expected ${problem.path} to be ${problem.expected}`);
  const { share = 0.5 } = options;
  if (typeof share !== 'number' || !(share > 0) || share > 1) {
    throw new RangeError(`expected share to be above 0 and at most 1, got ${String(share)}`);
  }
  return {
    name,
    failures,
    rule: {
      threshold: count('threshold', options.threshold ?? 5),
      share,
      partMs: time('within', options.within ?? '1m') / WINDOW_PARTS,
      openMs: time('openFor', options.openFor ?? '30s'),
      probeMs: interval('probes', options.probes ?? '1/s'),
      closeAfter: count('closeAfter', options.closeAfter ?? 3),
      releaseMs: interval('release', options.release ?? '50/s'),
    },
  };
}

/** @throws RangeError when it is no name of a breaker */
export function assertBreakerName(name: unknown): asserts name is string {
  if (typeof name === 'string' && /^\S{1,200}$/.test(name)) return;
  throw new RangeError(`expected a name of 1 to 200 characters without spaces, got ${JSON.stringify(name)}`);
}

function count(option: string, value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 1) return value as number;
  throw new RangeError(`expected ${option} to be a whole number of 1 or more, got ${String(value)}`);
}

function time(option: string, value: Duration): number {
  return naming(option, () => {
    const ms = toMilliseconds(value);
    if (ms >= 1) return ms;
    throw new RangeError(`expected 1 ms or more, got ${JSON.stringify(value)}`);
  });
}

function interval(option: string, value: unknown): number {
  return naming(option, () => {
    if (typeof value !== 'string')
      throw new RangeError(`expected a rate such as '1/s', got ${String(value)}`);
    return readRate(value).intervalMs;
  });
}

function naming(option: string, read: () => number): number {
  try {
    return read();
  } catch (error) {
    throw new RangeError(`${option}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}
