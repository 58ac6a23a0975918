export { DrainError } from '../errors/testing.errors.js';
export type { Attempted, FaultOptions } from './faults.js';
export type { PublishedTask } from './published-tasks.js';
export { TaskQueueTestingModule, type TaskQueueTestingOptions } from './task-queue-testing.module.js';
export {
  type OverridableModule,
  type TaskRef,
  TestTaskQueue,
  type TestTaskQueueOptions,
  type WaitingTask,
} from './test-task-queue.js';
export { useTestTaskQueue } from './use-test-task-queue.js';
