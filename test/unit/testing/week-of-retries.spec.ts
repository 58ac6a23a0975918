import { Injectable } from '@nestjs/common';
import { currentTask, Retry, Task } from 'nestjs-task-queue';
import { TestTaskQueue } from 'nestjs-task-queue/testing';
import { type MemoryApp, startMemoryApp } from '../../support/memory-app.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

@Injectable()
class Attempts {
  readonly all: { readonly task: string; readonly at: string }[] = [];

  constructor(private readonly queue: TestTaskQueue) {}

  note(): void {
    this.all.push({ task: currentTask().name, at: this.queue.now().toISOString() });
  }

  of(task: string): string[] {
    return this.all.filter((attempt) => attempt.task === task).map(({ at }) => at);
  }
}

@Injectable()
class Webhooks {
  constructor(private readonly attempts: Attempts) {}

  @Task({ name: 'deliver' })
  @Retry({ maxRetries: 25, backoff: { type: 'exponential', delay: '1m', max: '12h', jitter: false } })
  deliver(): never {
    this.attempts.note();
    throw new Error('502');
  }

  @Task({ name: 'poll' })
  @Retry({ maxRetries: 3_000, backoff: { type: 'fixed', delay: '5m' } })
  poll(): never {
    this.attempts.note();
    throw new Error('not yet');
  }
}

let app: MemoryApp;
afterEach(() => app.close());

async function start() {
  app = await startMemoryApp([Attempts, Webhooks], {
    mode: 'stepwise',
    startAt: '2030-01-07T00:00:00Z',
    defaults: { resultExpires: '30d' },
  });
  const { queue, workflows, module } = app;
  return { queue, tasks: workflows.tasks(Webhooks), attempts: module.get(Attempts) };
}

it('each attempt of a week has its instant', async () => {
  const { queue, tasks, attempts } = await start();
  const handle = await tasks.deliver.delay();

  await queue.advance('7d');

  let at = Date.parse('2030-01-07T00:00:00Z');
  const expected = [at];
  for (let retry = 0; at < Date.parse('2030-01-14T00:00:00Z'); retry++) {
    at += Math.min(MINUTE * 2 ** retry, 12 * HOUR);
    if (at <= Date.parse('2030-01-14T00:00:00Z')) expected.push(at);
  }
  expect(attempts.of('deliver')).toEqual(expected.map((ms) => new Date(ms).toISOString()));
  expect(attempts.of('deliver')).toHaveLength(23);
  expect(attempts.of('deliver').slice(0, 4)).toEqual([
    '2030-01-07T00:00:00.000Z',
    '2030-01-07T00:01:00.000Z',
    '2030-01-07T00:03:00.000Z',
    '2030-01-07T00:07:00.000Z',
  ]);
  expect(queue.now().toISOString()).toBe('2030-01-14T00:00:00.000Z');
  expect(await handle.describe()).toMatchObject({ state: 'RETRY', retries: 23 });
  expect(queue.waiting()).toMatchObject([{ task: 'deliver', state: 'delayed' }]);
});

it('two tasks meet on the way in the order of their times', async () => {
  const { queue, tasks, attempts } = await start();
  await tasks.poll.delay();
  await tasks.deliver.applyAsync([], { countdown: '3d' });

  await queue.advance('7d');

  expect(attempts.of('poll')).toHaveLength(7 * 24 * 12 + 1);
  expect(attempts.of('deliver')[0]).toBe('2030-01-10T00:00:00.000Z');
  const times = attempts.all.map(({ at }) => at);
  expect(times).toEqual([...times].sort());
});

it('a week in steps is the same week', async () => {
  const { queue, tasks, attempts } = await start();
  await tasks.deliver.delay();
  for (let hours = 0; hours < 7 * 24; hours += 8) await queue.advance('8h');
  const inSteps = attempts.of('deliver');
  await app.close();

  const whole = await start();
  await whole.tasks.deliver.delay();
  await whole.queue.advance('7d');
  expect(inSteps).toEqual(whole.attempts.of('deliver'));
});
