import { AsyncLocalStorage } from 'node:async_hooks';
import { ReplaceTask, type RetryRequest } from '../errors/control-flow.js';
import { OutsideTaskError } from '../errors/result.errors.js';
import { InvalidOptionsError } from '../errors/configuration.errors.js';
import { type Duration, toMilliseconds } from '../primitives/duration.js';
import type { JsonValue } from '../primitives/json.js';
import { type Lock, type LockOptions, workUnder } from './lock.js';
import { pause } from '../primitives/bounded.js';
import type { Redriven } from './redriven.js';
import { causeOf, type Interruption, type InterruptionCause, reasonOf } from './interruption.js';

/**
 * Nest's Logger for one attempt: its lines carry the task's name, id and attempt, as text and as fields. Fields of one's own
 * go with them.
 */
export interface TaskLogger {
  log(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, stack?: string, fields?: Readonly<Record<string, unknown>>): void;
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Where a running task stands in its canvas. */
export interface WorkflowPosition {
  /** The canvas's id; the task's own id when it stands alone. */
  readonly id: string;
  /** The path inside the canvas, e.g. `3` or `body`; empty when the task stands alone. */
  readonly position: string;
}

/** A canvas that misses nothing: a complete signature, chain, group or chord. */
export interface CompleteCanvas {
  /** For the type checker only. */
  readonly '~types': { readonly missing: (args: []) => void };
  /** The canvas as plain data. */
  toJSON(): object;
}

/** What the execution hands to a context. */
export interface TaskContextInit {
  readonly id: string;
  readonly name: string;
  readonly args: readonly JsonValue[];
  readonly item?: number;
  readonly queue: string;
  readonly attempt: number;
  readonly retries: number;
  readonly maxRetries: () => number;
  readonly headers: Readonly<Record<string, JsonValue>>;
  readonly workflow: WorkflowPosition;
  readonly redriven?: Redriven | undefined;
  readonly signal: () => AbortSignal;
  readonly logger: () => TaskLogger;
  readonly progress: (meta: unknown) => Promise<void>;
  readonly idempotencyKey: () => string | undefined;
  readonly lock: (name: string, options: LockOptions | undefined) => Promise<Lock>;
  /** Why the attempt is to end, if it is, also where the event loop has not told the signal yet. */
  readonly interruption: () => Interruption | undefined;
  readonly extendTimeLimit: (ms: number) => void;
  /** Checks a canvas that is to take the task's place. */
  readonly replacement: (canvas: CompleteCanvas) => object;
  /** Adds a member to the group or header around the task. */
  readonly addMember: (canvas: CompleteCanvas) => Promise<string>;
  /** Asks for another attempt. */
  readonly retry: (request: RetryRequest) => never;
  readonly retriesSpent: () => boolean;
  readonly willRetry: (thrown: unknown) => boolean;
}

/**
 * One attempt of one task, as its handler sees it.
 *
 * A last parameter of this type is filled in by the library; `currentTask()` gives the same object anywhere
 * below the handler.
 */
export class TaskContext {
  readonly #make: () => TaskContextInit;
  #made: TaskContextInit | undefined;

  /**
   * Made by the library, once per attempt.
   *
   * @param init called at the first look into the context: most tasks never take one
   */
  constructor(init: () => TaskContextInit) {
    this.#make = init;
  }

  get #init(): TaskContextInit {
    return (this.#made ??= this.#make());
  }

