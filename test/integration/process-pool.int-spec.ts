import { setTimeout as delay } from 'node:timers/promises';
import {
  CallbackWithOutcomes,
  NonRetryableError,
  TaskRevokedError,
  type TaskFailure,
  TimeLimitExceededError,
  UnserializableResultError,
  WorkerLostError,
} from 'nestjs-task-queue';
import { TaskQueueHealth, TaskQueueHealthModule } from 'nestjs-task-queue/health';
import { AppFixture, type TestApp, until } from '../support/app-fixture.js';
import { bootPool, isRunning } from '../support/pool-app.js';
import { CardDeclinedError, type Death, PaymentError, PoolTasks } from '../support/workers/pool-tasks.js';

const apps = new AppFixture();
let app: TestApp;

beforeAll(async () => {
  app = await bootPool(
    apps,
    { size: 2, killGrace: 500, execArgv: ['--max-old-space-size=80'] },
    { options: { errors: [CardDeclinedError] }, imports: [TaskQueueHealthModule] },
  );
}, 120_000);
afterEach(() => jest.restoreAllMocks());
afterAll(async () => {
  await apps.closeAll();
  await apps.end();
}, 120_000);

const tasks = () => app.workflows.tasks(PoolTasks);
const within = { timeout: '30s' };

describe('what a handler in a child process has', () => {
  it('runs there, and its value comes back', async () => {
    const pid = await (await tasks().pid.delay()).get(within);
    expect(pid).not.toBe(process.pid);
    expect(isRunning(pid)).toBe(true);
    await expect((await tasks().nothing.delay()).get(within)).resolves.toBeNull();
  });

  it('has its context, also by currentTask()', async () => {
    const handle = await tasks().context.applyAsync(['word'], { headers: { tenant: 'acme' }, maxRetries: 7 });
    await expect(handle.get(within)).resolves.toEqual({
      id: handle.id,
      name: 'PoolTasks.context',
      queue: 'pooled',
      attempt: 1,
      retries: 0,
      maxRetries: 7,
      headers: { tenant: 'acme' },
      args: ['word'],
      workflow: { id: handle.id, position: '' },
      word: 'word',
      current: true,
    });
  });

  it('has its guards, pipes, interceptors and filters', async () => {
    const enhanced = (value: string, isFar: boolean) =>
      app.workflows.signature('PoolTasks.enhanced', [value, isFar], { queue: 'pooled' }).applyAsync();
    const value = (await (await enhanced('42', false)).get(within)) as { pid: number };
    expect(value).toEqual({ around: 'task-queue', pid: expect.any(Number) as unknown, value: 43 });
    const forgiven = (await (await enhanced('42', true)).get(within)) as { pid: number };
    expect(forgiven).toEqual({ forgiven: 'too far', pid: expect.any(Number) as unknown });
    expect([value.pid, forgiven.pid]).not.toContain(process.pid);
    const guarded = await enhanced('41', false);
    await guarded.get({ ...within, propagate: false });
    expect(await guarded.failure()).toMatchObject({
      error: { name: 'ForbiddenException' },
      request: { attempt: 1 },
    });
    const piped = await enhanced('0x2', false); // even, but no digits
    await piped.get({ ...within, propagate: false });
    expect(await piped.failure()).toMatchObject({
      error: { code: 'INVALID_ARGUMENTS' },
      request: { attempt: 1 },
    });
  });

  it('stores progress, and writes lines through the logger of the worker', async () => {
    const handle = await tasks().tells.delay();
    await handle.get(within);
    await expect(handle.progress()).resolves.toEqual({ step: 2 });
    const [line, ...more] = app.log.matching(/a line of the task/);
    expect(more).toEqual([]);
    expect(line).toMatch(`PoolTasks.tells ${handle.id} attempt 1: a line of the task {`);
    // The fields that every line of a task has.
    expect(line).toMatch(`taskId: '${handle.id}'`);
    expect(app.log.matching(/a line of a provider/)).toHaveLength(1);
  });

  it('takes locks, which end with the attempt', async () => {
    const group = app.workflows.group([1, 2, 3].map(() => tasks().locked.s()));
    const tokens = await (await group.applyAsync()).get(within);
    expect(new Set(tokens).size).toBe(3);
  });

  it('adds members to its group', async () => {
    const group = app.workflows.group([tasks().adds.s([1, 2]), tasks().adds.s([3])]);
    const values: unknown[] = await (await group.delay()).get(within);
    expect(values.slice(0, 2)).toEqual(['adder', 'adder']);
    expect(new Set(values.slice(2))).toEqual(new Set([2, 4, 6]));
  });

  it('publishes through a connection of its own', async () => {
    const id = await (await tasks().publishes.delay()).get(within);
    await expect(app.workflows.result(id).get(within)).resolves.toBe(8);
  });

  it('takes part in canvases, and runs for each item of a list', async () => {
    const { doubles } = tasks();
    await expect(
      (await app.workflows.chain(doubles.s(1), doubles.s(), doubles.s()).applyAsync()).get(within),
    ).resolves.toBe(8);
    await expect((await doubles.map([1, 2, 3]).applyAsync()).get(within)).resolves.toEqual([2, 4, 6]);
  });
});

