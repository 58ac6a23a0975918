import type { Holder, Ledger } from '../backend/ledger.js';
import type { Delivery, Verdict } from '../backend/delivery.js';
import type { LetterBounds } from '../backend/failure-store.js';
import type { HandlerHost } from '../backend/handler-host.js';
import { itemsOf } from '../codec/items-of.js';
import type { StoredValues } from '../codec/stored-values.js';
import { TaskRevokedError, UnknownTaskError } from '../errors/task.errors.js';
import { decodeTask } from '../flow/decode-envelope.js';
import { type InputRef, isRepeated, type TaskEnvelope } from '../flow/envelope.js';
import type { PayloadLimits } from '../options/task-queue-options.js';
import type { RandomSource, TimerClock } from '../primitives/clock.js';
import type { JsonValue } from '../primitives/json.js';
import type { KeyedCalls } from '../idempotency/keyed-calls.js';
import type { Locks } from '../locks/locks.js';
import type { TaskReader } from '../results/task-reader.js';
import type { HookDefinition, TaskDefinition } from '../task/task-definition.js';
import type { TaskRegistry } from '../task/task-registry.js';
import { type Admission, isGuarded } from './admission.js';
import { Attempt, type AttemptServices, type MakeLocks } from './attempt.js';
import { AttemptLocks } from './attempt-locks.js';
import type { BreakerPass } from './breaking.js';
import type { ChangedLimits } from './changed-limits.js';
import type { Discretion } from './discretion.js';
import type { EngineLog } from './engine-log.js';
import { askErrorHooks, errorHooksFor } from './error-hooks.js';
import { FailureSettling, superseded } from './failure-settling.js';
import { outcomesOf } from './header-outcomes.js';
import type { HookRunner } from './hook-runner.js';
import type { ItemRules } from './item-run.js';
import { ItemSettling } from './item-settling.js';
import { KeyedExecution } from './keyed-execution.js';
import { KeyedItems } from './keyed-items.js';
import type { MemberAddition } from './member-addition.js';
import type { RecentRevocations } from './recent-revocations.js';
import { type Ended, type Outcome, outcomeOfError, outcomeOfValue } from './outcome.js';
import { notCalled, OutcomeSettling } from './outcome-settling.js';
import type { Replacement } from './replacement.js';
import { isAgain, refusalOf } from './refusal.js';
import { resolveInput } from './resolve-input.js';
import type { TaskAnnouncer } from './task-announcer.js';
import type { RunningAttempts } from './running-attempts.js';
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
  readonly limitsNow: ChangedLimits;
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
  readonly values: StoredValues;
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

/**
 * One attempt of one task, from the delivery to its verdict:
 *
 * decode → find the task → refuse (revoked, lost too often, expired) → resolve the input → turn away (breaker, rate limit) →
 * run within limits → classify → settle.
 *
 * Running happens once. Settling is repeated until the store answers, and is fenced by the delivery's token.
 */
export class TaskProcessor {
  readonly #services: AttemptServices;
  /** Stores final failures; those of the canvas queue's jobs as well. */
  readonly failures: FailureSettling;
  readonly #keyed: KeyedExecution;
  readonly #settling: OutcomeSettling;

