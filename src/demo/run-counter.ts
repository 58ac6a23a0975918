import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Redis } from 'ioredis';
import { AppConfig } from '../config.js';

/** How often the handlers of one audit were really started, over all processes and attempts. */
export interface RunCounts {
  /** Runs of all members together. */
  readonly memberRuns: number;
  /** Members that were run at all. */
  readonly membersRun: number;
  /** Runs of the callback. */
  readonly callbackRuns: number;
  /** Attempts that ended in a retry. */
  readonly retries: number;
}

const RETRIES = 'retries';
const CALLBACK = 'body';
const KEPT_SECONDS = 86_400;

/** Counts in Redis and not in memory: workers are many, and may be killed. */
@Injectable()
export class RunCounter implements OnApplicationShutdown {
  readonly #redis: Redis;

  constructor(private readonly config: AppConfig) {
    this.#redis = new Redis(config.redisUrl, { maxRetriesPerRequest: null, lazyConnect: true });
    // The queues report a Redis that is away; this connection only waits for it.
    this.#redis.on('error', () => undefined);
  }

  /** Counts the start of a handler; `position` says where in the chord it stands. */
  async countRun(auditId: string, position: string): Promise<void> {
    await this.#increment(auditId, position);
  }

  async countRetry(auditId: string): Promise<void> {
    await this.#increment(auditId, RETRIES);
  }

  async read(auditId: string): Promise<RunCounts> {
    const {
      [RETRIES]: retries,
      [CALLBACK]: callbackRuns,
      ...members
    } = await this.#redis.hgetall(this.#key(auditId));
    const runs = Object.values(members).map(Number);
    return {
      memberRuns: runs.reduce((sum, count) => sum + count, 0),
      membersRun: runs.length,
      callbackRuns: Number(callbackRuns ?? 0),
      retries: Number(retries ?? 0),
    };
  }

  /** Deletes every key of this application: the Redis may be somebody's own. */
  async removeEverything(): Promise<void> {
    for (const pattern of [`{${this.config.queuePrefix}:*`, `${this.config.queuePrefix}:*`]) {
      for await (const keys of this.#redis.scanStream({ match: pattern, count: 1000 }) as AsyncIterable<
        string[]
      >) {
        if (keys.length > 0) await this.#redis.unlink(keys);
      }
    }
  }

  close(): void {
    this.#redis.disconnect();
  }

  onApplicationShutdown(): void {
    this.close();
  }

  async #increment(auditId: string, field: string): Promise<void> {
    const key = this.#key(auditId);
    await this.#redis.multi().hincrby(key, field, 1).expire(key, KEPT_SECONDS).exec();
  }

  #key(auditId: string): string {
    return `${this.config.queuePrefix}:runs:${auditId}`;
  }
}
