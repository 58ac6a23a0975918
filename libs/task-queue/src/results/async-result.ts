import type { StoredValues } from '../codec/stored-values.js';
import { BrokerUnavailableError } from '../errors/publish.errors.js';
import { ResultTimeoutError, ResultUnknownError, WaitInsideTaskError } from '../errors/result.errors.js';
import { ChordError, GroupError } from '../errors/task.errors.js';
import type { TaskFailure } from '../failure/task-failure.js';
import { bodyName } from '../flow/envelope.js';
import { childId, parentOf } from '../flow/ids.js';
import type { TimerClock } from '../primitives/clock.js';
import { pause } from '../primitives/bounded.js';
import { type Duration, toMilliseconds } from '../primitives/duration.js';
import type { JsonValue } from '../primitives/json.js';
import { insideTask } from '../task/task-context.js';
import { isTerminal, type TaskState } from '../task/task-state.js';
import type { ErrorRegistry } from './error-registry.js';
import { failuresOf, valuesOf } from './member-lists.js';
import { isoTime, momentOf, type TaskDescription, type TaskMoment } from './task-description.js';
import type { TaskReader } from './task-reader.js';
import type { DispatchProgress, TaskSnapshot } from './task-snapshot.js';

/** How to wait for a result. */
export interface GetOptions {
  /** How long to wait; `Infinity` waits for ever, and should come with a signal. @defaultValue '5m' */
  readonly timeout?: Duration;
  /** `false` returns the error instead of throwing it. @defaultValue true */
  readonly propagate?: boolean;
  /** Stops waiting when it aborts. The task itself goes on. */
  readonly signal?: AbortSignal;
  /**
   * Of a group or chord: ends the wait at the first member that fails, instead of when all have ended. The error then
   * holds what is known by that time. The others go on. @defaultValue false
   */
  readonly failFast?: boolean;
  /** Waiting inside a task can bring a whole worker to a standstill, so it must be asked for. @defaultValue false */
  readonly allowInsideTask?: boolean;
}

/** What handles need from the module that made them. @internal */
export interface ResultSource {
  readonly reader: TaskReader;
  readonly errors: ErrorRegistry;
  readonly values: StoredValues;
  readonly clock: TimerClock;
  forget(id: string): Promise<void>;
  revoke(id: string, options: { readonly terminate?: boolean }): Promise<boolean>;
}

const DEFAULT_TIMEOUT: Duration = '5m';
/** A missed event costs at most this long. */
const RECHECK_MS = { first: 50, max: 2_000 } as const;
/** The end of a member wakes nobody who waits for its group. */
const FAIL_FAST_MS = 100;

/**
 * A handle on a task or canvas: its id, and everything that can be asked by it. It holds no state, so one made
 * from an id in another process is as good as the one that publishing returned.
 *
 * `R` is the value's type, `Unpropagated` that of `get({ propagate: false })`.
 */
export class AsyncResult<R = JsonValue, Unpropagated = R | Error> {
  /** Ties `R` to the handle for the type checker; holds nothing at run time. */
  declare readonly resultType?: R;
  protected readonly source: ResultSource;

  /** What becomes of the dispatch, where this process has it. */
  readonly #dispatching: Promise<number> | undefined;

  /** @internal */
  constructor(
    readonly id: string,
    source: ResultSource,
    dispatching?: Promise<number>,
  ) {
    this.source = source;
    this.#dispatching = dispatching;
    // A handle that is logged or returned shows its id, not the module behind it.
    Object.defineProperty(this, 'source', { enumerable: false });
  }

  async state(): Promise<TaskState> {
    return (await this.source.reader.look(this.id)).state;
  }

  /** Whether it has ended, in whatever way. */
  async ready(): Promise<boolean> {
    return isTerminal(await this.state());
  }

  async successful(): Promise<boolean> {
    return (await this.state()) === 'SUCCESS';
  }

  /** Whether it failed or was revoked. */
  async failed(): Promise<boolean> {
    const state = await this.state();
    return state === 'FAILURE' || state === 'REVOKED';
  }

