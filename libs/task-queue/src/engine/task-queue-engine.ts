import type { Backend, Platform, Probe } from '../backend/backend.js';
import type { Control } from '../backend/control.js';
import type { HostFactory } from '../backend/handler-host.js';
import type { Ledger } from '../backend/ledger.js';
import type { Publisher } from '../backend/publisher.js';
import type { TaskEvents } from '../backend/task-events.js';
import type { CanvasData, ChordData, GroupData } from '../canvas/canvas-data.js';
import type { CanvasStream } from '../canvas/canvas-stream.js';
import type { Budget } from '../canvas/header-rules.js';
import { type ChordRecovery, type ChordRecoveryType } from '../chords/chord-recovery.js';
import { recoveryName } from '../chords/built-in-recoveries.js';
import { StoredValues } from '../codec/stored-values.js';
import { storedCanvas } from '../codec/write-arguments.js';
import { InvalidCanvasError } from '../errors/publish.errors.js';
import { Explainer } from '../doctor/explainer.js';
import { BreakerAnnouncer } from '../execution/breaker-announcer.js';
import { BulkRevocation } from '../execution/bulk-revocation.js';
import { Reconciler } from '../doctor/reconciler.js';
import { CanvasAnnouncer } from '../execution/canvas-announcer.js';
import { Discretion } from '../execution/discretion.js';
import type { EngineLog } from '../execution/engine-log.js';
import { EventBus } from '../execution/event-bus.js';
import { HookRunner } from '../execution/hook-runner.js';
import { MemberAddition } from '../execution/member-addition.js';
import { Revocation, type RevokeOptions } from '../execution/revocation.js';
import { compileCanvas, type CompileContext } from '../flow/compile-canvas.js';
import { MAX_TREE } from '../flow/flow-plan.js';
import { CANVAS_QUEUE, newCanvasId, rootOf } from '../flow/ids.js';
import { type KeyedCall, keyOfPublication, readingKey } from '../idempotency/key-of-call.js';
import { KeyedCalls } from '../idempotency/keyed-calls.js';
import { Locks } from '../locks/locks.js';
import { DEFAULT_QUEUE, type ResolvedTaskQueueOptions, withQueues } from '../options/resolve-options.js';
import type { QueueOptions } from '../options/task-queue-options.js';
import type { RandomSource, TimerClock } from '../primitives/clock.js';
import type { ResultSource } from '../results/async-result.js';
import { ErrorRegistry } from '../results/error-registry.js';
import { TaskReader } from '../results/task-reader.js';
import { isTerminal } from '../task/task-state.js';
import { TaskRegistry } from '../task/task-registry.js';
import { changeBudget } from './budget-change.js';
import { Dispatcher } from './dispatcher.js';
import { EventHub } from './event-hub.js';
import { TaskDirectory } from './task-directory.js';
import { WorkerRuntime } from './worker-runtime.js';

/**
 * Everything that one `forRoot` is made of, wired by hand: the library without Nest. Each registration has its own
 * engine; there is no state outside of it, so two apps in one process do not meet.
 */
export class TaskQueueEngine implements ResultSource {
  readonly registry: TaskRegistry;
  /** What is known of tasks, also of those that other registrations of the application have. */
  readonly directory: TaskDirectory;
  /** Recovery strategies of the application, by class name. Filled by discovery. */
  readonly strategies = new Map<string, ChordRecovery>();
  readonly errors: ErrorRegistry;
  /** How values of users are written and read. */
  readonly values: StoredValues;
  readonly clock: TimerClock;
  readonly random: RandomSource;
  /** Where everything is kept. The ports beside it are parts of it. */
  readonly backend: Backend;
  readonly hosts: HostFactory | undefined;
  readonly publisher: Publisher;
  readonly ledger: Ledger;
  readonly locks: Locks;
  readonly keyedCalls: KeyedCalls;
  readonly reader: TaskReader;
  readonly events: TaskEvents;
  readonly control: Control;
  readonly hooks: HookRunner;
  readonly revocation: Revocation;
  readonly bulkRevocation: BulkRevocation;
  readonly members: MemberAddition;
  readonly worker: WorkerRuntime;
  /** Where events of this process are made known. */
  readonly bus: EventBus;
  readonly discretion: Discretion;
  readonly tellCanvas: CanvasAnnouncer;
  readonly tellBreaker: BreakerAnnouncer;
  readonly hub: EventHub;
  /** Says why something has not ended. */
  readonly explainer: Explainer;
  /** Heals what was damaged from outside. */
  readonly reconciler: Reconciler;

