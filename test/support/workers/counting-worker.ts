/** A worker application in a process of its own. Its options stand in WORKER_OPTIONS. */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { TaskQueueModule, type TaskQueueModuleOptions } from 'nestjs-task-queue';
import { COUNTS, type Counts, CountingTasks } from './counting-tasks.js';

interface WorkerOptions {
  readonly url: string;
  readonly prefix: string;
  readonly options: TaskQueueModuleOptions;
}

const { url, prefix, options } = JSON.parse(process.env.WORKER_OPTIONS ?? '{}') as WorkerOptions;

@Module({
  imports: [
    TaskQueueModule.forRoot({
      connection: { url, connectionName: prefix },
      prefix,
      role: 'worker',
      ...options,
    }),
  ],
  providers: [
    { provide: COUNTS, useFactory: (): Counts => ({ redis: new Redis(url), prefix }) },
    CountingTasks,
  ],
})
class CountingWorkerModule {}

const app = await NestFactory.createApplicationContext(CountingWorkerModule, {
  logger: ['warn', 'error', 'fatal'],
});
process.once('SIGTERM', () => void app.close().then(() => process.exit(0)));
// A parent that is gone wants nothing any more.
process.once('disconnect', () => process.exit(1));
process.send?.('ready');