  /** The value if it has succeeded; undefined while it has not. Never throws for a failed task. */
  async result(): Promise<R | undefined> {
    return this.valueOf(await this.read());
  }

  /** The error if it has failed; undefined while it has not. */
  async error(): Promise<Error | undefined> {
    const { failure } = await this.read();
    return failure && this.toError(failure);
  }

  /** The failure as plain data if it has failed. */
  async failure(): Promise<TaskFailure | undefined> {
    return this.source.values.readIfPossible((await this.read()).failure);
  }

  /** What the task stored last with `task.progress()`. */
  async progress(): Promise<JsonValue | undefined> {
    return this.source.values.readIfPossible((await this.read()).progress);
  }

  /**
   * Waits for the value.
   *
   * @throws the task's own error where its class is known, else a RemoteTaskError; GroupError and ChordError for
   *   composites
   * @throws ResultTimeoutError when it is not there in time; ResultUnknownError when no task has this id
   * @throws WaitInsideTaskError when a task is running here
   */
  get(options: GetOptions & { propagate: false }): Promise<Unpropagated>;
  get(options?: GetOptions): Promise<R>;
  async get(options: GetOptions = {}): Promise<R | Unpropagated> {
    const begin = this.source.clock.wallMs();
    const snapshot = await this.waitUntilTerminal(options);
    if (snapshot.state === 'SUCCESS') return this.valueOf(snapshot) as R;
    if (!isTerminal(snapshot.state)) return this.#failEarly(snapshot, options);
    const { failure } = snapshot;
    const deadline = begin + (timeoutOf(options) ?? Infinity);
    const error = failure
      ? await this.#patiently(() => this.toError(failure), deadline, options.signal)
      : new ResultUnknownError(this.id);
    if (options.propagate === false) return this.unpropagated(error);
    throw error;
  }

