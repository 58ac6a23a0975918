/** What is said of what waits: backlogs and their age, failures, canvases that stand still, and who serves what. */
import { Injectable } from '@nestjs/common';
import { type JobsOptions, Queue } from 'bullmq';
import { NonRetryableError, Task, type TaskQueueModuleOptions } from 'nestjs-task-queue';
import {
  type FailuresDetails,
  type HealthOptions,
  type QueueDetails,
  TaskQueueHealth,
  TaskQueueHealthModule,
} from 'nestjs-task-queue/health';
import { redisUrl, Runs, type TestApp, uniquePrefix, until, useApps } from '../support/app-fixture.js';

@Injectable()
class Tasks {
  #release = (): void => undefined;
  readonly #released = new Promise<void>((resolve) => (this.#release = resolve));
  constructor(private readonly runs: Runs) {}

  @Task({ queue: 'reports' })
  build(month: number): number {
    this.runs.record('build', month);
    return month;
  }

  @Task({ queue: 'reports' })
  fail(): never {
    throw new NonRetryableError('no');
  }

  @Task({ queue: 'slow' })
  async untilReleased(): Promise<void> {
    this.runs.record('untilReleased');
    await this.#released;
  }

  release(): void {
    this.#release();
  }
}

const fixture = useApps();
const queues: Queue[] = [];
afterEach(() => Promise.all(queues.splice(0).map((queue) => queue.close())));

const boot = (
  prefix: string,
  options: TaskQueueModuleOptions = {},
  health: HealthOptions = {},
): Promise<TestApp> =>
  fixture.boot({
    prefix,
    providers: [Tasks],
    options,
    imports: [TaskQueueHealthModule.forRoot({ timeout: '5s', broker: { persistence: 'any' }, ...health })],
  });

const healthOf = (app: TestApp): TaskQueueHealth => app.get(TaskQueueHealth);

async function queueOf(app: TestApp, name = 'reports'): Promise<QueueDetails | undefined> {
  return (await healthOf(app).queues()).details.queues?.[name];
}

async function reasons(
  app: TestApp,
  options: Parameters<TaskQueueHealth['queues']>[0] = {},
): Promise<readonly string[]> {
  const verdict = await healthOf(app).queues(options);
  return verdict.status === 'up' ? [] : verdict.reasons;
}

/** A queue by BullMQ alone, which takes a time of our choosing for when a task was published. */
function raw(prefix: string): (id: string, agoMs: number, options?: JobsOptions) => Promise<unknown> {
  const url = new URL(redisUrl());
  const queue = new Queue('reports', {
    connection: { host: url.hostname, port: Number(url.port) },
    prefix: `{${prefix}:0}`,
  });
  queues.push(queue);
  return (id, agoMs, options) =>
    queue.add('Tasks.build', {}, { jobId: id, timestamp: Date.now() - agoMs, ...options });
}

const MINUTE = 60_000;

