import { randomUUID } from 'node:crypto';
import { Injectable, type ModuleMetadata } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { Redis } from 'ioredis';
import {
  CallbackWithOutcomes,
  CallbackWithSuccesses,
  type CanvasData,
  type ChordRecoveryType,
  currentTask,
  ErrbackOnly,
  GroupError,
  ChordError,
  type JsonValue,
  Retry,
  type SerializedError,
  Task,
  type TaskFailure,
  TaskQueueModule,
  type TaskQueueModuleOptions,
  WorkflowService,
} from 'nestjs-task-queue';
import type { Json, Recovery, Ref, TaskName } from './reference/canvas-model.js';
import { interpret, type Interpretation } from './reference/interpret.js';
import {
  aggregate,
  type AggregateFault,
  causeOf,
  type Failure,
  type Observation,
  type Outcome,
  projectSettled,
  sortObservations,
} from './reference/outcome.js';
import { MAX_RETRIES, runTask } from './reference/tasks.js';

/** The Redis of the run: of the global setup, or one that was given from outside. */
export function redisUrl(): string {
  const url = process.env.TEST_REDIS_URL ?? process.env.REDIS_URL;
  if (!url) throw new Error('no Redis: neither TEST_REDIS_URL nor REDIS_URL is set');
  return url;
}

/** A prefix that no other test has, so that tests can share one Redis. */
export const uniquePrefix = (name = 't'): string => `${name}-${randomUUID().slice(0, 12)}`;

/** Waits until something holds, by looking again and again; what it saw last stands in the error. */
export async function until<T>(
  look: () => Promise<T> | T,
  holds: (seen: T) => boolean,
  withinMs = 60_000,
): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const seen = await look();
    if (holds(seen)) return seen;
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms; seen last: ${show(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Does something with every item, a limited number of them at a time. */
export async function inTurns<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const left = [...items];
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
    }),
  );
}

const show = (value: unknown): string =>
  JSON.stringify(value, undefined, 1)?.slice(0, 4_000) ?? String(value);

/** A started application, on whatever its queues are kept in. */
export interface CanvasApp {
  readonly module: TestingModule;
  readonly workflows: WorkflowService;
  /** Waits until no job waits, runs or is delayed. */
  quiet(): Promise<void>;
  close(): Promise<void>;
}

/** A started application on a prefix of its own, with a connection to look behind the scenes. */
export interface StartedApp extends CanvasApp {
  readonly prefix: string;
  readonly redis: Redis;
  /** Every key below the prefix, sorted, without the prefix. */
  keys(): Promise<string[]>;
  /** Waits until no job of these queues waits, runs or is delayed. */
  quiet(...queues: string[]): Promise<void>;
}

/** Starts an application with these providers; options win over what the tests have in common. */
export async function startApp(
  providers: NonNullable<ModuleMetadata['providers']>,
  options: TaskQueueModuleOptions = {},
  url = redisUrl(),
): Promise<StartedApp> {
  const prefix = options.prefix ?? uniquePrefix();
  const module = await Test.createTestingModule({
    imports: [TaskQueueModule.forRoot({ connection: { url }, ...options, prefix })],
    providers,
  }).compile();
  module.useLogger(false);
  await module.init();
  const redis = new Redis(url, { maxRetriesPerRequest: null, disconnectTimeout: 50 });
  redis.on('error', () => undefined); // tests take Redis away on purpose
  const started: StartedApp = {
    module,
    workflows: module.get(WorkflowService),
    prefix,
    redis,
    keys: async () => {
      const found: string[] = [];
      for await (const page of redis.scanStream({ match: `{${prefix}:*`, count: 1_000 })) {
        found.push(...(page as string[]));
      }
      return [...new Set(found)].map((key) => key.slice(key.indexOf('}:') + 2)).sort();
    },
    quiet: async (...queues) => {
      await until(
        () => pendingJobs(redis, `{${prefix}:0}`, ['_canvas', 'default', ...queues]),
        (counts) => Object.values(counts).every((count) => count === 0),
      );
    },
    close: async () => {
      await module.close();
      if (redis.status === 'ready') await removeKeys(redis, `{${prefix}:*`);
      redis.disconnect();
    },
  };
  return started;
}

