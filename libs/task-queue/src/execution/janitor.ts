import type { CanvasRemoval } from '../broker/canvas-removal.js';
import type { Producers } from '../broker/producers.js';
import type { RedisClient } from '../broker/redis-connections.js';
import type { RedisKeys } from '../broker/redis-keys.js';
import type { Clock } from '../primitives/clock.js';
import { pause } from '../primitives/bounded.js';
import type { EngineLog } from './engine-log.js';

/** What the janitor looks after. */
export interface JanitorDeps {
  readonly client: () => Promise<RedisClient>;
  readonly keys: RedisKeys;
  readonly producers: Producers;
  readonly removal: CanvasRemoval;
  /** Queues that this application serves, with the age at which their results go. */
  readonly queues: ReadonlyMap<string, number>;
  readonly clock: Clock;
  readonly log: EngineLog;
}

const INTERVAL_MS = { min: 1_000, max: 30_000 } as const;
const PAGE = 500;

/**
 * Removes results whose time has come. Every worker application runs one; two that meet do the same work
 * twice and harm nothing.
 */
export class Janitor {
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(
    private readonly deps: JanitorDeps,
    private readonly shortestExpiryMs: number,
  ) {}

  start(): void {
    const intervalMs = Math.min(INTERVAL_MS.max, Math.max(INTERVAL_MS.min, this.shortestExpiryMs / 2));
    this.#running = this.#loop(intervalMs);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** One round over everything that has expired by now. */
  async runOnce(): Promise<void> {
    for (let shard = 0; shard < this.deps.keys.shards; shard++) {
      await this.#canvases(this.deps.keys.shardPrefix(shard));
      for (const [queue, ageMs] of this.deps.queues) await this.#tasks(queue, shard, ageMs);
    }
  }

  async #canvases(prefix: string): Promise<void> {
    const { client, keys, clock, removal } = this.deps;
    const expiry = keys.expiry(prefix);
    for (;;) {
      const due = await (await client()).zrangebyscore(expiry, '-inf', clock.wallMs(), 'LIMIT', 0, PAGE);
      if (due.length === 0 || this.#stop.signal.aborted) return;
      for (const id of due) {
        await removal.removeCanvas(id);
        await (await client()).zrem(expiry, id);
      }
    }
  }

  /** Tasks that stand alone. BullMQ drops old ones when another one ends; on a quiet queue nobody would. */
  async #tasks(queue: string, shard: number, ageMs: number): Promise<void> {
    const bull = this.deps.producers.queue(queue, `${shard.toString(36)}~`);
    for (const set of ['completed', 'failed'] as const) {
      while ((await bull.clean(ageMs, PAGE, set)).length === PAGE && !this.#stop.signal.aborted);
    }
  }

  async #loop(intervalMs: number): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await pause(intervalMs, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      await this.runOnce().catch((error: unknown) =>
        this.deps.log.debug(`Expired results stay a while longer: ${String(error)}`),
      );
    }
  }
}