describe('what waits', () => {
  let prefix: string;
  let app: TestApp;
  let add: ReturnType<typeof raw>;
  beforeEach(async () => {
    prefix = uniquePrefix();
    app = await boot(prefix, { role: 'producer' }, { queues: { unserved: 'ignored' } });
    add = raw(prefix);
    // Makes the queue known, without anything that waits.
    await app.workflows.tasks(Tasks).build.applyAsync([0], { countdown: '1h' });
  });

  const oldest = async (): Promise<number> => (await queueOf(app))?.oldestMs ?? -1;

  it('is counted, apart from what has time', async () => {
    expect(await queueOf(app)).toEqual({
      backlog: 0,
      oldestMs: 0,
      delayed: 1,
      active: 0,
      paused: false,
      workers: 0,
    });
    const { build } = app.workflows.tasks(Tasks);
    for (const month of [1, 2]) await build.delay(month);
    await build.applyAsync([3], { priority: 5 });
    expect(await queueOf(app)).toMatchObject({ backlog: 3, delayed: 1 });
    await until(async () => (await oldest()) > 20, 'the oldest to grow older');
    expect(await reasons(app)).toEqual([]);
    expect(await reasons(app, { backlog: { degraded: 3 } })).toEqual([
      'queue reports: 3 tasks wait, 3 or more',
    ]);
    expect(await reasons(app, { overrides: { reports: { oldest: { degraded: 1 } } } })).toEqual([
      expect.stringMatching(/^queue reports: a task has been waiting for \d+ ms, 1 ms or more$/),
    ]);
  });

  it.each<[what: string, tasks: [id: string, agoMinutes: number, options?: JobsOptions][], minutes: number]>([
    [
      'the first of many',
      [
        ['a', 9],
        ['b', 5],
        ['c', 1],
      ],
      9,
    ],
    [
      'one below tasks that came last and go first',
      [
        ['a', 9],
        ['b', 5, { lifo: true }],
        ['c', 1, { lifo: true }],
      ],
      9,
    ],
    [
      'one of low priority',
      [
        ['a', 9, { priority: 100 }],
        ['b', 5, { priority: 1 }],
        ['c', 7, { priority: 50 }],
      ],
      9,
    ],
    [
      'one whose countdown is over',
      [
        ['a', 30, { delay: 20 * MINUTE }],
        ['b', 5],
      ],
      10,
    ],
    [
      'none whose countdown is not over',
      [
        ['a', 30, { delay: 90 * MINUTE }],
        ['b', 5],
      ],
      5,
    ],
  ])('is as old as the oldest: %s', async (_what, tasks, minutes) => {
    for (const [id, ago, options] of tasks) await add(id, ago * MINUTE, options);
    const age = await oldest();
    expect(age).toBeGreaterThanOrEqual(minutes * MINUTE);
    expect(age).toBeLessThan((minutes + 1) * MINUTE);
  });

  it('is as old as one deep in the middle of a long list, roughly', async () => {
    const job = (id: string, ago: number, lifo: boolean) => add(id, ago * MINUTE, { lifo });
    for (let at = 0; at < 50; at++) await job(`fifo${at}`, 100 - at, false);
    for (let at = 0; at < 50; at++) await job(`lifo${at}`, 50 - at, true);
    const age = await oldest();
    expect(age).toBeGreaterThan(85 * MINUTE);
    expect(age).toBeLessThanOrEqual(101 * MINUTE);
  });

  it('is paused when somebody has paused it', async () => {
    await add('a', 5 * MINUTE);
    await queues[0]?.pause();
    expect(await queueOf(app)).toMatchObject({ paused: true, backlog: 1 });
    expect(await oldest()).toBeGreaterThanOrEqual(5 * MINUTE);
    expect(await reasons(app)).toEqual(['queue reports: it is paused']);
    await queues[0]?.resume();
    expect(await reasons(app)).toEqual([]);
  });

  it('is summed over the shards', async () => {
    const sharded = await boot(uniquePrefix(), { role: 'producer', shards: 3 });
    const { build } = sharded.workflows.tasks(Tasks);
    await Promise.all(Array.from({ length: 30 }, (_, month) => build.delay(month)));
    expect(await queueOf(sharded)).toMatchObject({ backlog: 30 });
  });
});

