/** The application of a pool's child. What differs from test to test stands in POOL_OPTIONS. */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { TaskQueueModule, type TaskQueueModuleOptions } from 'nestjs-task-queue';
import { NOTES, PoolTasks } from './pool-tasks.js';

export interface PoolAppOptions {
  /** What the worker is given as well, its pool excepted. */
  readonly options: TaskQueueModuleOptions;
}

const { options } = JSON.parse(process.env.POOL_OPTIONS ?? '{}') as PoolAppOptions;

@Module({
  imports: [TaskQueueModule.forRoot(options)],
  providers: [{ provide: NOTES, useValue: () => undefined }, PoolTasks],
})
export default class PoolModule {}
