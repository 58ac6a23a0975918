import { Inject, Injectable } from '@nestjs/common';
import type { BullQueue } from '../broker/producers.js';
import { RedisBackend } from '../broker/redis-backend.js';
import type { CanvasData, GroupData } from '../canvas/canvas-data.js';
import { type CanvasStream, isStream, type MemberStream } from '../canvas/canvas-stream.js';
import type { Budget } from '../canvas/header-rules.js';
import { makeSignature } from '../canvas/signature.js';
import type { ErrbackOnly } from '../chords/built-in-recoveries.js';
import { type ExplainOptions, readExtent } from '../doctor/explain-options.js';
import type { Explanation } from '../doctor/explanation.js';
import { Breakers } from '../engine/breakers.js';
import { type ReconcileOptions, type ReconcileReport, readScope } from '../doctor/reconcile-report.js';
import { TaskLimits } from '../engine/task-limits.js';
import { DeadLetters } from '../engine/dead-letters.js';
import { Redrive, type RedriveOptions } from '../engine/redrive.js';
import type { RedriveOutcome } from '../engine/redrive-outcome.js';
import type { TaskDirectory } from '../engine/task-directory.js';
import { type EventsOptions, type EventStream, readEventsOptions } from '../engine/event-stream.js';
import { readRevokeFilter, type RevokeFilter } from '../engine/revoke-filter.js';
import { TaskQueueEngine } from '../engine/task-queue-engine.js';
import type { RevokedCounts } from '../execution/bulk-revocation.js';
import type { RevokeOptions } from '../execution/revocation.js';
import { InvalidOptionsError, InvalidTaskError } from '../errors/configuration.errors.js';
import { didYouMean } from '../options/did-you-mean.js';
import { DEFAULT_CONNECTION } from '../options/resolve-options.js';
import type { Clock } from '../primitives/clock.js';
import type { JsonValue } from '../primitives/json.js';
import { AsyncResult } from '../results/async-result.js';
import { GroupResult } from '../results/group-result.js';
import { type Lock, type LockOptions, workUnder } from '../task/lock.js';
import type { TaskEventOf, TaskEventType } from '../task/task-event.js';
import type { AnyCanvas, Follower, MissingOfAll, ResultOf } from '../workflows/canvas-types.js';
import { type ChainOf, type ChainSteps, createChain } from '../workflows/chain.js';
import {
  type BodyInput,
  type ChordOf,
  type ChordOptions,
  createChord,
  type Header,
  type HeaderValues,
  type RecoveryChoice,
} from '../workflows/chord.js';
import { fromData, type UntypedCanvas } from '../workflows/from-data.js';
import { createGroup, type GroupOf, type GroupOptions, type Members } from '../workflows/group.js';
import { CanvasPublisher } from '../workflows/port.js';
import {
  createStreamedChord,
  createStreamedGroup,
  type StreamedChord,
  type StreamedChordOptions,
  type StreamedGroup,
  type StreamedGroupOptions,
} from '../workflows/streamed.js';
import { createSignature, type Signature } from '../workflows/signature.js';
import { createTaskMakers } from '../workflows/task-makers.js';
import type { TasksOf } from '../workflows/task-types.js';
import { type TaskClass, type TaskMetadata, taskMetadataOf } from './decorators/metadata.js';

/**
 * What applications inject: makes signatures and canvases, publishes them, and gives handles on what became
 * of them.
 *
 * ```ts
 * const tasks = workflows.tasks(ContractTasks);
 * const report = workflows.chord(
 *   contracts.map((contract) => tasks.processContract.s(contract)),
 *   tasks.buildReport.s(),
 *   { recovery: CallbackWithSuccesses },
 * );
 * const { id } = await report.applyAsync();
 * ```
 */
@Injectable()
export class WorkflowService {
  /** The final failures that no task declares expected: to be looked at, run again, or thrown away. */
  readonly deadLetters: DeadLetters;
  /** What keeps tasks from resources that do not work: how it stands, and to be opened and closed by hand. */
  readonly breakers: Breakers;
  /** Time limits and rate limits, to be changed while workers run. */
  readonly limits: TaskLimits;
  readonly #publisher: EnginePublisher;
  readonly #makers = new WeakMap<TaskClass, unknown>();

  constructor(@Inject(TaskQueueEngine) private readonly engine: TaskQueueEngine) {
    this.#publisher = new EnginePublisher(engine);
    this.deadLetters = new DeadLetters(engine);
    this.breakers = new Breakers(engine);
    this.limits = new TaskLimits(engine);
  }