describe('who serves what', () => {
  it('is known everywhere: tasks that no worker serves are reported until one does', async () => {
    const prefix = uniquePrefix();
    const producer = await boot(prefix, { role: 'producer' });
    await producer.workflows.tasks(Tasks).untilReleased.delay();
    expect(await reasons(producer)).toEqual(['queue slow: 1 tasks wait, and no worker serves it']);
    expect((await healthOf(producer).readiness()).status).toBe('up');
    expect((await healthOf(producer).queues({ unserved: 'down' })).status).toBe('down');

    const worker = await boot(prefix, { queues: { slow: { concurrency: 1 } } });
    await worker.runs.reached('untilReleased');
    await producer.workflows.tasks(Tasks).untilReleased.delay();
    await until(async () => (await queueOf(producer, 'slow'))?.workers === 1, 'the worker to be known');
    expect(await queueOf(producer, 'slow')).toMatchObject({ backlog: 1, active: 1, workers: 1 });
    expect(await reasons(producer)).toEqual([]);

    const closing = worker.close();
    // It says goodbye as soon as it takes nothing more, and not when it has ended.
    await until(async () => (await queueOf(producer, 'slow'))?.workers === 0, 'the worker to be gone');
    expect(await reasons(producer)).toEqual(['queue slow: 1 tasks wait, and no worker serves it']);
    worker.get(Tasks).release();
    await closing;
  }, 240_000);

  it('forgets a worker that has died', async () => {
    const prefix = uniquePrefix();
    const [beats, about] = [`{${prefix}:0}:_workers`, `{${prefix}:0}:_workers:about`];
    const dead = { id: 'dead', host: 'gone', pid: 1, queues: ['reports'], tasks: [] };
    await fixture.redis.zadd(beats, Date.now() - 60_000, 'dead');
    await fixture.redis.hset(about, 'dead', JSON.stringify(dead));
    const worker = await boot(prefix);
    const producer = await boot(prefix, { role: 'producer' });
    await producer.workflows.tasks(Tasks).build.delay(1);
    await until(async () => (await queueOf(producer))?.workers === 1, 'one worker');
    expect(await fixture.redis.hkeys(about)).not.toContain('dead');
    expect(await fixture.redis.pttl(beats)).toBeGreaterThan(0);
    await worker.close();
    expect(await fixture.redis.zcard(beats)).toBe(0);
  });
});

describe('what failed', () => {
  it('is counted: tasks that stand alone, and canvases', async () => {
    const app = await boot(uniquePrefix());
    const { build, fail } = app.workflows.tasks(Tasks);
    expect((await healthOf(app).failures()).details).toEqual({ waiting: 0, canvases: 0, tasks: {} });
    for (let times = 0; times < 2; times++) await fail.delay();
    const canvas = await app.workflows
      .group([build.s(1), fail.s(), app.workflows.group([fail.s()])])
      .applyAsync();
    await expect(canvas.get({ timeout: '60s' })).rejects.toThrow();
    const expected: FailuresDetails = { waiting: 3, canvases: 1, tasks: { reports: 2 } };
    const counted = async (): Promise<boolean> => (await healthOf(app).failures()).details.waiting === 3;
    await until(counted, 'three failures');
    expect(await healthOf(app).failures()).toEqual({ status: 'up', details: expected });
    expect(await healthOf(app).failures({ waiting: { degraded: 3 } })).toEqual({
      status: 'degraded',
      reasons: ['3 failures are kept, 3 or more'],
      details: expected,
    });
  });
});

describe('canvases', () => {
  it('that stand still for too long are named, and forgotten when they go on', async () => {
    const app = await boot(uniquePrefix(), { shards: 2 });
    const { build, untilReleased } = app.workflows.tasks(Tasks);
    const group = await app.workflows.group([build.s(1), untilReleased.s()]).applyAsync();
    const inner = app.workflows.group([untilReleased.s(), build.s(2)]);
    const chord = await app.workflows.group([inner, build.s(3)]).applyAsync();
    await app.runs.reached('untilReleased', 2);
    expect((await healthOf(app).canvases()).status).toBe('up');
    const stuckAfter = 100;
    const stuck = async (): Promise<boolean> =>
      (await healthOf(app).canvases({ stuckAfter })).details.stuck === 3;
    await until(stuck, 'three steps to be stuck');
    const verdict = await healthOf(app).canvases({ stuckAfter });
    expect(verdict).toMatchObject({
      status: 'degraded',
      reasons: [expect.stringMatching(/^3 steps of canvases have been waiting for more than 100 ms: /)],
    });
    const named = verdict.details.oldest?.map(({ id }) => id) ?? [];
    expect([...named].sort()).toEqual([group.id, chord.id].sort());
    expect(verdict.details.oldest?.every(({ waitingMs }) => waitingMs >= stuckAfter)).toBe(true);
    expect((await healthOf(app).canvases({ stuckAfter, stuck: { degraded: 4 } })).status).toBe('up');
    app.get(Tasks).release();
    await group.get({ timeout: '60s' });
    await chord.get({ timeout: '60s' });
    expect(await healthOf(app).canvases({ stuckAfter })).toMatchObject({
      status: 'up',
      details: { waiting: 0, stuck: 0, oldest: [] },
    });
  });
});