describe('a body in a child process that takes Outcomes', () => {
  it.each([
    ['a few', 3],
    ['more than a page', 1_200],
  ])('reads %s members itself, with the failures among them', async (_what, count) => {
    const { doubles, fails, reads } = tasks();
    const members = Array.from({ length: count }, (_, index) => doubles.s(index));
    const header = [...members, fails.s('class') as never];
    const options = { recovery: CallbackWithOutcomes };
    const chord = await app.workflows.chord(header, reads.s('x'), options).applyAsync();
    const seen = (await chord.get({ timeout: '60s' })) as unknown as { pid: number };
    const failed = ['the card was declined'];
    expect(seen).toMatchObject({ label: 'x', size: count + 1, sum: count * (count - 1), failed });
    expect(seen.pid).not.toBe(process.pid);
  });

  it('takes a list where it is called by itself', async () => {
    const handle = await tasks().reads.delay([1, 2], 'own');
    await expect(handle.get(within)).resolves.toMatchObject({ size: 2, sum: 3, failed: [] });
  });
});

describe('what a handler in a child process throws', () => {
  it('is an error of its class, with its cause and its properties', async () => {
    const error: unknown = await (await tasks().fails.delay('class')).get(within).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(CardDeclinedError);
    expect(error).toMatchObject({
      message: 'the card was declined',
      card: { last4: '1111' },
      cause: expect.any(RangeError) as unknown,
      stack: expect.stringContaining('pool-tasks.js') as unknown,
    });
  });

  it('is matched by policies that list a class it extends', async () => {
    await expect((await tasks().declined.delay()).get(within)).resolves.toBe('paid in attempt 2');
  });

  it('may be anything', async () => {
    await expect((await tasks().fails.delay('text')).get(within)).rejects.toThrow('a task threw "a text"');
    await expect((await tasks().fails.delay('final')).get(within)).rejects.toThrow(NonRetryableError);
    await expect((await tasks().unserializable.delay()).get(within)).rejects.toThrow(
      UnserializableResultError,
    );
  });

  it('steers the task: a retry, a rejection, an ignored result, a replacement', async () => {
    await expect((await tasks().asks.delay()).get(within)).resolves.toBe('after 2 retries');
    await expect((await tasks().fails.delay('reject')).get(within)).rejects.toThrow('not today');
    await expect((await tasks().fails.delay('ignore')).get(within)).resolves.toBeNull();
    await expect((await tasks().replaced.delay()).get(within)).resolves.toBe(42);
  });

  it('is known by its class even where only its policy names it', async () => {
    const failed = await tasks().declined.applyAsync([], { maxRetries: 0 });
    await expect(failed.get(within)).rejects.toThrow(PaymentError);
  });
});