  /**
   * The tasks of a class by method name. The class need not be a provider here: a producer that only imports it
   * can call its tasks, which a worker somewhere else serves.
   *
   * @throws InvalidTaskError when all of them belong to another registration
   */
  tasks<T extends object>(type: abstract new (...args: never[]) => T): TasksOf<T> {
    let makers = this.#makers.get(type);
    if (makers === undefined) {
      const { own, elsewhere } = this.#byHome(type);
      this.engine.directory.learn(own.values());
      makers = createTaskMakers<T>(own, this.#publisher, type.name, elsewhere);
      this.#makers.set(type, makers);
    }
    return makers as TasksOf<T>;
  }

  /** The tasks of a class that belong to this registration, and why the others do not. */
  #byHome(type: TaskClass): { own: Map<string, TaskMetadata>; elsewhere: Map<string, string> } {
    const { directory } = this.engine;
    const own = new Map<string, TaskMetadata>();
    const elsewhere = new Map<string, string>();
    for (const [method, task] of taskMetadataOf(type)) {
      const home = directory.homeOf(task);
      if (home === directory.name) own.set(method, task);
      else elsewhere.set(method, wrongService(`${type.name}.${method}`, home, directory));
    }
    const [first] = elsewhere.values();
    if (own.size === 0 && first !== undefined) throw new InvalidTaskError(first);
    return { own, elsewhere };
  }

