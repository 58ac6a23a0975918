/** A worker application on a machine whose clock is wrong. Its options stand in WORKER_OPTIONS. */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { TaskQueueModule } from 'nestjs-task-queue';
import { ClockTasks, NOTES, type Notes } from './clock-tasks.js';

const { url, prefix, clockMs } = JSON.parse(process.env.WORKER_OPTIONS ?? '{}') as {
  readonly url: string;
  readonly prefix: string;
  /** By how much it is ahead. */
  readonly clockMs: number;
};
const now = Date.now.bind(Date);
Date.now = () => now() + clockMs;

@Module({
  imports: [TaskQueueModule.forRoot({ connection: { url }, prefix })],
  providers: [{ provide: NOTES, useFactory: (): Notes => ({ redis: new Redis(url), prefix }) }, ClockTasks],
})
class ClockWorkerModule {}

await NestFactory.createApplicationContext(ClockWorkerModule, { logger: ['warn', 'error', 'fatal'] });
process.once('disconnect', () => process.exit(1));
process.send?.('ready');
