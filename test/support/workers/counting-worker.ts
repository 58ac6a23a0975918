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

function counts(): Counts {
  const redis = new Redis(url);
  redis.on('error', () => undefined);
  return { redis, prefix };
}

@Module({
  imports: [
    TaskQueueModule.forRoot({
      connection: { url, connectionName: prefix },
      prefix,
      role: 'worker',
      ...options,
    }),
  ],
  providers: [{ provide: COUNTS, useFactory: counts }, CountingTasks],
})
class CountingWorkerModule {}

const app = await NestFactory.createApplicationContext(CountingWorkerModule, {
  logger: ['warn', 'error', 'fatal'],
});
const abandoned = (): never => process.exit(1);
// A parent that is gone wants nothing any more.
process.once('disconnect', abandoned);
process.once('SIGTERM', () => {
  process.off('disconnect', abandoned);
  // Nothing ends the process but that nothing is left to do.
  void app.close().then(() => {
    app.get<Counts>(COUNTS).redis.disconnect();
    process.disconnect();
  });
});
process.send?.('ready');
