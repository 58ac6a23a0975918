import type { Budget, RetryBudgets } from '../backend/retry-budgets.js';
import type { RedisKeys } from './redis-keys.js';
import type { ScriptRunner } from './script-runner.js';
import { COUNT_FIRST, SPEND_RETRY } from './scripts/retry-budget.js';

/** By the clock of the server. */
const SERVER_CLOCK = '';

/** Budgets in Redis: a hash of at most twenty counts each, which goes by itself. */
export class RedisRetryBudgets implements RetryBudgets {
  constructor(
    private readonly keys: RedisKeys,
    private readonly scripts: ScriptRunner,
  ) {}

  async begin({ name, rule }: Budget): Promise<void> {
    await this.scripts.run(COUNT_FIRST, [this.keys.retryBudget(name)], [SERVER_CLOCK, rule.partMs]);
  }

  async spend({ name, rule: { partMs, share, floor } }: Budget): Promise<number | undefined> {
    const args = [SERVER_CLOCK, partMs, share, floor];
    const waitMs = await this.scripts.run(SPEND_RETRY, [this.keys.retryBudget(name)], args);
    return waitMs === null ? undefined : Number(waitMs);
  }
}
