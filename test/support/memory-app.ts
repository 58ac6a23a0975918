import type { ModuleMetadata } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { WorkflowService } from 'nestjs-task-queue';
import {
  TaskQueueTestingModule,
  type TaskQueueTestingOptions,
  TestTaskQueue,
} from 'nestjs-task-queue/testing';
import type { CanvasApp } from './canvas-runner.js';

/** A started application without Redis. */
export interface MemoryApp extends CanvasApp {
  readonly queue: TestTaskQueue;
}

/** Starts an application with these providers, as a test of a user's would. */
export async function startMemoryApp(
  providers: NonNullable<ModuleMetadata['providers']>,
  options: TaskQueueTestingOptions = {},
): Promise<MemoryApp> {
  const module = await Test.createTestingModule({
    imports: [TaskQueueTestingModule.forRoot(options)],
    providers,
  }).compile();
  module.useLogger(false);
  await module.init();
  const queue = module.get(TestTaskQueue);
  return {
    module,
    workflows: module.get(WorkflowService),
    queue,
    quiet: async () => void (await queue.drain({ delayed: true })),
    close: () => module.close(),
  };
}
