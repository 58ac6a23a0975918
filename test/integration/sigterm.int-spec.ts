/**
 * SIGTERM to a worker in a process of its own, while tasks of every kind run: what it ends, what it gives back, what
 * that costs the tasks, and that the process is gone in bounded time.
 */
import { Redis } from 'ioredis';
import { setTimeout as delay } from 'node:timers/promises';
import type { TaskQueueModuleOptions } from 'nestjs-task-queue';
import { redisUrl, type TestApp, uniquePrefix, until, useApps } from '../support/app-fixture.js';
import { WorkerProcess } from '../support/worker-process.js';
import { PrivateRedis } from '../support/workers/private-redis.js';
import { Notes, ShutdownTasks } from '../support/workers/shutdown-tasks.js';

const WITHIN_MS = 40_000;
const DRAIN_MS = 1_500;
/** What docs/lifecycle.md promises beyond the drain time; starting and ending a process on a busy machine takes some too. */
const EXIT_WITHIN_MS = DRAIN_MS + 10_000 + 5_000;

const fixture = useApps();
const workers: WorkerProcess[] = [];
afterEach(() => Promise.all(workers.splice(0).map((worker) => worker.end())));

const OPTIONS: TaskQueueModuleOptions = {
  queues: { work: { concurrency: 20 } },
  worker: { drainTimeout: DRAIN_MS, lockDuration: '4s', stalledInterval: '2s' },
};

async function startProcess(prefix: string, more: object = {}): Promise<WorkerProcess> {
  const worker = await WorkerProcess.start('shutdown-worker', {
    url: redisUrl(),
    prefix,
    options: OPTIONS,
    ...more,
  });
  workers.push(worker);
  return worker;
}

/** An application of this process that knows the same tasks. */
function boot(prefix: string, role: 'producer' | 'both', url = redisUrl()): Promise<TestApp> {
  const notesRedis = (): Redis => {
    const redis = new Redis(url, { disconnectTimeout: 100 });
    redis.on('error', () => undefined);
    return redis;
  };
  return fixture.boot({
    prefix,
    url,
    providers: [
      { provide: 'NOTES_REDIS', useFactory: notesRedis },
      { provide: 'NOTES_PREFIX', useValue: prefix },
      Notes,
      ShutdownTasks,
    ],
    options: { ...OPTIONS, role },
  });
}

/** Resolves when so many tasks have begun. */
async function begun(app: TestApp, what: string, count = 1): Promise<void> {
  await until(
    async () => (await notes(app, what)).length >= count,
    `"${what}" has begun ${count} times`,
    WITHIN_MS,
  );
}

async function notes(app: TestApp, what: string, at: 'begin' | 'end' = 'begin') {
  return (await app.get(Notes).all()).filter((note) => note.what === what && note.at === at);
}

/** How often its worker was lost, as BullMQ counts it, and the attempts that ended in an error. */
async function countsOf(app: TestApp, id: string) {
  const queue = (await app.workflows.queues()).find(({ name }) => name === 'work');
  const job = await queue?.getJob(id);
  return { stalls: job?.stalledCounter, attemptsMade: job?.attemptsMade };
}

async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  const late = delay(ms, undefined, { ref: false }).then(() => {
    throw new Error(`not within ${ms} ms: ${what}`);
  });
  late.catch(() => undefined);
  return Promise.race([promise, late]);
}

const gone = (worker: WorkerProcess) => within(EXIT_WITHIN_MS, 'the process is gone', worker.ended());