  /** Repeats a read while Redis is away: a caller who waits must not take that for what became of the task. */
  async #patiently<T>(read: () => Promise<T>, deadline: number, signal: AbortSignal | undefined): Promise<T> {
    for (let waitMs: number = RECHECK_MS.first; ; waitMs = Math.min(RECHECK_MS.max, waitMs * 2)) {
      try {
        return await read();
      } catch (error) {
        const isOver = this.source.reader.events.closed || this.source.clock.wallMs() + waitMs > deadline;
        if (!(error instanceof BrokerUnavailableError) || isOver) throw error;
      }
      await pause(waitMs, signal);
      signal?.throwIfAborted();
    }
  }

  /** A member has failed, the others have not ended: the error of what is known by now. */
  async #failEarly({ name, counts }: TaskSnapshot, options: GetOptions): Promise<Unpropagated> {
    const outcomes = await this.source.reader.endedOutcomes(this.id, counts?.failed ?? 0);
    const members = this.source.values.readIfPossible(outcomes);
    const type = name === 'chord' ? ChordError : GroupError;
    const error = new type(counts?.size ?? members.length, failuresOf(members), valuesOf(members));
    if (options.propagate === false) return error as Unpropagated;
    throw error;
  }

  /** What `get({ propagate: false })` gives for a failure. */
  protected unpropagated(error: Error): Unpropagated | Promise<Unpropagated> {
    return error as Unpropagated;
  }

  /**
   * How far the members have been published, of a group or chord that is dispatched while its header is read, or that
   * has more than 1,000 members; undefined of everything else, which is published in one piece.
   */
  async dispatch(): Promise<DispatchProgress | undefined> {
    return (await this.read()).dispatch;
  }

  /**
   * Waits until all members have been published, by whichever process, and says how many there are. They start before,
   * as they come. What is published in one piece has all of them from the beginning; of a header that its deadline or budget
   * closed before that, it says at its end how many there were.
   *
   * @throws DispatchIncompleteError when the source has thrown, when the producer was closed or died: publishing again
   *   with this handle's id as `taskId` goes on, as long as the canvas has not ended for it
   * @throws ResultTimeoutError when they are not there in time; ResultUnknownError when no canvas has this id
   */
  async sealed(options: Pick<GetOptions, 'timeout' | 'signal'> = {}): Promise<number> {
    const timeoutMs = timeoutOf(options);
    const timeout = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
    const signals = [timeout, options.signal].filter((one) => one !== undefined);
    const signal = AbortSignal.any(signals);
    if (this.#dispatching !== undefined) await unlessAborted(this.#dispatching, signal);
    for (let waitMs: number = RECHECK_MS.first; !signal.aborted; waitMs = Math.min(1_000, waitMs * 2)) {
      const { state, dispatch, counts, failure } = await this.read();
      if (state === 'UNKNOWN') throw new ResultUnknownError(this.id);
      if (dispatch === undefined || dispatch.state === 'sealed')
        return dispatch?.dispatched ?? counts?.size ?? 1;
      if (failure !== undefined) throw await this.toError(failure);
      if (isTerminal(state)) return dispatch.dispatched; // closed by its deadline or budget: no more will come
      await pause(waitMs, signal);
    }
    options.signal?.throwIfAborted();
    throw new ResultTimeoutError(this.id, timeoutMs ?? 0);
  }

  /** States and progress as they change, until the end. */
  async *watch(options: { signal?: AbortSignal } = {}): AsyncGenerator<TaskMoment, void, undefined> {
    let last = '';
    for await (const snapshot of this.follow(options.signal)) {
      const moment = momentOf(snapshot);
      const text = JSON.stringify(moment);
      if (text !== last) yield this.source.values.readIfPossible(moment);
      last = text;
    }
  }

  /** The handle of the composite that this one is a part of; undefined for a whole canvas. */
  get parent(): AsyncResult | undefined {
    const parent = parentOf(this.id);
    return parent === undefined ? undefined : new AsyncResult(parent, this.source);
  }

  /**
   * The handles of the parts of a composite: members, steps, or the members of the header followed by the body.
   * Their ids are known before anything has run; for a task without callbacks the list is empty.
   */
  async children(): Promise<AsyncResult[]> {
    const node = await this.source.reader.node(this.id);
    if (node === undefined) return [];
    const size = node.node === 'task' ? 1 : node.size;
    const names = [...Array(size).keys(), ...(node.node === 'chord' ? [bodyName(node)] : [])];
    return names.map((name) => new AsyncResult(childId(this.id, name), this.source));
  }

  /**
   * Revokes it, from any process: what waits never starts, later steps and bodies never run, and it ends as REVOKED,
   * with its errbacks. What runs may finish but is not tried again; with `terminate` its signal is aborted and its
   * attempt is over at once. A canvas that comes to its end in the same moment may win.
   *
   * @returns whether there was anything left to revoke
   * @throws ResultUnknownError when no task has this id
   */
  revoke(options: { readonly terminate?: boolean } = {}): Promise<boolean> {
    return this.source.revoke(this.id, options);
  }

  /**
   * Deletes everything that is stored about it, once it has ended. A part goes with its canvas, not by itself.
   */
  forget(): Promise<void> {
    return this.source.forget(this.id);
  }

  /** Everything about it as one plain object. Never throws for a failed task. */
  async describe(): Promise<TaskDescription> {
    const { failure, value, name, retries, history, ...snapshot } = await this.read();
    const { values } = this.source;
    return {
      id: this.id,
      ...values.readIfPossible(momentOf(snapshot)),
      ...(name === undefined ? {} : { name }),
      ...(value === undefined ? {} : { value: values.readIfPossible(value) }),
      ...(failure === undefined ? {} : { error: values.readIfPossible(failure) }),
      ...(retries === undefined ? {} : { retries }),
      ...(history === undefined ? {} : { history }),
      ...isoTime('publishedAt', snapshot.publishedAt),
      ...isoTime('startedAt', snapshot.startedAt),
      ...isoTime('finishedAt', snapshot.finishedAt),
    };
  }

  toJSON(): { id: string } {
    return { id: this.id };
  }

  /** @throws UndecodablePayloadError when a codec has written it that is not known here */
  protected valueOf({ value }: TaskSnapshot): R | undefined {
    return this.source.values.read(value) as R | undefined;
  }

  protected read(): Promise<TaskSnapshot> {
    return this.source.reader.read(this.id);
  }

  /** Every new look at the task, until it has ended or the signal aborts. */
  protected async *follow(
    signal?: AbortSignal,
    recheckMaxMs: number = RECHECK_MS.max,
  ): AsyncGenerator<TaskSnapshot, void, undefined> {
    const { reader } = this.source;
    let wake = (): void => undefined;
    let stop: (() => void) | undefined;
    let recheckMs: number = RECHECK_MS.first;
    try {
      while (!signal?.aborted) {
        let woken = false;
        const change = new AbortController();
        wake = () => {
          woken = true;
          change.abort();
        };
        const snapshot = await this.#readOrRetry();
        if (snapshot) {
          yield snapshot;
          if (isTerminal(snapshot.state) || snapshot.state === 'UNKNOWN') return;
          if (reader.events.closed) throw closedWhileWaiting(this.id);
          if (stop === undefined && snapshot.queue !== undefined) {
            stop = reader.events.listen(snapshot.queue, this.id, () => wake());
            continue; // read again: it may have ended before we listened
          }
        }
        if (!woken) await pause(recheckMs, signal ? AbortSignal.any([signal, change.signal]) : change.signal);
        recheckMs = Math.min(recheckMaxMs, recheckMs * 2);
      }
    } finally {
      stop?.();
    }
  }

  /** While somebody waits, a broker that is away for a moment is no answer. */
  async #readOrRetry(): Promise<TaskSnapshot | undefined> {
    try {
      return await this.read();
    } catch (error) {
      if (!(error instanceof BrokerUnavailableError)) throw error;
      if (this.source.reader.events.closed) throw closedWhileWaiting(this.id);
      return undefined;
    }
  }

  protected async waitUntilTerminal(options: GetOptions): Promise<TaskSnapshot> {
    if (insideTask() && options.allowInsideTask !== true) throw new WaitInsideTaskError(this.id);
    const timeoutMs = timeoutOf(options);
    const timeout = new AbortController();
    const callOff =
      timeoutMs === undefined ? undefined : this.source.clock.after(timeoutMs, () => timeout.abort());
    const signal = options.signal ? AbortSignal.any([options.signal, timeout.signal]) : timeout.signal;
    try {
      for await (const snapshot of this.follow(
        signal,
        options.failFast === true ? FAIL_FAST_MS : RECHECK_MS.max,
      )) {
        if (snapshot.state === 'UNKNOWN') throw new ResultUnknownError(this.id);
        if (isTerminal(snapshot.state)) return snapshot;
        if (options.failFast === true && (snapshot.counts?.failed ?? 0) > 0) return snapshot;
      }
    } finally {
      callOff?.();
    }
    options.signal?.throwIfAborted();
    throw new ResultTimeoutError(this.id, timeoutMs ?? 0);
  }

  /** The error of a failure, with every member's end where it is a composite's. */
  protected async toError(failure: TaskFailure): Promise<Error> {
    const type =
      failure.error.name === 'GroupError'
        ? GroupError
        : failure.error.name === 'ChordError'
          ? ChordError
          : undefined;
    const { values } = this.source;
    const told = values.readIfPossible(failure);
    const { message } = told.error;
    if (type === undefined) return this.source.errors.revive(told.error, told);
    const node = failure.request.id;
    const size = (failure.failureCount ?? 0) + (failure.values?.length ?? 0);
    const spec = await this.source.reader.node(node);
    if (spec === undefined || spec.node === 'task')
      return new type(size, told.failures ?? [], told.values ?? [], message);
    const members = values.readIfPossible(await this.source.reader.settledOutcomes(node, spec.size));
    return new type(spec.size, failuresOf(members), valuesOf(members), message);
  }
}

/** Milliseconds; undefined is no limit. */
function timeoutOf({ timeout }: GetOptions): number | undefined {
  return timeout === Infinity ? undefined : toMilliseconds(timeout ?? DEFAULT_TIMEOUT);
}

/** The promise's end, or nothing once the signal aborts. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => resolve();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function closedWhileWaiting(id: string): BrokerUnavailableError {
  return new BrokerUnavailableError(
    `The application was closed while somebody waited for ${id}. The task itself goes on.`,
    id,
  );
}
