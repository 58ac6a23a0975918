import type { Holder, Ledger } from '../backend/ledger.js';
import type { Delivery, Verdict } from '../backend/delivery.js';
import type { Limit } from '../backend/rate-limiter.js';
import type { LetterBounds } from '../backend/failure-store.js';
import { describeExit, type HandlerHost, HandlerLostError } from '../backend/handler-host.js';
import { isControlFlow, IgnoreResult, ReplaceTask } from '../errors/control-flow.js';
import { TaskRevokedError, UnknownTaskError, WorkerLostError } from '../errors/task.errors.js';
import { Outcomes } from '../chords/outcomes.js';
import type { CanvasData } from '../canvas/canvas-data.js';
import { withAttempt } from '../failure/dead-letter.js';
import { decodeTask, type InputRef, isRepeated, type TaskEnvelope, withRetry } from '../flow/envelope.js';
import { isAwaited } from '../flow/ids.js';
import type { PayloadLimits } from '../options/task-queue-options.js';
import type { RandomSource, TimerClock } from '../primitives/clock.js';
import type { JsonValue } from '../primitives/json.js';
import type { KeyedCalls } from '../idempotency/keyed-calls.js';
import type { Locks } from '../locks/locks.js';
import type { TaskReader } from '../results/task-reader.js';
import { decideRetry, type RetryDecision } from '../retry/retry-decision.js';
import type { TaskDefinition } from '../task/task-definition.js';
import { asInterrupted } from '../task/interruption.js';
import type { TaskRegistry } from '../task/task-registry.js';
import { type Admission, limitOf } from './admission.js';
import { Attempt, type AttemptServices, type Limits, type MakeLocks } from './attempt.js';
import { AttemptLocks } from './attempt-locks.js';
import { type Discretion, fieldsOf } from './discretion.js';
import type { EngineLog } from './engine-log.js';
import { type CallMade, failureRecord } from './failure-record.js';
import { type FailedCall, FailureSettling, headline, shown, superseded } from './failure-settling.js';
import type { HookRunner } from './hook-runner.js';
import { type Entry, KeyedExecution } from './keyed-execution.js';
import type { MemberAddition } from './member-addition.js';
import type { RecentRevocations } from './recent-revocations.js';
import type { ReplacedEnd, Replacement } from './replacement.js';
import { isAgain, refusalOf } from './refusal.js';
import { resolveInput } from './resolve-input.js';
import type { TaskAnnouncer } from './task-announcer.js';
import { retryStateOf, withArgs } from './retries-of.js';
import type { RunningAttempts } from './running-attempts.js';
import { problemOfResult } from './result-check.js';
import type { StuckHandlers } from './stuck-handlers.js';
import { untilStored } from './until-stored.js';

/** What the execution of tasks needs. */
export interface TaskProcessorDeps {
  readonly registry: TaskRegistry;
  readonly ledger: Ledger;
  readonly locks: Locks;
  readonly keyedCalls: KeyedCalls;
  readonly reader: TaskReader;
  readonly hooks: HookRunner;
  readonly replacement: Replacement;
  readonly members: MemberAddition;
  readonly admission: Admission;
  readonly running: RunningAttempts;
  readonly stuck: StuckHandlers;
  readonly revoked: RecentRevocations;
  readonly defaults: Limits;
  /** Whether `currentTask()` works. */
  readonly trackCurrentTask: boolean;
  /** How long and how many dead letters are kept. */
  readonly letters: LetterBounds;
  /** Host and process id. */
  readonly worker: string;
  /** How often a task may lose its worker and be run again. */
  readonly maxTimesLost: number;
  readonly resultExpiresMs: (queue: string) => number;
  readonly limits: Required<PayloadLimits>;
  readonly clock: TimerClock;
  readonly random: RandomSource;
  readonly log: EngineLog;
  readonly tell: TaskAnnouncer;
  readonly discretion: Discretion;
  /** Aborts when the worker is shut down. */
  readonly stopping: AbortSignal;
  /** Where handlers run, when not here. */
  readonly host?: HandlerHost | undefined;
}

