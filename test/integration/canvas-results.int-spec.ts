import { Injectable } from '@nestjs/common';
import {
  AsyncResult,
  CallbackWithSuccesses,
  Ctx,
  GroupResult,
  type JsonValue,
  RemoteTaskError,
  ResultTimeoutError,
  ResultUnknownError,
  Retry,
  Task,
  type TaskContext,
  type TaskMoment,
  type TasksOf,
  WaitInsideTaskError,
  WorkflowService,
} from 'nestjs-task-queue';
import { Probe, startApp, type StartedApp, until } from '../support/canvas-runner.js';

/** What handles say about tasks and canvases: while they run, when they have ended, and from another process. */

@Injectable()
class Tasks {
  constructor(
    private readonly probe: Probe,
    private readonly workflows: WorkflowService,
  ) {}

  @Task()
  echo(value: JsonValue): JsonValue {
    this.probe.called(value);
    return value;
  }

  @Task()
  show(values: JsonValue): JsonValue {
    return { shown: values };
  }

  @Task()
  fail(tag: string): JsonValue {
    this.probe.called(tag);
    throw new RangeError(`boom ${tag}`);
  }

  @Task()
  foreign(): JsonValue {
    const error = new Error('declined', { cause: new Error('card expired') });
    throw Object.assign(error, { name: 'PaymentDeclined', code: 'E42', amount: 12 });
  }

  @Task()
  async behind(door: string, value: JsonValue): Promise<JsonValue> {
    this.probe.called(door, value);
    await this.probe.pass(door);
    return value;
  }

  @Task()
  async stages(door: string, @Ctx() task: TaskContext): Promise<string> {
    await this.probe.pass(`${door} 1`);
    await task.progress({ stage: 'parsing', done: 1 });
    await this.probe.pass(`${door} 2`);
    await task.progress({ stage: 'storing', done: 2 });
    await this.probe.pass(`${door} 3`);
    return 'done';
  }

  @Task()
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: '1h' } })
  soonAgain(): JsonValue {
    throw new Error('busy');
  }

  @Task()
  async waiting(id: string, allowInsideTask: boolean): Promise<JsonValue> {
    return this.workflows.result(id).get({ allowInsideTask });
  }

  @Task({ ignoreResult: true })
  ignored(): string {
    this.probe.called();
    return 'nobody reads this';
  }
}

let app: StartedApp;
let other: StartedApp;
let workflows: WorkflowService;
let tasks: TasksOf<Tasks>;
let probe: Probe;

beforeAll(async () => {
  app = await startApp([Probe, Tasks], { queues: { default: { concurrency: 30 } } });
  other = await startApp([], { prefix: app.prefix, role: 'producer' });
  workflows = app.workflows;
  tasks = workflows.tasks(Tasks);
  probe = app.module.get(Probe);
});
afterAll(async () => {
  await other.close();
  await app.close();
});

const thrownBy = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => {
      throw new Error(`resolved to ${JSON.stringify(value)}`);
    },
    (error: unknown) => error,
  );

