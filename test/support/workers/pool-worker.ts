/** A worker application with a process pool, in a process of its own. Its options stand in WORKER_OPTIONS. */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TaskQueueModule, type TaskQueueModuleOptions } from 'nestjs-task-queue';
import { NOTES, PoolTasks } from './pool-tasks.js';

const options = JSON.parse(process.env.WORKER_OPTIONS ?? '{}') as TaskQueueModuleOptions;

@Module({
  imports: [
    TaskQueueModule.forRoot({
      ...options,
      queues: {
        pooled: {
          pool: {
            type: 'process',
            size: 2,
            module: new URL('./pool-module.js', import.meta.url),
            env: { POOL_OPTIONS: JSON.stringify({ options }) },
          },
        },
      },
    }),
  ],
  providers: [{ provide: NOTES, useValue: () => undefined }, PoolTasks],
})
class PoolWorkerModule {}

const app = await NestFactory.createApplicationContext(PoolWorkerModule, { logger: ['error', 'warn'] });
app.enableShutdownHooks();
process.send?.('ready');
