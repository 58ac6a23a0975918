import 'reflect-metadata';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Inject, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { Task, TaskContext, TaskQueueModule, type TaskQueueRole, WorkflowService } from 'nestjs-task-queue';
import { REDIS_URL } from './redis-url.js';

/**
 * How long it takes until the tasks of a worker that was killed run again, and what it takes to lose one without a death:
 * `npm run bench:recovery -- --kills 24`. Everything by the library's defaults; `maxTimesLost` alone is raised, so that a
 * task which is lost is counted and not failed.
 */
const { values: options } = parseArgs({
  options: {
    /** What a process of the benchmark is: the one that measures, a worker, or one that only burns time. */
    as: { type: 'string', default: 'main' },
    prefix: { type: 'string', default: 'recovery' },
    kills: { type: 'string', default: '24' },
    lines: { type: 'string', default: '4' },
    seconds: { type: 'string', default: '60' },
  },
});

const HELD = 4;
const redis = new Redis(REDIS_URL, { lazyConnect: true });

@Injectable()
class RecoveryTasks {
  constructor(@Inject('PREFIX') private readonly prefix: string) {}

  /** Notes where and when it began, and runs until somebody says that it may end. */
  @Task()
  async held(task: TaskContext): Promise<void> {
    const note = JSON.stringify({ pid: process.pid, at: Date.now(), attempt: task.attempt });
    await redis.rpush(`bench:${this.prefix}:${task.id}`, note);
    while ((await redis.exists(`bench:${this.prefix}:over`)) === 0)
      await pause(100, undefined, { signal: task.signal });
  }

  /** Keeps the event loop busy. */
  @Task({ queue: 'busy' })
  busy(ms: number, task: TaskContext): void {
    void redis.hincrby(`bench:${this.prefix}:begun`, task.id, 1);
    burn(ms);
  }

  /** Its neighbour on the same event loop. */
  @Task()
  async quiet(ms: number, task: TaskContext): Promise<void> {
    await redis.hincrby(`bench:${this.prefix}:begun`, task.id, 1);
    await pause(ms, undefined, { signal: task.signal });
  }
}

function burn(ms: number): void {
  for (const end = Date.now() + ms; Date.now() < end;);
}

function start(role: TaskQueueRole, prefix: string) {
  @Module({
    imports: [
      TaskQueueModule.forRoot({
        connection: { url: REDIS_URL },
        prefix,
        role,
        publishTimeout: '60s',
        worker: { maxTimesLost: 1_000, drainTimeout: 0 },
        queues: { default: { concurrency: 10 }, busy: { concurrency: 1 } },
      }),
    ],
    providers: [{ provide: 'PREFIX', useValue: prefix }, ...(role === 'worker' ? [RecoveryTasks] : [])],
  })
  class RecoveryModule {}
  return NestFactory.createApplicationContext(RecoveryModule, { logger: ['error'] });
}