/** Removes every key of a pattern: the Redis may belong to somebody who keeps it. */
export async function removeKeys(redis: Redis, match: string): Promise<void> {
  for await (const page of redis.scanStream({ match, count: 1_000 })) {
    const keys = page as string[];
    if (keys.length > 0) await redis.unlink(...keys);
  }
}

async function pendingJobs(
  redis: Redis,
  prefix: string,
  queues: readonly string[],
): Promise<Record<string, number>> {
  const reads = redis.multi();
  const names: string[] = [];
  for (const queue of queues) {
    for (const list of ['wait', 'active']) {
      reads.llen(`${prefix}:${queue}:${list}`);
      names.push(`${queue} ${list}`);
    }
    for (const set of ['delayed', 'prioritized', 'waiting-children']) {
      reads.zcard(`${prefix}:${queue}:${set}`);
      names.push(`${queue} ${set}`);
    }
  }
  const replies = (await reads.exec()) ?? [];
  return Object.fromEntries(names.map((name, at) => [name, Number(replies[at]?.[1] ?? 0)]));
}

/** What ran, with what, in the order in which it began; and doors that hold tasks until a test opens them. */
@Injectable()
export class Probe {
  readonly calls: { task: string; args: readonly JsonValue[]; id: string }[] = [];
  readonly #doors = new Map<string, { readonly passed: Promise<void>; readonly open: () => void }>();

  /** To be called by a task with whatever the test wants to see of it. */
  called(...args: JsonValue[]): void {
    const { name, id } = currentTask();
    this.calls.push({ task: name.slice(name.indexOf('.') + 1), args, id });
  }

  /** What every call of a task inside one canvas, or below one of its nodes, was noted with. */
  argsOf(task: string, canvas: { id: string }): (readonly JsonValue[])[] {
    return this.calls
      .filter((call) => call.task === task && (call.id === canvas.id || call.id.startsWith(`${canvas.id}.`)))
      .map((call) => call.args);
  }

  /** Resolves when the door is opened, which may have happened before. */
  pass(door: string): Promise<void> {
    return this.#door(door).passed;
  }

  open(door: string): void {
    this.#door(door).open();
  }

  #door(name: string): { readonly passed: Promise<void>; readonly open: () => void } {
    let door = this.#doors.get(name);
    if (door === undefined) {
      let open = (): void => undefined;
      const passed = new Promise<void>((resolve) => (open = resolve));
      this.#doors.set(name, (door = { passed, open }));
    }
    return door;
  }
}

/** How often a handler ran and which callbacks were recorded, by the id of the canvas that it happened for. */
@Injectable()
export class RunLog {
  readonly #runs = new Map<string, Partial<Record<TaskName, number>>>();
  readonly #callbacks = new Map<string, RecordedCallback[]>();

  ran(name: TaskName): void {
    const canvas = canvasOf(currentTask().id);
    const runs = this.#runs.get(canvas) ?? {};
    runs[name] = (runs[name] ?? 0) + 1;
    this.#runs.set(canvas, runs);
  }

  recorded(callback: RecordedCallback): void {
    const canvas = canvasOf(callback.id);
    this.#callbacks.set(canvas, [...this.callbacksOf(canvas), callback]);
  }

  runsOf(canvas: string): Partial<Record<TaskName, number>> {
    return this.#runs.get(canvas) ?? {};
  }

  callbacksOf(canvas: string): readonly RecordedCallback[] {
    return this.#callbacks.get(canvas) ?? [];
  }
}

interface RecordedCallback {
  /** The id under which the callback ran: `<node>.link.0` or `<node>.errback.0`. */
  readonly id: string;
  readonly label: string;
  readonly kind: 'link' | 'errback';
  readonly payload: JsonValue;
}

