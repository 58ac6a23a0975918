import type { AsyncResult } from 'nestjs-task-queue';
import { type TestApp, redisUrl, uniquePrefix, until, useApps } from '../support/app-fixture.js';
import { bootPool, built, isRunning } from '../support/pool-app.js';
import { WorkerProcess } from '../support/worker-process.js';
import { PoolTasks } from '../support/workers/pool-tasks.js';

const apps = useApps();
const within = { timeout: '30s' };
const tasksOf = (app: TestApp) => app.workflows.tasks(PoolTasks);

/** The process that a task runs in, which it notes as its progress. */
async function pidOf(handle: AsyncResult<unknown>): Promise<number> {
  await until(async () => (await handle.progress()) !== undefined, 'it runs');
  return Number(await handle.progress());
}

describe('the children of a pool', () => {
  it('are replaced after so many tasks, each by one that is ready', async () => {
    const app = await bootPool(apps, { size: 1, maxTasksPerChild: 2 });
    const pids: number[] = [];
    for (let task = 0; task < 6; task++) pids.push(await (await tasksOf(app).pid.delay()).get(within));
    const different = [...new Set(pids)];
    expect(pids).toEqual(different.flatMap((pid) => [pid, pid]));
    await until(() => different.every((pid) => !isRunning(pid)), 'the worn ones have ended');
  }, 120_000);

  it('are replaced when they have grown too large, and go on until then', async () => {
    const app = await bootPool(apps, { size: 1, maxMemoryPerChild: '1mb' });
    const first = await (await tasksOf(app).pid.delay()).get(within);
    let latest = first;
    await until(async () => {
      latest = await (await tasksOf(app).pid.delay()).get(within);
      return latest !== first;
    }, 'another one has taken over');
    await until(() => !isRunning(first), 'the first one has ended');
  }, 120_000);

  it('are made by a function of the module as well', async () => {
    const app = await bootPool(apps, { size: 1, module: built('pool-factory.js'), export: 'createChild' });
    await expect((await tasksOf(app).doubles.delay(3)).get(within)).resolves.toBe(6);
  }, 120_000);

  it('leave a busy task its lock, however long it takes', async () => {
    const app = await bootPool(
      apps,
      { size: 1 },
      { options: { worker: { lockDuration: 400, stalledInterval: 400 } } },
    );
    await expect((await tasksOf(app).busy.delay(2_500)).get(within)).resolves.toBe(1);
  }, 120_000);

  it('see the limits of a loop that never yields, and can move them on', async () => {
    const app = await bootPool(apps, { size: 1 });
    const { looks } = tasksOf(app);
    const limits = { softTimeLimit: 300, timeLimit: 1_500 };
    await expect((await looks.applyAsync([60_000, 0], limits)).get(within)).resolves.toMatch(
      /soft time limit of 300 ms/,
    );
    await expect((await looks.applyAsync([2_000, 20_000], limits)).get(within)).resolves.toBe('done');
  }, 120_000);

  it('end with the application, and what they run is given back', async () => {
    const app = await bootPool(apps, { size: 2 }, { options: { worker: { drainTimeout: 100 } } });
    const handles = await Promise.all([tasksOf(app).deaf.delay(), tasksOf(app).waits.delay()]);
    const pids = await Promise.all(handles.map(pidOf));
    await app.close();
    expect(pids.filter(isRunning)).toEqual([]);
    const unfinished = await apps.unfinished(app.prefix);
    // The other one has heard its signal, and returned.
    expect(Object.values(unfinished).flat()).toEqual([handles[0].id]);
  }, 120_000);
});

describe('children that cannot start', () => {
  it.each([
    ['a module that throws', { module: built('pool-broken.js') }, /there is no database/],
    ['a module without the tasks', { module: built('pool-factory.js'), export: 'EmptyModule' }, /has no task "PoolTasks\.pid"/], // prettier-ignore
    ['an export that is not there', { export: 'Nothing' }, /pool\.export: expected the name/],
    ['a file that is not there', { module: built('nowhere.js') }, /Cannot find module/],
    ['a start that takes too long', { startTimeout: 5 }, /not ready within 5 ms/],
  ])(
    '%s: is said, and tried again with pauses',
    async (_what, pool, says) => {
      const app = await bootPool(apps, { size: 3, ...pool });
      const tries = (): string[] => app.log.matching(/a child could not start/);
      await until(() => tries().length >= 2, 'it was tried again');
      expect(tries()[0]).toMatch(says);
      expect(tries().slice(0, 2).map((line) => /next try is in (\d+) ms/.exec(line)?.[1])).toEqual(['500', '1000']); // prettier-ignore
      const handle = await tasksOf(app).pid.delay();
      await expect(handle.state()).resolves.toBe('PENDING');
    },
    60_000,
  );
});

describe('a worker that is killed', () => {
  it('takes its children along, those that never yield too; another worker runs their tasks', async () => {
    const prefix = uniquePrefix();
    apps.adopt(prefix);
    const options = {
      connection: { url: redisUrl(), connectionName: prefix },
      prefix,
      worker: { lockDuration: 1_000, stalledInterval: 500, drainTimeout: 0 },
    };
    const producer = await apps.boot({ prefix, options: { role: 'producer' } });
    const { busy, deaf } = producer.workflows.tasks(PoolTasks);
    const first = await WorkerProcess.start('pool-worker', options);
    let second: WorkerProcess | undefined;
    try {
      const handles = [await busy.delay(6_000), await deaf.applyAsync([], { timeLimit: 30_000 })] as const;
      const pids = await Promise.all(handles.map(pidOf));
      expect(pids.filter(isRunning)).toEqual(pids);
      await first.end('SIGKILL');
      await until(() => !pids.some(isRunning), 'no child is left');
      second = await WorkerProcess.start('pool-worker', options);
      await expect(handles[0].get(within)).resolves.toBe(2);
    } finally {
      await first.end();
      await second?.end('SIGTERM');
      expect(second?.exitCode ?? 0).toBe(0);
    }
  }, 120_000);

  it('a Ctrl-C leaves running tasks the drain time', async () => {
    const prefix = uniquePrefix();
    apps.adopt(prefix);
    const options = { connection: { url: redisUrl(), connectionName: prefix }, prefix };
    const producer = await apps.boot({ prefix, options: { role: 'producer' } });
    const worker = await WorkerProcess.start('pool-worker', options);
    try {
      const handle = await producer.workflows.tasks(PoolTasks).busy.delay(1_000);
      const pid = await pidOf(handle);
      process.kill(pid, 'SIGINT');
      worker.signal('SIGINT');
      await expect(handle.get(within)).resolves.toBe(1);
      await worker.ended();
      await until(() => !isRunning(pid), 'its child has ended');
    } finally {
      await worker.end();
    }
  }, 120_000);
});
