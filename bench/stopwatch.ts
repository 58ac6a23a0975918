import { Redis } from 'ioredis';
import { REDIS_URL } from './redis-url.js';

/**
 * What a piece of work cost. Time on the wall is what a user waits for, and on a shared machine half of it is somebody
 * else's; processor time says what the work itself took, here and in Redis.
 */
export interface Cost {
  readonly ms: number;
  /** Processor time of this process, all threads; undefined where only the wall was watched. */
  readonly nodeMs?: number;
  /** Processor time of the server's main thread. */
  readonly redisMs?: number;
}

/** Watches a piece of work: this process and the Redis of the run. */
export class Stopwatch {
  #wall = performance.now();
  #node = process.cpuUsage();

  private constructor(
    private readonly redis: Redis,
    private readonly redisMs: number,
  ) {}

  static async start(): Promise<Stopwatch> {
    const redis = new Redis(REDIS_URL);
    return new Stopwatch(redis, await mainThreadMs(redis));
  }

  /** Begins to count only now. */
  restart(): void {
    this.#wall = performance.now();
    this.#node = process.cpuUsage();
  }

  async stop(): Promise<Cost> {
    const ms = performance.now() - this.#wall;
    const { user, system } = process.cpuUsage(this.#node);
    const redisMs = (await mainThreadMs(this.redis)) - this.redisMs;
    this.redis.disconnect();
    return { ms, nodeMs: (user + system) / 1_000, redisMs };
  }
}

async function mainThreadMs(redis: Redis): Promise<number> {
  const info = await redis.info('cpu');
  const read = (field: string): number => Number(new RegExp(`${field}:([\\d.]+)`).exec(info)?.[1] ?? 0);
  return (read('used_cpu_user_main_thread') + read('used_cpu_sys_main_thread')) * 1_000;
}
