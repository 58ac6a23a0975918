/**
 * A producer in a process of its own, so that it can be killed while it publishes. What it publishes stands in
 * WORKER_OPTIONS; it says `ready` when its source is first read, and ends when all members are there.
 */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TaskQueueModule, WorkflowService } from 'nestjs-task-queue';

interface ProducerOptions {
  readonly url: string;
  readonly prefix: string;
  /** `list` and `narrow`: published with all members known; `stream`: read from a source. */
  readonly from: 'list' | 'stream' | 'narrow';
  readonly taskId: string;
  readonly count: number;
  readonly member: string;
  readonly body: string;
}

const { url, prefix, from, taskId, count, member, body } = JSON.parse(
  process.env.WORKER_OPTIONS ?? '{}',
) as ProducerOptions;

@Module({ imports: [TaskQueueModule.forRoot({ connection: { url }, prefix, role: 'producer' })] })
class WideProducerModule {}

const app = await NestFactory.createApplicationContext(WideProducerModule, {
  logger: ['warn', 'error', 'fatal'],
});
// A parent that is gone wants nothing any more.
const abandoned = (): never => process.exit(1);
process.once('disconnect', abandoned);
const workflows = app.get(WorkflowService);
// Every hundredth member is a chain: a node among the tasks.
const memberOf = (index: number) => {
  const task = workflows.signature<number, []>(member, [index]);
  return index % 100 === 99 ? workflows.chain(task) : task;
};
const end = workflows.signature<number, [unknown]>(body);

if (from !== 'stream') {
  process.send?.('ready');
  const header = Array.from({ length: count }, (_, index) => memberOf(index));
  await workflows.chord(header, end).applyAsync([], { taskId });
} else {
  const source = async function* () {
    process.send?.('ready');
    for (let index = 0; index < count; index++) {
      yield memberOf(index);
      if (index % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  const handle = await workflows.chord(source, end).applyAsync([], { taskId });
  await handle.sealed();
}
await app.close();
process.off('disconnect', abandoned);
process.disconnect();
