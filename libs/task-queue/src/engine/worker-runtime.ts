import { hostname } from 'node:os';
import type { OnTrouble } from '../backend/backend.js';
import type { ControlMessage, LimitOfOne } from '../backend/control.js';
import type { HandlerHost, HostState } from '../backend/handler-host.js';
import type { Delivery, Processor } from '../backend/delivery.js';
import type { WorkerDescription } from '../backend/inspection.js';
import type { FetchLoop, Workers } from '../backend/workers.js';
import { Admission } from '../execution/admission.js';
import { fieldsOf } from '../execution/discretion.js';
import { TaskAnnouncer } from '../execution/task-announcer.js';
import { notingOutcomes } from '../execution/outcome-clock.js';
import { Replacement } from '../execution/replacement.js';
import { RecentRevocations } from '../execution/recent-revocations.js';
import { ChangedLimits } from '../execution/changed-limits.js';
import { RetrySpending } from '../execution/retry-spending.js';
import { RunningAttempts } from '../execution/running-attempts.js';
import { Breaking } from '../execution/breaking.js';
import { BlockWatch } from '../execution/block-watch.js';
import { StuckHandlers } from '../execution/stuck-handlers.js';
import { TaskProcessor } from '../execution/task-processor.js';
import { CANVAS_QUEUE, lineOf } from '../flow/ids.js';
import { DEFAULT_QUEUE, optionsOfQueue } from '../options/resolve-options.js';
import { TaskRevokedError } from '../errors/task.errors.js';
import { PROCESS_NAME } from '../primitives/process-name.js';
import { generationIn } from '../task/redriven.js';
import { Attendants } from './attendants.js';
import { QueueSlots } from './queue-slots.js';
import { nodeProcessorOf } from './node-processor-of.js';
import type { WorkerParts } from './worker-parts.js';

/** Whether a worker has not begun, works, or takes nothing more. */
export type WorkerState = 'idle' | 'serving' | 'stopped';

/** A fetch loop that should have moved for so long is not announced as one that serves. */
const SILENT_MS = 15_000;
/** How long handlers get to end after their signal was aborted. */
const AFTER_ABORT_MS = 1_000;

/**
 * The worker half of an engine.
 *
 * ```
 * idle ──start, and not held──→ serving ──stop──→ draining ──all done or drain time over──→ aborting ──→ stopped
 * ```
 *
 * draining: nothing more is fetched, what runs goes on and may publish.
 * aborting: signals are aborted; an attempt that ends now is given back without having counted.
 */
export class WorkerRuntime {
  readonly running = new RunningAttempts();
  readonly #stuck: StuckHandlers;
  readonly #blocks: BlockWatch;
  readonly #revoked: RecentRevocations;
  readonly #limits: ChangedLimits;
  readonly #slots: QueueSlots;
  readonly #stopping = new AbortController();
  #pool: Workers | undefined;
  readonly #hosts = new Map<string, HandlerHost>();
  #attendants: Attendants | undefined;
  #state: WorkerState = 'idle';
  #ending: Promise<void> | undefined;
  #start: 'free' | 'held' | 'due' = 'free';
  readonly #onServing: (() => void)[] = [];

