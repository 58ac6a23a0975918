/** Publishes calls with idempotency keys as fast as it can, until it is killed. Its options stand in WORKER_OPTIONS. */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TaskQueueModule, WorkflowService } from 'nestjs-task-queue';

interface PublisherOptions {
  readonly url: string;
  readonly prefix: string;
  readonly task: string;
  /** Calls at a time, each with the next number as its key and argument. */
  readonly lanes: number;
}

const { url, prefix, task, lanes } = JSON.parse(process.env.WORKER_OPTIONS ?? '{}') as PublisherOptions;

@Module({
  imports: [
    TaskQueueModule.forRoot({ connection: { url, connectionName: prefix }, prefix, role: 'producer' }),
  ],
})
class PublisherModule {}

const app = await NestFactory.createApplicationContext(PublisherModule, { logger: ['error', 'fatal'] });
const workflows = app.get(WorkflowService);
process.once('disconnect', () => process.exit(1));
process.send?.('ready');

let next = 0;
const lane = async (): Promise<never> => {
  for (;;) {
    const number = next++;
    await workflows.signature<void, []>(task, [number]).applyAsync([], { idempotencyKey: `call ${number}` });
  }
};
await Promise.all(Array.from({ length: lanes }, lane));