/** What one attempt came to. Every end of an attempt is one of these. */
type Outcome =
  | { readonly kind: 'succeeded'; readonly value: JsonValue }
  | {
      readonly kind: 'retry';
      readonly decision: Extract<RetryDecision, { kind: 'retry' }>;
      readonly error: unknown;
    }
  | { readonly kind: 'failed'; readonly error: unknown }
  /** The process of the handler died: it may have been the task, or not. */
  | { readonly kind: 'lost'; readonly lost: HandlerLostError }
  /** A canvas takes the task's place. */
  | { readonly kind: 'replaced'; readonly canvas: CanvasData }
  /** The worker stops: the attempt is given back and counts as nothing. */
  | { readonly kind: 'returned' }
  /** Somebody else owns the task by now: nothing that this attempt says is heard. */
  | { readonly kind: 'superseded' };

/**
 * One attempt of one task, from the delivery to its verdict:
 *
 * decode → find the task → refuse (revoked, lost too often, expired) → resolve the input → turn away (rate limit) →
 * run within limits → classify → settle.
 *
 * Running happens once. Settling is repeated until the store answers, and is fenced by the delivery's token.
 */
export class TaskProcessor {
  readonly #services: AttemptServices;
  readonly #failures: FailureSettling;
  readonly #keyed: KeyedExecution;

