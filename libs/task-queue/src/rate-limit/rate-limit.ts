import { type Duration, toMilliseconds } from '../primitives/duration.js';
import type { JsonValue } from '../primitives/json.js';

/** How often a task may be started, by all workers together. */
export interface RateLimitOptions {
  /** Starts that fit into `per`. They are spread evenly: `{ limit: 10, per: '1m' }` is one every 6 s. */
  readonly limit: number;
  /** The time that `limit` is for: milliseconds, or a duration such as '1m'. */
  readonly per: Duration;
  /** How many may follow each other at once after a quiet time. @defaultValue 1, as Celery's token bucket */
  readonly burst?: number;
  /**
   * A limit for each of what this says of a call, such as a tenant's id. It gets the arguments of the task, also those
   * that come from the step before; what it throws fails the task.
   *
   * @defaultValue one limit for all calls
   */
  // The arguments of the method that it stands on: a decorator cannot know them.
  readonly key?: (...args: never[]) => string | number;
  /** Tasks that name the same one share it. @defaultValue the name of the task */
  readonly name?: string;
}

/** A limit after it was read: as the store needs it. */
export interface RateLimit {
  readonly name: string | undefined;
  readonly key: ((...args: readonly JsonValue[]) => string | number) | undefined;
  readonly rate: Rate;
}

/** A rate as the generic cell rate algorithm has it. */
export interface Rate {
  /** From one start to the next. */
  readonly intervalMs: number;
  /** How far ahead of an even pace a start may be. */
  readonly toleranceMs: number;
}

const UNITS: Readonly<Record<string, Duration>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Reads a rate: options, or `'10/m'` as in Celery, where the time is `s`, `m`, `h`, `d` or a duration such as `30s`.
 *
 * @throws RangeError when it cannot be read; the message says what was expected
 */
export function readRate(given: string | Pick<RateLimitOptions, 'limit' | 'per' | 'burst'>): Rate {
  const { limit, per, burst = 1 } = typeof given === 'string' ? parse(given) : given;
  if (!Number.isSafeInteger(limit) || limit < 1) throw new RangeError('limit: a whole number of 1 or more');
  if (!Number.isSafeInteger(burst) || burst < 1) throw new RangeError('burst: a whole number of 1 or more');
  const perMs = toMilliseconds(per);
  if (perMs < 1) throw new RangeError('per: 1 ms or more');
  const intervalMs = perMs / limit;
  return { intervalMs, toleranceMs: (burst - 1) * intervalMs };
}

function parse(text: string): Pick<RateLimitOptions, 'limit' | 'per'> & { burst?: number } {
  const [, limit, per] = /^\s*(\d+)\s*\/\s*(\S+)\s*$/.exec(text) ?? [];
  if (limit === undefined || per === undefined) throw new RangeError("a rate such as '10/m' or '100/30s'");
  return { limit: Number(limit), per: UNITS[per] ?? per };
}
