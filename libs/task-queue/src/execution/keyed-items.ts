import type { Delivery } from '../backend/delivery.js';
import { IdempotencyTimeoutError } from '../errors/idempotency.errors.js';
import { NonRetryableError, reviveError } from '../errors/task.errors.js';
import type { TaskEnvelope } from '../flow/envelope.js';
import { type KeyedCall, keyOfExecution, readingKey } from '../idempotency/key-of-call.js';
import type { Turn } from '../idempotency/keyed-calls.js';
import { findNonJson, type JsonValue } from '../primitives/json.js';
import type { TaskKey } from '../task/idempotency.js';
import { conflictOnly, type KeyedExecutionDeps, waitFor } from './keyed-execution.js';
import { untilStored } from './until-stored.js';

/** An item cannot begin now: the task is put back with what it has reached. */
export class ItemWaits extends Error {
  constructor(
    readonly delayMs: number,
    readonly since?: number,
  ) {
    super('an item waits for another call that has its idempotency key');
  }
}

/**
 * The items of one attempt of a task that declares an idempotency key: one effect for all calls with one key, whether a
 * call or an item makes them.
 */
export class KeyedItems {
  constructor(
    private readonly delivery: Delivery,
    private readonly declared: TaskKey,
    /** The call as far as it has come. */
    private readonly reached: () => TaskEnvelope,
    private readonly deps: KeyedExecutionDeps,
  ) {}

  /**
   * Calls the handler for an item, unless another call with its key has been carried out.
   *
   * @throws ItemWaits when another one is under way; IdempotencyConflictError, IdempotencyTimeoutError; whatever the
   *   handler throws
   */
  async run(args: readonly JsonValue[], invoke: () => unknown): Promise<unknown> {
    const { id, name, queue } = this.delivery;
    const declared = readingKey(this.declared, this.deps.values);
    const call = keyOfExecution(name, args, undefined, declared) as KeyedCall;
    const lifeMs = call.rules.ttlMs ?? this.deps.resultExpiresMs(queue);
    const turn = await this.#begin(id, call, lifeMs);
    switch (turn.do) {
      case 'run': {
        const value = (await invoke()) ?? null;
        // What cannot be kept cannot be the value of the item either, which is refused by name.
        if (findNonJson(value, 'result') !== undefined) return value;
        return this.#patiently(() => this.deps.keyedCalls.finishItem(id, call, value as JsonValue));
      }
      case 'end':
        return turn.value;
      case 'fail': {
        const { error } = turn.failure;
        const { values } = this.deps;
        const cause = reviveError(values.readIfPossible(error), values.readIfPossible(turn.failure));
        throw new NonRetryableError(error.message, { cause });
      }
      case 'wait': {
        const wait = waitFor(this.reached(), call.rules, this.deps.clock.wallMs());
        if (wait === undefined) throw new IdempotencyTimeoutError(call.key, turn.for, call.rules.waitMs);
        throw new ItemWaits(wait.delayMs, wait.since);
      }
    }
  }

  async #begin(id: string, call: KeyedCall, lifeMs: number): Promise<Turn> {
    const begin = (): Promise<Turn | Error> =>
      this.deps.keyedCalls.beginItem(id, call, lifeMs).catch(conflictOnly);
    const turn = await this.#patiently(begin);
    if (turn instanceof Error) throw turn;
    return turn;
  }

  /** Until the store answers; when the worker stops before it does, the task is given back. */
  async #patiently<T>(work: () => Promise<T>): Promise<T> {
    const { stopping, log } = this.deps;
    try {
      return await untilStored(work, stopping, log);
    } catch {
      throw new ItemWaits(0);
    }
  }
}
