import type { Breaker } from '../breaker/breaker-options.js';
import type { BreakerAnswer, BreakerChange, BreakerPhase } from '../breaker/breaker-state.js';

/** How a breaker stands. */
export interface BreakerRecord {
  readonly name: string;
  readonly phase: BreakerPhase;
  /** When it became so; undefined for one that has always been closed, as far as is known. */
  readonly sinceMs: number | undefined;
  /** Until when it is open; undefined where it is not, or for good. */
  readonly untilMs: number | undefined;
  readonly why: string;
}

/** The breakers of all workers together, by one clock. */
export interface BreakerStore {
  ask(breaker: Breaker): Promise<BreakerAnswer>;
  /** What a call has come to that was let in in this epoch. */
  report(
    breaker: Breaker,
    call: { readonly epoch: number; readonly failed: boolean },
  ): Promise<BreakerChange | undefined>;
  /** Opens one by hand. @param ms for how long; for good where nothing is said */
  trip(name: string, ms: number | undefined, why: string): Promise<BreakerChange>;
  /** Closes one by hand. @returns nothing when it was closed */
  reset(name: string): Promise<BreakerChange | undefined>;
  read(names: readonly string[]): Promise<BreakerRecord[]>;
  /** The names of those that are not closed. */
  troubled(): Promise<readonly string[]>;
}
