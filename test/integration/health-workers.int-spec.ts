/**
 * What is said of the workers of an application: whether they fetch tasks. A connection that answers PING says nothing
 * about that.
 */
import { Injectable } from '@nestjs/common';
import type { Worker } from 'bullmq';
import { Task, type TaskQueueModuleOptions } from 'nestjs-task-queue';
import {
  type HealthOptions,
  TaskQueueHealth,
  TaskQueueHealthModule,
  type WorkersDetails,
} from 'nestjs-task-queue/health';
import type { RedisBackend } from '../../libs/task-queue/src/broker/redis-backend.js';
import { TaskQueueEngine } from '../../libs/task-queue/src/engine/task-queue-engine.js';
import { redisUrl, Runs, type TestApp, uniquePrefix, until, useApps } from '../support/app-fixture.js';
import { StallingProxy } from '../support/stalling-proxy.js';
import { PrivateRedis } from '../support/workers/private-redis.js';

@Injectable()
class Tasks {
  #release = (): void => undefined;
  readonly #released = new Promise<void>((resolve) => (this.#release = resolve));
  constructor(private readonly runs: Runs) {}

  @Task()
  note(label: string): void {
    this.runs.record(label);
  }

  @Task({ queue: 'slow' })
  async untilReleased(): Promise<void> {
    this.runs.record('untilReleased');
    await this.#released;
  }

  @Task({ queue: 'later' })
  later(): void {
    this.runs.record('later');
  }

  release(): void {
    this.#release();
  }
}

const fixture = useApps();
const proxies: StallingProxy[] = [];
const redises: PrivateRedis[] = [];
afterEach(async () => {
  await fixture.closeAll();
  await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
  await Promise.all(redises.splice(0).map((redis) => redis.end()));
}, 240_000);

const boot = (
  health: HealthOptions,
  options: TaskQueueModuleOptions = {},
  url = redisUrl(),
  prefix = uniquePrefix(),
): Promise<TestApp> =>
  fixture.boot({
    url,
    prefix,
    providers: [Tasks],
    options: { ...options, worker: { drainTimeout: '5s' } },
    imports: [TaskQueueHealthModule.forRoot({ timeout: '1s', broker: { persistence: 'any' }, ...health })],
  });

const healthOf = (app: TestApp): TaskQueueHealth => app.get(TaskQueueHealth);
const tasksOf = (app: TestApp) => app.workflows.tasks(Tasks);

async function details(app: TestApp): Promise<WorkersDetails> {
  return (await healthOf(app).workers()).details as WorkersDetails;
}

/** The workers of BullMQ behind an application, as somebody who looks inside gets at them. */
function bullmqWorkers(app: TestApp, queue: string): Worker[] {
  const backend = app.get(TaskQueueEngine).backend as RedisBackend;
  return backend.bullmqWorkers.filter(({ name }) => name === queue);
}

