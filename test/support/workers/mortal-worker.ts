/**
 * A worker application in a process of its own, which kills itself at one point of the way that a failure goes. Its options
 * stand in WORKER_OPTIONS.
 */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { TaskQueueModule, type TaskQueueModuleOptions, WorkflowService } from 'nestjs-task-queue';
import { MORTAL_COUNTS, MortalTasks } from './mortal-tasks.js';

/** Before or after which write the process dies. */
export type DyingPoint =
  'before the letter' | 'after the letter' | 'after the release' | 'before the handler' | 'after the handler';

interface WorkerOptions {
  readonly url: string;
  readonly prefix: string;
  readonly options: TaskQueueModuleOptions;
  readonly dies: DyingPoint;
}

const { url, prefix, options, dies } = JSON.parse(process.env.WORKER_OPTIONS ?? '{}') as WorkerOptions;
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
  providers: [{ provide: MORTAL_COUNTS, useValue: { redis, prefix } }, MortalTasks],
})
class MortalWorkerModule {}

type Method = (...args: unknown[]) => Promise<unknown>;

/** What is asked of a method, with a sudden end on one side of it. */
function endAt(
  owner: object,
  method: string,
  side: 'before' | 'after',
  when: (args: unknown[]) => boolean,
): void {
  const original = (owner as Record<string, Method>)[method];
  if (original === undefined) throw new Error(`there is no ${method}`);
  (owner as Record<string, Method>)[method] = async (...args) => {
    const isTheEnd = when(args);
    if (isTheEnd && side === 'before') process.kill(process.pid, 'SIGKILL');
    const answer = await original.apply(owner, args);
    if (isTheEnd && side === 'after') process.kill(process.pid, 'SIGKILL');
    return answer;
  };
}

interface Engine {
  readonly ledger: object;
  readonly hooks: object;
  readonly publisher: object;
}

function prepareEnd({ ledger, hooks, publisher }: Engine): void {
  const always = (): boolean => true;
  const isHandler = ([plan]: unknown[]): boolean =>
    (plan as { job: { id: string } }).job.id.endsWith('.letter.0');
  switch (dies) {
    case 'before the letter':
      return endAt(ledger, 'recordFailure', 'before', always);
    case 'after the letter':
      return endAt(ledger, 'recordFailure', 'after', always);
    case 'after the release':
      return endAt(hooks, 'publish', 'after', always);
    case 'before the handler':
      return endAt(publisher, 'publishOnce', 'before', isHandler);
    case 'after the handler':
      return endAt(publisher, 'publishOnce', 'after', isHandler);
  }
}

const app = await NestFactory.createApplicationContext(MortalWorkerModule, {
  logger: ['warn', 'error', 'fatal'],
});
prepareEnd((app.get(WorkflowService) as unknown as { readonly engine: Engine }).engine);
// A parent that is gone wants nothing any more.
process.once('disconnect', () => process.exit(1));
process.send?.('ready');
