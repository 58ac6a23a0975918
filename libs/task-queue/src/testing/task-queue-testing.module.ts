import { type DynamicModule, Module } from '@nestjs/common';
import { onPlatform, TaskQueueModule } from '../nest/task-queue.module.js';
import type { TaskQueueModuleOptions } from '../options/task-queue-options.js';
import { TestTaskQueue, type TestTaskQueueOptions } from './test-task-queue.js';

/** Options of `TaskQueueTestingModule.forRoot`: those of `TaskQueueModule` without a connection, and how to run. */
export interface TaskQueueTestingOptions
  extends Omit<TaskQueueModuleOptions, 'connection'>, TestTaskQueueOptions {}

/**
 * Stands in the place of `TaskQueueModule` in a test: the same tasks, canvases, retries and results, without Redis.
 * `TestTaskQueue` is injected from it.
 *
 * ```ts
 * const module = await Test.createTestingModule({
 *   imports: [TaskQueueTestingModule.forRoot()],
 *   providers: [ContractTasks],
 * }).compile();
 * await module.init();
 * ```
 */
@Module({})
export class TaskQueueTestingModule {
  /** @throws InvalidOptionsError at once when an option cannot be read */
  static forRoot(options: TaskQueueTestingOptions = {}): DynamicModule {
    const { mode, clock, startAt, maxSteps, patience, stuckAfter, ...production } = options;
    const running = { mode, clock, startAt, maxSteps, patience, stuckAfter };
    const queue = new TestTaskQueue(withoutUndefined(running));
    return {
      module: TaskQueueTestingModule,
      global: true,
      imports: [onPlatform(TaskQueueModule.forRoot(production), queue.platform)],
      providers: [{ provide: TestTaskQueue, useValue: queue }],
      exports: [TestTaskQueue],
    };
  }
}

function withoutUndefined<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
