import {
  ChordError,
  GroupError,
  type JsonValue,
  RemoteTaskError,
  type TaskFailure,
  type TaskQueueModuleOptions,
  type WorkflowService,
} from 'nestjs-task-queue';
import { type CanvasApp, startApp, type StartedApp } from './canvas-runner.js';
import { toCanvasData, toFluentCanvas, toStreamedCanvas } from './reference-canvas.js';
import {
  CallbackTasks,
  messageOf,
  type RecordedCallback,
  ReferenceTasks,
  RunLog,
  Tally,
} from './reference-tasks.js';
import type { Json, Ref } from './reference/canvas-model.js';
import { interpret, type Interpretation, type Witness } from './reference/interpret.js';
import {
  aggregate,
  type AggregateFault,
  type Failure,
  type Observation,
  type Outcome,
  sortObservations,
} from './reference/outcome.js';

/** By which road a canvas goes to the library. */
export type Road = 'data' | 'fluent' | 'json' | 'streamed';

/** What a canvas did, in the terms of the reference. */
export type Seen = Omit<Interpretation, 'successes'> & {
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
  static readonly providers = [RunLog, ReferenceTasks, CallbackTasks, Tally];
  readonly log: RunLog;

  constructor(readonly app: App) {
    this.log = app.module.get(RunLog);
  }

  static async start(options: TaskQueueModuleOptions = {}): Promise<CanvasRunner> {
    const queues = { default: { concurrency: 50 } };
    const worker = { canvasConcurrency: 50 };
    // Dozens of canvases at a time on a machine that has other work too: only time is to be saved here, not failures.
    const publishTimeout = '60s';
    return new CanvasRunner(
      await startApp(CanvasRunner.providers, { queues, worker, publishTimeout, ...options }),
    );
  }

  /** What the semantics say, with the library's decisions where they leave a choice. */
  static expected(canvas: Ref, witness?: Witness): Seen {
    const {
      observations,
      outcome,
      successes: _,
      ...counted
    } = interpret(canvas, undefined, {
      outcomesWhenHeaderSucceeds: 'outcomes',
      ...(witness === undefined ? {} : { witness }),
    });
    return { outcome, ...counted, observations: sortObservations(observations), got: gotOf(outcome) };
  }

  /** Publishes a canvas. @returns its id */
  async publish(canvas: Ref, road: Road, taskId?: string): Promise<string> {
    const { workflows } = this.app;
    const options = taskId === undefined ? {} : { taskId };
    const { id } = await (made(workflows, canvas, road) as Publishable).applyAsync([], options);
    return id;
  }

  /** Waits for the end of a canvas. */
  async ended(id: string, timeout = 120_000): Promise<void> {
    await this.app.workflows.result(id).get({ propagate: false, timeout });
  }

  /** Publishes a canvas and waits for its end. @returns its id */
  async run(canvas: Ref, road: Road, timeout?: number): Promise<string> {
    const id = await this.publish(canvas, road);
    await this.ended(id, timeout);
    return id;
  }

  /** What a canvas came to. To be asked when its callbacks have run too: after `app.quiet()`. */
  async seen(id: string): Promise<Seen> {
    const { callbacks, runs, hooks, stamps } = this.log.of(id);
    const observations = callbacks.map(async (recorded): Promise<Observation> => {
      const { label, kind, payload, headers } = recorded;
      const stamped = Object.keys(headers).length === 0 ? {} : { headers };
      const shown = kind === 'link' ? payload : await this.#errbackPayload(recorded);
      return { label, kind, payload: shown, ...stamped };
    });
    const outcome = await this.#outcome(id);
    const got = await this.#got(id);
    return {
      outcome,
      observations: sortObservations(await Promise.all(observations)),
      runs,
      hooks,
      stamps,
      got,
    };
  }

  /** Forgets a canvas, and its callbacks, which are canvases of their own. What took the places of tasks goes with it. */
  async forget(id: string): Promise<void> {
    const { workflows } = this.app;
    const callbacks = this.log.of(id).callbacks.map((one) => CALLBACK_ID.exec(one.id)?.[0] ?? one.id);
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
      const { name, message, code } = error as Error & { code?: string };
      const worded = error instanceof RemoteTaskError ? error.originalCode : code;
      return { error: { name, message: worded === undefined ? message : '' } };
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

/** What is no group or chord has no members that could be read one by one. */
function made(workflows: WorkflowService, canvas: Ref, road: Road): unknown {
  const data = toCanvasData(canvas);
  switch (road) {
    case 'data':
      return workflows.fromData(data);
    case 'json':
      return workflows.fromData(JSON.parse(JSON.stringify(data)) as typeof data);
    case 'streamed':
      if (canvas.kind === 'group' || canvas.kind === 'chord') return toStreamedCanvas(workflows, canvas);
      return toFluentCanvas(workflows, canvas);
    case 'fluent':
      return toFluentCanvas(workflows, canvas);
  }
}

interface Publishable {
  applyAsync(args: readonly JsonValue[], options: object): Promise<{ id: string }>;
}

/** The id of a callback, of which the step that recorded it may be a part. */
const CALLBACK_ID = /^.*\.(?:link|errback)\.\d+/;

function aggregateKindOf({ error }: TaskFailure): AggregateFault['kind'] | undefined {
  return error.name === 'GroupError' ? 'group' : error.name === 'ChordError' ? 'chord' : undefined;
}

function taskFault({ request, error, reason }: TaskFailure): Failure {
  const { name } = error;
  return { kind: 'task', taskName: request.name, error: { name, message: messageOf(error) }, reason };
}

function gotOf(outcome: Outcome): Got {
  if (outcome.ok) return { value: outcome.value };
  const { failure } = outcome;
  if (failure.kind === 'task') return { error: failure.error };
  const failed = failure.failures.map(({ index }) => index);
  const name = failure.kind === 'group' ? 'GroupError' : 'ChordError';
  return { error: { name, failed, values: failure.values } };
}
