import { setTimeout as delay } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import {
  OnStuck,
  SoftTimeLimitExceededError,
  Task,
  TaskContext,
  type TaskStuck,
  TimeLimitExceededError,
} from 'nestjs-task-queue';
import { TaskQueueHealth, TaskQueueHealthModule } from 'nestjs-task-queue/health';
import { AppFixture, Runs, type TestApp, until } from '../support/app-fixture.js';

@Injectable()
class LimitedTasks {
  readonly released = new AbortController();

  constructor(private readonly runs: Runs) {}

  /** Saves what it has reached when its time is up, and asks to go on with the rest. */
  @Task({ softTimeLimit: 200, timeLimit: '30s' })
  async dataset(items: number[], task: TaskContext): Promise<string> {
    const rest = [...items];
    try {
      while (rest.length > 0) {
        await task.sleep(30);
        this.runs.record('item', rest.shift());
      }
    } catch (error) {
      if (!(error instanceof SoftTimeLimitExceededError)) throw error;
      this.runs.record('cleanup', task.interruption);
      await task.progress({ left: rest.length });
      return task.retry({ countdown: 10, args: [rest], maxRetries: 50 });
    }
    return `done in attempt ${task.attempt}`;
  }

  /** Never yields, and looks at the clock. */
  @Task({ softTimeLimit: 100 })
  computes(task: TaskContext): string {
    try {
      for (;;) task.throwIfAborted();
    } catch (error) {
      return `${(error as Error).name}: ${task.signal.aborted}`;
    }
  }

  @Task({ softTimeLimit: 150, timeLimit: 300 })
  async extends(by: number, task: TaskContext): Promise<string> {
    task.extendTimeLimit(by);
    await task.sleep(600);
    return String(task.interruption);
  }

  @Task({ timeLimit: 100 })
  async deaf(): Promise<void> {
    await delay(60_000, undefined, { signal: this.released.signal }).catch(() => undefined);
    this.runs.record('ended');
  }

  @Task()
  async blocks(ms: number): Promise<void> {
    await delay(1);
    const until = performance.now() + ms;
    while (performance.now() < until);
  }

  @OnStuck('deaf')
  onStuck(stuck: TaskStuck): void {
    this.runs.record('stuck', stuck);
  }
}

const apps = new AppFixture();
let app: TestApp;
beforeAll(async () => {
  app = await apps.boot({
    providers: [LimitedTasks],
    imports: [TaskQueueHealthModule.forRoot()],
    options: { worker: { stuckAfter: 100, blockedAfter: 300 } },
  });
}, 120_000);
afterAll(async () => {
  await apps.closeAll();
  await apps.end();
}, 120_000);
const tasks = () => app.workflows.tasks(LimitedTasks);
const within = { timeout: '30s' };

describe('a soft time limit', () => {
  it('leaves a task time to clean up, and to go on with the rest in another attempt', async () => {
    const items = Array.from({ length: 15 }, (_, index) => index);
    const handle = await tasks().dataset.delay(items);
    await expect(handle.get(within)).resolves.toMatch(/^done in attempt ([2-9]|\d\d)$/);
    expect(app.runs.of('item')).toEqual(items);
    expect(new Set(app.runs.of('cleanup'))).toEqual(new Set(['soft-time-limit']));
  });

  it('is seen by a loop that never yields, when it looks', async () => {
    await expect((await tasks().computes.delay()).get(within)).resolves.toBe(
      'SoftTimeLimitExceededError: true',
    );
  });

  it('and the hard one are moved on by the task itself', async () => {
    await expect((await tasks().extends.delay(60_000)).get(within)).resolves.toBe('undefined');
    await expect((await tasks().extends.delay(0)).get(within)).rejects.toThrow(SoftTimeLimitExceededError);
  });
});

describe('a handler that goes on', () => {
  it('after its hard limit is reported as stuck until it ends', async () => {
    const handle = await tasks().deaf.delay();
    await expect(handle.get(within)).rejects.toThrow(TimeLimitExceededError);
    await app.runs.reached('stuck');
    expect(app.runs.of('stuck')).toEqual([
      { id: handle.id, name: 'LimitedTasks.deaf', args: [], queue: 'default', attempt: 1, cause: 'time-limit', forMs: 100 }, // prettier-ignore
    ]);
    expect(app.log.matching(/is stuck: its handler was told to end \(time-limit\)/)).toHaveLength(1);
    const health = app.get(TaskQueueHealth);
    expect(await health.workers()).toMatchObject({
      status: 'degraded',
      reasons: ['1 handler does not end, although told to'],
      details: { stuckHandlers: 1 },
    });
    app.get(LimitedTasks).released.abort();
    await app.runs.reached('ended');
    await until(() => app.log.matching(/the stuck handler has ended after all/).length === 1, 'it is said');
    await until(async () => (await health.workers()).status === 'up', 'nothing is stuck any more');
  });

  it('without yielding is named in the log', async () => {
    await (await tasks().blocks.delay(900)).get(within);
    const said = (): string[] => app.log.matching(/blocked for \d+ ms while LimitedTasks\.blocks ran/);
    await until(() => said().length > 0, 'it is said');
    expect(said()[0]).toContain("Give the queue 'default' a process pool");
  });
});
