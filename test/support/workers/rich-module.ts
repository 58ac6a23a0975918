/** The application of a pool's child that has a codec. Connection and prefix stand in POOL_OPTIONS. */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { TaskQueueModule, type TaskQueueModuleOptions } from 'nestjs-task-queue';
import { RichTasks, superjson } from './rich-tasks.js';

const options = JSON.parse(process.env.POOL_OPTIONS ?? '{}') as TaskQueueModuleOptions;

@Module({
  imports: [TaskQueueModule.forRoot({ ...options, codec: superjson })],
  providers: [RichTasks],
})
export default class RichModule {}
