import { FlowProducer, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { WorkflowService } from 'nestjs-task-queue';
import { BenchTasks, CONCURRENCY, Progress, startApp } from './apps.js';
import { type Comparison } from './measure.js';
import { REDIS_URL } from './redis-url.js';
import { type Cost, Stopwatch } from './stopwatch.js';

/** Time from the dispatch of a chord of `width` members to its callback, with the list of their values. */
export function wideChord(width: number, goal: string): Comparison {
  return {
    name: `chord of ${width.toLocaleString('en')} members, dispatch to callback`,
    unit: 'member',
    goal,
    units: width,
    reference: async () => {
      const connection = new Redis(REDIS_URL, { maxRetriesPerRequest: null });
      const progress = new Progress();
      const members = new Worker('default', async (job) => (job.data as { n: number }).n, {
        connection,
        concurrency: CONCURRENCY,
      });
      const bodies = new Worker(
        'bodies',
        async (job) => {
          const values = Object.values(await job.getChildrenValues());
          progress.step();
          return values.length;
        },
        { connection },
      );
      await Promise.all([members.waitUntilReady(), bodies.waitUntilReady()]);
      const flow = new FlowProducer({ connection });
      const chord = async (count: number): Promise<void> => {
        const called = progress.reach(1);
        await flow.add({
          name: 'body',
          queueName: 'bodies',
          children: Array.from({ length: count }, (_, n) => ({
            name: 'value',
            queueName: 'default',
            data: { n },
            opts: { ignoreDependencyOnFailure: true },
          })),
        });
        await called;
      };
      const cost = await measured(chord, width, progress);
      await Promise.all([members.close(), bodies.close()]);
      await flow.close();
      connection.disconnect();
      return cost;
    },
    ours: () => chordOf(width),
  };
}

/** One chord of so many members, by the library. */
export async function chordOf(width: number): Promise<Cost> {
  const progress = new Progress();
  const app = await startApp('both', progress);
  const workflows = app.get(WorkflowService);
  const tasks = workflows.tasks(BenchTasks);
  const chord = async (count: number): Promise<void> => {
    const called = progress.reach(1);
    const header = Array.from({ length: count }, (_, n) => tasks.value.s(n));
    await workflows.chord(header, tasks.body.s()).applyAsync();
    await called;
  };
  const cost = await measured(chord, width, progress);
  await app.close();
  return cost;
}

/** After a small one: connections are there, scripts are known. */
async function measured(
  chord: (count: number) => Promise<void>,
  width: number,
  progress: Progress,
): Promise<Cost> {
  await chord(10);
  progress.finished = 0;
  const watch = await Stopwatch.start();
  await chord(width);
  return watch.stop();
}
