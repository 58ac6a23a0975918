/** The application of a child that is made by a function, and one that lacks the tasks. */
import { type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TaskQueueModule } from 'nestjs-task-queue';
import PoolModule from './pool-module.js';

export async function createChild(): Promise<INestApplicationContext> {
  return NestFactory.createApplicationContext(PoolModule, { logger: false });
}

@Module({ imports: [TaskQueueModule.forRoot({ connection: { url: 'redis://127.0.0.1:1' } })] })
export class EmptyModule {}