  #options: ResolvedTaskQueueOptions;
  readonly #dispatcher: Dispatcher;
  readonly #probe: Probe | undefined;

  constructor(
    options: ResolvedTaskQueueOptions,
    readonly log: EngineLog,
    { backend, random, probe, hosts }: Platform,
  ) {
    this.#options = options;
    this.registry = new TaskRegistry(probe);
    for (const handler of options.deadLetters.sendTo) this.registry.addLetterHandler(handler);
    this.directory = new TaskDirectory(options.name, this.registry);
    this.errors = new ErrorRegistry(options.errors);
    this.values = new StoredValues(options.codec);
    const onTrouble = throttled(log);
    this.#probe = probe;
    this.hosts = hosts;
    this.random = random;
    this.backend = backend(options, onTrouble);
    const { clock } = this.backend;
    this.clock = clock;
    this.publisher = this.backend.publisher;
    this.ledger = this.backend.ledger;
    this.locks = new Locks(this.backend.locks, clock, random, (line) => log.warn(line));
    this.events = this.backend.events;
    this.control = this.backend.control;
    this.reader = new TaskReader(this.backend.jobs, this.ledger, this.backend.headers, this.events);
    this.keyedCalls = new KeyedCalls(this.backend.idempotencyKeys, this.reader, clock);
    this.hooks = new HookRunner(
      this.publisher,
      this.reader,
      this.registry,
      this.backend.failures,
      () => this.compileContext(),
      this.values,
      log,
    );
    this.discretion = new Discretion(options.redact, options.logging.args, this.values);
    this.bus = new EventBus(this.registry, this.backend.broadcast, this.values, log);
    this.tellCanvas = new CanvasAnnouncer(this.bus, clock, (task) => this.compileContext().queueOf(task));
    this.tellBreaker = new BreakerAnnouncer(this.bus, clock, log);
    this.hub = new EventHub(this.backend, this.bus, this.values, random);
    this.revocation = new Revocation(
      this.ledger,
      this.reader,
      this.backend.jobs,
      this.backend.headers,
      this.publisher,
      this.control,
      this.hooks,
      this.registry,
      (queue) => this.resultExpiresMs(queue),
      clock,
      this.tellCanvas,
    );
    this.explainer = new Explainer({
      reader: this.reader,
      ledger: this.ledger,
      examination: this.backend.examination,
      inspection: this.backend.inspection,
      clock,
      timeoutMs: options.publishTimeoutMs,
      maxRetriesOf: (task, policy) => this.registry.get(task)?.policies[Number(policy)]?.maxRetries,
    });
    this.bulkRevocation = new BulkRevocation(this.revocation, this.backend.jobs, this.reader);
    this.reconciler = new Reconciler({
      reader: this.reader,
      ledger: this.ledger,
      examination: this.backend.examination,
      repairs: this.backend.repairs,
      headers: this.backend.headers,
      bus: this.bus,
      clock,
      log,
    });
    this.members = new MemberAddition({
      ledger: this.ledger,
      publisher: this.publisher,
      revocation: this.revocation,
      context: () => this.compileContext(),
      limits: options.limits,
      values: this.values,
      clock,
      log,
    });
    this.#dispatcher = new Dispatcher({
      publisher: this.publisher,
      context: () => this.compileContext(),
      isRevoked: (id) => this.ledger.isRevoked(id),
      takeBack: (id) => this.#takeBack(id),
      judge: (id) => this.backend.headers.wake(id),
      values: this.values,
      log,
      tell: this.tellCanvas,
    });
    this.worker = new WorkerRuntime(this, onTrouble);
  }

  get options(): ResolvedTaskQueueOptions {
    return this.#options;
  }

  /** Adds queues of a feature module, before the workers start. @throws InvalidOptionsError */
  addQueues(queues: Readonly<Record<string, QueueOptions>>): void {
    this.#options = withQueues(this.#options, queues);
  }

  /**
   * Publishes a canvas.
   *
   * @returns its id
   * @throws InvalidCanvasError, UnserializableArgumentError, ArgumentTooLargeError, CanvasTooLargeError before anything
   *   is sent
   * @throws BrokerUnavailableError within the publish timeout
   */
  async publish(canvas: CanvasData): Promise<string> {
    const stored = storedCanvas(canvas, this.#options.limits, this.values);
    this.directory.refuseForeign(stored);
    const keyed = keyOfPublication(stored, (task) =>
      readingKey(this.directory.labelOf(task)?.idempotent, this.values),
    );
    if (keyed !== undefined) return this.#publishKeyed(stored, keyed);
    const chosen = canvas.options?.taskId;
    const id = chosen ?? newCanvasId(this.options.shards, this.random);
    await this.#publishAs(id, stored, chosen !== undefined);
    return id;
  }

  /** @param mayExist Nobody else can have a fresh id; one that a caller chose may have been published before. */
  async #publishAs(id: string, canvas: CanvasData, mayExist: boolean): Promise<void> {
    const members = membersOf(canvas);
    if (members.length > MAX_TREE) {
      this.#probe?.published(id, canvas);
      const read = (member: unknown): CanvasData => member as CanvasData;
      const order = { id, canvas: canvas as GroupData | ChordData, members, total: members.length, read };
      await (
        await this.#dispatcher.begin({ ...order, window: Infinity, patienceMs: 0 })
      ).sealed;
      return;
    }
    const plan = compileCanvas(canvas, id, this.compileContext());
    this.#probe?.published(id, canvas);
    const publication = await (mayExist ? this.publisher.publishOnce(plan) : this.publisher.publish(plan));
    if (publication === 'published') this.tellCanvas.published(id, plan.job.name, plan.job.queue);
    // A revocation has not seen what was added after it.
    if (plan.size > MAX_TREE && (await this.ledger.isRevoked(id))) await this.#takeBack(id);
  }

  /**
   * Publishes a group or chord whose members are read while they are published.
   *
   * @returns its id as soon as it is there, and what becomes of its dispatch
   * @throws InvalidCanvasError, UnserializableArgumentError before anything is sent
   * @throws BrokerUnavailableError within the publish timeout
   */
  async publishStream(
    stream: CanvasStream,
  ): Promise<{ readonly id: string; readonly sealed: Promise<number> }> {
    const { source, window } = stream;
    const canvas = storedCanvas(stream.canvas, this.#options.limits, this.values) as typeof stream.canvas;
    if (canvas.options?.once !== undefined)
      throw new InvalidCanvasError('options.idempotencyKey', KEY_OF_A_STREAM);
    this.directory.refuseForeign(canvas);
    const id = canvas.options?.taskId ?? newCanvasId(this.options.shards, this.random);
    this.#probe?.published(id, canvas);
    const read = (item: unknown, index: number): CanvasData => {
      const whole: GroupData = { kind: 'group', members: [stream.read(item, index)] };
      const stored = storedCanvas(whole, this.#options.limits, this.values) as GroupData;
      this.directory.refuseForeign(stored);
      this.#probe?.published(id, stored);
      return stored.members[0] as CanvasData;
    };
    const patienceMs = STREAM_PATIENCE_MS;
    const running = await this.#dispatcher.begin({ id, canvas, members: source(), read, window, patienceMs });
    if (running.eager) await running.sealed.catch(() => undefined);
    return { id, sealed: running.sealed };
  }

  /** Revokes what is below a canvas that has been revoked before it was there. */
  #takeBack(id: string): Promise<void> {
    return this.revocation.revokeBelow(id, { terminate: false });
  }

  /** Publishes a canvas that has an idempotency key, unless another one has it. */
  #publishKeyed(canvas: CanvasData, call: KeyedCall): Promise<string> {
    const { queueOf, nowMs } = this.compileContext();
    const { countdownMs = 0, eta = nowMs, queue } = canvas.options ?? {};
    const expiresMs =
      canvas.kind === 'task'
        ? this.resultExpiresMs(queue ?? canvas.taskQueue ?? queueOf(canvas.task))
        : this.options.defaults.resultExpiresMs;
    const delayMs = Math.max(countdownMs, eta - nowMs, 0);
    const freshId = (): string => newCanvasId(this.options.shards, this.random);
    const lifeMs = delayMs + (call.rules.ttlMs ?? expiresMs);
    return this.keyedCalls.publish(call, lifeMs, freshId, (id) => this.#publishAs(id, canvas, true));
  }

  /** Deletes what is stored about a task or canvas that has ended; one that still runs goes when it ends. */
  async forget(id: string): Promise<void> {
    if (rootOf(id) !== id) return; // a part goes with its canvas
    const snapshot = await this.reader.read(id);
    if (snapshot.state === 'UNKNOWN' || snapshot.queue === undefined) return;
    if (!isTerminal(snapshot.state)) return;
    if (snapshot.queue === CANVAS_QUEUE) await this.backend.jobs.removeCanvas(id);
    else await this.backend.jobs.removeTask({ queue: snapshot.queue, id });
  }

  /** Every queue that this application knows: of tasks, of its options, and the one that nodes lie in. */
  queueNames(): Set<string> {
    return new Set([...this.options.queues.keys(), ...this.directory.queues(), CANVAS_QUEUE]);
  }

  /** @returns whether there was anything left to revoke */
  revoke(id: string, options: RevokeOptions): Promise<boolean> {
    return this.revocation.revoke(id, options);
  }

  /**
   * Changes the budget of a chord that runs, and has it judged by it at once.
   *
   * @returns false when its header is over
   * @throws InvalidCanvasError, ResultUnknownError, NotBegunError, NoBudgetError
   */
  async setBudget(id: string, budget: Budget): Promise<boolean> {
    const { reader, ledger, backend } = this;
    return changeBudget(id, budget, { reader, ledger, headers: backend.headers });
  }

  compileContext(): CompileContext {
    return {
      queueOf: (task) => this.directory.labelOf(task)?.queue ?? DEFAULT_QUEUE,
      priorityOf: (task) => this.directory.labelOf(task)?.options.priority,
      recovery: recoveryName(this.options.chord.recovery as ChordRecoveryType),
      nowMs: this.clock.wallMs(),
    };
  }

  resultExpiresMs(queue: string): number {
    return this.options.queues.get(queue)?.resultExpiresMs ?? this.options.defaults.resultExpiresMs;
  }

  /**
   * Ends everything, in order: workers give back what they cannot finish, dispatches stop to be resumed, then waiters,
   * then connections.
   */
  async close(): Promise<void> {
    await this.worker.stop();
    await this.#dispatcher.stop();
    await this.locks.close();
    await this.bus.close();
    this.hub.close();
    await this.backend.close();
  }
}

/** The members of a canvas that is a group or chord. */
function membersOf(canvas: CanvasData): readonly CanvasData[] {
  switch (canvas.kind) {
    case 'group':
      return canvas.members;
    case 'chord':
      return canvas.header;
    case 'task':
    case 'chain':
      return [];
  }
}

/** How long the dispatch of a source waits for a store that is away: half of its lease. */
const STREAM_PATIENCE_MS = 30_000;

const KEY_OF_A_STREAM =
  'calls with one key are compared, and members that are yet to be read cannot be; give the canvas a taskId';

const SAME_ERROR_EVERY_MS = 10_000;

/** Says the same trouble at most once in ten seconds: a Redis that is away would fill the log otherwise. */
function throttled(log: EngineLog): (error: Error, where: string) => void {
  const last = new Map<string, number>();
  return (error, where) => {
    const key = `${where}: ${error.message}`;
    const now = Date.now();
    if (now - (last.get(key) ?? 0) < SAME_ERROR_EVERY_MS) return;
    if (last.size > 200) last.clear();
    last.set(key, now);
    log.warn(`Redis, ${key}`);
  };
}