describe('get', () => {
  it('throws an error of the class that was thrown, where it is known', async () => {
    const error = await thrownBy((await tasks.fail.delay('a')).get());

    expect(error).toBeInstanceOf(RangeError);
    expect(error).toMatchObject({ name: 'RangeError', message: 'boom a' });
    expect((error as Error).stack).toContain('canvas-results.int-spec');
  });

  it('throws a RemoteTaskError with everything of the original where it is not', async () => {
    const error = await thrownBy((await tasks.foreign.delay()).get());

    expect(error).toBeInstanceOf(RemoteTaskError);
    expect(error).toMatchObject({
      name: 'PaymentDeclined',
      message: 'declined',
      originalCode: 'E42',
      data: { amount: 12 },
      cause: { message: 'card expired' },
      failure: { request: { name: 'Tasks.foreign' }, reason: 'error' },
    });
  });

  it('with propagate: false gives the error of a task, a chain or a chord, and the mix of a group in order', async () => {
    const task = await tasks.fail.delay('t');
    const chain = await workflows.chain(tasks.echo.s(1), tasks.fail.si('c')).delay();
    const chord = await workflows.chord([tasks.fail.s('h')], tasks.show.s()).delay();
    const group = await workflows.group([tasks.echo.s('v'), tasks.fail.s('g'), tasks.echo.s('w')]).delay();

    expect(await task.get({ propagate: false })).toEqual(new RangeError('boom t'));
    expect(await chain.get({ propagate: false })).toEqual(new RangeError('boom c'));
    expect(await chord.get({ propagate: false })).toMatchObject({
      code: 'CHORD_FAILED',
      failures: [{ index: 0 }],
    });
    expect(await group.get({ propagate: false })).toEqual(['v', new RangeError('boom g'), 'w']);
    expect(await group.join({ propagate: false })).toEqual(['v', new RangeError('boom g'), 'w']);
    await expect(group.join()).rejects.toMatchObject({ code: 'GROUP_FAILED' });
  });

  it('of a chain names the step that failed', async () => {
    const chain = await workflows.chain(tasks.echo.s(1), tasks.echo.s(), tasks.fail.si('third')).delay();

    await thrownBy(chain.get());

    expect((await chain.failure())?.request).toMatchObject({
      position: '2',
      name: 'Tasks.fail',
      workflowId: chain.id,
    });
  });

  it('with a timeout throws a ResultTimeoutError and leaves the task alone', async () => {
    const task = await tasks.behind.delay('timeout', 'late');

    const error = await thrownBy(task.get({ timeout: 60 }));

    expect(error).toBeInstanceOf(ResultTimeoutError);
    expect(error).toMatchObject({ code: 'RESULT_TIMEOUT', taskId: task.id, timeoutMs: 60 });
    probe.open('timeout');
    expect(await task.get()).toBe('late');
  });

  it('stops waiting when its signal aborts', async () => {
    const task = await tasks.behind.delay('signal', 1);
    const controller = new AbortController();
    const got = thrownBy(task.get({ signal: controller.signal, timeout: Infinity }));

    controller.abort(new Error('the client went away'));

    expect(await got).toEqual(new Error('the client went away'));
    probe.open('signal');
  });

  it('is answered for any number of waiters, in any application (B167)', async () => {
    const group = await workflows.group([tasks.behind.s('waiters', 1), tasks.echo.s(2)]).delay();
    const handles = [
      group,
      workflows.groupResult(group.id),
      workflows.result(group.id),
      other.workflows.result(group.id),
      other.workflows.groupResult(group.id),
    ];
    const values = Promise.all(handles.map((handle) => handle.get()));

    probe.open('waiters');

    expect(await values).toEqual(Array.from(handles, () => [1, 2]));
  });

  it('inside a task is refused with the canvas forms to use instead, unless it is asked for', async () => {
    const done = await tasks.echo.delay('inner');
    await done.get();

    const error = await thrownBy((await tasks.waiting.delay(done.id, false)).get());

    expect(error).toBeInstanceOf(WaitInsideTaskError);
    expect(error).toMatchObject({
      code: 'WAIT_INSIDE_TASK',
      message: expect.stringContaining('chord(') as string,
    });
    expect(await (await tasks.waiting.delay(done.id, true)).get()).toBe('inner');
  });
});

