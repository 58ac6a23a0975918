import type { CanvasLimits } from '../canvas/canvas-size.js';
import { type Discretion, fieldsOf } from './discretion.js';
import type { EngineLog, LogFields } from './engine-log.js';
import type { Holder } from '../backend/ledger.js';
import type { Delivery } from '../backend/delivery.js';
import type { StoredValues } from '../codec/stored-values.js';
import { LockLostError } from '../errors/lock.errors.js';
import type { HandlerHost, HostedAttempt, HostedCall, Seat } from '../backend/handler-host.js';
import { type SoftTimeLimitExceededError, TimeLimitExceededError } from '../errors/task.errors.js';
import type { TaskEnvelope } from '../flow/envelope.js';
import { positionOf, rootOf } from '../flow/ids.js';
import type { TimerClock } from '../primitives/clock.js';
import type { AttemptLocks } from './attempt-locks.js';
import { AttemptLimits, type Limits } from './attempt-limits.js';
import type { AbandonedHandler } from './stuck-handlers.js';
import { hostedCall } from './hosted-call.js';
import { type ItemRules, ItemRun } from './item-run.js';
import type { MemberAddition } from './member-addition.js';
import { checkReplacement } from './replacement.js';
import { requestRetry, retryStateOf } from './retries-of.js';
import type { TaskAnnouncer } from './task-announcer.js';
import { findNonJson, type JsonValue } from '../primitives/json.js';
import type { Lock, LockOptions } from '../task/lock.js';
import { causeOf, type Interruption, reasonOf } from '../task/interruption.js';
import {
  type CompleteCanvas,
  TaskContext,
  type TaskContextInit,
  type TaskLogger,
  taskStorage,
} from '../task/task-context.js';
import type { TaskDefinition } from '../task/task-definition.js';
import { areRetriesSpent, manualRetries, type RetryState, wouldRetry } from '../retry/retry-decision.js';
import { CannotAddMemberError, UnserializableArgumentError } from '../errors/publish.errors.js';
import { storedResult } from './stored-result.js';

/** What every attempt of a worker shares. */
export interface AttemptServices {
  readonly members: MemberAddition;
  readonly storeProgress: (holder: Holder, meta: JsonValue) => Promise<boolean>;
  readonly makeLocks: MakeLocks;
  readonly limits: CanvasLimits;
  readonly values: StoredValues;
  readonly log: EngineLog;
  /** Absent in a child, whose lines carry no arguments. */
  readonly discretion?: Discretion;
  /** Absent where the worker tells of what its child says. */
  readonly tell?: TaskAnnouncer;
  readonly clock: TimerClock;
  /** Where handlers run, when not here. */
  readonly host?: HandlerHost | undefined;
  /** Is told of handlers that may go on although their attempt is over. */
  readonly onAbandoned?: (handler: AbandonedHandler) => void;
  /** Is told when a handler asks for more time, where somebody else holds the limits as well. */
  readonly onExtend?: (ms: number) => void;
}

/** Makes what keeps an attempt's locks; asked for by those that take one. */
export type MakeLocks = (
  delivery: Delivery,
  signal: () => AbortSignal,
  onLost: (error: LockLostError) => void,
) => AttemptLocks;

/**
 * One attempt of one task while its handler runs: its context, its signal and its limits.
 *
 * An attempt that is over (its hard limit has passed, its lock is lost, its worker stopped) is closed: whatever
 * its handler still does, it cannot report any more. The store refuses it as well, by its token.
 */
export class Attempt implements HostedAttempt {
  #controller: AbortController | undefined;
  #interruption: Interruption | undefined;
  #closed = false;
  #reject: ((error: Error) => void) | undefined;
  readonly #limits: AttemptLimits;
  #items: ItemRun | undefined;
  #rules: ItemRules | undefined;
  #locks: AttemptLocks | undefined;
  #seat: Seat | undefined;
  #ended: Error | undefined;
  #handler: Promise<unknown> | undefined;
  /** When its handler was called, by the wall clock. */
  readonly startedMs: number;

