/** A worker whose clock jumps by an hour while it works: what it holds stays its own, and it says that its clock is wrong. */
import { uniquePrefix, redisUrl, until, useApps } from '../support/app-fixture.js';
import { WorkerProcess } from '../support/worker-process.js';
import { CountingTasks } from '../support/workers/counting-tasks.js';

const HOUR_MS = 3_600_000;
const LOCK_MS = 1_000;
const fixture = useApps();
const workers: WorkerProcess[] = [];

async function startWorker(prefix: string): Promise<WorkerProcess> {
  const worker = { lockDuration: LOCK_MS, stalledInterval: LOCK_MS / 4, maxTimesLost: 90 };
  const started = await WorkerProcess.start('counting-worker', {
    url: redisUrl(),
    prefix,
    options: { worker },
  });
  workers.push(started);
  return started;
}

describe('a worker whose clock jumps', () => {
  afterEach(() => Promise.all(workers.splice(0).map((worker) => worker.end())));

  it.each([
    ['behind', -HOUR_MS],
    ['ahead of', HOUR_MS],
  ])(
    'a clock that comes to be an hour %s: locks are renewed, nothing runs twice, and it is told',
    async (is, ms) => {
      const prefix = uniquePrefix('clock');
      fixture.adopt(prefix);
      const app = await fixture.boot({ prefix, options: { role: 'producer' } });
      const tasks = app.workflows.tasks(CountingTasks);
      const jumping = await startWorker(prefix);
      const members = Array.from({ length: 3 }, (_, index) =>
        tasks.member.s('c', index, 'value', 6 * LOCK_MS),
      );
      const chord = await app.workflows.chord(members, tasks.body.s('c')).applyAsync();
      const runs = async (): Promise<Record<string, string>> => fixture.redis.hgetall(`count:${prefix}:runs`);
      await until(async () => Object.keys(await runs()).length === 3, 'the members run');

      jumping.jump(ms);
      // Whoever takes up what seems to be lost.
      await startWorker(prefix);

      expect(await chord.get({ timeout: '60s' })).toEqual({ chord: 'c', sum: 3 });
      expect(Object.values(await runs())).toEqual(['1', '1', '1', '1']);
      const told = `The clock of this machine is 3600 s ${is} that of Redis`;
      await until(() => jumping.output.includes(told), 'the worker says that its clock is wrong');
    },
    120_000,
  );
});
