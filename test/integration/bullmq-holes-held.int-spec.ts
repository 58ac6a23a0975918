import { Injectable, type OnModuleInit } from '@nestjs/common';
import { type JobsOptions, Queue, Worker } from 'bullmq';
import {
  CallbackWithSuccesses,
  currentTask,
  type JsonValue,
  OnFailure,
  Retry,
  Task,
  type TaskFailure,
  type TasksOf,
} from 'nestjs-task-queue';
import type { RedisBackend } from '../../libs/task-queue/src/broker/redis-backend.js';
import { TaskQueueEngine } from '../../libs/task-queue/src/engine/task-queue-engine.js';
import { Probe, redisUrl, startApp, type StartedApp, until } from '../support/canvas-runner.js';

/*
 * Where BullMQ has a hole, the library closes it. The table in the head of bullmq-holes.int-spec.ts says which test
 * belongs to which hole; that file shows what BullMQ does by itself.
 */

@Injectable()
class Tasks {
  constructor(private readonly probe: Probe) {}

  @Task({ queue: 'work' })
  echo(value: JsonValue): JsonValue {
    this.probe.called(value);
    return value;
  }

  @Task({ queue: 'work' })
  show(values: JsonValue): JsonValue {
    this.probe.called(values);
    return { shown: values };
  }

  @Task({ queue: 'work' })
  fail(tag: string): number {
    this.probe.called(tag);
    throw new Error(`boom ${tag}`);
  }

  @Task({ queue: 'work' })
  async behind(door: string, value: JsonValue): Promise<JsonValue> {
    this.probe.called(door, value);
    await this.probe.pass(door);
    return value;
  }

  /** Succeeds in its second attempt; the first one fails when its door opens, with or without its lock. */
  @Task({ queue: 'work' })
  async superseded(door: string): Promise<string> {
    const { attempt } = currentTask();
    this.probe.called(attempt);
    if (attempt > 1) return `attempt ${attempt}`;
    await this.probe.pass(door);
    throw new Error('an attempt that nobody listens to any more');
  }

  @Task({ queue: 'work' })
  blocking(ms: number): string {
    const { attempt } = currentTask();
    this.probe.called(attempt);
    for (const end = performance.now() + ms; performance.now() < end;);
    return `attempt ${attempt}`;
  }

  @Task({ queue: 'work' })
  @Retry({ maxRetries: 3, backoff: { type: 'fixed', delay: 1 } })
  bigint(): unknown {
    this.probe.called();
    return { price: 1n };
  }

  @Task({ queue: 'work' })
  failed(failure: TaskFailure, label: string): void {
    this.probe.called(failure as unknown as JsonValue, label);
  }
}

@Injectable()
class FailureHook {
  readonly heard: string[] = [];

  @OnFailure('Tasks.superseded', 'Tasks.blocking', 'Tasks.echo')
  onFailure(failure: TaskFailure): void {
    this.heard.push(failure.request.id);
  }
}