  constructor(
    readonly delivery: Delivery,
    private readonly definition: TaskDefinition,
    private readonly envelope: TaskEnvelope,
    private readonly args: readonly JsonValue[],
    private readonly services: AttemptServices,
    /** The same as its task gets them, where they have been read by now. */
    private readonly given?: readonly unknown[],
  ) {
    this.startedMs = services.clock.wallMs();
    this.#limits = new AttemptLimits(services.clock, (error) => this.#pass(error));
  }

  /**
   * Runs the handler within its limits. What it returns may be a value or a promise; what it throws may be thrown
   * at once: the way of a task that needs nothing costs next to nothing.
   *
   * @param rules what is done around items, where it runs for a list of them
   */
  run(limits: Limits, trackCurrentTask: boolean, rules?: ItemRules): unknown {
    const { host } = this.services;
    this.#rules = rules;
    if (host !== undefined) return this.#abandonable(this.#runIn(host, limits));
    this.#limits.begin(limits);
    if (this.envelope.each === undefined) {
      return this.#abandonable(this.#call(this.args, undefined, trackCurrentTask));
    }
    return this.#abandonable(this.#callEach((args, item) => this.#call(args, item, trackCurrentTask)));
  }

  /** Runs the handler for a process that has the limits, and the list when it is called for an item of one. */
  runHosted({ item, soft }: HostedCall, trackCurrentTask: boolean): unknown {
    this.#limits.begin({ softMs: soft?.limitMs, hardMs: undefined }, soft?.elapsedMs);
    return this.#call(this.args, item, trackCurrentTask);
  }

