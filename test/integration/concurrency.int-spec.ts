import { Injectable } from '@nestjs/common';
import { type AsyncResult, Task, TaskContext, WorkflowService } from 'nestjs-task-queue';
import { startApp, uniquePrefix, until } from '../support/canvas-runner.js';

jest.setTimeout(120_000);

@Injectable()
class CrowdTasks {
  #together = 0;

  /** How many of them ran in this worker when it began. */
  @Task({ name: 'crowd', queue: 'crowd' })
  async crowd(task: TaskContext): Promise<number> {
    const together = ++this.#together;
    await task.sleep(30);
    this.#together--;
    return together;
  }
}

const crowdOf = (workflows: WorkflowService, size: number): Promise<AsyncResult<number>[]> =>
  Promise.all(Array.from({ length: size }, () => workflows.signature<number>('crowd').applyAsync([])));

const most = async (handles: readonly AsyncResult<number>[]): Promise<number> =>
  Math.max(...(await Promise.all(handles.map((handle) => handle.get()))));

it('a worker that starts later, before a long queue, keeps to the concurrency that was set', async () => {
  const prefix = uniquePrefix();
  const producer = await startApp([CrowdTasks], { prefix, role: 'producer' });
  await producer.workflows.limits.set('crowd', { concurrency: 1 });
  const waiting = await crowdOf(producer.workflows, 30);
  const worker = await startApp([CrowdTasks], { prefix, queues: { crowd: { concurrency: 10 } } });
  try {
    expect(await most(waiting)).toBe(1);
    await producer.workflows.limits.clear('crowd');
    await until(
      async () => most(await crowdOf(producer.workflows, 20)),
      (seen) => seen > 1,
    );
  } finally {
    await worker.close();
    await producer.close();
  }
});
