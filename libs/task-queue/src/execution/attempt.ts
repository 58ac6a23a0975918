import type { CanvasLimits } from '../canvas/canvas-size.js';
import type { EngineLog } from './engine-log.js';
import type { Holder } from '../backend/ledger.js';
import type { Delivery } from '../backend/delivery.js';
import { LockLostError } from '../errors/lock.errors.js';
import { SoftTimeLimitExceededError, TimeLimitExceededError } from '../errors/task.errors.js';
import type { TaskEnvelope } from '../flow/envelope.js';
import { positionOf, rootOf } from '../flow/ids.js';
import type { TimerClock } from '../primitives/clock.js';
import type { AttemptLocks } from './attempt-locks.js';
import { ItemRun } from './item-run.js';
import { checkReplacement } from './replacement.js';
import { requestRetry, retryStateOf } from './retries-of.js';
import { findNonJson, type JsonValue } from '../primitives/json.js';
import type { Lock, LockOptions } from '../task/lock.js';
import { TaskContext, type TaskLogger, taskStorage } from '../task/task-context.js';
import type { TaskDefinition } from '../task/task-definition.js';
import { areRetriesSpent, MANUAL_MAX_RETRIES, type RetryState, wouldRetry } from '../retry/retry-decision.js';
import { UnserializableArgumentError } from '../errors/publish.errors.js';

/** The limits that hold for one attempt: call over task over module. */
export interface Limits {
  readonly softMs: number | undefined;
  readonly hardMs: number | undefined;
}

/** What every attempt of a worker shares. */
export interface AttemptServices {
  readonly storeProgress: (holder: Holder, meta: JsonValue) => Promise<boolean>;
  readonly makeLocks: MakeLocks;
  readonly limits: CanvasLimits;
  readonly log: EngineLog;
  readonly clock: TimerClock;
}

/** Why an attempt was told to end before it was done. */
export type Interruption =
  | { readonly by: 'shutdown' }
  | { readonly by: 'lost-lock' }
  | { readonly by: 'limit'; readonly error: Error }
  | { readonly by: 'revoked'; readonly error: Error }
  /** A lock that it took is lost. */
  | { readonly by: 'lock'; readonly error: Error };

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
export class Attempt {
  #controller: AbortController | undefined;
  #interruption: Interruption | undefined;
  #closed = false;
  #reject: ((error: Error) => void) | undefined;
  #timers: readonly (() => void)[] = NO_TIMERS;
  #items: ItemRun | undefined;
  #locks: AttemptLocks | undefined;

  constructor(
    readonly delivery: Delivery,
    private readonly definition: TaskDefinition,
    private readonly envelope: TaskEnvelope,
    private readonly args: readonly JsonValue[],
    private readonly services: AttemptServices,
  ) {}

  /**
   * Runs the handler within its limits. What it returns may be a value or a promise; what it throws may be thrown
   * at once: the way of a task that needs nothing costs next to nothing.
   */
  run({ softMs, hardMs }: Limits, trackCurrentTask: boolean): unknown {
    if (softMs !== undefined) {
      this.#later(softMs, () =>
        this.interrupt({ by: 'limit', error: new SoftTimeLimitExceededError(softMs) }),
      );
    }
    if (hardMs !== undefined) {
      this.#later(hardMs, () => {
        this.interrupt({ by: 'limit', error: new TimeLimitExceededError(hardMs) });
        this.abandon(new TimeLimitExceededError(hardMs));
      });
    }
    const call = (args: readonly JsonValue[], item?: number): unknown => {
      const context = this.#context(args, item);
      const invoke = (): unknown => this.definition.invoke(args, context);
      return trackCurrentTask ? taskStorage.run(context, invoke) : invoke();
    };
    const returned = this.envelope.each === undefined ? call(this.args) : this.#callEach(call);
    if (!(returned instanceof Promise)) return returned;
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      returned.then(resolve, reject);
    });
  }

  /** The items that it runs for, where it does. */
  get items(): ItemRun | undefined {
    return this.#items;
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
  }

  /** The locks that it took, if it took any. */
  get locks(): AttemptLocks | undefined {
    return this.#locks;
  }

  /** Ends the attempt at once; whatever its handler still does is not heard. */
  abandon(error: Error): void {
    this.#locks?.abandon();
    this.close();
    this.#reject?.(error);
  }

  /** The attempt is over. */
  close(): void {
    this.#closed = true;
    for (const callOff of this.#timers) callOff();
  }

  #callEach(call: (args: readonly JsonValue[], item: number) => unknown): Promise<JsonValue[]> {
    this.#items = new ItemRun(this.definition.name, this.envelope, this.args);
    return this.#items.run(call, () => {
      if (this.#interruption !== undefined) throw reasonOf(this.#interruption);
    });
  }

  #later(ms: number, act: () => void): void {
    this.#timers = [...this.#timers, this.services.clock.after(ms, act)];
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
    const { delivery, definition, envelope, services } = this;
    return new TaskContext({
      id: delivery.id,
      name: delivery.name,
      args,
      ...(item === undefined ? {} : { item }),
      queue: delivery.queue,
      attempt: delivery.activations,
      retries: delivery.attemptsMade,
      maxRetries: envelope.maxRetries ?? definition.policies[0]?.maxRetries ?? MANUAL_MAX_RETRIES,
      headers: envelope.headers ?? NO_HEADERS,
      workflow: { id: rootOf(delivery.id), position: positionOf(delivery.id) },
      signal: () => this.#signal,
      logger: () => this.#logger(),
      progress: (meta) => this.#progress(meta),
      lock: (name, options) => this.#lock(name, options),
      replacement: (canvas) => checkReplacement(delivery.id, item, canvas, services.limits),
      retry: (request) => requestRetry(request, this.#retries, services.clock.wallMs(), envelope.each),
      retriesSpent: () => areRetriesSpent(this.#retries),
      willRetry: (thrown) => wouldRetry(thrown, this.#retries),
    });
  }

  get #retries(): RetryState {
    return retryStateOf(this.definition, this.envelope, this.delivery);
  }

  /** What cannot be stored is thrown at once; that Redis is away is no reason for a task to fail. */
  #progress(meta: JsonValue): Promise<void> {
    const offence = findNonJson(meta, 'progress');
    if (offence) throw new UnserializableArgumentError(this.delivery.name, offence.path, offence.found);
    if (this.#closed) return this.#refused();
    return this.services.storeProgress(this.delivery, meta).then(
      (heard) => (heard ? undefined : this.#refused()),
      (error: unknown) =>
        this.services.log.warn(`${this.#label()}: progress could not be stored: ${String(error)}`),
    );
  }

  async #refused(): Promise<void> {
    this.services.log.warn(`${this.#label()}: progress of an attempt that is over was refused`);
  }

  #logger(): TaskLogger {
    const label = this.#label();
    return {
      log: (message) => this.services.log.log(`${label}: ${message}`),
      warn: (message) => this.services.log.warn(`${label}: ${message}`),
      error: (message, stack) => this.services.log.error(`${label}: ${message}`, stack),
      debug: (message) => this.services.log.debug(`${label}: ${message}`),
    };
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
const NO_TIMERS: readonly (() => void)[] = [];

/** What `task.signal.reason` is. */
function reasonOf(interruption: Interruption): unknown {
  switch (interruption.by) {
    case 'limit':
    case 'revoked':
    case 'lock':
      return interruption.error;
    case 'shutdown':
      return new DOMException('The worker is being stopped; the task will be run again.', 'AbortError');
    case 'lost-lock':
      return new DOMException(
        'This attempt lost its lock; another worker may be running the task.',
        'AbortError',
      );
  }
}
