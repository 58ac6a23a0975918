import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { WorkflowService } from 'nestjs-task-queue';
import { BenchTasks, CONCURRENCY, Progress, startApp } from './apps.js';
import { type Comparison } from './measure.js';
import { REDIS_URL } from './redis-url.js';
import { type Cost, Stopwatch } from './stopwatch.js';

const CHUNK = 500;

/** Time from the first to the last of `count` no-op tasks that wait in a queue when the worker starts. */
export function noOpTasks(count: number, currentTask: boolean): Comparison {
  return {
    name: `no-op task, concurrency ${CONCURRENCY}${currentTask ? '' : ', worker.currentTask off'}`,
    unit: 'task',
    goal: 'at most 1.05 of the time of a raw BullMQ Worker (0.95 of its throughput)',
    units: count,
    reference: async () => {
      const connection = new Redis(REDIS_URL, { maxRetriesPerRequest: null });
      const queue = new Queue('default', { connection });
      for (let at = 0; at < count; at += CHUNK) {
        await queue.addBulk(
          Array.from({ length: Math.min(CHUNK, count - at) }, () => ({ name: 'noop', data: {} })),
        );
      }
      const watch = await Stopwatch.start();
      const progress = new Progress(() => watch.restart());
      const all = progress.reach(count);
      const worker = new Worker('default', async () => progress.step(), {
        connection,
        concurrency: CONCURRENCY,
      });
      await all;
      const cost = await watch.stop();
      await worker.close();
      await queue.close();
      connection.disconnect();
      return cost;
    },
    ours: () => drain(count, 'noop', currentTask),
  };
}

/** Time from the first to the last of `count` tasks that wait when the worker starts. */
export async function drain(
  count: number,
  task: 'noop' | 'enhancedNoop',
  currentTask: boolean,
): Promise<Cost> {
  const producer = await startApp('producer', new Progress());
  const tasks = producer.get(WorkflowService).tasks(BenchTasks);
  for (let at = 0; at < count; at += CHUNK) {
    await Promise.all(Array.from({ length: Math.min(CHUNK, count - at) }, () => tasks[task].delay()));
  }
  await producer.close();
  const watch = await Stopwatch.start();
  const progress = new Progress(() => watch.restart());
  const all = progress.reach(count);
  const worker = await startApp('worker', progress, currentTask);
  await all;
  const cost = await watch.stop();
  await worker.close();
  return cost;
}