describe('held by the library', () => {
  let app: StartedApp;
  let tasks: TasksOf<Tasks>;
  let probe: Probe;
  let engine: TaskQueueEngine;
  let work: Queue;
  let nodes: Queue;

  beforeAll(async () => {
    app = await startApp([Probe, Tasks, FailureHook], {
      queues: { work: { concurrency: 20 } },
      worker: { lockDuration: 300, stalledInterval: 100, drainTimeout: 200 },
    });
    tasks = app.workflows.tasks(Tasks);
    probe = app.module.get(Probe);
    engine = app.module.get(TaskQueueEngine);
    const connection = { url: redisUrl(), maxRetriesPerRequest: null };
    work = new Queue('work', { connection, prefix: `{${app.prefix}:0}` });
    nodes = new Queue('_canvas', { connection, prefix: `{${app.prefix}:0}` });
  });
  const closing: (() => Promise<unknown>)[] = [];
  /** Another application, closed after the test. */
  const start: typeof startApp = async (...given) => {
    const started = await startApp(...given);
    closing.push(() => started.close());
    return started;
  };
  afterEach(async () => {
    jest.restoreAllMocks();
    for (const close of closing.splice(0).reverse()) await close();
  });
  afterAll(async () => {
    await Promise.all([work.close(), nodes.close()]);
    await app.close();
  });

  const quiet = () => app.quiet('work');
  const errbacksOf = (canvas: { id: string }): string[] =>
    probe
      .argsOf('failed', canvas)
      .map(([, label]) => (typeof label === 'string' ? label : ''))
      .sort();
  const late = (value: JsonValue) => tasks.echo.s(value).set({ countdown: '1h' });
  const key = (queue: string, id: string, part = '') => `{${app.prefix}:0}:${queue}:${id}${part}`;
  const hooked = (id: string) => app.module.get(FailureHook).heard.filter((heard) => heard === id);

  it('every edge says what happens on a failure, and members leave with their value', async () => {
    const canvas = await app.workflows
      .chain(
        app.workflows.group([late(1), app.workflows.chord([late(2)], tasks.show.s())]),
        app.workflows.group([late(3).immutable(), late(4).immutable()]),
      )
      .delay();
    const wide = await app.workflows.group(Array.from({ length: 1_001 }, () => late(0))).delay();
    const edges = async (): Promise<string[]> =>
      (await app.redis.keys(`{${app.prefix}:0}:*`)).filter((one) =>
        new RegExp(`(${canvas.id}|${wide.id})\\.[^:]*$`).test(one),
      );
    const promote = async (path: string) => (await work.getJob(`${canvas.id}.${path}`))?.promote();

    const first = await edges();
    await promote('0.0');
    await promote('0.1.0');
    await until(
      () => work.getJob(`${canvas.id}.1.1`),
      (job) => job !== undefined,
    );

    const all = [...new Set([...first, ...(await edges())])];
    expect(all.length).toBeGreaterThan(1_005);
    for (const edge of all) {
      const [parent, opts] = await app.redis.hmget(edge, 'parent', 'opts');
      if (opts === null || opts === undefined) continue; // it has left with its end
      expect([edge, JSON.parse(parent ?? '{}')]).toEqual([edge, expect.objectContaining({ idof: true })]);
      const retention = JSON.parse(opts) as JobsOptions;
      if (!edge.includes(':_canvas:')) expect([edge, retention.removeOnComplete]).toEqual([edge, true]);
    }
    await wide.revoke();
    await canvas.revoke();
    await quiet();
  });

  it('H1: the body does not run when every member was removed, and the errback runs once', async () => {
    const canvas = await app.workflows
      .chord([late(1), late(2)], tasks.show.s())
      .linkError(tasks.failed.s('E'))
      .delay();
    await until(
      () => work.getJob(`${canvas.id}.1`),
      (job) => job !== undefined,
    );

    await work.remove(`${canvas.id}.0`);
    await work.remove(`${canvas.id}.1`);

    await expect(canvas.get()).rejects.toMatchObject({
      failures: [
        { index: 0, failure: { reason: 'removed' } },
        { index: 1, failure: { reason: 'removed' } },
      ],
    });
    await quiet();
    expect(errbacksOf(canvas)).toEqual(['E']);
    expect(probe.argsOf('show', canvas)).toEqual([]);
  });

  it.each<[how: string, remove: () => Promise<unknown>]>([
    ['drain', () => work.drain(true)],
    ['clean', () => work.clean(0, 100, 'delayed')],
    ['obliterate', () => work.obliterate({ force: true })],
  ])('H2: %s of the queue of header and body ends the chord, it does not delete it', async (_how, remove) => {
    const chord = app.workflows.chord([late(1), late(2)], tasks.show.s());
    const errback = await chord.linkError(tasks.failed.s('E')).delay();
    const recovered = await app.workflows
      .chord([late(1), late(2)], tasks.show.s(), { recovery: CallbackWithSuccesses })
      .delay();
    await until(
      () => work.getJob(`${recovered.id}.1`),
      (job) => job !== undefined,
    );

    await remove();

    await expect(errback.get()).rejects.toMatchObject({ code: 'CHORD_FAILED' });
    expect(await recovered.get()).toEqual({ shown: [] });
    await quiet();
    expect(errbacksOf(errback)).toEqual(['E']);
  });

  it('H3: a step whose publication was carried out but not confirmed is not added again', async () => {
    const publish = engine.publisher.publishUnder.bind(engine.publisher);
    let ended: Promise<unknown> = Promise.resolve();
    jest.spyOn(engine.publisher, 'publishUnder').mockImplementationOnce(async (holder, plan) => {
      await publish(holder, plan);
      await (ended = until(
        () => app.redis.hexists(key('_canvas', holder.id, ':failed'), key('work', plan.job.id)),
        (there) => there === 1,
      ));
      throw new Error('the answer was lost');
    });

    const canvas = await app.workflows
      .chain(tasks.echo.s(1), tasks.fail.si('step'), tasks.show.s())
      .linkError(tasks.failed.s('E'))
      .delay();

    await expect(canvas.get({ timeout: '60s' })).rejects.toThrow('boom step');
    await ended;
    await quiet();
    expect(probe.argsOf('fail', canvas)).toEqual([['step']]);
    expect(errbacksOf(canvas)).toEqual(['E']);
  });

  it('H6: a failed member or node that is retried by hand runs again, and changes nothing', async () => {
    const inner = app.workflows
      .chord([tasks.fail.s('inner')], tasks.show.s())
      .linkError(tasks.failed.s('inner'));
    const canvas = await app.workflows
      .group([inner, tasks.echo.s(1)])
      .linkError(tasks.failed.s('outer'))
      .delay();
    const before = await canvas.get({ propagate: false });
    await quiet();
    const member = await until(
      () => work.getJob(`${canvas.id}.0.0`),
      (job) => job !== undefined && job.parentKey === undefined,
    );
    await member?.retry('failed');
    await until(
      () => Promise.resolve(probe.argsOf('fail', canvas).length),
      (runs) => runs === 2,
    );
    await quiet();
    expect(await canvas.get({ propagate: false })).toEqual(before);

    for (const id of [`${canvas.id}.0`, canvas.id]) await (await nodes.getJob(id))?.retry('failed');
    await until(
      async () => (await nodes.getJob(canvas.id))?.getState(),
      (state) => state === 'failed',
    );
    await quiet();

    expect(await canvas.get({ propagate: false })).toEqual(before);
    expect(errbacksOf(canvas)).toEqual(['inner', 'outer']);
    expect(probe.argsOf('fail', canvas)).toHaveLength(2);
  });

  it('H9: what cannot be stored fails the task once, also where a policy retries every error', async () => {
    const task = await tasks.bigint.delay();

    await expect(task.get()).rejects.toMatchObject({ code: 'UNSERIALIZABLE_RESULT' });
    expect(probe.argsOf('bigint', task)).toHaveLength(1);
  });

  it('H10: a handler that blocks the loop for longer than its lock ends, at the poison limit at the latest', async () => {
    const canvas = await tasks.blocking.s(900).linkError(tasks.failed.s('E')).delay();

    const end = await canvas.get({ propagate: false, timeout: '60s' });

    await quiet();
    if (end instanceof Error) {
      expect(end).toMatchObject({ code: 'WORKER_LOST' });
      expect(errbacksOf(canvas)).toEqual(['E']);
    } else {
      expect(errbacksOf(canvas)).toEqual([]);
    }
    expect(probe.argsOf('blocking', canvas).length).toBeLessThanOrEqual(2);
  });

  it('H11: an attempt that has lost its lock is not heard: no failure, no hook, no errback', async () => {
    const task = await tasks.superseded.s('H11').linkError(tasks.failed.s('false')).delay();
    const id = `${task.id}.0`;
    await until(
      () => probe.argsOf('superseded', task),
      (runs) => runs.length === 1,
    );

    // Somebody else holds the job from now on, and gives it back without having run it.
    await app.redis.set(key('work', id, ':lock'), 'somebody else', 'PX', 400);

    await until(
      () => probe.argsOf('superseded', task),
      (runs) => runs.length === 2,
    );
    probe.open('H11');
    expect(await task.get()).toBe('attempt 2');
    await until(
      () => engine.worker.running.size,
      (running) => running === 0,
    );
    await quiet();
    expect(errbacksOf(task)).toEqual([]);
    expect(hooked(id)).toEqual([]);
    expect(await task.state()).toBe('SUCCESS');
  });

  it('H12: a task that was fetched by a worker which then died is run by another', async () => {
    const producer = await start([Probe], { role: 'producer' });
    const task = await producer.workflows.signature('Tasks.echo', ['alive'], { queue: 'work' }).delay();
    const dying = new Worker('work', null, {
      connection: { url: redisUrl(), maxRetriesPerRequest: null },
      prefix: `{${producer.prefix}:0}`,
      lockDuration: 50,
    });
    dying.on('error', () => undefined);
    expect((await dying.getNextJob('about to die'))?.id).toBe(task.id);
    await dying.close(true);

    await start([Probe, Tasks], {
      prefix: producer.prefix,
      worker: { lockDuration: 200, stalledInterval: 50 },
    });

    expect(await task.get({ timeout: '60s' })).toBe('alive');
  });

  it('H16: nothing is added to a node in the name of an activation that does not hold it any more', async () => {
    const canvas = await app.workflows.group([tasks.echo.s(1)]).delay();
    await canvas.get();
    const holder = { id: canvas.id, queue: '_canvas', token: 'stale' };
    const job = {
      id: `${canvas.id}.5`,
      queue: 'work',
      name: 'Tasks.echo',
      data: { v: 1 as const, args: [5] },
      retention: 'parent' as const,
    };

    expect(await engine.publisher.publishUnder(holder, { job, children: [], size: 1 })).toBe('superseded');

    expect(await work.getJob(job.id)).toBeUndefined();
    expect(await app.redis.exists(key('_canvas', canvas.id, ':dependencies'))).toBe(0);
    expect(await engine.ledger.setStage(holder, { stage: 1, state: 'added' })).toBe(false);
  });

  it('S1: a producer that stops in the middle of a wide header leaves a chord that ends', async () => {
    const taskId = 'half-published';
    const queue = (engine.backend as RedisBackend).producers.queue('work', taskId, 'ledger');
    const addBulk = queue.addBulk.bind(queue);
    jest
      .spyOn(queue, 'addBulk')
      .mockImplementationOnce((jobs) => addBulk(jobs))
      .mockRejectedValueOnce(new Error('the producer is gone'));
    const chord = app.workflows.chord(
      Array.from({ length: 1_200 }, (_, index) => tasks.echo.s(index)),
      tasks.show.s(),
    );

    await expect(chord.linkError(tasks.failed.s('E')).applyAsync([], { taskId })).rejects.toMatchObject({
      code: 'BROKER_UNAVAILABLE',
      taskId,
    });
    const canvas = app.workflows.groupResult(taskId);
    await until(
      () => canvas.completedCount(),
      (count) => count === 100,
    );
    expect(await canvas.state()).toBe('STARTED');
    await (await nodes.getJob(`${taskId}.sentinel`))?.promote(); // the lease of a minute runs out

    const failure = await canvas.get({ propagate: false, timeout: '60s' }).then(() => canvas.failure());
    await quiet();
    expect(failure?.error).toMatchObject({
      code: 'DISPATCH_INCOMPLETE',
      message: expect.stringContaining('100 of 1200 members') as string,
    });
    expect(errbacksOf(canvas)).toEqual(['E']);
    expect(probe.argsOf('show', canvas)).toEqual([]);
  });

  it('S1: a worker that is cut off in the middle of a wide step goes on where it was', async () => {
    const taskId = 'half-added';
    // Locks as short as those of the others run out where the machine is busy; that is not what is asked here.
    const busy = await start([Probe, Tasks], { queues: { work: { concurrency: 20 } } });
    const { backend } = busy.module.get(TaskQueueEngine);
    const queue = (backend as RedisBackend).producers.queue('work', taskId, 'ledger');
    const addBulk = queue.addBulk.bind(queue);
    jest
      .spyOn(queue, 'addBulk')
      .mockImplementationOnce((jobs) => addBulk(jobs))
      .mockRejectedValueOnce(new Error('Redis is away'));
    const { echo } = busy.workflows.tasks(Tasks);
    const members = Array.from({ length: 1_200 }, (_, index) => echo.s(index));
    const chain = busy.workflows.chain(echo.s(0), busy.workflows.group(members).immutable());

    const handle = await chain.applyAsync([], { taskId });
    expect(await handle.get({ timeout: '30s' })).toEqual(Array.from({ length: 1_200 }, (_, index) => index));
    await busy.quiet('work');
  });

  it('trap 16: publishing after the end of the application is an error', async () => {
    const closed = await startApp([], { role: 'producer', publishTimeout: 300 });
    const { workflows } = closed;
    await closed.close();

    await expect(workflows.signature('Tasks.echo', [1]).delay()).rejects.toMatchObject({
      code: 'BROKER_UNAVAILABLE',
    });
    await expect(
      workflows.group([workflows.signature<JsonValue, []>('Tasks.echo', [1])]).delay(),
    ).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });
  });

  it('trap 19: a task that a shutdown cuts off is given back at once, and does not wait for its lock', async () => {
    const first = await start([Probe, Tasks], {
      queues: { work: {} },
      worker: { drainTimeout: 0, lockDuration: '30s' },
    });
    const task = await first.workflows.tasks(Tasks).behind.delay('never', 'again');
    await until(
      () => task.state(),
      (state) => state === 'STARTED',
    );

    await first.module.get(TaskQueueEngine).worker.stop();

    expect(await task.state()).toBe('PENDING');
    const second = await start([Probe, Tasks], { prefix: first.prefix });
    second.module.get(Probe).open('never');
    expect(await second.workflows.result(task.id).get({ timeout: '60s' })).toBe('again');
  });

  it('traps 21, 29: a result is there for those who come late, and for those whom no event reaches', async () => {
    const chord = await app.workflows.chord([tasks.echo.s(1)], tasks.behind.si('trap 29', 'late')).delay();
    const producer = await start([], { prefix: app.prefix, role: 'producer' });
    jest.spyOn(producer.module.get(TaskQueueEngine).events, 'listen').mockReturnValue(() => undefined);
    const waiting = producer.workflows.result(chord.id).get({ timeout: '60s' });
    await until(
      () => probe.argsOf('behind', chord),
      (runs) => runs.length === 1,
    );

    probe.open('trap 29');

    expect(await waiting).toEqual(await chord.get());
    expect(await producer.workflows.result(`${chord.id}.0`).get()).toBe(1);
  });

  it('trap 28: a node that is cut off after its errback was released ends, and releases it once', async () => {
    const publishOnce = engine.publisher.publishOnce.bind(engine.publisher);
    let cut = 0;
    jest.spyOn(engine.publisher, 'publishOnce').mockImplementation(async (plan) => {
      const publication = await publishOnce(plan);
      if (!plan.job.id.includes('.errback.') || cut++ > 0) return publication;
      throw new Error('the connection broke');
    });

    const canvas = await app.workflows
      .group([tasks.fail.s('cut')])
      .linkError(tasks.failed.s('once'))
      .delay();

    await expect(canvas.get()).rejects.toMatchObject({ code: 'GROUP_FAILED' });
    await until(
      async () => (await nodes.getJob(canvas.id))?.getState(),
      (state) => state === 'failed',
    );
    await quiet();
    expect(cut).toBeGreaterThan(1);
    expect(errbacksOf(canvas)).toEqual(['once']);
  });

  it('trap 31: nothing runs before the application is ready', async () => {
    const producer = await start([], { role: 'producer' });
    const task = await producer.workflows.signature('Tasks.echo', ['early'], { queue: 'work' }).delay();
    const ready: string[] = [];

    @Injectable()
    class SlowStart implements OnModuleInit {
      async onModuleInit(): Promise<void> {
        // Whoever serves too early has taken the task by the time that these questions are answered.
        for (let asked = 0; asked < 50; asked++) ready.push(await task.state());
      }
    }
    await start([Probe, Tasks, SlowStart], { prefix: producer.prefix });

    expect(new Set(ready)).toEqual(new Set(['PENDING']));
    expect(await task.get()).toBe('early');
  });
});