  constructor(private readonly deps: TaskProcessorDeps) {
    const { ledger, locks, members, log, clock, limits, values, tell, discretion, host, stuck } = deps;
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
      values,
      tell,
      discretion,
      host,
      onAbandoned: (handler) => stuck.watch(handler),
    };
    this.#keyed = new KeyedExecution(deps);
    this.failures = new FailureSettling({ ...deps, resolve: (input) => this.#input(input) });
    this.#settling = new OutcomeSettling({ ...deps, failures: this.failures, keyed: this.#keyed });
  }

  async process(delivery: Delivery): Promise<Verdict> {
    let envelope: TaskEnvelope;
    try {
      const decoded = decodeTask(delivery.data);
      if ('hook' in decoded) return await this.deps.hooks.run(decoded);
      envelope = decoded;
    } catch (error) {
      return this.failures.settle(delivery, { args: [] }, error);
    }
    const { tell } = this.deps;
    tell.begins('received', delivery, envelope.headers);
    const definition = this.deps.registry.get(delivery.name);
    if (definition === undefined) {
      const unknown = new UnknownTaskError(delivery.name, delivery.queue);
      return this.failures.settle(delivery, notCalled(envelope), unknown);
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
      return this.failures.settle(delivery, { ...notCalled(envelope), definition }, refusal);
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
      return this.#settling.settleReplaced(delivery, definition, envelope, args, end);
    }
    let given: readonly unknown[];
    try {
      args = itemsOf(args, envelope.each, this.deps.values);
      given = this.deps.values.read(args) as readonly unknown[];
    } catch (error) {
      return this.failures.settle(delivery, { ...notCalled(envelope), args, definition, whole: args }, error);
    }
    if (envelope.once !== undefined || definition.idempotent !== undefined) {
      const entry = await this.#keyed.enter(delivery, definition, envelope, args);
      if (entry !== undefined) return this.#settling.settleEntry(delivery, definition, envelope, args, entry);
    }
    let pass: BreakerPass | undefined;
    const { limitsNow } = this.deps;
    if (limitsNow.reading !== undefined) await limitsNow.reading;
    if (isGuarded(definition) || limitsNow.limits(definition)) {
      const entrance = await this.deps.admission.enter(delivery, definition, envelope, args);
      if (entrance.come === 'away') return entrance.verdict;
      if (entrance.come === 'error')
        return this.failures.settle(delivery, { ...notCalled(envelope), args, definition }, entrance.error);
      pass = entrance.pass;
    }
    if (this.deps.revoked.covers(delivery.id) && (await this.#isRevoked(delivery.id))) {
      const revoked = new TaskRevokedError(`Task ${delivery.id} was revoked.`);
      return this.failures.settle(delivery, { ...notCalled(envelope), args, definition }, revoked);
    }
    const attempt = this.#begin(delivery, definition, envelope, args, given);
    tell.begins('started', delivery, envelope.headers);
    const ended = { definition, envelope, attempt };
    const settling = envelope.settle === true ? new ItemSettling(ended, this.deps) : undefined;
    const rules = envelope.each === undefined ? undefined : this.#rules(ended, settling);
    let outcome: Outcome;
    let hooks: readonly HookDefinition[] | undefined;
    try {
      const limits = this.deps.limitsNow.timeLimits(envelope, definition);
      const returned = attempt.run(limits, this.deps.trackCurrentTask, rules);
      const value = mayBePending(returned) ? await returned : returned;
      outcome = outcomeOfValue(ended, value, this.deps);
    } catch (thrown) {
      const decided = settling?.outcomeOf(thrown);
      outcome = decided ?? outcomeOfError(ended, thrown, this.deps);
      hooks = decided === undefined ? errorHooksFor(ended, thrown, outcome, this.deps) : undefined;
    } finally {
      attempt.close();
      this.deps.running.delete(attempt);
      if (attempt.locks !== undefined) await attempt.locks.release();
    }
    if (pass !== undefined) await this.deps.admission.report(pass, outcome);
    if (hooks !== undefined) outcome = await askErrorHooks(hooks, ended, outcome, this.deps);
    return this.#settling.settle(delivery, definition, envelope, args, outcome, attempt);
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

  /** An id may have been used again since it was revoked; a store that does not answer now decides nothing. */
  #isRevoked(id: string): Promise<boolean> {
    return this.deps.ledger.isRevoked(id).catch(() => false);
  }

  #input(input: InputRef, definition?: TaskDefinition): Promise<JsonValue> | JsonValue {
    if (input.from === 'value') return input.value;
    // No JSON, but what stands in its place for a handler that reads it page by page.
    if (input.from === 'members' && definition?.takesOutcomes === true)
      return outcomesOf(input, this.deps) as unknown as JsonValue;
    const { ledger, reader, stopping, log } = this.deps;
    return untilStored(() => resolveInput(input, ledger, reader), stopping, log);
  }

  #begin(
    delivery: Delivery,
    definition: TaskDefinition,
    envelope: TaskEnvelope,
    args: readonly JsonValue[],
    given: readonly unknown[],
  ): Attempt {
    const attempt = new Attempt(delivery, definition, envelope, args, this.#services, given);
    this.deps.running.add(attempt);
    return attempt;
  }

  /** What is done around the items of a list. */
  #rules({ attempt, definition }: Ended, settling: ItemSettling | undefined): ItemRules {
    const declared = definition.idempotent;
    const keyed = declared && new KeyedItems(attempt.delivery, declared, () => attempt.reached, this.deps);
    return {
      ...(settling && { settle: (thrown, item) => settling.settle(thrown, item) }),
      ...(keyed && { around: (args, invoke) => keyed.run(args, invoke) }),
    };
  }
}

/** A value that is there need not be waited for. */
function mayBePending(returned: unknown): boolean {
  return typeof returned === 'object' && returned !== null;
}
