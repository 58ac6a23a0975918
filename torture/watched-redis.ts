/** A Redis with a replica, watched by Sentinels: its master is lost, and the replica takes its place. */
import { Redis } from 'ioredis';
import { setTimeout as pause } from 'node:timers/promises';
import { SentinelRedis } from '../test/support/sentinel.js';
import type { Connection, Site } from './site.js';

/**
 * How the master is lost: it is killed; it stops answering, but keeps its connections; or it is killed when it has not
 * reached its replica for a while.
 */
export type Loss = 'killed' | 'frozen' | 'killed when its replica was behind';

export const LOSSES: readonly Loss[] = ['killed', 'frozen', 'killed when its replica was behind'];

const ANSWER_WITHIN_MS = 5_000;

export class WatchedRedis implements Site {
  #redis: Redis;
  /** When the master was lost, in epoch milliseconds. */
  #lostAt = Infinity;

  private constructor(private readonly servers: SentinelRedis) {
    // What a master that is lost never answers has to end, or nobody would go on to ask the next one.
    this.#redis = new Redis(servers.master.url, {
      commandTimeout: ANSWER_WITHIN_MS,
      retryStrategy: () => null,
    });
    this.#redis.on('error', () => undefined);
  }

  static async start(): Promise<WatchedRedis> {
    return new WatchedRedis(await SentinelRedis.start());
  }

  /** The master; after the fail-over, what has taken its place. */
  get redis(): Redis {
    return this.#redis;
  }

  get connection(): Connection {
    return this.servers.connection;
  }

  /** A client asks the Sentinels where to go: no proxy stands in its way. */
  through(): Connection {
    return this.connection;
  }

  restart(): Promise<void> {
    throw new Error('a master that is watched is replaced, and not restarted');
  }

  /** The port of the Redis that was the master at a time, in epoch milliseconds; nobody was when it had just been lost. */
  masterAt(ms: number): number {
    const { master, replica } = this.servers;
    return Number(new URL((ms <= this.#lostAt ? master : replica).url).port);
  }

  /** Resolves when the replica is the master. @param behindMs for how long it has heard of nothing, if it is behind */
  async lose(how: Loss, behindMs: number): Promise<void> {
    if (how === 'killed when its replica was behind') {
      await this.servers.stopReplicating();
      await pause(behindMs);
    }
    if (how === 'frozen') this.servers.master.freeze();
    else await this.servers.master.kill();
    this.#lostAt = Date.now();
    await this.servers.failedOver();
    this.#redis.disconnect();
    this.#redis = this.servers.client(this.servers.replica);
  }

  async end(): Promise<void> {
    await this.servers.end();
  }
}