describe('an id that was never published', () => {
  it('is UNKNOWN, and waiting for it is an error at once', async () => {
    const handle = workflows.result('0~never-published');

    expect(await handle.state()).toBe('UNKNOWN');
    expect([await handle.ready(), await handle.successful(), await handle.failed()]).toEqual([
      false,
      false,
      false,
    ]);
    expect(await handle.describe()).toEqual({ id: handle.id, state: 'UNKNOWN' });
    const error = await thrownBy(handle.get({ timeout: '1h' }));
    expect(error).toBeInstanceOf(ResultUnknownError);
    expect(error).toMatchObject({ code: 'RESULT_UNKNOWN', taskId: handle.id });
    await expect(workflows.groupResult(handle.id).counts()).rejects.toThrow(ResultUnknownError);
    await expect(workflows.groupResult(handle.id).settled()).rejects.toThrow(ResultUnknownError);
  });

  it('is told apart from one that waits, and from a part of a canvas that has no such part', async () => {
    const waits = await tasks.echo.applyAsync([1], { countdown: '1h' });
    const chain = await workflows.chain(tasks.behind.s('parts', 1), tasks.echo.s()).delay();

    expect(await waits.state()).toBe('PENDING');
    expect(await workflows.result(`${chain.id}.1`).state()).toBe('PENDING');
    expect(await workflows.result(`${chain.id}.7`).state()).toBe('UNKNOWN');
    expect(await workflows.result(`${chain.id}.body`).state()).toBe('UNKNOWN');
    probe.open('parts');
    await chain.get();
    expect(await workflows.result(`${chain.id}.7`).state()).toBe('UNKNOWN');
  });
});

describe('a group, while it runs and after', () => {
  it('counts, iterates in order of completion, and settles in definition order', async () => {
    const group = await workflows
      .group([
        tasks.behind.s('iterate 0', 'a'),
        workflows.group([tasks.behind.s('iterate 1', 'b')]),
        workflows.chain(tasks.behind.s('iterate 2', 'c'), tasks.fail.si('m')),
      ])
      .delay();
    const seen: unknown[] = [];
    const states: JsonValue[] = [];

    probe.open('iterate 2');
    for await (const member of group) {
      seen.push(
        member.status === 'fulfilled'
          ? [member.index, member.value]
          : [member.index, member.failure.error.message],
      );
      const { size, succeeded, failed, pending } = await group.counts();
      states.push([await group.state(), size, succeeded, failed, pending]);
      if (seen.length === 1) probe.open('iterate 1');
      if (seen.length === 2) probe.open('iterate 0');
    }

    expect(seen).toEqual([
      [2, 'boom m'],
      [1, ['b']],
      [0, 'a'],
    ]);
    expect(states.slice(0, 2)).toEqual([
      ['STARTED', 3, 0, 1, 2],
      ['STARTED', 3, 1, 1, 1],
    ]);
    expect(await group.settled()).toMatchObject([
      { status: 'fulfilled', value: 'a' },
      { status: 'fulfilled', value: ['b'] },
      { status: 'rejected', reason: { error: { message: 'boom m' }, request: { id: `${group.id}.2.1` } } },
    ]);
    expect([await group.completedCount(), await group.failedCount()]).toEqual([2, 1]);
    expect([await group.ready(), await group.successful(), await group.failed()]).toEqual([
      true,
      false,
      true,
    ]);
  });

  it('its handle knows its children, and each child its parent', async () => {
    const group = await workflows.group([tasks.echo.s(1), workflows.group([tasks.echo.s(2)])]).delay();
    const chord = await workflows
      .chord([tasks.echo.s(1), tasks.fail.s('x')], tasks.show.s(), {
        recovery: CallbackWithSuccesses,
      })
      .delay();
    await group.get();
    await chord.get();

    const children = await group.children();
    expect(children.map(({ id }) => id)).toEqual([`${group.id}.0`, `${group.id}.1`]);
    expect(await Promise.all(children.map((child) => child.get()))).toEqual([1, [2]]);
    expect(children[1]?.parent?.id).toBe(group.id);
    expect((await children[1]?.children())?.map(({ id }) => id)).toEqual([`${group.id}.1.0`]);
    expect(group.parent).toBeUndefined();
    const parts = await chord.children();
    expect(parts.map(({ id }) => id)).toEqual([`${chord.id}.0`, `${chord.id}.1`, `${chord.id}.body`]);
    expect(await Promise.all(parts.map((part) => part.state()))).toEqual(['SUCCESS', 'FAILURE', 'SUCCESS']);
  });

  it('the header of a chord can be read like a group', async () => {
    const chord = await workflows
      .chord([tasks.echo.s('v'), tasks.fail.s('h')], tasks.show.s(), { recovery: CallbackWithSuccesses })
      .delay();
    expect(await chord.get()).toEqual({ shown: ['v'] });

    const header = workflows.groupResult(chord.id);

    expect(await header.settled()).toMatchObject([
      { value: 'v' },
      { reason: { error: { message: 'boom h' } } },
    ]);
    expect(await header.counts()).toEqual({ size: 2, succeeded: 1, failed: 1, pending: 0 });
  });
});

