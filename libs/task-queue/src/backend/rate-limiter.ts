import type { Rate } from '../rate-limit/rate-limit.js';

/** One limit: what it is called, and how fast it is. */
export interface Limit {
  readonly name: string;
  readonly rate: Rate;
}

/** A start, or when to come back: the slot to show then, and the time until it. */
export type Admission =
  { readonly go: true } | { readonly go: false; readonly slot: number; readonly waitMs: number };

/** Counts starts, for all workers together and by one clock. */
export interface RateLimiter {
  /** @param slot what was given before, when it has come */
  ask(limit: Limit, slot: number | undefined): Promise<Admission>;
  /** Lets nobody start for so long. */
  hold(limit: Limit, ms: number): Promise<void>;
}
