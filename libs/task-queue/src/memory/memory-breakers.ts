import type { BreakerRecord, BreakerStore } from '../backend/breaker-store.js';
import type { Breaker } from '../breaker/breaker-options.js';
import {
  askBreaker,
  type BreakerAnswer,
  type BreakerChange,
  type BreakerKept,
  changeOf,
  closeBreaker,
  FOREVER,
  FRESH_BREAKER,
  openBreaker,
  reportToBreaker,
} from '../breaker/breaker-state.js';
import type { MemoryStore } from './memory-store.js';

/** Breakers in memory, shared by the applications of one prefix. */
export class MemoryBreakers implements BreakerStore {
  constructor(private readonly store: MemoryStore) {}

  async ask({ name, rule }: Breaker): Promise<BreakerAnswer> {
    const [kept, answer] = askBreaker(this.#kept(name), rule, this.#nowMs);
    this.store.breakers.set(name, kept);
    return answer;
  }

  async report(
    { name, rule }: Breaker,
    call: { readonly epoch: number; readonly failed: boolean },
  ): Promise<BreakerChange | undefined> {
    const [kept, change] = reportToBreaker(this.#kept(name), rule, this.#nowMs, call);
    this.store.breakers.set(name, kept);
    return change;
  }

  async trip(name: string, ms: number | undefined, why: string): Promise<BreakerChange> {
    const untilMs = ms === undefined ? FOREVER : this.#nowMs + ms;
    const kept = openBreaker(this.#kept(name), this.#nowMs, untilMs, why);
    this.store.breakers.set(name, kept);
    return changeOf(kept);
  }

  async reset(name: string): Promise<BreakerChange | undefined> {
    const before = this.#kept(name);
    if (before.phase === 'closed') return undefined;
    const kept = closeBreaker(before, this.#nowMs);
    this.store.breakers.set(name, kept);
    return changeOf(kept);
  }

  async read(names: readonly string[]): Promise<BreakerRecord[]> {
    return names.map((name) => {
      const { phase, epoch, untilMs, why } = this.#kept(name);
      const isTimed = phase === 'open' && untilMs < FOREVER;
      return { name, phase, why, sinceMs: epoch || undefined, untilMs: isTimed ? untilMs : undefined };
    });
  }

  async troubled(): Promise<readonly string[]> {
    return [...this.store.breakers].flatMap(([name, { phase }]) => (phase === 'closed' ? [] : [name]));
  }

  get #nowMs(): number {
    return this.store.clock.wallMs();
  }

  #kept(name: string): BreakerKept {
    return this.store.breakers.get(name) ?? FRESH_BREAKER;
  }
}
