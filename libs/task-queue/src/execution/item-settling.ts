import type { TaskFailure } from '../failure/task-failure.js';
import type { JsonValue } from '../primitives/json.js';
import { type Discretion, fieldsOf } from './discretion.js';
import { askErrorHooks, type ErrorHookDeps, errorHooksFor } from './error-hooks.js';
import { failureRecord } from './failure-record.js';
import { headline } from '../failure/headline.js';
import type { CurrentItem } from './item-run.js';
import { type ClassifyDeps, type Ended, type Outcome, outcomeOfError } from './outcome.js';

/** What the settling of items needs. */
export interface ItemSettlingDeps extends ClassifyDeps, ErrorHookDeps {
  readonly discretion: Discretion;
}

/**
 * The outcomes of the items of one attempt (Celery B105: there the first error loses all values).
 *
 * An item that fails for good is an outcome in the list: nobody is told of it, as of a member of a group, because the list
 * tells. What ends the job as a whole, its limit, a revocation, a worker that died, is no outcome of an item.
 */
export class ItemSettling {
  #last: { readonly thrown: unknown; readonly outcome: Outcome } | undefined;

  constructor(
    private readonly ended: Ended,
    private readonly deps: ItemSettlingDeps,
  ) {}

  /** @returns undefined when the attempt ends with it */
  async settle(thrown: unknown, item: CurrentItem): Promise<JsonValue | undefined> {
    let outcome = outcomeOfError(this.ended, thrown, this.deps);
    const hooks = errorHooksFor(this.ended, thrown, outcome, this.deps);
    if (hooks !== undefined) outcome = await askErrorHooks(hooks, this.ended, outcome, this.deps);
    this.#last = { thrown, outcome };
    switch (outcome.kind) {
      case 'succeeded':
        return { status: 'fulfilled', value: outcome.value };
      case 'failed':
        return this.ended.attempt.interruption === undefined
          ? this.#rejected(outcome.error, item)
          : undefined;
      case 'retry':
      case 'lost':
      case 'replaced':
      case 'waits':
      case 'returned':
      case 'superseded':
        return undefined;
    }
  }

  /** What the attempt has come to, where an item ended it: it is decided once, for a delay may be drawn by lot. */
  outcomeOf(thrown: unknown): Outcome | undefined {
    return this.#last !== undefined && this.#last.thrown === thrown ? this.#last.outcome : undefined;
  }

  #rejected(error: unknown, { index, args }: CurrentItem): JsonValue {
    const { attempt, envelope } = this.ended;
    const { clock, discretion, log } = this.deps;
    const { delivery } = attempt;
    const call = { args, index, headers: envelope.headers };
    const failure: TaskFailure = discretion.failure(
      failureRecord(delivery, args, error, clock.wallMs(), call, this.deps.values),
    );
    log.warn(
      `${delivery.name} ${delivery.id}: item ${index} failed: ${headline(failure)}`,
      fieldsOf(delivery),
    );
    return { status: 'rejected', reason: failure as unknown as JsonValue };
  }
}