describe('how an attempt in a child process ends', () => {
  it('a hard limit ends a loop that never yields', async () => {
    const handle = await tasks().busy.applyAsync([600_000], { timeLimit: 300 });
    await expect(handle.get(within)).rejects.toThrow(TimeLimitExceededError);
    await expect((await tasks().pid.delay()).get(within)).resolves.toEqual(expect.any(Number));
  });

  it('a soft limit aborts its signal', async () => {
    const handle = await tasks().waits.applyAsync([], { softTimeLimit: 100 });
    await expect(handle.get(within)).resolves.toBe('soft-time-limit: SoftTimeLimitExceededError');
  });

  it('limits that are changed while it runs reach it', async () => {
    const started = async (handle: { progress(): Promise<unknown> }) =>
      until(async () => (await handle.progress()) !== undefined, 'it runs');
    const { limits } = app.workflows;
    const soft = await tasks().waits.applyAsync([], { softTimeLimit: '1h' });
    await started(soft);
    await limits.setRunning(soft.id, { softTimeLimit: 1 });
    await expect(soft.get(within)).resolves.toBe('soft-time-limit: SoftTimeLimitExceededError');
    const hard = await tasks().deaf.delay();
    await started(hard);
    await limits.set('PoolTasks.deaf', { timeLimit: 1 });
    await expect(hard.get(within)).rejects.toThrow(TimeLimitExceededError);
    await limits.clear('PoolTasks.deaf');
    // Its own clock would have ended it.
    const longer = await tasks().waits.applyAsync([], { softTimeLimit: 2_000 });
    await started(longer);
    await limits.setRunning(longer.id, { softTimeLimit: '1h' });
    await delay(2_500);
    expect(await longer.state()).toBe('STARTED');
    await limits.setRunning(longer.id, { softTimeLimit: 1 });
    await expect(longer.get(within)).resolves.toBe('soft-time-limit: SoftTimeLimitExceededError');
  });

  it('health says how many of the processes are ready', async () => {
    const health = app.get(TaskQueueHealth);
    const pool = async () => (await health.workers()).details.pools?.['pooled'];
    await until(async () => (await pool())?.ready === 2, 'both are ready');
    expect(await pool()).toMatchObject({ size: 2, ready: 2, busy: 0 });
    const handle = await tasks().deaf.delay();
    await until(async () => (await pool())?.busy === 1, 'one is busy');
    const pid = Number(
      await until(async () => (await handle.progress()) !== undefined, 'it runs').then(() =>
        handle.progress(),
      ),
    );
    process.kill(pid, 'SIGKILL');
    // The lost task is run again, in the process that is left or the one that takes the place.
    await until(
      async () => Number(await handle.progress()) !== pid && (await pool())?.ready === 2,
      'both are back',
    );
    await handle.revoke({ terminate: true });
    await expect(handle.get(within)).rejects.toThrow(TaskRevokedError);
    expect((await health.workers()).details.pools?.['pooled']).toMatchObject({ size: 2 });
  });

  it('a revocation aborts its signal, and kills what does not listen', async () => {
    for (const task of [tasks().waits, tasks().deaf]) {
      const handle = await task.delay();
      await until(async () => (await handle.progress()) !== undefined, 'it runs');
      const pid = Number(await handle.progress());
      await handle.revoke({ terminate: true });
      await expect(handle.get(within)).rejects.toThrow(TaskRevokedError);
      if (task === tasks().deaf) await until(() => !isRunning(pid), 'it was killed');
    }
  });

  it.each<[Death, RegExp]>([
    ['exit', /ended with exit code 3/],
    ['abort', /SIGABRT/],
    ['segfault', /SIGSEGV/],
    ['rejection', /TypeError: nobody waits for this/],
    ['memory', /heap out of memory/],
  ])(
    '%s ends the attempts of one task, and touches no other',
    async (death, says) => {
      // What it says goes on to the stderr of the worker, where Jest would take it for a process of its own that died.
      const stderr = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
      const others = await Promise.all([1, 2, 3].map(() => tasks().attemptAfter.delay(500)));
      const handle = await tasks().dies.delay(death);
      const error: unknown = await handle.get(within).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(WorkerLostError);
      expect(error).toMatchObject({ timesLost: 2, message: expect.stringMatching(says) as unknown });
      await expect(handle.progress()).resolves.toBe(2);
      for (const other of others) await expect(other.get(within)).resolves.toBe(1);
      const failures = (): TaskFailure[] =>
        app.runs.of<TaskFailure>('failure').filter(({ request }) => request.id === handle.id);
      await until(() => failures().length > 0, 'the hook ran');
      await delay(50);
      expect(failures()).toHaveLength(1);
      expect(failures()[0]).toMatchObject({ reason: 'worker-lost' });
      const said = stderr.mock.calls.map(([chunk]) => String(chunk)).join('');
      if (death === 'memory' || death === 'rejection') expect(said).toMatch(says);
    },
    90_000,
  );
});
