import type { Budget, RetryBudgets } from '../backend/retry-budgets.js';
import { countIn, NO_COUNTS, type WindowCounts } from '../primitives/window-counts.js';
import { spendRetry } from '../retry/retry-budget.js';
import type { MemoryStore } from './memory-store.js';

/** Budgets in memory, shared by the applications of one prefix. */
export class MemoryRetryBudgets implements RetryBudgets {
  constructor(private readonly store: MemoryStore) {}

  async begin({ name, rule }: Budget): Promise<void> {
    const nowMs = this.store.clock.wallMs();
    this.store.budgets.set(name, countIn(this.#kept(name), rule.partMs, nowMs, { all: 1, some: 0 }));
  }

  async spend({ name, rule }: Budget): Promise<number | undefined> {
    const [kept, waitMs] = spendRetry(this.#kept(name), rule, this.store.clock.wallMs());
    this.store.budgets.set(name, kept);
    return waitMs;
  }

  #kept(name: string): WindowCounts {
    return this.store.budgets.get(name) ?? NO_COUNTS;
  }
}
