import 'reflect-metadata';
import { Injectable, type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type PoolOptions, Task, TaskQueueModule, Tasks } from 'nestjs-task-queue';
import { REDIS_URL } from './redis-url.js';

export const POOL_SIZE = 2;

@Injectable()
@Tasks({ queue: 'pooled' })
export class PooledTasks {
  @Task()
  noop(): void {}
}

/** An application whose tasks run where `pool` says. */
export function startPooled(pool: PoolOptions): Promise<INestApplicationContext> {
  @Module({
    imports: [
      TaskQueueModule.forRoot({
        connection: { url: REDIS_URL },
        queues: { pooled: { concurrency: POOL_SIZE, pool } },
        publishTimeout: '60s',
      }),
    ],
    providers: [PooledTasks],
  })
  class PooledModule {}
  return NestFactory.createApplicationContext(PooledModule, { logger: ['error', 'warn'] });
}

/** What a child bootstraps. */
@Module({
  imports: [TaskQueueModule.forRoot({ connection: { url: REDIS_URL } })],
  providers: [PooledTasks],
})
export class ChildModule {}
