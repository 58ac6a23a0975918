import { createHook } from 'node:async_hooks';
import { Injectable } from '@nestjs/common';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { Task } from 'nestjs-task-queue';
import { redisUrl, uniquePrefix, until, useApps } from '../support/app-fixture.js';

/**
 * What a plain task costs over a job of BullMQ's own, in what can be counted: times are for the benchmark.
 * A promise is dear where something in the process uses AsyncLocalStorage, on Node.js before 24.
 */

const TASKS = 400;
/** Where all is warm: connections are open, scripts are known. */
const COUNTED_FROM = 100;
/** What timers of a worker make beside, over so many tasks on a slow machine. */
const BESIDE = 1.5;

const fixture = useApps();

/** Counts the promises of this process between two of the calls that it is told of. */
class PromiseCount {
  calls = 0;
  #promises = 0;
  readonly #hook = createHook({
    init: (_id, type) => {
      if (type === 'PROMISE') this.#promises++;
    },
  });

  called(): void {
    this.calls++;
    if (this.calls === COUNTED_FROM) this.#hook.enable();
    if (this.calls === TASKS) this.#hook.disable();
  }

  get perTask(): number {
    return this.#promises / (TASKS - COUNTED_FROM);
  }
}

async function promisesOfBullmq(): Promise<number> {
  const count = new PromiseCount();
  const connection = new Redis(redisUrl(), { maxRetriesPerRequest: null });
  const prefix = uniquePrefix();
  const queue = new Queue('plain', { connection, prefix });
  await queue.addBulk(Array.from({ length: TASKS }, () => ({ name: 'noop', data: {} })));
  const worker = new Worker('plain', async () => count.called(), { connection, prefix, concurrency: 1 });
  await until(() => count.calls === TASKS, 'every job has run');
  await worker.close();
  await queue.close();
  connection.disconnect();
  return count.perTask;
}

@Injectable()
class PlainTasks {
  readonly count = new PromiseCount();

  @Task({ queue: 'plain' })
  async noop(): Promise<void> {
    this.count.called();
  }
}

it('takes a plain task through with no more promises than a job of a BullMQ Worker', async () => {
  const bullmq = await promisesOfBullmq();
  const prefix = uniquePrefix();
  const producer = await fixture.boot({ providers: [PlainTasks], prefix, options: { role: 'producer' } });
  const { noop } = producer.workflows.tasks(PlainTasks);
  await Promise.all(Array.from({ length: TASKS }, () => noop.delay()));
  const queues = { plain: { concurrency: 1 } };
  const worker = await fixture.boot({
    providers: [PlainTasks],
    prefix,
    options: { role: 'worker', queues, worker: { currentTask: false } },
  });
  const { count } = worker.get(PlainTasks);
  await until(() => count.calls === TASKS, 'every task has run');
  expect(bullmq).toBeGreaterThan(20);
  expect(count.perTask).toBeLessThan(bullmq + BESIDE);
});
