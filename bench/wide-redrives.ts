import 'reflect-metadata';
import { type ChildProcess, fork } from 'node:child_process';
import { parseArgs } from 'node:util';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import {
  NonRetryableError,
  Outcomes,
  Task,
  TaskContext,
  TaskQueueModule,
  type TaskQueueRole,
  WorkflowService,
} from 'nestjs-task-queue';
import { REDIS_URL } from './redis-url.js';

/**
 * `npm run bench:redrives -- --sizes 2000,50000`: chords of which all members have failed, redriven while workers run what is
 * put back, with the caller, the worker and Redis in processes of their own. Prints one row of docs/redrive.md for each.
 */
const { values: options } = parseArgs({
  options: {
    sizes: { type: 'string', default: '2000,10000,50000' },
    role: { type: 'string' },
    size: { type: 'string', default: '0' },
  },
});

@Injectable()
class FailingTasks {
  @Task()
  value(n: number, task: TaskContext): number {
    if (task.redriven === undefined) throw new NonRetryableError('not yet');
    return n;
  }

  @Task({ queue: 'bodies' })
  async sum(members: Outcomes<number>): Promise<number> {
    let sum = 0;
    for await (const value of members.values()) sum += value;
    return sum;
  }
}

interface Report {
  readonly redriveMs: number;
  readonly totalMs: number;
}

if (options.role === 'caller') await redrive(Number(options.size));
else if (options.role === 'worker') await work();
else await measureAll();

function start(role: TaskQueueRole) {
  @Module({
    imports: [
      TaskQueueModule.forRoot({
        connection: { url: REDIS_URL },
        role,
        queues: { default: { concurrency: 50 }, bodies: { concurrency: 1 } },
        publishTimeout: '60s',
      }),
    ],
    providers: [FailingTasks],
  })
  class RedriveModule {}
  return NestFactory.createApplicationContext(RedriveModule, { logger: false });
}

async function redrive(size: number): Promise<void> {
  const app = await start('producer');
  const workflows = app.get(WorkflowService);
  const { value, sum } = workflows.tasks(FailingTasks);
  const header = Array.from({ length: size }, (_, n) => value.s(n));
  const handle = await workflows.chord(header, sum.s()).delay();
  await handle.get({ timeout: '1h', propagate: false });
  process.send?.('failed');
  await heard(process);
  const begun = performance.now();
  const { rerun } = await workflows.redrive(handle.id);
  const redriveMs = performance.now() - begun;
  if (rerun.length !== size) throw new Error(`${rerun.length} of ${size} are run again`);
  const total = await handle.get({ timeout: '1h' });
  const totalMs = performance.now() - begun;
  if (total !== (size * (size - 1)) / 2) throw new Error(`the body of ${size} members came to ${total}`);
  process.send?.({ redriveMs, totalMs } satisfies Report);
  await app.close();
  process.disconnect();
}

async function work(): Promise<void> {
  const app = await start('worker');
  process.send?.('ready');
  await heard(process);
  await app.close();
  process.disconnect();
}

async function measureAll(): Promise<void> {
  const redis = new Redis(REDIS_URL);
  console.log('| failed members | all put back | chord | Redis blocked at most |');
  console.log('|---|---|---|---|');
  for (const size of options.sizes.split(',').map(Number)) {
    await redis.flushall();
    const worker = child('worker', size);
    await heard(worker);
    const caller = child('caller', size);
    await heard(caller);
    const pings = watchRedis();
    caller.send('go');
    const { redriveMs, totalMs } = (await heard(caller)) as Report;
    const blockedMs = await pings();
    worker.send('end');
    const cells = [
      size.toLocaleString('en'),
      `${(redriveMs / 1_000).toFixed(1)} s`,
      `${(totalMs / 1_000).toFixed(1)} s`,
      `${blockedMs.toFixed(0)} ms`,
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
  redis.disconnect();
}

/** How long Redis let a PING wait at most. */
function watchRedis(): () => Promise<number> {
  const redis = new Redis(REDIS_URL);
  let isOver = false;
  let blockedMs = 0;
  const watching = (async () => {
    while (!isOver) {
      const begun = performance.now();
      await redis.ping();
      blockedMs = Math.max(blockedMs, performance.now() - begun);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  })();
  return async () => {
    isOver = true;
    await watching;
    redis.disconnect();
    return blockedMs;
  };
}

function child(role: string, size: number): ChildProcess {
  const args = ['--role', role, '--size', String(size)];
  return fork(process.argv[1] ?? '', args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

function heard(from: ChildProcess | NodeJS.Process): Promise<unknown> {
  return new Promise((resolve, reject) => {
    (from as ChildProcess).once('message', resolve);
    if (from !== process)
      (from as ChildProcess).once('exit', (code) =>
        reject(new Error(`a process of the measurement ended with ${code}`)),
      );
  });
}
