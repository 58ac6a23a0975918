import type { BudgetRule } from '../retry/retry-budget.js';

/** One budget: what it is called, and its numbers. */
export interface Budget {
  readonly name: string;
  readonly rule: BudgetRule;
}

/** Counts first attempts and retries, for all workers together and by one clock. */
export interface RetryBudgets {
  /** A first attempt begins. */
  begin(budget: Budget): Promise<void>;
  /** @returns nothing when the retry may be made, which is counted; else after which time it is worth to ask again */
  spend(budget: Budget): Promise<number | undefined>;
}