describe('watching', () => {
  it('a task: states and progress as they change, until the end', async () => {
    const task = await tasks.stages.applyAsync(['watch'], { countdown: 50 });
    const moments: TaskMoment[] = [];

    for await (const moment of task.watch()) {
      moments.push(moment);
      if (moment.state === 'STARTED') {
        const done = (moment.progress as { done: number } | undefined)?.done ?? 0;
        expect(await task.progress()).toEqual(moment.progress);
        probe.open(`watch ${done + 1}`);
      }
    }

    expect(moments).toEqual([
      { state: 'PENDING' },
      { state: 'STARTED' },
      { state: 'STARTED', progress: { stage: 'parsing', done: 1 } },
      { state: 'STARTED', progress: { stage: 'storing', done: 2 } },
      { state: 'SUCCESS', progress: { stage: 'storing', done: 2 } },
    ]);
  });

  it('a canvas: how many members are where; and its signal ends the watch, not the canvas', async () => {
    const group = await workflows.group([tasks.echo.s(1), tasks.behind.s('watch group', 2)]).delay();
    const controller = new AbortController();

    for await (const moment of group.watch({ signal: controller.signal })) {
      if (moment.counts?.succeeded === 1) controller.abort();
    }

    expect(controller.signal.aborted).toBe(true);
    expect(await group.state()).toBe('STARTED');
    probe.open('watch group');
    expect(await group.get()).toEqual([1, 2]);
  });

  it('a task that waits for its next attempt is in RETRY', async () => {
    const task = await tasks.soonAgain.delay();

    await until(
      () => task.state(),
      (state) => state === 'RETRY',
    );

    expect(await task.describe()).toMatchObject({ state: 'RETRY', retries: 1 });
    expect(await task.ready()).toBe(false);
  });
});

describe('describe and toJSON', () => {
  it('say everything as one plain object, and never throw for a failed task', async () => {
    const task = await tasks.echo.delay({ plain: [1] });
    const failed = await tasks.fail.delay('d');
    await task.get();
    await failed.get({ propagate: false });

    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT/) as string;
    const times = { publishedAt: time, startedAt: time, finishedAt: time };
    const plain = {
      id: task.id,
      name: 'Tasks.echo',
      state: 'SUCCESS',
      value: { plain: [1] },
      retries: 0,
      ...times,
    };
    expect(await task.describe()).toEqual(plain);
    expect(await failed.describe()).toMatchObject({
      state: 'FAILURE',
      error: { error: { message: 'boom d' } },
    });
    expect(await failed.error()).toEqual(new RangeError('boom d'));
    expect(await failed.result()).toBeUndefined();
    expect(JSON.stringify({ task })).toBe(JSON.stringify({ task: { id: task.id } }));
  });

  it('of a canvas and of its parts, by id alone, in another application', async () => {
    const canvas = await workflows
      .chain(workflows.group([tasks.echo.s('a'), tasks.echo.s('b')]), tasks.show.s())
      .delay();
    await canvas.get();

    const state = async (path: string) => {
      const { state: now, value, name } = await other.workflows.result(`${canvas.id}${path}`).describe();
      return { now, value, name };
    };

    expect(await state('')).toEqual({ now: 'SUCCESS', value: { shown: ['a', 'b'] }, name: 'chain' });
    expect(await state('.0')).toEqual({ now: 'SUCCESS', value: ['a', 'b'], name: 'group' });
    expect(await state('.0.1')).toMatchObject({ now: 'SUCCESS', value: 'b' });
    expect(await state('.1')).toMatchObject({ now: 'SUCCESS', value: { shown: ['a', 'b'] } });
  });
});