  constructor(private readonly deps: TaskProcessorDeps) {
    const { ledger, locks, members, log, clock, limits, tell, discretion, host, stuck } = deps;
    const storeProgress = (holder: Holder, meta: JsonValue) => ledger.setProgress(holder, meta);
    const makeLocks: MakeLocks = (delivery, signal, onLost) =>
      new AttemptLocks(locks, ledger, delivery, signal, onLost);
    this.#services = {
      members,
      storeProgress,
      makeLocks,
      log,
      clock,
      limits,
      tell,
      discretion,
      host,
      onAbandoned: (handler) => stuck.watch(handler),
    };
    this.#keyed = new KeyedExecution(deps);
    this.#failures = new FailureSettling({ ...deps, resolve: (input) => this.#input(input) });
  }

  async process(delivery: Delivery): Promise<Verdict> {
    let envelope: TaskEnvelope;
    try {
      const decoded = decodeTask(delivery.data);
      if ('hook' in decoded) return await this.deps.hooks.run(decoded);
      envelope = decoded;
    } catch (error) {
      return this.#failures.settle(delivery, { args: [] }, error);
    }
    const { tell } = this.deps;
    tell.begins('received', delivery, envelope.headers);
    const definition = this.deps.registry.get(delivery.name);
    if (definition === undefined) {
      const unknown = new UnknownTaskError(delivery.name, delivery.queue);
      return this.#failures.settle(delivery, notCalled(envelope), unknown);
    }
    const { replaced } = envelope;
    if (replaced === undefined && isRepeated(envelope, delivery.activations)) {
      const verdict = await this.#takeBack(delivery);
      if (verdict !== undefined) return verdict;
    }
    let refusal = replaced === undefined ? refusalOf(delivery, envelope, this.deps) : undefined;
    // Whoever revoked it while it ran before, or while it was being put back, left it to end by itself.
    if (refusal === undefined && replaced === undefined && isAgain(delivery, envelope)) {
      try {
        const { ledger, stopping, log } = this.deps;
        const revoked = await untilStored(() => ledger.isRevoked(delivery.id), stopping, log);
        if (revoked) refusal = new TaskRevokedError(`Task ${delivery.id} was revoked.`);
      } catch {
        return { do: 'give-back' }; // only while stopping: the store did not answer
      }
    }
    if (refusal !== undefined)
      return this.#failures.settle(delivery, { ...notCalled(envelope), definition }, refusal);
    let { args } = envelope;
    if (envelope.input !== undefined) {
      try {
        args = [await this.#input(envelope.input, definition), ...args];
      } catch {
        return { do: 'give-back' }; // only while stopping: the store did not answer
      }
    }
    if (replaced !== undefined) {
      const end = await this.deps.replacement.resume(delivery, envelope, replaced);
      return this.#settleReplaced(delivery, definition, envelope, args, end);
    }
    if (envelope.once !== undefined || definition.idempotent !== undefined) {
      const entry = await this.#keyed.enter(delivery, definition, envelope, args);
      if (entry !== undefined) return this.#settleEntry(delivery, definition, envelope, args, entry);
    }
    if (definition.options.rateLimit !== undefined) {
      const turned = await this.#turnAway(delivery, definition, envelope, args);
      if (turned !== undefined) return turned;
    }
    if (this.deps.revoked.covers(delivery.id) && (await this.#isRevoked(delivery.id))) {
      const revoked = new TaskRevokedError(`Task ${delivery.id} was revoked.`);
      return this.#failures.settle(delivery, { ...notCalled(envelope), args, definition }, revoked);
    }
    const attempt = this.#begin(delivery, definition, envelope, args);
    tell.begins('started', delivery, envelope.headers);
    let outcome: Outcome;
    try {
      const returned = await attempt.run(this.#limits(envelope, definition), this.deps.trackCurrentTask);
      outcome = this.#classifyValue(definition, attempt, returned);
    } catch (thrown) {
      outcome = this.#classifyError(definition, envelope, attempt, thrown);
    } finally {
      attempt.close();
      this.deps.running.delete(attempt);
      if (attempt.locks !== undefined) await attempt.locks.release();
    }
    return this.#settle(delivery, definition, envelope, args, outcome, attempt);
  }

  /** What an attempt before this one left behind, whose worker died when the task was about to fail. */
  async #takeBack(delivery: Delivery): Promise<Verdict | undefined> {
    const { ledger, stopping, log } = this.deps;
    try {
      const isHeard = await untilStored(() => ledger.withdrawLetter(delivery), stopping, log);
      return isHeard ? undefined : superseded(delivery, log);
    } catch {
      return { do: 'give-back' };
    }
  }

  async #turnAway(
    delivery: Delivery,
    definition: TaskDefinition,
    envelope: TaskEnvelope,
    args: readonly JsonValue[],
  ): Promise<Verdict | undefined> {
    const { rateLimit } = definition.options;
    if (rateLimit === undefined) return undefined;
    let limit: Limit;
    try {
      limit = limitOf(definition, rateLimit, args);
    } catch (error) {
      const call = { args, headers: envelope.headers, definition, envelope };
      return this.#failures.settle(delivery, call, error);
    }
    return this.deps.admission.turnAway(delivery, envelope, limit);
  }

  /** An id may have been used again since it was revoked; a store that does not answer now decides nothing. */
  #isRevoked(id: string): Promise<boolean> {
    return this.deps.ledger.isRevoked(id).catch(() => false);
  }

  #input(input: InputRef, definition?: TaskDefinition): Promise<JsonValue> | JsonValue {
    if (input.from === 'value') return input.value;
    // No JSON, but what stands in its place for a handler that reads it page by page. A child process gets the list.
    if (input.from === 'members' && definition?.takesOutcomes === true && this.deps.host === undefined)
      return this.#outcomes(input.node, input.size) as unknown as JsonValue;
    const { ledger, reader, stopping, log } = this.deps;
    return untilStored(() => resolveInput(input, ledger, reader), stopping, log);
  }

  #outcomes(node: string, size: number): Outcomes {
    const { reader, stopping, log } = this.deps;
    return new Outcomes(size, async function* () {
      const pages = reader.settledPages(node, size);
      for (;;) {
        const page = await untilStored(() => pages.next(), stopping, log);
        if (page.done === true) return;
        yield page.value;
      }
    });
  }

  #begin(
    delivery: Delivery,
    definition: TaskDefinition,
    envelope: TaskEnvelope,
    args: readonly JsonValue[],
  ): Attempt {
    const attempt = new Attempt(delivery, definition, envelope, args, this.#services);
    this.deps.running.add(attempt);
    return attempt;
  }

  /** Call over task over module. */
  #limits(envelope: TaskEnvelope, { options }: TaskDefinition): Limits {
    const { defaults } = this.deps;
    return {
      softMs: envelope.softTimeLimitMs ?? options.softTimeLimitMs ?? defaults.softMs,
      hardMs: envelope.timeLimitMs ?? options.timeLimitMs ?? defaults.hardMs,
    };
  }

  #classifyValue(definition: TaskDefinition, attempt: Attempt, returned: unknown): Outcome {
    if (attempt.interruption?.by === 'lost-lock') return { kind: 'superseded' };
    if (returned === undefined || returned === null) return { kind: 'succeeded', value: null };
    const problem = problemOfResult(definition.name, returned, this.deps.limits.resultBytes);
    return problem === undefined
      ? { kind: 'succeeded', value: returned as JsonValue }
      : { kind: 'failed', error: problem };
  }

  #classifyError(
    definition: TaskDefinition,
    envelope: TaskEnvelope,
    attempt: Attempt,
    thrown: unknown,
  ): Outcome {
    const { interruption } = attempt;
    if (interruption?.by === 'lost-lock') return { kind: 'superseded' };
    if (interruption?.by === 'shutdown') return { kind: 'returned' };
    if (thrown instanceof HandlerLostError && interruption?.by !== 'revoked')
      return { kind: 'lost', lost: thrown };
    if (isControlFlow(thrown)) {
      if (thrown instanceof IgnoreResult) return { kind: 'succeeded', value: null };
      if (thrown instanceof ReplaceTask && interruption?.by !== 'revoked') {
        return { kind: 'replaced', canvas: thrown.canvas as CanvasData };
      }
    }
    const error = interruption?.by === 'revoked' ? interruption.error : asInterrupted(thrown, interruption);
    let decision: RetryDecision;
    try {
      const { clock, random } = this.deps;
      decision = decideRetry(error, retryStateOf(definition, envelope, attempt.delivery), clock, random);
    } catch (broken) {
      // A backoff of the user's own that throws, a countdown that cannot be read: trying again would not mend it.
      this.deps.log.error(
        `${definition.name}: the retry could not be decided: ${String(broken)}`,
        undefined,
        fieldsOf(attempt.delivery),
      );
      return { kind: 'failed', error: isControlFlow(error) ? broken : error };
    }
    return decision.kind === 'retry'
      ? { kind: 'retry', decision, error: decision.error }
      : { kind: 'failed', error: decision.error };
  }

  #settle(
    delivery: Delivery,
    definition: TaskDefinition,
    envelope: TaskEnvelope,
    args: readonly JsonValue[],
    outcome: Outcome,
    { items, startedMs }: Attempt,
  ): Verdict | Promise<Verdict> {
    const reached = items === undefined ? envelope : { ...envelope, done: items.values };
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
        );
      case 'failed':
        return this.#failures.settle(delivery, failing, outcome.error);
      case 'lost':
        return this.#settleLost(delivery, reached, failing, outcome.lost);
      case 'replaced':
        return this.deps.replacement
          .begin(delivery, envelope, outcome.canvas)
          .then((end) => this.#settleReplaced(delivery, definition, envelope, args, end));
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
    if (!this.#keyed.concerns(delivery)) return this.#complete(delivery, envelope, args, kept, startedMs);
    return this.#keyed.finish(delivery, kept).then(
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
    return this.#failures
      .release(() => this.deps.hooks.publish(delivery, 'success', called))
      .then(() => verdict);
  }

  /** A task whose handler is not called, because of others that have its idempotency key. */
  #settleEntry(
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
        return this.#failures.store(delivery, entry.failure);
      case 'error': {
        const call = { ...notCalled(envelope), args, definition, whole: args };
        return this.#failures.settle(delivery, call, entry.error);
      }
      case 'verdict':
        return entry.verdict;
    }
  }

  /** A replaced task ends as the canvas in its place did, with hooks of its own. */
  #settleReplaced(
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
        return this.#failures.store(delivery, replaced.failure);
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
  ): Promise<Verdict> {
    const { clock, ledger, log, stopping, discretion } = this.deps;
    const failure = discretion.failure(failureRecord(delivery, call.args, error, clock.wallMs(), call));
    const retried = withRetry(envelope.retried, decision.policy, delivery.attemptsMade, delivery.startedAtMs);
    const attempts = withAttempt(envelope.attempts, failure, this.deps.worker);
    try {
      if (await untilStored(() => ledger.isRevoked(delivery.id), stopping, log)) {
        return await this.#failures.settle(
          delivery,
          call,
          new TaskRevokedError(`Task ${delivery.id} was revoked.`, { cause: error }),
        );
      }
      const heard = await untilStored(
        () => ledger.setData(delivery, { ...envelope, retried, attempts }),
        stopping,
        log,
      );
      if (!heard) return superseded(delivery, this.deps.log);
    } catch {
      return { do: 'give-back' };
    }
    const { rateLimit } = definition.options;
    if (decision.isAskedFor && rateLimit !== undefined) {
      await this.deps.admission.hold(limitOf(definition, rateLimit, call.args), decision.delayMs);
    }
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
      return this.#failures.settle(delivery, call, new WorkerLostError(timesLost, { code, signal }, how));
    }
    try {
      if (await untilStored(() => ledger.isRevoked(delivery.id), stopping, log)) {
        const revoked = new TaskRevokedError(`Task ${delivery.id} was revoked.`);
        return await this.#failures.settle(delivery, call, revoked);
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
function notCalled(envelope: TaskEnvelope): FailedCall {
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