describe('SIGTERM', () => {
  it('lets what can end do so, gives the rest back, and nobody has lost a retry', async () => {
    const prefix = uniquePrefix('sigterm');
    const producer = await boot(prefix, 'producer');
    const tasks = producer.workflows.tasks(ShutdownTasks);
    const worker = await startProcess(prefix);
    const finishes = await tasks.finishes.delay('F', DRAIN_MS / 3);
    const publishes = await tasks.publishes.delay('P', DRAIN_MS / 3);
    const listens = await tasks.listens.delay('L');
    const ignores = await tasks.ignores.delay('I');
    const spends = await tasks.spends.delay('S');
    const waits = await tasks.waits.delay('W');
    const chord = await producer.workflows
      .chord([tasks.finishes.s('C', DRAIN_MS / 3), tasks.listens.s('CL')], tasks.body.s('C'))
      .applyAsync();
    await begun(producer, 'listens', 2);
    await begun(producer, 'ignores');
    await begun(producer, 'spends', 2);
    await until(async () => (await waits.state()) === 'RETRY', 'it waits for its second attempt', WITHIN_MS);

    worker.signal('SIGTERM');
    await delay(100);
    const late = await tasks.finishes.delay('late', 0);
    // Nest ends the process by the signal, once the application is closed.
    expect(await gone(worker)).toEqual({ code: null, signal: 'SIGTERM' });

    expect(await finishes.state()).toBe('SUCCESS');
    const published = await publishes.get({ timeout: WITHIN_MS });
    for (const handle of [listens, ignores, spends]) {
      // Given back: it waits for a worker, as one that nobody has lost.
      expect((await countsOf(producer, handle.id)).stalls ?? 0).toBe(0);
      expect(['PENDING', 'RETRY']).toContain(await handle.state());
    }
    expect(await late.state()).toBe('PENDING');

    const next = await boot(prefix, 'both');
    const values = [listens, ignores, waits, late, chord, next.workflows.result(published)].map((handle) =>
      next.workflows.result(handle.id).get({ timeout: WITHIN_MS }),
    );
    expect(await Promise.all(values)).toEqual(['L', 'I', 1, 'late', ['C', 'CL'], 'P, published']);
    await expect(spends.get({ timeout: WITHIN_MS })).rejects.toThrow('attempt 3');

    const all = await next.get(Notes).all();
    const story = (label: string) =>
      all
        .filter((note) => note.label === label && note.at === 'begin')
        .map(({ pid, attempt, retries }) => [pid === worker.pid ? 'first' : 'next', attempt, retries]);
    expect(story('F')).toEqual([['first', 1, 0]]);
    expect(story('L')).toEqual([
      ['first', 1, 0],
      ['next', 2, 0],
    ]);
    expect(story('I')).toEqual([
      ['first', 1, 0],
      ['next', 2, 0],
    ]);
    expect(story('S')).toEqual([
      ['first', 1, 0],
      ['first', 2, 1],
      ['next', 3, 1],
    ]);
    expect(story('W')).toEqual([
      ['first', 1, 0],
      ['next', 2, 1],
    ]);
    expect(story('late')).toEqual([['next', 1, 0]]);
    expect(all.filter(({ what }) => what === 'body')).toHaveLength(1);
    for (const { id } of [listens, ignores, spends]) {
      expect((await countsOf(next, id)).stalls ?? 0).toBe(0);
    }
    expect(worker.output).toContain('did not end when it was told to');
  });

  it('said twice is the same: what runs still gets its time', async () => {
    const prefix = uniquePrefix('twice');
    const producer = await boot(prefix, 'producer');
    const worker = await startProcess(prefix);
    const handle = await producer.workflows.tasks(ShutdownTasks).finishes.delay('F', DRAIN_MS / 2);
    await begun(producer, 'finishes');
    worker.signal('SIGTERM');
    await delay(50);
    worker.signal('SIGTERM');
    worker.signal('SIGINT');
    await gone(worker);
    expect(await handle.state()).toBe('SUCCESS');
    expect(await notes(producer, 'finishes', 'end')).toHaveLength(1);
  });

  it('during the start ends the process, and no task has run', async () => {
    const prefix = uniquePrefix('start');
    const producer = await boot(prefix, 'producer');
    const handle = await producer.workflows.tasks(ShutdownTasks).finishes.delay('F', 0);
    const worker = await startProcess(prefix, { slowStartMs: 1_000 });
    worker.signal('SIGTERM');
    await gone(worker);
    expect(await notes(producer, 'finishes')).toEqual([]);
    expect(await handle.state()).toBe('PENDING');
  });
});

describe('SIGTERM without Redis', () => {
  let redis: PrivateRedis;
  beforeEach(async () => {
    redis = await PrivateRedis.start();
  });
  afterEach(async () => {
    redis.thaw();
    await fixture.closeAll();
    await redis.end();
  });

  it.each([
    ['frozen', () => redis.freeze(), () => redis.thaw()],
    ['gone', () => redis.kill(), () => redis.restart()],
  ] as const)('%s: the process ends all the same, and the tasks are run again', async (_, away, back) => {
    const prefix = uniquePrefix('away');
    const producer = await boot(prefix, 'producer', redis.url);
    const tasks = producer.workflows.tasks(ShutdownTasks);
    const worker = await startProcess(prefix, { url: redis.url });
    const ids = [
      await tasks.listens.delay('L'),
      await tasks.ignores.delay('I'),
      await producer.workflows
        .chord([tasks.listens.s('CL'), tasks.finishes.s('C', 200)], tasks.body.s('C'))
        .applyAsync(),
    ].map(({ id }) => id);
    await begun(producer, 'listens', 2);
    await begun(producer, 'ignores');

    await away();
    worker.signal('SIGTERM');
    await gone(worker);
    await back();

    const next = await boot(prefix, 'both', redis.url);
    const values = ids.map((id) => next.workflows.result(id).get({ timeout: WITHIN_MS }));
    expect(await Promise.all(values)).toEqual(['L', 'I', ['CL', 'C']]);
    const again = (await next.get(Notes).all()).filter(({ pid, at }) => pid !== worker.pid && at === 'begin');
    expect(again.map(({ label, retries }) => [label, retries])).toEqual(
      expect.arrayContaining([
        ['L', 0],
        ['I', 0],
        ['CL', 0],
      ]),
    );
  });
});
