import { Injectable } from '@nestjs/common';
import { currentTask, Task, TaskRevokedError, WorkflowService } from 'nestjs-task-queue';
import { type MemoryApp, startMemoryApp } from '../../support/memory-app.js';

@Injectable()
class OrderTasks {
  constructor(private readonly workflows: WorkflowService) {}

  @Task()
  double(value: number): number {
    return value * 2;
  }

  @Task()
  async all(values: number[]): Promise<number[]> {
    const { double } = this.workflows.tasks(OrderTasks);
    return currentTask().replace(this.workflows.group(values.map((value) => double.s(value))));
  }

  @Task()
  async later(value: number): Promise<number> {
    const { double } = this.workflows.tasks(OrderTasks);
    return currentTask().replace(double.s(value).set({ countdown: '1h' }));
  }
}

describe('without Redis', () => {
  let app: MemoryApp;
  beforeEach(async () => {
    app = await startMemoryApp([OrderTasks]);
  });
  afterEach(() => app.close());

  it('items run in one job', async () => {
    const { double } = app.workflows.tasks(OrderTasks);
    expect(
      await double
        .map([1, 2])
        .delay()
        .then((handle) => handle.result()),
    ).toEqual([2, 4]);
    const chunks = await double.chunks([[1], [2], [3]], 2).delay();
    expect(await chunks.get()).toEqual([[2, 4], [6]]);
  });

  it('a canvas takes the place of a member, and is revoked with it', async () => {
    const { all, double, later } = app.workflows.tasks(OrderTasks);
    const chord = await app.workflows.chord([double.s(1)], all.s()).delay();
    expect(await chord.get()).toEqual([4]);
    const delayed = await later.delay(4);
    expect(await delayed.state()).toBe('STARTED');
    await delayed.revoke();
    await app.quiet();
    await expect(delayed.get()).rejects.toBeInstanceOf(TaskRevokedError);
  });
});
