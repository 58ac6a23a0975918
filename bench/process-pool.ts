import { type PoolOptions, WorkflowService } from 'nestjs-task-queue';
import type { Comparison } from './measure.js';
import { POOL_SIZE, PooledTasks, startPooled } from './pool-tasks.js';
import { type Cost, Stopwatch } from './stopwatch.js';

/** What a task costs that runs in a process of its pool, against the worker's own. Both are warm before. */
export function processPool(count: number): Comparison {
  const module = new URL('./pool-tasks.js', import.meta.url);
  return {
    name: `no-op task in a process pool of ${POOL_SIZE}, against in-process, concurrency ${POOL_SIZE}`,
    unit: 'task',
    goal: 'shows what the way to a child and back costs',
    units: count,
    reference: () => together(count, { type: 'in-process' }),
    ours: () => together(count, { type: 'process', module, export: 'ChildModule' }),
  };
}

/** From the publication of a group of no-op tasks to its end. */
async function together(count: number, pool: PoolOptions): Promise<Cost> {
  const app = await startPooled(pool);
  const workflows = app.get(WorkflowService);
  const { noop } = workflows.tasks(PooledTasks);
  for (let warm = 0; warm < 100; warm++) await (await noop.delay()).get({ timeout: '1m' });
  const group = workflows.group(Array.from({ length: count }, () => noop.s()));
  const watch = await Stopwatch.start();
  await (await group.applyAsync()).get({ timeout: '5m' });
  const cost = await watch.stop();
  await app.close();
  return cost;
}
