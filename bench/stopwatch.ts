import { Redis } from 'ioredis';
import { type Shares, startProfile } from './profile.js';
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
  /** Where the time of this process went, when it was asked for. */
  readonly shares?: Shares;
}

/** Watches a piece of work: this process and the Redis of the run. */
export class Stopwatch {
  #wall = performance.now();
  #node = process.cpuUsage();

  /** Whether each piece of work is sampled as well, which makes it slower. */
  static profiles = false;

  private constructor(
    private readonly redis: Redis,
    private readonly redisMs: number,
    private readonly endProfile: (() => Promise<Shares>) | undefined,
  ) {}

  static async start(): Promise<Stopwatch> {
    const redis = new Redis(REDIS_URL);
    const redisMs = await mainThreadMs(redis);
    return new Stopwatch(redis, redisMs, Stopwatch.profiles ? await startProfile() : undefined);
  }

  /** Begins to count only now. */
  restart(): void {
    this.#wall = performance.now();
    this.#node = process.cpuUsage();
  }

  async stop(): Promise<Cost> {
    const ms = performance.now() - this.#wall;
    const { user, system } = process.cpuUsage(this.#node);
    const shares = await this.endProfile?.();
    const redisMs = (await mainThreadMs(this.redis)) - this.redisMs;
    this.redis.disconnect();
    return { ms, nodeMs: (user + system) / 1_000, redisMs, ...(shares === undefined ? {} : { shares }) };
  }
}

async function mainThreadMs(redis: Redis): Promise<number> {
  const info = await redis.info('cpu');
  const read = (field: string): number => Number(new RegExp(`${field}:([\\d.]+)`).exec(info)?.[1] ?? 0);
  return (read('used_cpu_user_main_thread') + read('used_cpu_sys_main_thread')) * 1_000;
}