  #call(args: readonly JsonValue[], item: number | undefined, trackCurrentTask: boolean): unknown {
    const returned = this.#invoke(args, item, trackCurrentTask);
    return storedResult(this.definition.name, returned, this.services.values);
  }

  #invoke(stored: readonly JsonValue[], item: number | undefined, trackCurrentTask: boolean): unknown {
    const read =
      stored === this.args && this.given !== undefined ? this.given : this.services.values.read(stored);
    const args = read as readonly JsonValue[];
    const context = this.#context(args, item);
    if (!trackCurrentTask) return this.definition.invoke(args, context);
    return taskStorage.run(context, () => this.definition.invoke(args, context));
  }

  /** Its time begins when there is room for it. */
  async #runIn(host: HandlerHost, limits: Limits): Promise<unknown> {
    const seat = await host.seat(this.#signal);
    this.#seat = seat;
    try {
      if (this.#ended !== undefined) throw this.#ended;
      if (this.#interruption !== undefined) throw reasonOf(this.#interruption);
      this.#limits.begin(limits);
      const call = (args: readonly JsonValue[], item?: number): Promise<unknown> =>
        seat.run(this.#hosted(args, item), this);
      const value = await (this.envelope.each === undefined ? call(this.args) : this.#callEach(call));
      if (this.#ended !== undefined) throw this.#ended;
      return value;
    } catch (thrown) {
      throw this.#ended ?? thrown;
    } finally {
      seat.release();
    }
  }

  #abandonable(returned: unknown): unknown {
    if (!(returned instanceof Promise)) return returned;
    this.#handler = returned;
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      returned.then(resolve, reject);
    });
  }

  /** The items that it runs for, where it does. */
  get items(): ItemRun | undefined {
    return this.#items;
  }

  /** What its handler was called with last: of a list, for which item. */
  get call(): { readonly args: readonly JsonValue[]; readonly index?: number } {
    return this.#items?.current ?? { args: this.args };
  }

  /** The call as far as it has come: what a later attempt begins with. */
  get reached(): TaskEnvelope {
    return this.#items?.reached ?? this.envelope;
  }

  /** Whether its handler has not begun, for want of room. */
  get waiting(): boolean {
    return this.services.host !== undefined && this.#seat === undefined;
  }

  /** Why it was told to end, if it was. */
  get interruption(): Interruption | undefined {
    return this.#interruption;
  }

  /** Tells the handler to end, through its signal. The first reason stands. */
  interrupt(interruption: Interruption): void {
    if (this.#interruption !== undefined) return;
    this.#interruption = interruption;
    this.#controller?.abort(reasonOf(interruption));
    this.#seat?.interrupt(interruption);
  }

  /** The locks that it took, if it took any. */
  get locks(): AttemptLocks | undefined {
    return this.#locks;
  }

  /**
   * Ends the attempt; whatever its handler still does is not heard. A handler of this process cannot be stopped, so the
   * attempt ends at once. One that runs elsewhere is ended by force, and the attempt with it.
   *
   * @param grace whether such a handler gets time to end by itself
   */
  abandon(error: Error, grace: 'none' | 'some' = 'none'): void {
    this.#locks?.abandon();
    this.close();
    this.#ended ??= error;
    if (this.#seat !== undefined) return this.#seat.end(grace);
    this.#reject?.(error);
    const [handler, interruption] = [this.#handler, this.#interruption];
    if (handler === undefined || interruption === undefined) return;
    const { delivery, args, envelope } = this;
    const { headers } = envelope;
    this.services.onAbandoned?.({ delivery, args, headers, cause: causeOf(interruption), handler });
  }

  /** The attempt is over. */
  close(): void {
    this.#closed = true;
    this.#limits.stop();
  }

  /** Moves both limits on. A soft one that has passed stays so; without limits there is nothing to do. */
  extendTimeLimit(ms: number): void {
    this.#limits.extend(ms);
    this.services.onExtend?.(ms);
  }

  /** The time limits that hold for it now. */
  limitsBy(limits: { timeLimits(envelope: TaskEnvelope, definition: TaskDefinition): Limits }): Limits {
    return limits.timeLimits(this.envelope, this.definition);
  }

  /**
   * Gives it other time limits, counted from when its handler began; without one it has none from now on. One that has
   * passed stays so, and what has passed already passes now.
   */
  changeTimeLimits(limits: Limits): void {
    this.#limits.change(limits);
    this.#seat?.limit(limits.softMs);
  }

  /** Why it is to end, also when nobody could tell it yet because its handler does not yield. */
  #whyEnd(): Interruption | undefined {
    this.#limits.check();
    return this.#interruption;
  }

  #callEach(call: (args: readonly JsonValue[], item: number) => unknown): Promise<JsonValue[]> {
    const { definition, envelope, args, services } = this;
    this.#items = new ItemRun(definition.name, envelope, args, services.clock, this.#rules);
    return this.#items.run(call, () => {
      if (this.#interruption !== undefined) throw reasonOf(this.#interruption);
    });
  }

  /** A soft limit asks the handler to end, a hard one ends the attempt. */
  #pass(error: SoftTimeLimitExceededError | TimeLimitExceededError): void {
    this.interrupt({ by: 'limit', error });
    if (error instanceof TimeLimitExceededError) this.abandon(error);
  }

  get #signal(): AbortSignal {
    if (this.#controller === undefined) {
      // Made when it is asked for: most handlers never do, and it is the dearest part of a context.
      this.#controller = new AbortController();
      if (this.#interruption !== undefined) this.#controller.abort(reasonOf(this.#interruption));
    }
    return this.#controller.signal;
  }

  #context(args: readonly JsonValue[], item: number | undefined): TaskContext {
    return new TaskContext(() => this.#lookInside(args, item));
  }

  #lookInside(args: readonly JsonValue[], item: number | undefined): TaskContextInit {
    const { delivery, definition, envelope, services } = this;
    let added = 0;
    return {
      id: delivery.id,
      name: delivery.name,
      args,
      ...(item === undefined ? {} : { item }),
      queue: delivery.queue,
      attempt: delivery.activations,
      retries: envelope.settle === true ? manualRetries({}, this.retries).made : delivery.attemptsMade,
      maxRetries: () => manualRetries({}, this.retries).maximum,
      headers: envelope.headers ?? NO_HEADERS,
      workflow: { id: rootOf(delivery.id), position: positionOf(delivery.id) },
      redriven: envelope.redriven,
      signal: () => this.#signal,
      logger: () => this.#logger(),
      progress: (meta) => this.#progress(meta),
      idempotencyKey: () => definition.idempotent?.of(args) ?? envelope.once?.key,
      lock: (name, options) => this.#lock(name, options),
      replacement: (canvas) => checkReplacement(delivery.id, item, canvas, services.limits, services.values),
      addMember: (canvas) => this.#addMember(`${item ?? ''}:${added++}`, canvas),
      retry: (request) =>
        requestRetry(request, this.retries, services.clock.wallMs(), {
          task: definition.name,
          each: envelope.each,
          argumentBytes: services.limits.argumentBytes,
          values: services.values,
        }),
      retriesSpent: () => areRetriesSpent(this.retries, services.clock.wallMs()),
      willRetry: (thrown) => wouldRetry(thrown, this.retries, services.clock.wallMs()),
      interruption: () => this.#whyEnd(),
      extendTimeLimit: (ms) => this.extendTimeLimit(ms),
    };
  }

  #addMember(call: string, canvas: CompleteCanvas): Promise<string> {
    if (this.#closed) throw new CannotAddMemberError(this.delivery.id, 'its attempt is over');
    const { delivery, envelope } = this;
    return this.services.members.add({ delivery, envelope, call, signal: this.#signal }, canvas);
  }

  /** What is known of its retries, or of those of the item that runs. */
  get retries(): RetryState {
    const { attemptsMade, startedAtMs } = this.delivery;
    const sinceMs = this.#items?.sinceMs ?? startedAtMs;
    const delivery = { attemptsMade, startedAtMs: sinceMs };
    return retryStateOf(this.definition, this.reached, delivery, this.services.values);
  }

  /** What cannot be stored is thrown at once; that Redis is away is no reason for a task to fail. */
  #progress(meta: unknown): Promise<void> {
    const written = this.services.values.write(meta);
    if ('stored' in written) return this.progress(written.stored as JsonValue);
    throw new UnserializableArgumentError(this.delivery.name, 'progress', written.found);
  }

  /** Stores progress that is written by now. */
  progress(meta: JsonValue): Promise<void> {
    const offence = findNonJson(meta, 'progress');
    if (offence) throw new UnserializableArgumentError(this.delivery.name, offence.path, offence.found);
    if (this.#closed) return this.#refused();
    return this.services.storeProgress(this.delivery, meta).then(
      (heard) => {
        if (!heard) return this.#refused();
        this.services.tell?.progress(this.delivery, this.envelope.headers, meta);
        return undefined;
      },
      (error: unknown) =>
        this.services.log.warn(
          `${this.#label()}: progress could not be stored: ${String(error)}`,
          this.#fields(),
        ),
    );
  }

  async #refused(): Promise<void> {
    this.services.log.warn(
      `${this.#label()}: progress of an attempt that is over was refused`,
      this.#fields(),
    );
  }

  #hosted(args: readonly JsonValue[], item: number | undefined): HostedCall {
    return hostedCall(this.delivery, this.reached, args, item, this.#limits.soft);
  }

  #logger(): TaskLogger {
    const label = this.#label();
    const { log } = this.services;
    return {
      log: (message, more) => log.log(`${label}: ${message}`, { ...this.#fields(), ...more }),
      warn: (message, more) => log.warn(`${label}: ${message}`, { ...this.#fields(), ...more }),
      error: (message, stack, more) =>
        log.error(`${label}: ${message}`, stack, { ...this.#fields(), ...more }),
      debug: (message, more) => log.debug(`${label}: ${message}`, { ...this.#fields(), ...more }),
    };
  }

  #fields(): LogFields {
    return this.services.discretion?.fields(this.delivery, this.args) ?? fieldsOf(this.delivery);
  }

  async #lock(name: string, options: LockOptions | undefined): Promise<Lock> {
    if (this.#closed) throw new LockLostError(name, 'the attempt is over');
    this.#locks ??= this.services.makeLocks(
      this.delivery,
      () => this.#signal,
      (error) => this.interrupt({ by: 'lock', error }),
    );
    return this.#locks.take(name, options);
  }

  #label(): string {
    return `${this.delivery.name} ${this.delivery.id} attempt ${this.delivery.activations}`;
  }
}

const NO_HEADERS = Object.freeze({});