  /** The task's id: the same for all of its attempts. */
  get id(): string {
    return this.#init.id;
  }
  get name(): string {
    return this.#init.name;
  }
  /** The arguments, without the context itself. */
  get args(): readonly JsonValue[] {
    return this.#init.args;
  }
  /**
   * The index of the item in the list of a `map`, a `starmap` or a chunk; undefined for every other call. All items
   * share the task's id: `${task.id}:${task.item}` names one of them.
   */
  get item(): number | undefined {
    return this.#init.item;
  }
  get queue(): string {
    return this.#init.queue;
  }
  /** This attempt, counted from 1. Attempts that ended with their worker's death are counted too. */
  get attempt(): number {
    return this.#init.attempt;
  }
  /** Retries so far: 0 in the first attempt. A redelivery after a crash is not a retry. */
  get retries(): number {
    return this.#init.retries;
  }
  /**
   * How many retries `task.retry()` brings the task to by itself: what the call allows, else its first `@Retry`, else 3
   * as in Celery. Whether an error that is thrown is retried is up to the policy that is for it: see `willRetry`.
   */
  get maxRetries(): number {
    return this.#init.maxRetries();
  }
  /**
   * Whether the retries are spent, those of every `@Retry` and those that `task.retry()` may ask for: whatever ends this
   * attempt with an error ends the task. Only a `task.retry()` with a `maxRetries` of its own gets another attempt.
   */
  get isLastAttempt(): boolean {
    return this.#init.retriesSpent();
  }
  /** Headers that were published with the call. */
  get headers(): Readonly<Record<string, JsonValue>> {
    return this.#init.headers;
  }
  /**
   * The idempotency key that `@Idempotent` makes of the call, else the one that it was given: the same in all calls that are to have one
   * effect, also when an earlier one failed and released it. What a payment service wants to be given.
   */
  get idempotencyKey(): string | undefined {
    return this.#init.idempotencyKey();
  }
  get workflow(): WorkflowPosition {
    return this.#init.workflow;
  }
  /**
   * That the task's canvas was redriven: which generation this is and, for a body, callback or errback, which members were
   * run again since it ran last. Undefined in the first generation.
   */
  get redriven(): Redriven | undefined {
    return this.#init.redriven;
  }
  /**
   * Aborts when the attempt should end: soft time limit, revocation, lost lock, shutdown of the worker. The
   * reason says which. Pass it to whatever the task waits for.
   */
  get signal(): AbortSignal {
    return this.#init.signal();
  }
  get logger(): TaskLogger {
    return this.#init.logger();
  }

  /**
   * Stores progress that handles can read and watch. A superseded attempt cannot store any; while Redis is away it is
   * dropped with a warning.
   *
   * @throws UnserializableArgumentError when it is no JSON
   */
  progress(meta: unknown): Promise<void> {
    return this.#init.progress(meta);
  }

  /**
   * Why the attempt should end: `soft-time-limit`, `time-limit`, `revoked`, `shutdown` of the worker, `lost-lock` when
   * the task may be running elsewhere by now, `lock` when one that it took is lost; undefined as long as it should not.
   */
  get interruption(): InterruptionCause | undefined {
    const interruption = this.#init.interruption();
    return interruption && causeOf(interruption);
  }

  /**
   * Throws the reason of `signal` once the attempt should end. It looks at the clock as well: a loop that never yields
   * learns of its soft limit here, though its signal cannot abort meanwhile.
   *
   * @throws SoftTimeLimitExceededError when the soft limit has passed
   * @throws TaskRevokedError; LockLostError; a DOMException named `AbortError` when the worker stops or has lost the task
   */
  throwIfAborted(): void {
    const interruption = this.#init.interruption();
    if (interruption !== undefined) throw reasonOf(interruption);
  }

  /**
   * Waits, as long as the attempt should go on.
   *
   * @param duration milliseconds or a duration
   * @throws what `throwIfAborted()` throws, as soon as the attempt should end
   * @throws InvalidOptionsError when the duration cannot be read
   */
  async sleep(duration: Duration): Promise<void> {
    this.throwIfAborted();
    const { signal } = this;
    await pause(readMs('task.sleep', duration), signal);
    if (signal.aborted) throw signal.reason;
  }

  /**
   * Gives this attempt more time: moves its soft and its hard limit on. A soft limit that has passed stays so, and so
   * does an attempt that is over; without limits there is nothing to move.
   *
   * @param by milliseconds or a duration
   * @throws InvalidOptionsError when the duration cannot be read
   */
  extendTimeLimit(by: Duration): void {
    this.#init.extendTimeLimit(readMs('task.extendTimeLimit', by));
  }

