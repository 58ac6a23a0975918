import type { Delivery, Verdict } from '../backend/delivery.js';
import type { LetterBounds } from '../backend/failure-store.js';
import type { Ledger } from '../backend/ledger.js';
import type { StoredValues } from '../codec/stored-values.js';
import { type DeadLetter, withAttempt } from '../failure/dead-letter.js';
import { redactForeign } from '../failure/redaction.js';
import { headline } from '../failure/headline.js';
import type { FailureReason, SerializedError, TaskFailure } from '../failure/task-failure.js';
import type { InputRef, TaskEnvelope } from '../flow/envelope.js';
import { CANVAS_QUEUE, parentOf } from '../flow/ids.js';
import type { TimerClock } from '../primitives/clock.js';
import type { JsonValue } from '../primitives/json.js';
import { matchesAny } from '../retry/retry-policy.js';
import type { TaskDefinition } from '../task/task-definition.js';
import type { TaskRegistry } from '../task/task-registry.js';
import { type Discretion, fieldsOf } from './discretion.js';
import type { EngineLog } from './engine-log.js';
import { type CallMade, failureRecord } from './failure-record.js';
import { headerIn } from './header-outcomes.js';
import type { HookRunner } from './hook-runner.js';
import type { TaskAnnouncer } from './task-announcer.js';
import { untilStored } from './until-stored.js';

/** What the settling of failures needs. */
export interface FailureSettlingDeps {
  readonly registry: TaskRegistry;
  readonly ledger: Ledger;
  readonly hooks: HookRunner;
  readonly resultExpiresMs: (queue: string) => number;
  readonly clock: TimerClock;
  readonly log: EngineLog;
  readonly tell: TaskAnnouncer;
  readonly discretion: Discretion;
  readonly values: StoredValues;
  /** Aborts when the worker is shut down. */
  readonly stopping: AbortSignal;
  readonly letters: LetterBounds;
  /** Host and process id, for those who ask where an attempt ran. */
  readonly worker: string;
  readonly resolve: (input: InputRef) => Promise<JsonValue> | JsonValue;
}

/** A call that failed for good, as far as it is known. */
export interface FailedCall extends CallMade {
  readonly definition?: TaskDefinition;
  /** Undefined where the job's data is not ours. */
  readonly envelope?: TaskEnvelope;
  /** What the handler was called with, of all items, input included; undefined where it never was. */
  readonly whole?: readonly JsonValue[];
}

/** Ends of tasks that somebody asked for, by the call or afterwards. They make no dead letter. */
const ASKED_FOR: ReadonlySet<FailureReason> = new Set(['revoked', 'expired', 'upstream', 'removed']);

/**
 * Stores final failures: the record, in one step with the dead letter that it makes, then the hooks. What is stored counts
 * only once the queue has the task as failed, which follows.
 */
export class FailureSettling {
  constructor(private readonly deps: FailureSettlingDeps) {}

