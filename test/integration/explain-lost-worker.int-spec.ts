/** A worker that is killed: `explain` tells soon, from another process, and what it says would help does. */
import type { Obstacle } from 'nestjs-task-queue';
import { redisUrl, type TestApp, until, uniquePrefix, useApps } from '../support/app-fixture.js';
import { WorkerProcess } from '../support/worker-process.js';

const fixture = useApps();
const workers: WorkerProcess[] = [];
afterEach(() => Promise.all(workers.splice(0).map((worker) => worker.end())));

const queues = { members: { concurrency: 5 }, ends: { concurrency: 5 } };

async function running(worker: object): Promise<{
  readonly app: TestApp;
  readonly killed: WorkerProcess;
  readonly start: () => Promise<WorkerProcess>;
  readonly look: () => Promise<readonly Obstacle[]>;
}> {
  const prefix = uniquePrefix('killed');
  const app = await fixture.boot({ prefix, options: { role: 'producer' } });
  const start = async (): Promise<WorkerProcess> => {
    const options = { url: redisUrl(), prefix, options: { queues, worker } };
    const started = await WorkerProcess.start('counting-worker', options);
    workers.push(started);
    return started;
  };
  const killed = await start();
  const args = ['c', 0, 'value', 300_000];
  const { id } = await app.workflows
    .signature('CountingTasks.member', args, { queue: 'members' })
    .applyAsync();
  const look = async () => (await app.workflows.explain(id)).obstacles;
  await until(
    async () => (await look()).some((one) => one.kind === 'running' && one.isWorkerAlive === true),
    'it runs, and its worker is alive',
  );
  await killed.end('SIGKILL');
  return { app, killed, start, look };
}

it('says while the lock holds that the worker gives no sign of life', async () => {
  const { killed, look } = await running({ lockDuration: '5m' });
  await until(
    async () => (await look()).some((one) => one.kind === 'running' && one.isWorkerAlive === false),
    'the worker is silent',
    30_000,
  );
  const [obstacle] = await look();
  expect(obstacle?.text).toContain(`:${killed.pid}`);
  expect(obstacle?.text).toContain('gives no sign of life');
  expect(obstacle?.remedy).toBe(
    'Another worker of its queue takes it up when the lock has run out, if one is alive.',
  );
}, 120_000);

it('says by the defaults, when the lock has run out, that somebody has to start one; who does takes it up', async () => {
  const { start, look } = await running({});
  let said: readonly Obstacle[] = [];
  // Before the worker is forgotten.
  await until(
    async () => (said = await look()).some(({ kind }) => kind === 'no-worker'),
    'nobody serves the queue',
    30_000,
  );
  expect(said.map(({ kind }) => kind)).toEqual(['stalled', 'no-worker']);
  expect(said[0]).toMatchObject({ isServed: false });
  expect(said[0]?.remedy).toBe('The first worker of the queue members that is started takes it up.');
  const other = await start();
  await until(
    async () =>
      (await look()).some(
        (one) =>
          one.kind === 'running' && one.isWorkerAlive === true && one.worker?.endsWith(`:${other.pid}`),
      ),
    'the other one runs it',
    60_000,
  );
  await other.end();
}, 120_000);