async function child(as: string, prefix: string): Promise<ChildProcess> {
  const args = ['--as', as, '--prefix', prefix];
  const process_ = fork(process.argv[1] ?? '', args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  await once(process_, 'message');
  return process_;
}

async function end(one: ChildProcess): Promise<void> {
  if (one.exitCode !== null || one.signalCode !== null) return;
  const gone = once(one, 'exit');
  one.kill('SIGKILL');
  await gone;
}

interface Note {
  readonly pid: number;
  readonly at: number;
  readonly attempt: number;
}

/** Two workers and four tasks; the one that has most of them is killed, again and again. */
async function killed(prefix: string, kills: number): Promise<number[]> {
  const app = await start('producer', prefix);
  const tasks = app.get(WorkflowService).tasks(RecoveryTasks);
  const workers = [await child('worker', prefix), await child('worker', prefix)];
  const ids = await Promise.all(
    Array.from({ length: HELD }, async () => (await tasks.held.applyAsync([])).id),
  );
  const notesOf = async (id: string): Promise<Note[]> =>
    (await redis.lrange(`bench:${prefix}:${id}`, 0, -1)).map((json) => JSON.parse(json) as Note);
  const times: number[] = [];
  for (let kill = 0; kill < kills; kill++) {
    let all: Note[][] = [];
    do {
      await pause(50);
      all = await Promise.all(ids.map(notesOf));
    } while (all.some((notes) => !workers.some(({ pid }) => pid === notes.at(-1)?.pid)));
    // At any moment between two renewals and two looks.
    await pause(Math.random() * 10_000);
    const counts = workers.map(({ pid }) => all.filter((notes) => notes.at(-1)?.pid === pid).length);
    const victim = workers[counts[0]! >= counts[1]! ? 0 : 1]!;
    const hit = ids.filter((_, at) => all[at]?.at(-1)?.pid === victim.pid);
    const at = Date.now();
    await end(victim);
    workers.splice(workers.indexOf(victim), 1, await child('worker', prefix));
    for (const id of hit) {
      let last: Note | undefined;
      while ((last = (await notesOf(id)).at(-1)) === undefined || last.at < at) await pause(20);
      times.push(last.at - at);
    }
  }
  await redis.set(`bench:${prefix}:over`, 1);
  await Promise.all(workers.map(end));
  await app.close();
  return times;
}

/** How many tasks began more than once although nobody died. */
async function disturbed(prefix: string, burners: number, blockMs: number, seconds: number): Promise<string> {
  const app = await start('producer', prefix);
  const tasks = app.get(WorkflowService).tasks(RecoveryTasks);
  const workers = [await child('worker', prefix), await child('worker', prefix)];
  const others = await Promise.all(Array.from({ length: burners }, () => child('burner', prefix)));
  const deadline = Date.now() + seconds * 1_000;
  const running = new Set<Promise<unknown>>();
  while (Date.now() < deadline) {
    if (running.size < 20) {
      const isBusy = blockMs > 0 && running.size % 5 === 0;
      const handle = await (isBusy ? tasks.busy.applyAsync([blockMs]) : tasks.quiet.applyAsync([5_000]));
      const over: Promise<unknown> = handle.get({ timeout: '10m' }).finally(() => running.delete(over));
      running.add(over);
    } else await pause(50);
  }
  await Promise.all(running);
  const begun = Object.values(await redis.hgetall(`bench:${prefix}:begun`)).map(Number);
  await Promise.all([...workers, ...others].map(end));
  await app.close();
  const twice = begun.filter((times) => times > 1).length;
  return `| ${burners} | ${blockMs / 1_000} s | ${begun.length} | ${twice} |`;
}

async function clear(): Promise<void> {
  for (const match of ['bench:*', '{recovery*'])
    for await (const page of redis.scanStream({ match, count: 1_000 }))
      if ((page as string[]).length > 0) await redis.unlink(...(page as string[]));
}

async function main(): Promise<void> {
  await clear();
  const lines = Number(options.lines);
  const each = Math.ceil(Number(options.kills) / lines);
  const all = await Promise.all(Array.from({ length: lines }, (_, line) => killed(`recovery-${line}`, each)));
  const times = all.flat().sort((a, b) => a - b);
  const at = (share: number): string =>
    `${((times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? NaN) / 1_000).toFixed(1)} s`;
  console.log(`| kills | tasks taken up again | fastest | median | 95 % | slowest |`);
  console.log(`| --- | --- | --- | --- | --- | --- |`);
  console.log(`| ${each * lines} | ${times.length} | ${at(0)} | ${at(0.5)} | ${at(0.95)} | ${at(1)} |\n`);
  console.log(
    '| processes that burn | handlers that block, each | tasks | begun twice |\n| --- | --- | --- | --- |',
  );
  const seconds = Number(options.seconds);
  for (const [burners, blockMs] of [
    [4, 0],
    [4, 2_000],
    [0, 6_000],
  ] as const)
    console.log(await disturbed(`recovery-${burners}-${blockMs}`, burners, blockMs, seconds));
  await clear();
}

await redis.connect();
if (options.as === 'main') {
  await main();
  redis.disconnect();
} else {
  process.once('disconnect', () => process.exit(0));
  if (options.as === 'worker') await start('worker', options.prefix);
  process.send?.('ready');
  // Lets the word get out first.
  if (options.as === 'burner') setInterval(() => burn(1_000), 1);
}
