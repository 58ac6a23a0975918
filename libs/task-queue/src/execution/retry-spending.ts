import type { Budget, RetryBudgets } from '../backend/retry-budgets.js';
import { RetryBudgetExceededError } from '../errors/task.errors.js';
import type { RandomSource } from '../primitives/clock.js';
import type { RetryPolicy } from '../retry/retry-policy.js';
import type { TaskDefinition } from '../task/task-definition.js';
import type { EngineLog } from './engine-log.js';
import { untilStored } from './until-stored.js';

/** What the spending of retries needs. */
export interface RetrySpendingDeps {
  readonly budgets: RetryBudgets;
  readonly random: RandomSource;
  readonly log: EngineLog;
  readonly stopping: AbortSignal;
}

/** A retry over its budget looks again at most so many tenths of the budget's time later. */
const MOST_PARTS = 10;

/** Counts what retry budgets are about, for tasks whose policies have some. */
export class RetrySpending {
  constructor(private readonly deps: RetrySpendingDeps) {}

  /** A first attempt begins. Nothing waits for that to be counted. */
  begin({ policies, queue }: TaskDefinition): void {
    const budgets = new Map(
      policies.flatMap((policy) => {
        const budget = budgetOf(policy, queue);
        return budget === undefined ? [] : [[budget.name, budget] as const];
      }),
    );
    for (const budget of budgets.values()) {
      this.deps.budgets
        .begin(budget)
        .catch((error: unknown) => this.deps.log.debug(`A first attempt was not counted: ${String(error)}`));
    }
  }

  /**
   * Asks for a retry under a policy whose budget has tasks fail that are over it.
   *
   * @returns what the task fails with instead
   * @throws when the worker is shut down before the store has answered
   */
  async refuse(
    { policies, queue }: TaskDefinition,
    policy: number,
    error: unknown,
  ): Promise<RetryBudgetExceededError | undefined> {
    const budget = budgetOf(policies[policy], queue);
    if (budget === undefined || policies[policy]?.budget?.over !== 'fail') return undefined;
    const waitMs = await this.#spend(budget);
    return waitMs === undefined ? undefined : new RetryBudgetExceededError(budget.name, { cause: error });
  }

  /**
   * Asks for a retry whose time has come, under a policy whose budget has tasks wait.
   *
   * @param times how often it was turned away before: it asks less often then, and not all do at once
   * @returns the budget and after which time to ask again, when it is to wait
   * @throws when the worker is shut down before the store has answered
   */
  async hold(
    { policies, queue }: TaskDefinition,
    policy: number,
    times: number,
  ): Promise<{ readonly budget: string; readonly waitMs: number } | undefined> {
    const budget = budgetOf(policies[policy], queue);
    if (budget === undefined || policies[policy]?.budget?.over !== 'wait') return undefined;
    const waitMs = await this.#spend(budget);
    if (waitMs === undefined) return undefined;
    const spreadMs = Math.min(times + 1, MOST_PARTS) * budget.rule.partMs * this.deps.random();
    return { budget: budget.name, waitMs: waitMs + Math.ceil(spreadMs) };
  }

  #spend(budget: Budget): Promise<number | undefined> {
    return untilStored(() => this.deps.budgets.spend(budget), this.deps.stopping, this.deps.log);
  }
}

function budgetOf(policy: RetryPolicy | undefined, queue: string): Budget | undefined {
  const budget = policy?.budget;
  return budget && { name: budget.name ?? `queue:${queue}`, rule: budget.rule };
}