  /** A call of a task that this application does not know by class: one of another service. */
  signature<R = JsonValue, Missing extends unknown[] = unknown[]>(
    task: string,
    args: readonly unknown[] = [],
    options: { readonly queue?: string; readonly immutable?: boolean } = {},
  ): Signature<Missing, R> {
    const { queue, immutable = false } = options;
    const data = makeSignature(task, args, {
      immutable,
      ...(queue === undefined ? {} : { taskQueue: queue }),
    });
    return createSignature<R, Missing>(this.#publisher, data);
  }

  /** Steps one after the other; each gets the value of the one before in front of its arguments. */
  chain<Steps extends readonly AnyCanvas[]>(...steps: ChainSteps<Steps>): ChainOf<Steps> {
    return createChain<Steps>(this.#publisher, steps);
  }

  /**
   * Members side by side, read from a source while they are published: an AsyncIterable, or a function that begins one.
   * The value is the list of theirs, in the order of the source.
   */
  group<C extends AnyCanvas>(
    members: MemberStream<C>,
    options?: StreamedGroupOptions,
  ): StreamedGroup<MissingOfAll<C>, ResultOf<C>>;
  /** Members side by side; the value is the list of theirs, in definition order. */
  group<const M extends Members>(members: M, options?: GroupOptions): GroupOf<M>;
  group(members: Members | MemberStream<AnyCanvas>, options?: StreamedGroupOptions): unknown {
    return isStream(members)
      ? createStreamedGroup(this.#publisher, members as MemberStream<AnyCanvas>, options)
      : createGroup(this.#publisher, members, options);
  }

  /**
   * Members side by side, read from a source while they are published, then a body that gets the list of their values.
   * The source is an AsyncIterable, or a function that begins one.
   */
  chord<
    C extends AnyCanvas,
    Body extends Follower<BodyInput<ResultOf<C>[], Recovery>>,
    Recovery extends RecoveryChoice = typeof ErrbackOnly,
  >(
    header: MemberStream<C>,
    body: Body,
    options?: StreamedChordOptions<Recovery, ResultOf<C>>,
  ): StreamedChord<MissingOfAll<C>, ResultOf<Body>>;
  /**
   * Members side by side, then a body that gets the list of their values. What follows when members fail is
   * decided by `recovery`.
   */
  chord<
    const H extends Header,
    Body extends Follower<BodyInput<HeaderValues<H>, Recovery>>,
    Recovery extends RecoveryChoice = typeof ErrbackOnly,
  >(header: H, body: Body, options?: ChordOptions<Recovery, HeaderValues<H>[number]>): ChordOf<H, Body>;
  chord(header: Header | MemberStream<AnyCanvas>, body: AnyCanvas, options: object = {}): unknown {
    return isStream(header)
      ? createStreamedChord(this.#publisher, header as MemberStream<AnyCanvas>, body as never, options)
      : createChord(this.#publisher, header, body as never, options);
  }

  /** A canvas from its plain data, e.g. out of an outbox table. */
  fromData<R = JsonValue>(data: CanvasData): UntypedCanvas<R> {
    return fromData<R>(this.#publisher, data);
  }

  /**
   * Takes a lock outside of tasks; inside of one `task.lock()` does more. It is renewed until it is given back, and given
   * back when the application closes.
   *
   * @throws LockUnavailableError when somebody else held it for as long as was waited
   * @throws InvalidOptionsError; BrokerUnavailableError
   */
  lock(name: string, options?: LockOptions): Promise<Lock> {
    return this.engine.locks.take(name, options);
  }

  /** Works under a lock, and gives it back whatever comes of the work. @throws what `lock()` and the work throw */
  async withLock<R>(name: string, work: (lock: Lock) => R | Promise<R>, options?: LockOptions): Promise<R> {
    return workUnder(await this.lock(name, options), work);
  }

  /**
   * BullMQ's own `Queue` objects, for dashboards and metrics: of every queue that this application knows by its tasks and
   * options, and of `_canvas`, where groups, chains and chords lie; one for each shard. They use the application's
   * connections and close with it. Ask again instead of keeping them: one that lost Redis while it opened is replaced.
   *
   * They are to be looked at. What is removed through them counts as failed.
   *
   * @throws BrokerUnavailableError when Redis does not answer within the publish timeout
   */
  async queues(): Promise<readonly BullQueue[]> {
    const { backend } = this.engine;
    return backend instanceof RedisBackend ? backend.queues(this.engine.queueNames()) : [];
  }

  /**
   * What happens to tasks from now on, in every process of this prefix: for dashboards and logs. At most once: what is
   * made while nobody watches, or while Redis is away, is not seen; what must not be missed is read from handles, or
   * done by hooks and callbacks. Workers send only while somebody watches, and only the types that are asked for; one
   * that has just started begins within 5 s. The stream ends with the application.
   *
   * ```ts
   * for await (const event of await workflows.events({ types: ['failure', 'retry'] })) console.log(event.name);
   * ```
   *
   * @throws InvalidOptionsError for an option that cannot be read
   * @throws BrokerUnavailableError when Redis does not answer within the publish timeout
   */
  async events<Type extends TaskEventType = TaskEventType>(
    options?: EventsOptions<Type>,
  ): Promise<EventStream<TaskEventOf<Type>>> {
    return (await this.engine.hub.open(readEventsOptions(options))) as EventStream<TaskEventOf<Type>>;
  }

  /**
   * Why a task or canvas has not ended: what waits, for what, and what would help; in words (`text`, `toString()`) and as
   * data (`obstacles`). Of what has ended it says how. Works in every application of the prefix, also in one without
   * workers; what it reads is bounded by `limit`, however wide the canvas and however long the queues are.
   *
   * @throws InvalidOptionsError for an option that cannot be read
   * @throws BrokerUnavailableError when Redis does not answer within the publish timeout
   */
  async explain(id: string, options?: ExplainOptions): Promise<Explanation> {
    return this.engine.explainer.explain(readId(id), readExtent(options));
  }

  /**
   * Changes the budget of a chord, or of a fail-fast group, that runs: in place of the one it was published with. It is
   * judged by it at once; one that is parked goes on.
   *
   * ```ts
   * await workflows.setBudget(id, { count: 50, onBreach: 'callback' });
   * ```
   *
   * @returns false when its header is over: then nothing has changed
   * @throws InvalidCanvasError when the budget cannot be read, or asks for more successes than there are members;
   * NoBudgetError when the canvas was published without one, NotBegunError when the turn of this part of it has not come
   * @throws ResultUnknownError when no canvas has this id; BrokerUnavailableError
   */
  async setBudget(id: string, budget: Budget): Promise<boolean> {
    return this.engine.setBudget(readId(id), budget);
  }

  /**
   * Redrives a canvas that has ended: begins its next generation, in which what failed is run again, everywhere in its tree,
   * and what has a value keeps it. A chain goes on at its failed step; a group or chord waits for the members that failed;
   * a chord then runs its body, once, over all of them. `task.redriven` tells a body, callback or errback the generation and
   * which members were run again. Also for a chord whose body ran although members failed.
   *
   * Two who call at the same time begin one generation.
   *
   * @param id of a whole canvas
   * @throws RedriveRefusedError, whose `reason` says why: it runs, nothing in it failed, it was revoked …
   * @throws ResultUnknownError when there is no canvas of this id, or it has expired
   * @throws InvalidOptionsError; BrokerUnavailableError within the publish timeout: it may have begun, and `after` makes
   *   it safe to ask again
   */
  async redrive<R = JsonValue>(id: string, options?: RedriveOptions): Promise<RedriveOutcome<R>> {
    return new Redrive(this.engine).begin<R>(readId(id), options);
  }

  /**
   * Revokes all tasks of a name, a queue or a stamp that have not ended, from any process: those that wait, are delayed or
   * wait for their retry at once, those that run as `handle.revoke()` does. It goes through the queues page by page and
   * looks again until it finds nothing new; to call it again is harmless. What is published after it has begun may be met
   * or not; what is published after it has ended is not.
   *
   * @returns how many of what it met
   * @throws InvalidOptionsError for a filter that cannot be read, or an empty one
   * @throws BrokerUnavailableError; what was revoked by then is
   */
  revoke(filter: RevokeFilter, options?: RevokeOptions): Promise<RevokedCounts> {
    return this.engine.bulkRevocation.revoke(readRevokeFilter(filter), options);
  }

  /**
   * Heals damage from outside (evicted or deleted keys, jobs that something else has moved): of a canvas and what is below
   * it, or of everything that has been waiting for long. Workers do the same by themselves, a part every
   * `worker.reconcileInterval`. Doing it twice changes nothing more, and nothing that is released is released again.
   *
   * @throws InvalidOptionsError for an option that cannot be read
   * @throws BrokerUnavailableError when Redis does not answer within the publish timeout
   */
  async reconcile(what: string | ReconcileOptions = {}): Promise<ReconcileReport> {
    const { reconciler } = this.engine;
    if (typeof what === 'string') return reconciler.reconcile(what, RECONCILED_AT_ONCE);
    const { next: _next, ...report } = await reconciler.reconcileAll(readScope(what));
    return report;
  }

  /** The handle on a task or canvas, from its id alone. @throws InvalidOptionsError for what is no text */
  result<R = JsonValue>(id: string): AsyncResult<R> {
    return new AsyncResult<R>(readId(id), this.engine);
  }

  /** The handle on a group, or on the header of a chord, from its id alone. `R` is what a member returns. @throws InvalidOptionsError */
  groupResult<R = JsonValue>(id: string): GroupResult<R> {
    return new GroupResult<R>(readId(id), this.engine);
  }
}

/** A parameter of a request that is missing, say, would end in the middle of things otherwise. */
function readId(id: unknown): string {
  if (typeof id === 'string') return id;
  throw new InvalidOptionsError('id', 'the id of a task or canvas', id);
}

/** Tasks and composites of one canvas that are looked at in one call. */
const RECONCILED_AT_ONCE = 10_000;

/** What to do about a task that belongs to another registration than the one it is asked of. */
function wrongService(what: string, home: string, { name, others }: TaskDirectory): string {
  const names = [name, ...others.map((other) => other.name)];
  const remedy = names.includes(home)
    ? `Ask the service of that one, which ${home === DEFAULT_CONNECTION ? '@InjectWorkflows()' : `@InjectWorkflows('${home}')`} injects.`
    : `This application has no TaskQueueModule.forRoot of that name${didYouMean(home, names)}.`;
  return `${what} belongs to the connection "${home}", and this is the WorkflowService of "${name}". ${remedy}`;
}

/** Publishes canvases through an engine. */
class EnginePublisher extends CanvasPublisher {
  override readonly clock: Clock;

  constructor(private readonly engine: TaskQueueEngine) {
    super();
    this.clock = engine.clock;
  }

  async publish<R>(canvas: CanvasData): Promise<AsyncResult<R>> {
    return new AsyncResult<R>(await this.engine.publish(canvas), this.engine);
  }

  async publishGroup<R>(canvas: GroupData): Promise<GroupResult<R>> {
    return new GroupResult<R>(await this.engine.publish(canvas), this.engine);
  }
  async publishStream<R>(stream: CanvasStream): Promise<AsyncResult<R>> {
    const { id, sealed } = await this.engine.publishStream(stream);
    return new AsyncResult<R>(id, this.engine, sealed);
  }

  async publishGroupStream<R>(stream: CanvasStream): Promise<GroupResult<R>> {
    const { id, sealed } = await this.engine.publishStream(stream);
    return new GroupResult<R>(id, this.engine, sealed);
  }
}
