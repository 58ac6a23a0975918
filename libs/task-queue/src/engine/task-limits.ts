import type { StoredLimits } from '../backend/limit-store.js';
import { InvalidOptionsError } from '../errors/configuration.errors.js';
import { assertQueueName, readDuration, readInteger, readObject } from '../options/option-readers.js';
import type { Duration } from '../primitives/duration.js';
import { type RateLimitOptions, readRate } from '../rate-limit/rate-limit.js';
import type { TaskQueueEngine } from './task-queue-engine.js';

/** Time limits that take the place of those that hold. */
export interface TimeLimits {
  readonly softTimeLimit?: Duration;
  readonly timeLimit?: Duration;
}

/** Limits that take the place of the declared ones. */
export interface LimitChange extends TimeLimits {
  /** As of `@Task`, without `key` and `name`. */
  readonly rateLimit?: string | Pick<RateLimitOptions, 'limit' | 'per' | 'burst'>;
  /**
   * Of a queue: how many of its tasks each worker application runs at a time; with several shards, of each shard. 1 or more.
   * A process pool runs no more than it has children.
   */
  readonly concurrency?: number;
}

/** What was changed, in milliseconds. */
export interface ChangedLimit {
  readonly name: string;
  readonly softTimeLimitMs?: number;
  readonly timeLimitMs?: number;
  /** From one start to the next, and how many starts that are due may follow each other at once. */
  readonly rateLimit?: { readonly intervalMs: number; readonly burst: number };
  readonly concurrency?: number;
}

/**
 * Limits that are changed while workers run, from any process of the prefix. `workflows.limits` gives it.
 *
 * They are stored: workers that run follow at once, one that was not connected within half a minute, and workers that start
 * later know them, until they are cleared. A time limit that a call has of its own stays.
 */
export class TaskLimits {
  constructor(private readonly engine: TaskQueueEngine) {}

  /**
   * Changes the limits of a task, attempts that run included, the rate of a shared rate limit, or the concurrency of a
   * queue. What was changed before under the name is replaced. A task without a rate limit gets one.
   *
   * @param name of the task or queue; for a rate limit its `name`, and for one key of it `<name>:<key>`
   * @throws InvalidOptionsError, BrokerUnavailableError
   */
  async set(name: string, change: LimitChange): Promise<void> {
    const given = readObject('', change, ['softTimeLimit', 'timeLimit', 'rateLimit', 'concurrency']);
    const limits: StoredLimits = {
      ...readTimes(given),
      ...readRateChange(given.rateLimit),
      ...readConcurrency(name, given.concurrency),
    };
    if (Object.keys(limits).length === 0) {
      throw new InvalidOptionsError(
        'limits',
        'softTimeLimit, timeLimit, rateLimit or concurrency; clear() takes all back',
        given,
      );
    }
    await this.engine.backend.limits.write(readName(name), limits);
    await this.engine.control.send({ limits: 'changed' });
  }

  /** Everything that was changed, by name. @throws BrokerUnavailableError */
  async list(): Promise<readonly ChangedLimit[]> {
    const all = [...(await this.engine.backend.limits.read())];
    return all
      .map(([name, limits]) => changedLimit(name, limits))
      .sort((a, b) => a.name.localeCompare(b.name));
  }

  /** The declared limits hold again. @returns whether there were others. @throws InvalidOptionsError, BrokerUnavailableError */
  async clear(name: string): Promise<boolean> {
    const had = await this.engine.backend.limits.remove(readName(name));
    await this.engine.control.send({ limits: 'changed' });
    return had;
  }

  /**
   * Changes the limits of one task that runs now, counted from the moment when its handler began; nothing is stored, and its
   * next attempt has those that it would have had. One that runs nowhere, or whose worker is reconnecting, does not hear of
   * it.
   *
   * @throws InvalidOptionsError, BrokerUnavailableError
   */
  async setRunning(id: string, limits: TimeLimits): Promise<void> {
    const times = readTimes(readObject('', limits, ['softTimeLimit', 'timeLimit']));
    if (Object.keys(times).length === 0) {
      throw new InvalidOptionsError('limits', 'softTimeLimit or timeLimit', limits);
    }
    await this.engine.control.send({ limit: id, ...times });
  }
}

function readTimes({ softTimeLimit, timeLimit }: TimeLimits): { softMs?: number; hardMs?: number } {
  const softMs = softTimeLimit === undefined ? undefined : readDuration('softTimeLimit', softTimeLimit);
  const hardMs = timeLimit === undefined ? undefined : readDuration('timeLimit', timeLimit);
  if (softMs !== undefined && hardMs !== undefined && softMs >= hardMs) {
    throw new InvalidOptionsError('softTimeLimit', `less than timeLimit (${hardMs} ms)`, softTimeLimit);
  }
  return { ...(softMs === undefined ? {} : { softMs }), ...(hardMs === undefined ? {} : { hardMs }) };
}

function readRateChange(given: LimitChange['rateLimit']): Pick<StoredLimits, 'rate'> {
  if (given === undefined) return {};
  try {
    return { rate: readRate(given) };
  } catch (error) {
    throw new InvalidOptionsError('rateLimit', error instanceof Error ? error.message : String(error), given);
  }
}

function readConcurrency(queue: string, given: number | undefined): Pick<StoredLimits, 'concurrency'> {
  if (given === undefined) return {};
  assertQueueName('name', queue);
  return { concurrency: readInteger('concurrency', given, 1) };
}

/** A key of a rate limit may be any text. */
const MAX_NAME = 401;

function readName(name: unknown): string {
  if (typeof name === 'string' && name.length > 0 && name.length <= MAX_NAME) return name;
  throw new InvalidOptionsError(
    'name',
    `the name of a task, rate limit or queue, of at most ${MAX_NAME} characters`,
    name,
  );
}

function changedLimit(name: string, { softMs, hardMs, rate, concurrency }: StoredLimits): ChangedLimit {
  return {
    name,
    ...(softMs === undefined ? {} : { softTimeLimitMs: softMs }),
    ...(hardMs === undefined ? {} : { timeLimitMs: hardMs }),
    ...(rate === undefined
      ? {}
      : {
          rateLimit: {
            intervalMs: rate.intervalMs,
            burst: Math.round(rate.toleranceMs / rate.intervalMs) + 1,
          },
        }),
    ...(concurrency === undefined ? {} : { concurrency }),
  };
}
