/**
 * An application as users write it, with Nest's own shutdown hooks, in a process of its own. Its options stand in
 * WORKER_OPTIONS.
 */
import 'reflect-metadata';
import { Injectable, Module, type OnModuleInit } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { setTimeout as delay } from 'node:timers/promises';
import { TaskQueueModule, type TaskQueueModuleOptions } from 'nestjs-task-queue';
import { Notes, ShutdownTasks } from './shutdown-tasks.js';

interface WorkerOptions {
  readonly url: string;
  readonly prefix: string;
  readonly options: TaskQueueModuleOptions;
  /** How long a provider takes to get ready. */
  readonly slowStartMs?: number;
}

const { url, prefix, options, slowStartMs } = JSON.parse(process.env.WORKER_OPTIONS ?? '{}') as WorkerOptions;

function notesRedis(): Redis {
  const redis = new Redis(url, { disconnectTimeout: 100 });
  redis.on('error', () => undefined);
  return redis;
}

@Injectable()
class SlowStart implements OnModuleInit {
  async onModuleInit(): Promise<void> {
    if (slowStartMs === undefined) return;
    process.send?.('starting');
    await delay(slowStartMs);
  }
}

@Module({
  imports: [TaskQueueModule.forRoot({ connection: { url, connectionName: prefix }, prefix, ...options })],
  providers: [
    { provide: 'NOTES_REDIS', useFactory: notesRedis },
    { provide: 'NOTES_PREFIX', useValue: prefix },
    Notes,
    ShutdownTasks,
    SlowStart,
  ],
})
class ShutdownWorkerModule {}

// A parent that is gone wants nothing any more.
process.once('disconnect', () => process.exit(1));
const app = await NestFactory.create(ShutdownWorkerModule, { logger: ['warn', 'error', 'fatal'] });
app.enableShutdownHooks();
await app.init();
process.send?.('ready');
