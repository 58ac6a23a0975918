import type { Delivery, Verdict } from '../backend/delivery.js';
import { describeExit, type HandlerLostError } from '../backend/handler-host.js';
import type { Ledger } from '../backend/ledger.js';
import type { StoredValues } from '../codec/stored-values.js';
import { TaskRevokedError, WorkerLostError } from '../errors/task.errors.js';
import { withAttempt } from '../failure/dead-letter.js';
import { type TaskEnvelope, withRetry } from '../flow/envelope.js';
import { isAwaited } from '../flow/ids.js';
import type { Clock } from '../primitives/clock.js';
import type { JsonValue } from '../primitives/json.js';
import type { RetryDecision } from '../retry/retry-decision.js';
import type { TaskDefinition } from '../task/task-definition.js';
import type { TaskRegistry } from '../task/task-registry.js';
import type { Admission } from './admission.js';
import type { Attempt } from './attempt.js';
import { type Discretion, fieldsOf } from './discretion.js';
import type { EngineLog } from './engine-log.js';
import { type CallMade, failureRecord } from './failure-record.js';
import { headline } from '../failure/headline.js';
import { type FailedCall, type FailureSettling, shown, superseded } from './failure-settling.js';
import type { HookRunner } from './hook-runner.js';
import type { Entry, KeyedExecution } from './keyed-execution.js';
import type { ItemWaits } from './keyed-items.js';
import type { Outcome } from './outcome.js';
import type { ReplacedEnd, Replacement } from './replacement.js';
import { withArgs } from './retries-of.js';
import type { TaskAnnouncer } from './task-announcer.js';
import { untilStored } from './until-stored.js';

/** What the settling of tasks needs. */
export interface SettlingDeps {
  readonly failures: FailureSettling;
  readonly keyed: KeyedExecution;
  readonly registry: TaskRegistry;
  readonly ledger: Ledger;
  readonly hooks: HookRunner;
  readonly replacement: Replacement;
  readonly admission: Admission;
  /** Host and process id. */
  readonly worker: string;
  /** How often a task may lose its worker and be run again. */
  readonly maxTimesLost: number;
  readonly clock: Clock;
  readonly log: EngineLog;
  readonly tell: TaskAnnouncer;
  readonly discretion: Discretion;
  readonly values: StoredValues;
  /** Aborts when the worker is shut down. */
  readonly stopping: AbortSignal;
}

/**
 * What follows from what an attempt came to: hooks, records, and the verdict for the queue. Each step is repeated until
 * the store answers, and is fenced by the delivery's token.
 */
export class OutcomeSettling {
  constructor(private readonly deps: SettlingDeps) {}