/** A canvas is named by what stands before the first dot, for its callbacks as for its parts. */
const canvasOf = (id: string): string => id.slice(0, id.indexOf('.') < 0 ? undefined : id.indexOf('.'));

const AT_ONCE = { type: 'fixed', delay: 0 } as const;

/** The tasks of the reference as a user would write them. */
@Injectable()
export class ReferenceTasks {
  constructor(private readonly log: RunLog) {}

  @Task({ name: 'ident' })
  ident(...args: JsonValue[]): JsonValue {
    return this.#run('ident', args);
  }

  @Task({ name: 'list' })
  list(...args: JsonValue[]): JsonValue {
    return this.#run('list', args);
  }

  @Task({ name: 'add' })
  add(...args: JsonValue[]): JsonValue {
    return this.#run('add', args);
  }

  @Task({ name: 'sum' })
  sum(...args: JsonValue[]): JsonValue {
    return this.#run('sum', args);
  }

  @Task({ name: 'sumTree' })
  sumTree(...args: JsonValue[]): JsonValue {
    return this.#run('sumTree', args);
  }

  @Task({ name: 'double' })
  double(...args: JsonValue[]): JsonValue {
    return this.#run('double', args);
  }

  @Task({ name: 'flaky' })
  @Retry({ maxRetries: MAX_RETRIES.flaky, backoff: AT_ONCE })
  flaky(...args: JsonValue[]): JsonValue {
    return this.#run('flaky', args);
  }

  @Task({ name: 'failIfOdd' })
  failIfOdd(...args: JsonValue[]): JsonValue {
    return this.#run('failIfOdd', args);
  }

  @Task({ name: 'fail' })
  fail(...args: JsonValue[]): JsonValue {
    return this.#run('fail', args);
  }

  /** What every link and errback of a reference canvas is. */
  @Task({ name: 'record' })
  record(payload: JsonValue, label: string, kind: 'link' | 'errback'): void {
    this.log.recorded({ id: currentTask().id, label, kind, payload });
  }

  #run(name: TaskName, args: readonly JsonValue[]): JsonValue {
    this.log.ran(name);
    const projected = args.map((arg) => projectSettled(arg, projectOutcome));
    return runTask(name, projected, currentTask().retries + 1);
  }
}

/** A settled outcome as the reference shows it; one that has been projected before stays as it is. */
function projectOutcome(record: Record<string, Json>): Json {
  const { status, reason, value } = record;
  if (status === 'fulfilled') return { status, value: value ?? null };
  if (!isFailure(reason)) return record;
  return {
    status: 'rejected',
    reason: { name: reason.error.name, message: leafOf(reason.error).message, reason: reason.reason },
  };
}

function isFailure(value: unknown): value is TaskFailure {
  return typeof value === 'object' && value !== null && 'request' in value && 'error' in value;
}

/** The error of the task that a failure comes down to; the tasks of the reference throw without a cause. */
function leafOf(error: SerializedError): SerializedError {
  return error.cause === undefined ? error : leafOf(error.cause);
}

const RECOVERY_CLASSES: Readonly<Record<Recovery, ChordRecoveryType>> = {
  'errback-only': ErrbackOnly,
  'callback-with-successes': CallbackWithSuccesses,
  'callback-with-outcomes': CallbackWithOutcomes,
};

const callback = (label: string, kind: 'link' | 'errback'): CanvasData => ({
  kind: 'task',
  task: 'record',
  args: [label, kind],
});

/** A reference canvas as the library's plain data. */
export function toCanvasData(ref: Ref): CanvasData {
  const callbacks = {
    ...(ref.link === undefined ? {} : { links: [callback(ref.link, 'link')] }),
    ...(ref.errback === undefined ? {} : { errbacks: [callback(ref.errback, 'errback')] }),
  };
  switch (ref.kind) {
    case 'task':
      return {
        kind: 'task',
        task: ref.name,
        args: ref.args,
        ...(ref.immutable === true ? { immutable: true } : {}),
        ...callbacks,
      };
    case 'chain':
      return { kind: 'chain', steps: ref.steps.map(toCanvasData), ...callbacks };
    case 'group':
      return { kind: 'group', members: ref.members.map(toCanvasData), ...callbacks };
    case 'chord':
      return {
        kind: 'chord',
        header: ref.header.map(toCanvasData),
        body: toCanvasData(ref.body),
        recovery: RECOVERY_CLASSES[ref.recovery].name,
        ...callbacks,
      };
  }
}