describe('another application', () => {
  it('publishes by class without serving it, and gets the value', async () => {
    const handle = await other.workflows.tasks(Tasks).echo.delay('from a producer');

    expect(handle).toBeInstanceOf(AsyncResult);
    expect(await handle.get()).toBe('from a producer');
  });

  it('publishes by name what it knows nothing of', async () => {
    const group = await other.workflows
      .group([other.workflows.signature<JsonValue, []>('Tasks.echo', [1])])
      .delay();

    expect(group).toBeInstanceOf(GroupResult);
    expect(await group.get()).toEqual([1]);
  });
});

describe('an id of one’s own', () => {
  it('published twice, also at the same time and from two applications, runs once', async () => {
    const taskId = 'order-4711-confirmation';
    const apps = [app, other];
    const publish = (value: number) =>
      (apps[value % 2] as StartedApp).workflows
        .signature<JsonValue, []>('Tasks.echo', [value])
        .applyAsync([], { taskId });

    const handles = await Promise.all(Array.from({ length: 20 }, (_, value) => publish(value)));

    const values = await Promise.all(handles.map((handle) => handle.get()));
    const again = await publish(99);
    expect(new Set(handles.map(({ id }) => id))).toEqual(new Set([taskId]));
    expect(new Set(values).size).toBe(1);
    expect(await again.get()).toBe(values[0]);
    expect(probe.argsOf('echo', { id: taskId })).toHaveLength(1);
  });

  it('of a canvas: its parts run once, and its failed members stay failed', async () => {
    const taskId = 'canvas-4711';
    const canvas = workflows.chord([tasks.echo.s(1), tasks.fail.s('once')], tasks.show.s());
    const publish = () => canvas.applyAsync([], { taskId });

    const handles = await Promise.all([publish(), publish(), publish()]);
    for (const handle of handles)
      expect(await thrownBy(handle.get())).toMatchObject({ code: 'CHORD_FAILED' });
    const again = await publish();

    expect(await thrownBy(again.get())).toMatchObject({ code: 'CHORD_FAILED' });
    expect(probe.argsOf('echo', { id: taskId })).toHaveLength(1);
    expect(probe.argsOf('fail', { id: taskId })).toHaveLength(1);
  });

  it.each(['4711', 'a:b', '', 'a.b', 'x'.repeat(129)])('%j is refused', async (taskId) => {
    await expect(tasks.echo.applyAsync([1], { taskId })).rejects.toMatchObject({ code: 'INVALID_ID' });
  });
});

describe('ignoreResult', () => {
  it('of a task alone: it runs and succeeds with null', async () => {
    const task = await tasks.ignored.delay();

    expect(await task.get()).toBeNull();
    expect(probe.argsOf('ignored', task)).toHaveLength(1);
  });

  it('of a call: the same; and a failure is kept', async () => {
    const task = await tasks.echo.applyAsync(['dropped'], { ignoreResult: true });
    const failed = await tasks.fail.applyAsync(['kept'], { ignoreResult: true });

    expect(await task.get()).toBeNull();
    await expect(failed.get()).rejects.toThrow('boom kept');
  });
});

describe('forget', () => {
  it('deletes what is stored about a canvas that has ended, and nothing of one that runs', async () => {
    const canvas = await workflows
      .chord([tasks.echo.s(1), tasks.behind.s('forget', 2)], tasks.show.s())
      .delay();

    await canvas.forget();
    probe.open('forget');
    expect(await canvas.get()).toEqual({ shown: [1, 2] });
    await canvas.forget();

    expect(await canvas.state()).toBe('UNKNOWN');
    expect(await workflows.result(`${canvas.id}.0`).state()).toBe('UNKNOWN');
    expect((await app.keys()).filter((key) => key.includes(canvas.id))).toEqual([]);
  });
});
