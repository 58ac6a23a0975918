import type { Rate } from '../rate-limit/rate-limit.js';

/** What was said of a task, or of a rate limit, while workers ran. What is left out is as it is declared. */
export interface StoredLimits {
  readonly softMs?: number;
  readonly hardMs?: number;
  readonly rate?: Rate;
}

/** Limits that were changed from outside, by the names of tasks and rate limits. */
export interface LimitStore {
  read(): Promise<ReadonlyMap<string, StoredLimits>>;
  write(name: string, limits: StoredLimits): Promise<void>;
  /** @returns whether there was something */
  remove(name: string): Promise<boolean>;
}
