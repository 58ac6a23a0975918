/**
 * A worker application in a process of its own, which kills itself in the middle of a canvas that is wider than a page.
 * Its options stand in WORKER_OPTIONS.
 */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { TaskQueueModule, type TaskQueueModuleOptions, WorkflowService } from 'nestjs-task-queue';
import { WIDE_COUNTS, WideTasks } from './wide-tasks.js';

/** Where the process dies: at a transaction of the node that it fills, or when it has read so many pages of a node. */
export type WideEnd =
  | {
      readonly at: 'transaction';
      readonly side: 'before' | 'after';
      readonly nth: number;
      readonly node: string;
    }
  | { readonly at: 'page'; readonly nth: number; readonly node: string };

interface WorkerOptions {
  readonly url: string;
  readonly prefix: string;
  readonly options: TaskQueueModuleOptions;
  readonly dies?: WideEnd;
}

const { url, prefix, options, dies } = JSON.parse(process.env.WORKER_OPTIONS ?? '{}') as WorkerOptions;
const redis = new Redis(url);
redis.on('error', () => undefined);

@Module({
  imports: [TaskQueueModule.forRoot({ connection: { url }, prefix, role: 'worker', ...options })],
  providers: [{ provide: WIDE_COUNTS, useValue: { redis, prefix } }, WideTasks],
})
class WideWorkerModule {}

interface Engine {
  readonly ledger: { membersInOrder(node: string, size: number): AsyncIterable<unknown> };
  readonly publisher: { readonly transactions: { run(what: { id: string }): Promise<unknown> } };
}

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  throw new Error('dying');
}

function prepareEnd({ ledger, publisher: { transactions } }: Engine, end: WideEnd): void {
  let count = 0;
  if (end.at === 'page') {
    const read = ledger.membersInOrder.bind(ledger);
    ledger.membersInOrder = async function* (node, size) {
      for await (const page of read(node, size)) {
        yield page;
        if (node === end.node && (count += 1) === end.nth) die();
      }
    };
    return;
  }
  const run = transactions.run.bind(transactions);
  transactions.run = async (what) => {
    const isTheEnd = what.id === end.node && (count += 1) === end.nth;
    if (isTheEnd && end.side === 'before') die();
    const answer = await run(what);
    return isTheEnd ? die() : answer;
  };
}

const app = await NestFactory.createApplicationContext(WideWorkerModule, {
  logger: ['warn', 'error', 'fatal'],
});
if (dies !== undefined)
  prepareEnd((app.get(WorkflowService) as unknown as { readonly engine: Engine }).engine, dies);
// A parent that is gone wants nothing any more.
process.once('disconnect', () => process.exit(1));
process.send?.('ready');
