/** What runs under kill -9 are made of: who kills, work in parallel, and chance that a seed repeats. */
import { setTimeout as delay } from 'node:timers/promises';
import type { WorkerProcess } from './worker-process.js';

/** Kills a random worker again and again, and puts a new one in its place before it kills the next. */
export class Killer {
  kills = 0;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(
    private readonly workers: WorkerProcess[],
    private readonly start: () => Promise<WorkerProcess>,
    private readonly random: () => number,
  ) {
    this.#running = this.#loop();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #loop(): Promise<void> {
    const { signal } = this.#stop;
    for (;;) {
      await delay(50 + this.random() * 400, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const alive = this.workers.filter((worker) => worker.alive);
      await alive[Math.floor(this.random() * alive.length)]?.end('SIGKILL');
      this.kills++;
      await this.start();
    }
  }
}

/** Does one piece of work after the other on each of several lanes, until there is none. */
export async function inParallel<R>(
  lanes: number,
  work: (index: number) => Promise<R> | undefined,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let at = next++, one = work(at); one !== undefined; at = next++, one = work(at))
      results[at] = await one;
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return results;
}

/** A generator of numbers in [0, 1) that a seed repeats (mulberry32). */
export function generator(from: number): () => number {
  let state = from >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
