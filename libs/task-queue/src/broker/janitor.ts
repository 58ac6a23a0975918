import type { Janitor, JanitorDuty } from '../backend/backend.js';
import { wholeOf } from '../flow/ids.js';
import { pause } from '../primitives/bounded.js';
import type { Producers } from './producers.js';
import type { RedisClient } from './redis-client.js';
import type { RedisFailureStore } from './redis-failure-store.js';
import type { RedisJobs } from './redis-jobs.js';
import type { RedisKeys } from './redis-keys.js';

/** What a janitor works with. */
export interface JanitorTools {
  readonly client: () => Promise<RedisClient>;
  readonly keys: RedisKeys;
  readonly producers: Producers;
  readonly jobs: RedisJobs;
  readonly failures: RedisFailureStore;
}

const INTERVAL_MS = { min: 1_000, max: 30_000 } as const;
const PAGE = 500;

/**
 * Removes results whose time has come, in rounds. Every worker application runs one; two that meet do the same work
 * twice and harm nothing.
 */
export class RedisJanitor implements Janitor {
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(
    private readonly tools: JanitorTools,
    private readonly duty: JanitorDuty,
  ) {}

  start(): void {
    const shortestMs = Math.min(this.duty.canvasAgeMs, ...this.duty.ages.values());
    this.#running = this.#loop(Math.min(INTERVAL_MS.max, Math.max(INTERVAL_MS.min, shortestMs / 2)));
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** One round over everything that has expired by now. */
  async runOnce(): Promise<void> {
    const { keys } = this.tools;
    for (let shard = 0; shard < keys.shards; shard++) {
      await this.#canvases(keys.shardPrefix(shard));
      for (const [queue, ageMs] of this.duty.ages) await this.#tasks(queue, shard, ageMs);
    }
    await this.tools.failures.trim(this.duty.letters, this.duty.clock.wallMs());
  }

  async #canvases(prefix: string): Promise<void> {
    const { client, keys, jobs } = this.tools;
    const expiry = keys.expiry(prefix);
    for (;;) {
      const nowMs = this.duty.clock.wallMs();
      const due = await (await client()).zrangebyscore(expiry, '-inf', nowMs, 'LIMIT', 0, PAGE);
      if (due.length === 0 || this.#stop.signal.aborted) return;
      const stay = await this.#replacements(due);
      if (stay.length > 0) {
        const laterMs = nowMs + this.duty.canvasAgeMs;
        await (await client()).zadd(expiry, ...stay.flatMap((id) => [laterMs, id]));
      }
      for (const id of due) if (!stay.includes(id)) await jobs.removeCanvas(id);
    }
  }

  /** Those of these canvases that stand in the place of a task whose own canvas is still there. */
  async #replacements(due: readonly string[]): Promise<string[]> {
    const inner = due.filter((id) => wholeOf(id) !== id);
    const standing = new Set<string>();
    for (const outer of new Set(inner.map(wholeOf))) {
      if (await this.tools.jobs.stands(outer)) standing.add(outer);
    }
    return inner.filter((id) => standing.has(wholeOf(id)));
  }

  /** Tasks that stand alone. BullMQ drops old ones when another one ends; on a quiet queue nobody would. */
  async #tasks(queue: string, shard: number, ageMs: number): Promise<void> {
    const bull = this.tools.producers.queue(queue, `${shard.toString(36)}~`);
    // BullMQ counts an age back from the time of the machine.
    const graceMs = ageMs + Date.now() - this.duty.clock.wallMs();
    for (const set of ['completed', 'failed'] as const) {
      while ((await bull.clean(graceMs, PAGE, set)).length === PAGE && !this.#stop.signal.aborted);
    }
  }

  async #loop(intervalMs: number): Promise<void> {
    // The first round comes soon: where no worker lives as long as rounds are apart, there would be none.
    for (let waitMs: number = INTERVAL_MS.min; !this.#stop.signal.aborted; waitMs = intervalMs) {
      await pause(waitMs, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      await this.runOnce().catch(this.duty.onTrouble);
    }
  }
}