  /**
   * Ends this attempt and asks for another one. Never returns: `return task.retry()` and `throw task.retry()` say the
   * same. Without `countdown` and `eta` it waits as the policy for its error says (without an error: the first one),
   * and without a policy 1 s, 2 s, 4 s … up to 10 min.
   *
   * @throws RetryTask, which code that catches everything has to let pass
   * @throws MaxRetriesExceededError when the task has had all of its retries; its cause is the error that was given. A
   *   handler that lets it through fails with that cause, else with this error (Celery B132)
   * @throws InvalidOptionsError for an option that cannot be read, among them arguments that are no JSON
   */
  retry(request: RetryRequest = {}): never {
    return this.#init.retry(request);
  }

  /**
   * Takes a lock: of all who ask for this name, in tasks or outside, one at a time gets it. It is renewed while the attempt
   * runs and given back at its end; after a crash it runs out, and a later attempt of this task takes it over at once.
   * Hand its `token` to what is protected: see `Lock`. It cannot be taken twice, not even by the same attempt.
   *
   * When it is lost, `task.signal` aborts with the LockLostError.
   *
   * @throws LockUnavailableError when somebody else held it for as long as was waited, which policies can retry
   * @throws LockLostError when the attempt has been superseded
   * @throws InvalidOptionsError; BrokerUnavailableError
   */
  lock(name: string, options?: LockOptions): Promise<Lock> {
    return this.#init.lock(name, options);
  }

  /**
   * Works under a lock, and gives it back whatever comes of the work. What the work returns counts, also when the lock was
   * lost meanwhile: `lock.signal` and the token are there to end it before.
   *
   * @throws what `lock()` throws, and what the work throws
   */
  async withLock<R>(name: string, work: (lock: Lock) => R | Promise<R>, options?: LockOptions): Promise<R> {
    return workUnder(await this.lock(name, options), work);
  }

  /**
   * Whether this attempt would be followed by another one if it threw this: an error as the policies see it, or a
   * `RetryTask`. For work that belongs to the final failure alone.
   */
  willRetry(thrown: unknown): boolean {
    return this.#init.willRetry(thrown);
  }

  /**
   * Ends this attempt and puts a canvas in the task's place: the task comes to what the canvas comes to, under its own
   * id, with its own callbacks and its own place in the canvas around it. The task's headers go along.
   *
   * The canvas is published once, also when the worker dies in the middle. Never returns.
   *
   * @throws ReplaceTask
   * @throws InvalidCanvasError, UnserializableArgumentError when the canvas cannot be published
   */
  replace(canvas: CompleteCanvas): never {
    throw new ReplaceTask(this.#init.replacement(canvas));
  }

  /**
   * Adds a member to the group, or to the header of the chord, that this task is a member of: the nearest one around it.
   * The new member may start at once; whatever waits for the group waits for it as well, and its value, or its failure,
   * stands behind those of all members before it. The task's headers go along.
   *
   * The n-th call of a task adds one member, however often the task is run: an attempt that comes to the same call again
   * gets the member that is there. While Redis is away, the call waits.
   *
   * @returns the id of the member
   * @throws CannotAddMemberError when the task is in no group, or its attempt is over
   * @throws TaskRevokedError when the group was revoked
   * @throws InvalidCanvasError, UnserializableArgumentError, ArgumentTooLargeError, CanvasTooLargeError
   */
  async addToGroup(canvas: CompleteCanvas): Promise<string> {
    return this.#init.addMember(canvas);
  }
}

/** The context of the task that runs here, by AsyncLocalStorage. @throws OutsideTaskError where none runs */
export function currentTask(): TaskContext {
  const context = taskStorage.getStore();
  if (context === undefined) {
    throw new OutsideTaskError('currentTask() was called where no task is running.');
  }
  return context;
}

/** Whether a task is running here. @internal */
export function insideTask(): boolean {
  return taskStorage.getStore() !== undefined;
}

/** Carries the context below a handler. Never holds state of its own, so two apps can share it. @internal */
export const taskStorage = new AsyncLocalStorage<TaskContext>();

function readMs(path: string, duration: Duration): number {
  try {
    return toMilliseconds(duration);
  } catch {
    throw new InvalidOptionsError(path, "milliseconds or a duration such as '30s'", duration);
  }
}
