import type { Rate } from '../rate-limit/rate-limit.js';

/** What was said of a task, a rate limit or a queue while workers ran. What is left out is as it is declared. */
export interface StoredLimits {
  readonly softMs?: number;
  readonly hardMs?: number;
  readonly rate?: Rate;
  /** How many tasks of a queue each worker runs at a time; with several shards, of each. */
  readonly concurrency?: number;
}

/** Limits that were changed from outside, by the names of tasks, rate limits and queues. */
export interface LimitStore {
  read(): Promise<ReadonlyMap<string, StoredLimits>>;
  write(name: string, limits: StoredLimits): Promise<void>;
  /** @returns whether there was something */
  remove(name: string): Promise<boolean>;
}