type Canvas = ReturnType<WorkflowService['fromData']>;

/** A reference canvas through the methods that users call. Its types are known to nobody, so none are checked. */
export function toFluentCanvas(workflows: WorkflowService, ref: Ref): Canvas {
  const bare = toBareCanvas(workflows, ref);
  const record = (label: string, kind: 'link' | 'errback') => workflows.signature('record', [label, kind]);
  const linked = ref.link === undefined ? bare : (bare.link(record(ref.link, 'link') as never) as Canvas);
  return ref.errback === undefined ? linked : (linked.linkError(record(ref.errback, 'errback')) as Canvas);
}

function toBareCanvas(workflows: WorkflowService, ref: Ref): Canvas {
  const all = (refs: readonly Ref[]): Canvas[] => refs.map((one) => toFluentCanvas(workflows, one));
  switch (ref.kind) {
    case 'task':
      return workflows.signature(ref.name, ref.args, { immutable: ref.immutable === true });
    case 'chain':
      return workflows.chain(...(all(ref.steps) as never)) as unknown as Canvas;
    case 'group':
      return workflows.group(all(ref.members)) as unknown as Canvas;
    case 'chord': {
      const body = toFluentCanvas(workflows, ref.body) as never;
      const recovery = RECOVERY_CLASSES[ref.recovery];
      return workflows.chord(all(ref.header), body, { recovery }) as unknown as Canvas;
    }
  }
}

/** By which road a canvas goes to the library. */
export type Road = 'data' | 'fluent' | 'json';

/** What a canvas did, in the terms of the reference. */
export type Seen = Omit<Interpretation, 'observations'> & {
  observations: Observation[];
  /** What `get()` resolved to or threw, which must say the same as the stored outcome. */
  got: Got;
};

/** The part of `get()` that the reference can foretell: the value, or the thrown error. */
export type Got =
  | { value: Json }
  | {
      error: { name: string; message?: string; failed?: number[]; values?: { index: number; value: Json }[] };
    };

/** Runs reference canvases in one application, and says what became of them. */
export class CanvasRunner<App extends CanvasApp = StartedApp> {
  /** What an application must provide to run reference canvases. */
  static readonly providers = [RunLog, ReferenceTasks];
  readonly #log: RunLog;

  constructor(readonly app: App) {
    this.#log = app.module.get(RunLog);
  }

  static async start(options: TaskQueueModuleOptions = {}): Promise<CanvasRunner> {
    const queues = { default: { concurrency: 50 } };
    const worker = { canvasConcurrency: 50 };
    return new CanvasRunner(await startApp(CanvasRunner.providers, { queues, worker, ...options }));
  }

  /** What the semantics say, with the library's decisions where they leave a choice. */
  static expected(canvas: Ref): Seen {
    const { observations, outcome, runs } = interpret(canvas, undefined, {
      outcomesWhenHeaderSucceeds: 'outcomes',
      errbackOfInnerBody: 'skipped',
    });
    return { outcome, runs, observations: sortObservations(observations), got: gotOf(outcome) };
  }

  /** Publishes a canvas and waits for its end. @returns its id */
  async run(canvas: Ref, road: Road, timeout = 120_000): Promise<string> {
    const { workflows } = this.app;
    const made =
      road === 'fluent'
        ? toFluentCanvas(workflows, canvas)
        : workflows.fromData(
            road === 'json'
              ? (JSON.parse(JSON.stringify(toCanvasData(canvas))) as CanvasData)
              : toCanvasData(canvas),
          );
    const { id } = await (made as { applyAsync(): Promise<{ id: string }> }).applyAsync();
    await workflows.result(id).get({ propagate: false, timeout });
    return id;
  }