  constructor(
    private readonly engine: WorkerParts,
    private readonly onTrouble: OnTrouble,
  ) {
    const { options, hooks, clock, log } = engine;
    this.#stuck = new StuckHandlers(hooks, options.worker.stuckAfterMs, clock, log);
    this.#blocks = new BlockWatch(this.running, options.worker.blockedAfterMs, log);
    this.#revoked = new RecentRevocations(clock);
    const { softTimeLimitMs: softMs, timeLimitMs: hardMs } = options.defaults;
    const { limits: store } = engine.backend;
    const onRead = () => this.#slots.follow(this.#pool);
    this.#limits = new ChangedLimits({
      store,
      running: this.running,
      defaults: { softMs, hardMs },
      log,
      onRead,
    });
    this.#slots = new QueueSlots(this.#limits);
  }

  get state(): WorkerState {
    return this.#state;
  }

  get serving(): boolean {
    return this.#state === 'serving';
  }

  /** How each queue is fetched from, while it serves. */
  get loops(): readonly FetchLoop[] {
    return this.#pool?.loops ?? [];
  }

  /** How many handlers of this process do not end although they were told to. */
  get stuck(): number {
    return this.#stuck.size;
  }

  /** How the processes of each queue are doing that has some. */
  get pools(): ReadonlyMap<string, HostState> {
    return new Map([...this.#hosts].map(([queue, host]) => [queue, host.state]));
  }

  /** Whether it was told to stop; it does not start again. */
  get stopped(): boolean {
    return this.#state === 'stopped';
  }

  /** From now on a start waits for `release()`. A worker that has started goes on. */
  hold(): void {
    if (this.#start === 'free') this.#start = 'held';
  }

  /** Whoever held it is ready: it starts, if it was told to in the meantime, or else as soon as it is. */
  release(): void {
    const due = this.#start === 'due';
    this.#start = 'free';
    if (due) this.start();
  }

  /** Calls back once it serves, at once if it does. */
  whenServing(listener: () => void): void {
    if (this.serving) listener();
    else this.#onServing.push(listener);
  }

  /** Begins to serve the queues of all registered tasks, and the queue of composite nodes. */
  start(): void {
    if (this.#state !== 'idle') return;
    if (this.#start !== 'free') {
      this.#start = 'due';
      return;
    }
    this.#state = 'serving';
    const { engine } = this;
    const { options } = engine;
    this.#limits.start();
    const pool = engine.backend.workers(options.worker);
    this.#pool = pool;
    const tasks = this.#taskProcessor(undefined);
    const nodes = nodeProcessorOf(engine, tasks.failures);
    for (const queue of this.queues()) {
      const host = this.#host(queue);
      if (host === undefined) this.#serve(pool, queue, tasks, Infinity);
      else void this.#serveWarm(pool, queue, host);
    }
    pool.serve({
      queue: CANVAS_QUEUE,
      concurrency: options.worker.canvasConcurrency,
      process: this.#noting((delivery) => nodes.process(delivery)),
      onLost: () => undefined,
      onDefect: (delivery, error) => this.#defect(delivery, error),
    });
    this.#blocks.start();
    this.#attendants = new Attendants(engine, this.queues(), (id) => this.#describe(id));
    this.#attendants.start();
    this.engine.control.listen(
      (message) => this.#hear(message),
      (error) => this.onTrouble(error, 'subscription to control messages'),
    );
    for (const listener of this.#onServing.splice(0)) listener();
  }

  #serve(pool: Workers, queue: string, tasks: TaskProcessor, most: number): void {
    const declared = optionsOfQueue(this.engine.options, queue).concurrency;
    pool.serve({
      queue,
      concurrency: this.#slots.begin(queue, { declared, most }),
      process: this.#noting((delivery) => tasks.process(delivery)),
      onLost: (ids) => this.#lost(ids),
      onDefect: (delivery, error) => this.#defect(delivery, error),
    });
  }

  #noting(process: Processor): Processor {
    const { backend, clock, log } = this.engine;
    return notingOutcomes(process, {
      headers: backend.headers,
      clock,
      log,
      stopping: this.#stopping.signal,
    });
  }

  /** Nothing is fetched that nobody could run yet. */
  async #serveWarm(pool: Workers, queue: string, host: HandlerHost): Promise<void> {
    host.start();
    await host.ready();
    if (this.#state === 'serving') this.#serve(pool, queue, this.#taskProcessor(host), host.state.size);
  }

  /** What the tasks of a queue run in, when not in this process. */
  #host(queue: string): HandlerHost | undefined {
    const { hosts, options, registry, errors, values } = this.engine;
    const { pool } = optionsOfQueue(options, queue);
    if (hosts === undefined || pool === undefined) return undefined;
    const host = hosts({
      queue,
      connection: options.name,
      pool,
      currentTask: options.worker.currentTask,
      tasks: () => registry.all().flatMap((task) => (task.queue === queue ? [task.name] : [])),
      values,
      errorClass: (name) => registry.errorClass(name) ?? errors.classOf(name),
    });
    this.#hosts.set(queue, host);
    return host;
  }

  /** Stops in bounded time, also when Redis is away. Whoever says it again waits for the same end. */
  stop(): Promise<void> {
    return (this.#ending ??= this.#end());
  }

  async #end(): Promise<void> {
    this.#state = 'stopped';
    this.#pool?.stopFetching();
    for (const attempt of this.running.all()) if (attempt.waiting) attempt.interrupt({ by: 'shutdown' });
    await Promise.all([this.#pool && this.#drain(this.#pool), this.#attendants?.stop()]);
  }

  async #drain(pool: Workers): Promise<void> {
    if (!(await pool.idle(this.engine.options.worker.drainTimeoutMs))) await this.#abort(pool);
    this.#stopping.abort();
    this.#blocks.stop();
    this.#limits.stop();
    this.#stuck.close();
    await Promise.all([pool.letGo(), ...[...this.#hosts.values()].map((host) => host.close())]);
  }

  async #abort(pool: Workers): Promise<void> {
    this.#stopping.abort();
    for (const attempt of this.running.all()) attempt.interrupt({ by: 'shutdown' });
    if (await pool.idle(AFTER_ABORT_MS)) return;
    for (const attempt of this.running.all()) {
      this.engine.log.warn(
        `${attempt.delivery.name} ${attempt.delivery.id} did not end when it was told to; it is given back and ` +
          `will be run again while this handler may still be running`,
        fieldsOf(attempt.delivery),
      );
      attempt.abandon(new Error('the worker was stopped'));
    }
    await pool.idle(AFTER_ABORT_MS);
  }

  #taskProcessor(host: HandlerHost | undefined): TaskProcessor {
    const {
      registry,
      ledger,
      locks,
      keyedCalls,
      reader,
      publisher,
      revocation,
      options,
      clock,
      random,
      log,
      hooks,
      bus,
      discretion,
      values,
    } = this.engine;
    const stopping = this.#stopping.signal;
    const context = () => this.engine.compileContext();
    return new TaskProcessor({
      registry,
      ledger,
      locks,
      keyedCalls,
      reader,
      hooks,
      replacement: new Replacement({ ledger, publisher, revocation, context, clock, log, stopping }),
      members: this.engine.members,
      admission: new Admission({
        limiter: this.engine.backend.rateLimiter,
        breaking: new Breaking({
          store: this.engine.backend.breakers,
          tell: this.engine.tellBreaker,
          log,
          stopping,
        }),
        spending: new RetrySpending({ budgets: this.engine.backend.retryBudgets, random, log, stopping }),
        limitsNow: this.#limits,
        values,
        ledger,
        clock,
        log,
        stopping,
      }),
      running: this.running,
      stuck: this.#stuck,
      revoked: this.#revoked,
      trackCurrentTask: options.worker.currentTask,
      limitsNow: this.#limits,
      maxTimesLost: options.worker.maxTimesLost,
      letters: options.deadLetters,
      worker: PROCESS_NAME,
      resultExpiresMs: (queue) => this.engine.resultExpiresMs(queue),
      limits: options.limits,
      values,
      clock,
      random,
      log,
      tell: new TaskAnnouncer(bus, clock, discretion),
      discretion,
      stopping,
      host,
    });
  }

  #describe(id: string): WorkerDescription {
    const moving = this.loops.filter(({ state, overdueMs }) => state === 'running' && overdueMs < SILENT_MS);
    const queues = [...new Set(moving.map(({ queue }) => queue))];
    const tasks = this.engine.registry.all().map(({ name }) => name);
    return { id, host: hostname(), pid: process.pid, queues, tasks };
  }

  /**
   * Queues that tasks of this application name, and queues that its options declare, to which calls may be routed.
   * Not `default` as such: without a task there, another application's tasks would be failed as unknown.
   */
  queues(): string[] {
    const declared = [...this.engine.options.queues.keys()].filter((queue) => queue !== DEFAULT_QUEUE);
    return [...new Set([...this.engine.registry.all().map((task) => task.queue), ...declared])];
  }

  #defect(delivery: Delivery, error: unknown): void {
    this.engine.log.error(
      `${delivery.name} ${delivery.id}: a defect of nestjs-task-queue; the task is given back: ${String(error)}`,
      error instanceof Error ? error.stack : undefined,
      fieldsOf(delivery),
    );
  }

  #hear(message: ControlMessage): void {
    if ('revoke' in message) this.#revoke(message);
    else if ('limits' in message) void this.#limits.refresh();
    else if ('limit' in message) this.#limitOne(message);
    else if ('watch' in message) this.engine.bus.watch(message);
    else this.engine.bus.unwatch(message.unwatch);
  }

  /**
   * What runs here and is revoked. Without `terminate` it may finish; it will not be tried again. What it has released,
   * such as its errbacks, is no part of it; nor is what runs in a later generation than the one that was closed.
   */
  #revoke({ revoke, terminate, generation = Infinity }: Extract<ControlMessage, { revoke: string }>): void {
    this.#revoked.add(revoke);
    if (!terminate) return;
    for (const attempt of this.running.all()) {
      const { id, data } = attempt.delivery;
      if (!lineOf(id).includes(revoke) || (generationIn(data) ?? 0) > generation) continue;
      const error = new TaskRevokedError(`Task ${id} was revoked while it ran.`);
      attempt.interrupt({ by: 'revoked', error });
      attempt.abandon(error, 'some');
    }
  }

  /** What is not said stays as it is. */
  #limitOne({ limit, softMs, hardMs }: LimitOfOne): void {
    const attempt = this.running.get(limit);
    if (attempt === undefined) return;
    const now = attempt.limitsBy(this.#limits);
    attempt.changeTimeLimits({ softMs: softMs ?? now.softMs, hardMs: hardMs ?? now.hardMs });
  }

  #lost(ids: readonly string[]): void {
    for (const id of ids) {
      const attempt = this.running.get(id);
      this.engine.log.warn(
        `Task ${id} lost its lock: another worker may run it; this attempt is not heard any more`,
        attempt ? fieldsOf(attempt.delivery) : { taskId: id },
      );
      attempt?.interrupt({ by: 'lost-lock' });
      attempt?.abandon(new Error('the lock was lost'), 'some');
    }
  }
}