  settle(
    delivery: Delivery,
    definition: TaskDefinition,
    envelope: TaskEnvelope,
    args: readonly JsonValue[],
    outcome: Outcome,
    attempt: Attempt,
  ): Verdict | Promise<Verdict> {
    const { items, startedMs, reached } = attempt;
    const failing: FailedCall = {
      args,
      ...items?.current,
      headers: envelope.headers,
      definition,
      envelope: reached,
      whole: args,
    };
    switch (outcome.kind) {
      case 'succeeded':
        return this.#settleSuccess(delivery, definition, envelope, args, outcome.value, startedMs);
      case 'retry':
        return this.#settleRetry(
          delivery,
          definition,
          asAsked(reached, args, failing, outcome.decision),
          failing,
          outcome,
          attempt.retries.sinceMs,
        );
      case 'failed':
        return this.deps.failures.settle(delivery, failing, outcome.error, outcome.expected);
      case 'lost':
        return this.#settleLost(delivery, reached, failing, outcome.lost);
      case 'replaced':
        return this.deps.replacement
          .begin(delivery, envelope, outcome.canvas)
          .then((end) => this.settleReplaced(delivery, definition, envelope, args, end));
      case 'waits':
        return this.#park(delivery, reached, outcome.item);
      case 'returned':
        return items === undefined ? { do: 'give-back' } : this.#giveBack(delivery, reached);
      case 'superseded':
        return superseded(delivery, this.deps.log);
    }
  }

  /** What was reached is kept where Redis takes it; without it, its items run again. */
  async #giveBack(delivery: Delivery, reached: TaskEnvelope): Promise<Verdict> {
    await this.deps.ledger.setData(delivery, reached).catch(() => undefined);
    return { do: 'give-back' };
  }

  /** Until the call has ended that an item waits for; it holds no slot meanwhile. */
  async #park(delivery: Delivery, reached: TaskEnvelope, { delayMs, since }: ItemWaits): Promise<Verdict> {
    const { ledger, log, stopping } = this.deps;
    const noted = since === undefined ? reached : { ...reached, waitingSince: since };
    try {
      const isHeard = await untilStored(() => ledger.setData(delivery, noted), stopping, log);
      if (!isHeard) return superseded(delivery, log);
    } catch {
      return { do: 'give-back' };
    }
    return { do: 'give-back', delayMs };
  }

  #settleSuccess(
    delivery: Delivery,
    definition: TaskDefinition,
    envelope: TaskEnvelope,
    args: readonly JsonValue[],
    value: JsonValue,
    startedMs?: number,
  ): Verdict | Promise<Verdict> {
    const ignored = (envelope.ignoreResult ?? definition.options.ignoreResult) && !isAwaited(delivery.id);
    const kept = ignored ? null : value;
    if (!this.deps.keyed.concerns(delivery)) return this.#complete(delivery, envelope, args, kept, startedMs);
    return this.deps.keyed.finish(delivery, kept).then(
      (standing) => this.#complete(delivery, envelope, args, standing, startedMs),
      () => ({ do: 'give-back' }),
    );
  }

  #complete(
    delivery: Delivery,
    { headers }: TaskEnvelope,
    args: readonly JsonValue[],
    value: JsonValue,
    startedMs?: number,
  ): Verdict | Promise<Verdict> {
    const verdict = this.deps.tell.success({ do: 'complete', value }, delivery, headers, startedMs);
    if (this.deps.registry.hooksOf(delivery.name, 'success').length === 0) return verdict;
    const called = headers === undefined ? { args } : { args, headers };
    return this.deps.failures
      .release(() => this.deps.hooks.publish(delivery, 'success', called))
      .then((released) => (released ? verdict : { do: 'give-back' }));
  }

  /** A task whose handler is not called, because of others that have its idempotency key. */
  settleEntry(
    delivery: Delivery,
    definition: TaskDefinition,
    envelope: TaskEnvelope,
    args: readonly JsonValue[],
    entry: Entry,
  ): Verdict | Promise<Verdict> {
    switch (entry.come) {
      case 'value':
        return this.#complete(delivery, envelope, args, entry.value);
      case 'failure':
        return this.deps.failures.store(delivery, entry.failure);
      case 'error': {
        const call = { ...notCalled(envelope), args, definition, whole: args };
        return this.deps.failures.settle(delivery, call, entry.error);
      }
      case 'verdict':
        return entry.verdict;
    }
  }

  /** A replaced task ends as the canvas in its place did, with hooks of its own. */
  settleReplaced(
    delivery: Delivery,
    definition: TaskDefinition,
    envelope: TaskEnvelope,
    args: readonly JsonValue[],
    replaced: ReplacedEnd,
  ): Verdict | Promise<Verdict> {
    switch (replaced.end) {
      case 'value':
        return this.#settleSuccess(delivery, definition, envelope, args, replaced.value);
      case 'failure':
        return this.deps.failures.store(delivery, replaced.failure);
      case 'error': {
        const call = { ...notCalled(envelope), args, definition, whole: args };
        return this.deps.failures.settle(delivery, call, replaced.error);
      }
      case 'none':
        return replaced.verdict;
    }
  }

  async #settleRetry(
    delivery: Delivery,
    definition: TaskDefinition,
    envelope: TaskEnvelope,
    call: FailedCall,
    { decision, error }: Extract<Outcome, { kind: 'retry' }>,
    sinceMs: number,
  ): Promise<Verdict> {
    const { clock, ledger, log, stopping, discretion, values } = this.deps;
    const failure = discretion.failure(
      failureRecord(delivery, call.args, error, clock.wallMs(), call, values),
    );
    const retried = withRetry(envelope.retried, decision.policy, delivery.attemptsMade, sinceMs);
    const attempts = withAttempt(envelope.attempts, failure, this.deps.worker);
    try {
      if (await untilStored(() => ledger.isRevoked(delivery.id), stopping, log)) {
        return await this.deps.failures.settle(
          delivery,
          call,
          new TaskRevokedError(`Task ${delivery.id} was revoked.`, { cause: error }),
        );
      }
      const refused = await this.deps.admission.refuseRetry(definition, decision.policy, error);
      if (refused !== undefined) return await this.deps.failures.settle(delivery, call, refused);
      const heard = await untilStored(
        () => ledger.setData(delivery, { ...envelope, retried, attempts }),
        stopping,
        log,
      );
      if (!heard) return superseded(delivery, this.deps.log);
    } catch {
      return { do: 'give-back' };
    }
    const limit = decision.isAskedFor ? this.deps.admission.limitOf(definition, call.args) : undefined;
    if (limit !== undefined) await this.deps.admission.hold(limit, decision.delayMs);
    log.warn(
      `${delivery.name} ${delivery.id} will be tried again in ${decision.delayMs} ms: ${headline(failure)}`,
      discretion.fields(delivery, call.args),
    );
    await this.deps.hooks.callNow(delivery.name, 'retry', { failure, delayMs: decision.delayMs });
    const { delayMs } = decision;
    return this.deps.tell.retry({ do: 'retry', delayMs, ...shown(failure) }, delivery, failure, delayMs);
  }

  /**
   * The attempt is over without anybody having said so: run again, up to the poison limit, as after the death of a
   * worker. Here it is known what died and how, and the lock need not run out first.
   */
  async #settleLost(
    delivery: Delivery,
    envelope: TaskEnvelope,
    call: FailedCall,
    { exit }: HandlerLostError,
  ): Promise<Verdict> {
    const { ledger, log, stopping, maxTimesLost } = this.deps;
    const lost = (envelope.lost ?? 0) + 1;
    const timesLost = delivery.timesLost + lost;
    const how = describeExit(exit);
    if (timesLost > maxTimesLost) {
      const { code, signal } = exit;
      return this.deps.failures.settle(delivery, call, new WorkerLostError(timesLost, { code, signal }, how));
    }
    try {
      if (await untilStored(() => ledger.isRevoked(delivery.id), stopping, log)) {
        const revoked = new TaskRevokedError(`Task ${delivery.id} was revoked.`);
        return await this.deps.failures.settle(delivery, call, revoked);
      }
      const data = { ...envelope, lost };
      if (!(await untilStored(() => ledger.setData(delivery, data), stopping, log))) {
        return superseded(delivery, log);
      }
    } catch {
      return { do: 'give-back' };
    }
    log.warn(
      `${delivery.name} ${delivery.id} lost its process, which ${how}; it is run again`,
      fieldsOf(delivery),
    );
    return { do: 'give-back' };
  }
}

/** A call whose handler was never reached. */
export function notCalled(envelope: TaskEnvelope): FailedCall {
  const { args, headers } = envelope;
  return { args, headers, envelope };
}

/** With the arguments that the task asked for, where it did. */
function asAsked(
  envelope: TaskEnvelope,
  args: readonly JsonValue[],
  { index }: CallMade,
  { args: asked }: Extract<RetryDecision, { kind: 'retry' }>,
): TaskEnvelope {
  return asked === undefined ? envelope : withArgs(envelope, args, index, asked);
}
