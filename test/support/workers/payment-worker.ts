/** A worker that takes payments, in a process of its own. Its options stand in WORKER_OPTIONS. */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { TaskQueueModule, type TaskQueueModuleOptions } from 'nestjs-task-queue';
import { PAYMENTS, type Payments, PaymentTasks } from './payment-tasks.js';

interface WorkerOptions {
  readonly url: string;
  readonly prefix: string;
  readonly provider: string;
  readonly options: TaskQueueModuleOptions;
}

const { url, prefix, provider, options } = JSON.parse(process.env.WORKER_OPTIONS ?? '{}') as WorkerOptions;

function payments(): Payments {
  const redis = new Redis(url);
  redis.on('error', () => undefined);
  return { redis, prefix, provider };
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
  providers: [{ provide: PAYMENTS, useFactory: payments }, PaymentTasks],
})
class PaymentWorkerModule {}

await NestFactory.createApplicationContext(PaymentWorkerModule, { logger: ['warn', 'error', 'fatal'] });
// A parent that is gone wants nothing any more.
process.once('disconnect', () => process.exit(1));
process.send?.('ready');
