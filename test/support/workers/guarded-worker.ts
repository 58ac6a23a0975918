/** A worker application in a process of its own, whose tasks call a shared resource. Its options stand in WORKER_OPTIONS. */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { TaskQueueModule, type TaskQueueModuleOptions } from 'nestjs-task-queue';
import { GuardedTasks, RESOURCE } from './guarded-tasks.js';

interface WorkerOptions {
  readonly url: string;
  readonly prefix: string;
  readonly options: TaskQueueModuleOptions;
}

const { url, prefix, options } = JSON.parse(process.env.WORKER_OPTIONS ?? '{}') as WorkerOptions;
const redis = new Redis(url);
redis.on('error', () => undefined);

@Module({
  imports: [
    TaskQueueModule.forRoot({
      connection: { url, connectionName: prefix },
      prefix,
      role: 'worker',
      ...options,
    }),
  ],
  providers: [{ provide: RESOURCE, useValue: { redis, prefix } }, GuardedTasks],
})
class GuardedWorkerModule {}

await NestFactory.createApplicationContext(GuardedWorkerModule, { logger: ['warn', 'error', 'fatal'] });
// A parent that is gone wants nothing any more.
process.once('disconnect', () => process.exit(1));
process.send?.('ready');