describe('workers that do their work', () => {
  it('are up: idle, waiting for what is delayed, and with every slot taken', async () => {
    const app = await boot({ workers: { stuckAfter: '3s' } }, { queues: { slow: { concurrency: 1 } } });
    await tasksOf(app).untilReleased.delay();
    await tasksOf(app).later.applyAsync([], { countdown: '5m' });
    await app.runs.reached('untilReleased');
    let idleMoves = 0;
    let last = 0;
    const until = performance.now() + 14_000;
    while (performance.now() < until) {
      expect(await healthOf(app).workers()).toMatchObject({
        status: 'up',
        details: {
          queues: {
            slow: { state: 'busy', running: 1, concurrency: 1 },
            later: { state: 'moving', running: 0 },
            default: { state: 'moving' },
          },
        },
      });
      const { movedAgoMs = 0 } = (await details(app)).queues['default'] ?? {};
      if (movedAgoMs < last) idleMoves++;
      last = movedAgoMs;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    // BullMQ blocks for 5 s at a time: a loop that is idle comes by every now and then, and is seen to.
    expect(idleMoves).toBeGreaterThanOrEqual(2);
    expect((await details(app)).queues['slow']?.movedAgoMs).toBeGreaterThan(13_000);
    expect((await healthOf(app).liveness()).status).toBe('up');
    app.get(Tasks).release();
    await untilMoving(app, 'slow');
  }, 240_000);

  it('say which tasks and queues they serve; a producer serves none', async () => {
    const app = await boot({});
    expect(await details(app)).toMatchObject({
      role: 'both',
      state: 'serving',
      tasks: expect.arrayContaining(['Tasks.note', 'Tasks.untilReleased', 'Tasks.later']) as string[],
    });
    expect(Object.keys((await details(app)).queues).sort()).toEqual(['_canvas', 'default', 'later', 'slow']);
    const producer = await boot({}, { role: 'producer' });
    expect(await healthOf(producer).workers()).toMatchObject({
      status: 'up',
      details: { role: 'producer', state: 'idle', tasks: [], queues: {} },
    });
    expect((await healthOf(producer).readiness()).status).toBe('up');
  });

  it('are counted over all shards', async () => {
    const app = await boot({}, { shards: 3, queues: { slow: { concurrency: 2 } } });
    expect((await details(app)).queues['slow']).toMatchObject({ concurrency: 6, state: 'moving' });
  });
});

async function untilMoving(app: TestApp, queue: string): Promise<void> {
  const moving = async (): Promise<boolean> => (await details(app)).queues[queue]?.state === 'moving';
  await until(moving, `queue ${queue} to be fetched from`, 30_000);
}

describe('a worker that stopped consuming', () => {
  it('is down while Redis answers PING, and up again by itself', async () => {
    const proxy = await StallingProxy.start(redisUrl());
    proxies.push(proxy);
    const app = await boot({ workers: { stuckAfter: '1s' } }, {}, proxy.url);
    await tasksOf(app).note.delay('before');
    await app.runs.reached('before');
    expect((await healthOf(app).check()).status).toBe('up');

    // The connection over which tasks are fetched: workers look for stalled tasks on it.
    expect(proxy.stall(':stalled-check')).toBe(1);
    await tasksOf(app).note.delay('while it is stuck');
    const down = async (): Promise<boolean> => (await healthOf(app).workers()).status === 'down';
    await until(down, 'the workers to be down', 30_000);
    expect((await healthOf(app).broker()).status).toBe('up');
    expect(await healthOf(app).workers()).toMatchObject({
      reasons: expect.arrayContaining([
        expect.stringMatching(/^queue default: nothing has been fetched .* although Redis answers$/),
      ]) as string[],
      details: { queues: { default: { state: 'stuck', running: 0 } } },
    });
    expect((await healthOf(app).liveness()).status).toBe('down');
    expect((await healthOf(app).readiness()).status).toBe('down');
    expect(app.runs.count('while it is stuck')).toBe(0);
    // Others hear of it with the next heartbeats.
    const producer = await boot({}, { role: 'producer' }, redisUrl(), app.prefix);
    const served = async (): Promise<number | undefined> =>
      (await healthOf(producer).queues()).details.queues?.['default']?.workers;
    await until(async () => (await served()) === 0, 'the queue to be known as not served', 60_000);
    expect(await healthOf(producer).queues()).toMatchObject({
      status: 'degraded',
      reasons: ['queue default: 1 tasks wait, and no worker serves it'],
    });
    // BullMQ does not know.
    expect(bullmqWorkers(app, 'default').map((worker) => worker.isRunning())).toEqual([true]);

    proxy.resume();
    await app.runs.reached('while it is stuck', 1, 30_000);
    await until(async () => (await healthOf(app).liveness()).status === 'up', 'it to be alive', 30_000);
    expect((await healthOf(app).check()).status).toBe('up');
  }, 240_000);

  it('is down when a slot stays free because what became of a task cannot be stored', async () => {
    const proxy = await StallingProxy.start(redisUrl());
    proxies.push(proxy);
    const app = await boot(
      { workers: { stuckAfter: '1s' } },
      { queues: { slow: { concurrency: 1 } } },
      proxy.url,
    );
    await tasksOf(app).untilReleased.delay();
    await app.runs.reached('untilReleased');
    expect(proxy.stall(':stalled-check')).toBe(1);
    app.get(Tasks).release();
    const stuck = async (): Promise<boolean> => (await details(app)).queues['slow']?.state === 'stuck';
    await until(stuck, 'the queue to be stuck', 30_000);
    proxy.resume();
    await untilMoving(app, 'slow');
  }, 240_000);

  it('is not, when only its blocking connection goes silent: BullMQ makes itself another one', async () => {
    const proxy = await StallingProxy.start(redisUrl());
    proxies.push(proxy);
    const app = await boot({ workers: { stuckAfter: '10s' } }, {}, proxy.url);
    await tasksOf(app).note.delay('before');
    await app.runs.reached('before');
    expect(proxy.stall('bzpopmin')).toBeGreaterThan(0);
    await tasksOf(app).note.delay('after');
    await app.runs.reached('after', 1, 30_000);
    expect((await healthOf(app).workers()).status).toBe('up');
  }, 240_000);

  it('is down, and not dead, while it is paused; dead when it has ended', async () => {
    const app = await boot({});
    const [worker] = bullmqWorkers(app, 'default');
    await worker?.pause(true);
    expect(await healthOf(app).workers()).toMatchObject({
      status: 'down',
      reasons: ['queue default: its worker is paused'],
    });
    expect((await healthOf(app).liveness()).status).toBe('up');
    await worker?.resume();
    expect((await healthOf(app).workers()).status).toBe('up');
    await worker?.close();
    expect(await healthOf(app).liveness()).toMatchObject({
      status: 'down',
      reasons: ['queue default: its worker has ended'],
    });
  }, 240_000);
});

describe('a process', () => {
  it('stays alive while Redis is frozen for long, and when it comes back', async () => {
    const redis = await PrivateRedis.start();
    redises.push(redis);
    const app = await boot({ timeout: '500ms', workers: { stuckAfter: '500ms' } }, {}, redis.url);
    await tasksOf(app).note.delay('before');
    await app.runs.reached('before');
    redis.freeze();
    const seen = new Set<string>();
    const watch = async (ms: number): Promise<void> => {
      const end = performance.now() + ms;
      while (performance.now() < end) seen.add((await healthOf(app).liveness()).status);
    };
    try {
      await watch(9_000); // longer than a loop has any reason to wait
    } finally {
      redis.thaw();
    }
    await watch(2_000);
    expect([...seen]).toEqual(['up']);
    await tasksOf(app).note.delay('after');
    await app.runs.reached('after');
    expect((await healthOf(app).workers()).status).toBe('up');
  }, 240_000);

  it('is degraded after its event loop was blocked, and recovers', async () => {
    const app = await boot({ workers: { eventLoopLag: { degraded: '500ms', down: '60s' } } });
    const end = performance.now() + 1_500;
    while (performance.now() < end);
    expect(await healthOf(app).workers()).toMatchObject({
      status: 'degraded',
      reasons: [expect.stringMatching(/^the event loop was blocked for [\d.]+ s, 500 ms or more$/)],
    });
    expect((await details(app)).eventLoopLagMs).toBeGreaterThan(1_000);
    await until(async () => (await healthOf(app).workers()).status === 'up', 'it to recover', 40_000);
  }, 240_000);

  it('is not ready from the beginning of its shutdown on, and alive', async () => {
    const app = await boot({});
    await tasksOf(app).untilReleased.delay();
    await app.runs.reached('untilReleased');
    expect((await healthOf(app).readiness()).status).toBe('up');
    const closing = app.close();
    await until(async () => (await healthOf(app).readiness()).status === 'down', 'it to be not ready');
    expect(await healthOf(app).readiness()).toMatchObject({ reasons: ['the application is shutting down'] });
    expect((await healthOf(app).liveness()).status).toBe('up');
    app.get(Tasks).release();
    await closing;
    expect((await healthOf(app).check()).status).toBe('down');
  }, 240_000);
});