  /** What a canvas came to. To be asked when its callbacks have run too: after `app.quiet()`. */
  async seen(id: string): Promise<Seen> {
    const observations = await Promise.all(
      this.#log.callbacksOf(id).map(async (recorded): Promise<Observation> => {
        const { label, kind, payload } = recorded;
        return { label, kind, payload: kind === 'link' ? payload : await this.#errbackPayload(recorded) };
      }),
    );
    return {
      outcome: await this.#outcome(id),
      observations: sortObservations(observations),
      runs: this.#log.runsOf(id),
      got: await this.#got(id),
    };
  }

  /** Forgets a canvas and everything that its callbacks left. */
  async forget(id: string): Promise<void> {
    const { workflows } = this.app;
    const callbacks = this.#log.callbacksOf(id).map((recorded) => recorded.id);
    await Promise.all([id, ...callbacks].map((one) => workflows.result(one).forget()));
  }

  async #outcome(id: string): Promise<Outcome> {
    const handle = this.app.workflows.result(id);
    const failure = await handle.failure();
    if (failure) return { ok: false, failure: await this.#failure(failure) };
    return { ok: true, value: (await handle.result()) as Json };
  }

  async #got(id: string): Promise<Got> {
    try {
      return { value: (await this.app.workflows.result(id).get()) as Json };
    } catch (error) {
      if (error instanceof GroupError || error instanceof ChordError) {
        const failed = error.failures.map(({ index }) => index);
        return { error: { name: error.name, failed, values: [...error.values] } };
      }
      const { name, message } = error as Error;
      return { error: { name, message } };
    }
  }

  /** A stored failure; the members of an aggregate are read from its node, so that they are there at any depth. */
  async #failure(failure: TaskFailure): Promise<Failure> {
    const kind = aggregateKindOf(failure);
    if (kind === undefined) return taskFault(failure);
    const members = await this.app.workflows.groupResult(failure.request.id).settled();
    const outcomes = members.map(async (member): Promise<Outcome> =>
      member.status === 'fulfilled'
        ? { ok: true, value: member.value }
        : { ok: false, failure: await this.#failure(member.reason) },
    );
    return aggregate(kind, await Promise.all(outcomes));
  }

  /**
   * What an errback got. One on the failed group or chord itself got its members with it. One of a chord whose
   * body failed got the header's members beside the body's failure, of which the reference knows nothing.
   */
  async #errbackPayload({ id, payload }: RecordedCallback): Promise<Json> {
    const failure = payload as unknown as TaskFailure;
    const kind = aggregateKindOf(failure);
    const own = failure.request.id === id.slice(0, id.lastIndexOf('.errback.'));
    if (kind === undefined || !own) return (await this.#failure(failure)) as Json;
    const failures = (failure.failures ?? []).map(async (member) => ({
      index: member.index,
      failure: await this.#failure(member.failure),
    }));
    const values = (failure.values ?? []).map(({ index, value }) => ({ index, value }));
    return { kind, failures: await Promise.all(failures), values };
  }
}

function aggregateKindOf({ error }: TaskFailure): AggregateFault['kind'] | undefined {
  return error.name === 'GroupError' ? 'group' : error.name === 'ChordError' ? 'chord' : undefined;
}

function taskFault({ request, error, reason }: TaskFailure): Failure {
  const { name, message } = error;
  return {
    kind: 'task',
    taskName: request.name as TaskName,
    error: { name, message },
    reason: reason as 'error',
  };
}

function gotOf(outcome: Outcome): Got {
  if (outcome.ok) return { value: outcome.value };
  const { failure } = outcome;
  if (failure.kind === 'task') return { error: causeOf(failure).error };
  const failed = failure.failures.map(({ index }) => index);
  const name = failure.kind === 'group' ? 'GroupError' : 'ChordError';
  return { error: { name, failed, values: failure.values } };
}