  /** @param expected whether it is an ordinary outcome, where somebody has decided that */
  async settle(delivery: Delivery, call: FailedCall, error: unknown, expected?: boolean): Promise<Verdict> {
    const { clock, letters, discretion, values } = this.deps;
    const failure = discretion.failure(
      failureRecord(delivery, call.args, error, clock.wallMs(), call, values),
    );
    const isExpected = expected ?? matchesAny(error, call.definition?.options.expected ?? []);
    if (isExpected || ASKED_FOR.has(failure.reason) || letters.maxCount === 0) {
      return this.store(delivery, failure, { isExpected });
    }
    try {
      return await this.store(delivery, failure, { letter: await this.#letter(delivery, call, failure) });
    } catch {
      return { do: 'give-back' }; // only while stopping: the store did not say what the input is
    }
  }

  async store(
    delivery: Delivery,
    failure: TaskFailure,
    { letter, isExpected = false }: { readonly letter?: DeadLetter; readonly isExpected?: boolean } = {},
  ): Promise<Verdict> {
    const { ledger, log, stopping, registry, hooks, letters } = this.deps;
    // A task that stands alone is over with this; the record of one inside a canvas leaves with the canvas.
    const ttlMs = parentOf(delivery.id) === undefined ? this.deps.resultExpiresMs(delivery.queue) : undefined;
    const entry = letter && { letter, bounds: letters };
    try {
      const write = (): Promise<boolean> => ledger.recordFailure(delivery, failure, ttlMs, entry);
      if (!(await untilStored(write, stopping, log))) return superseded(delivery, log);
    } catch {
      return { do: 'give-back' };
    }
    const kind = failure.reason === 'revoked' ? 'revoked' : 'failure';
    if (delivery.queue !== CANVAS_QUEUE && registry.hooksOf(delivery.name, kind).length > 0) {
      if (!(await this.release(() => hooks.publish(delivery, kind, { failure })))) return { do: 'give-back' };
    }
    if (letter && registry.letterHandlersOf(delivery.name, delivery.queue).length > 0) {
      if (!(await this.release(() => hooks.publish(delivery, 'dead-letter', {})))) return { do: 'give-back' };
    }
    const label = `${delivery.name} ${delivery.id}`;
    const about = this.deps.discretion.fields(delivery, failure.request.args);
    if (failure.reason === 'revoked') log.warn(`${label} was revoked`, about);
    else if (isExpected) log.warn(`${label} failed as expected: ${headline(failure)}`, about);
    else log.error(`${label} failed: ${headline(failure)}`, failure.error.stack, about);
    return this.deps.tell.failure({ do: 'fail', ...shown(failure) }, delivery, failure);
  }

  /** @returns false when the worker is stopped before: the task must not end then, or its hooks would be lost */
  async release(publish: () => Promise<unknown>): Promise<boolean> {
    const { stopping, log } = this.deps;
    try {
      await untilStored(publish, stopping, log);
      return true;
    } catch (error) {
      log.warn(
        `A hook could not be released before the worker stopped; its task is given back: ${String(error)}`,
      );
      return false;
    }
  }

  /** All that it takes to run the task again, also when its canvas is gone; of data that is not ours, that data. */
  async #letter(
    delivery: Delivery,
    { envelope, whole }: FailedCall,
    failure: TaskFailure,
  ): Promise<DeadLetter> {
    const attempts = withAttempt(envelope?.attempts, failure, this.deps.worker);
    const { id } = delivery;
    if (envelope === undefined) {
      const payload = redactForeign(delivery.data as JsonValue, this.deps.discretion.redact);
      return { id, failure, attempts, payload };
    }
    const { input, attempts: _attempts, retried: _retried, parked: _parked, lost: _lost, ...call } = envelope;
    // Read page by page: the letter says where, as the task did. They are there as long as the results of their canvas.
    if (input !== undefined && headerIn(whole ?? []) !== undefined)
      return { id, failure, attempts, payload: { ...call, input } as unknown as JsonValue };
    const args = whole ?? (input ? [await this.deps.resolve(input), ...call.args] : call.args);
    return { id, failure, attempts, payload: { ...call, args } as unknown as JsonValue };
  }
}

/** Somebody else owns the task by now: nothing that this attempt says is heard. */
export function superseded(delivery: Delivery, log: EngineLog): Verdict {
  log.warn(
    `${delivery.name} ${delivery.id}: a superseded attempt ended; its outcome is not heard`,
    fieldsOf(delivery),
  );
  return { do: 'leave' };
}

/** What dashboards and BullMQ's own records show of a failure. A composite has no stack: it shows that of its cause. */
export function shown(failure: TaskFailure): { message: string; stack?: string } {
  const stack = stackOf(failure.error);
  return { message: headline(failure), ...(stack === undefined ? {} : { stack }) };
}

function stackOf({ stack, cause }: SerializedError): string | undefined {
  return stack ?? (cause && stackOf(cause));
}
