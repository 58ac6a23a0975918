/**
 * Machines whose clocks are wrong by an hour. What a worker holds stays its own when its clock jumps, and it says that its clock
 * is wrong; and what waits, expires or has a deadline does so by the clock of Redis.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { CallbackWithOutcomes } from 'nestjs-task-queue';
import { uniquePrefix, redisUrl, type TestApp, until, useApps } from '../support/app-fixture.js';
import { WorkerProcess } from '../support/worker-process.js';
import { beginnings, ClockTasks, serverMs, WAIT_MS } from '../support/workers/clock-tasks.js';
import { CountingTasks } from '../support/workers/counting-tasks.js';

const HOUR_MS = 3_600_000;
const LOCK_MS = 1_000;
const workers: WorkerProcess[] = [];
// Before the fixture looks whether a connection is left.
afterEach(() => Promise.all(workers.splice(0).map((worker) => worker.end())));
const fixture = useApps();

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

/** What is made to wait for WAIT_MS, and the label under which what waits notes when it begins. */
const WAITS: Readonly<Record<string, (app: TestApp) => Promise<unknown>>> = {
  countdown: ({ workflows }) =>
    workflows.tasks(ClockTasks).takes.applyAsync(['countdown', 0], { countdown: WAIT_MS, expires: '1m' }),
  eta: async ({ workflows }) =>
    workflows
      .tasks(ClockTasks)
      .takes.applyAsync(['eta', 0], { eta: new Date((await serverMs(fixture.redis)) + WAIT_MS) }),
  retry: ({ workflows }) => workflows.tasks(ClockTasks).fails.delay('retry'),
  'of a wrong clock': ({ workflows }) => workflows.tasks(ClockTasks).publishes.delay('of a wrong clock'),
  'in a canvas': ({ workflows }) => {
    const { takes } = workflows.tasks(ClockTasks);
    return workflows
      .chain(takes.s('before', 0), takes.si('in a canvas', 0).set({ countdown: WAIT_MS, expires: '1m' }))
      .applyAsync();
  },
  deadline: ({ workflows }) => {
    const { takes, ends } = workflows.tasks(ClockTasks);
    const header = [takes.s('member', 0), takes.s('member', 0).set({ countdown: '10m' })];
    return workflows
      .chord(header, ends.s('deadline'), { deadline: WAIT_MS, recovery: CallbackWithOutcomes })
      .applyAsync();
  },
};

describe.each([
  ['an hour ahead', HOUR_MS],
  ['an hour behind', -HOUR_MS],
  ['30 ms ahead', 30],
])('a worker whose clock is %s', (_, clockMs) => {
  let app: TestApp;
  beforeEach(async () => {
    app = await fixture.boot({ prefix: uniquePrefix('wrong'), options: { role: 'producer' } });
    const { prefix } = app;
    workers.push(await WorkerProcess.start('clock-worker', { url: redisUrl(), prefix, clockMs }));
  });

  it('begins what waits when its time has come by the clock of Redis, and takes nothing for expired', async () => {
    const begunMs = await serverMs(fixture.redis);
    const timesOf = (label: string): Promise<string[]> =>
      fixture.redis.lrange(beginnings(app.prefix, label), 0, -1);
    for (const publish of Object.values(WAITS)) await publish(app);
    for (const label of Object.keys(WAITS)) {
      const runs = label === 'retry' ? 2 : 1;
      await until(async () => (await timesOf(label)).length === runs, `${label} begins`, 60_000);
      expect(Number((await timesOf(label)).at(-1)) - begunMs).toBeGreaterThanOrEqual(WAIT_MS);
    }
  }, 120_000);

  it('looks in time for what is due soon', async () => {
    const { failsOnce } = app.workflows.tasks(ClockTasks);
    const waits: number[] = [];
    for (let at = 0; at < 12; at++) {
      await (await failsOnce.delay(`soon-${at}`)).get({ timeout: '60s' });
      const [first, second] = await fixture.redis.lrange(beginnings(app.prefix, `soon-${at}`), 0, -1);
      waits.push(Number(second) - Number(first));
    }
    // Who has forgotten when to look again looks after 5 s.
    expect(waits.filter((ms) => ms > 2_500)).toHaveLength(0);
  }, 120_000);

  it('lets a producer read its header for as long as it takes', async () => {
    const { takes, ends } = app.workflows.tasks(ClockTasks);
    async function* members() {
      for (let index = 0; index < 10; index++) {
        await delay(WAIT_MS / 10);
        yield takes.s('streamed', 0);
      }
    }
    const chord = await app.workflows.chord(members(), ends.s('sealed')).applyAsync();
    expect(await chord.get({ timeout: '60s' })).toBe(10);
  }, 120_000);
});
