import 'reflect-metadata';
import { type ChildProcess, fork } from 'node:child_process';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FlowProducer } from 'bullmq';
import { Redis } from 'ioredis';
import { Outcomes, Task, TaskQueueModule, type TaskQueueRole, WorkflowService } from 'nestjs-task-queue';
import { REDIS_URL } from './redis-url.js';

/**
 * `npm run bench:wide -- --sizes 1000,10000 --from stream`: chords of a list or of an AsyncIterable, with the producer, the
 * worker and Redis in processes of their own; `raw` is one `FlowProducer.add()` of as many, for its dispatch alone. Prints
 * one row of bench/RESULTS.md for each.
 */
const { values: options } = parseArgs({
  options: {
    sizes: { type: 'string', default: '1000,10000,100000' },
    from: { type: 'string', default: 'list,stream' },
    /** Whether members run while they are dispatched; without it the dispatch is measured alone. */
    'dispatch-only': { type: 'boolean', default: false },
    role: { type: 'string' },
    size: { type: 'string', default: '0' },
  },
});

const MB = 1024 * 1024;

@Injectable()
class WideTasks {
  @Task()
  value(n: number): number {
    return n;
  }

  @Task({ queue: 'bodies' })
  async sum(members: Outcomes<number>): Promise<number> {
    let sum = 0;
    for await (const value of members.values()) sum += value;
    return sum;
  }
}

/** What a process says of itself. */
interface Report {
  readonly rssMb: number;
  readonly loopMs: number;
  readonly dispatchMs: number;
  readonly totalMs: number;
  /** Processor time of the dispatch: other work on the machine lengthens it less than the time on the clock. */
  readonly cpuMs: number;
}

if (options.role === 'producer' && options.from === 'raw') await produceRaw(Number(options.size));
else if (options.role === 'producer') await produce(Number(options.size), options.from);
else if (options.role === 'worker') await work();
else await measureAll();

function start(role: TaskQueueRole) {
  @Module({
    imports: [
      TaskQueueModule.forRoot({
        connection: { url: REDIS_URL },
        role,
        queues: { default: { concurrency: 50 } },
        publishTimeout: '60s',
      }),
    ],
    providers: [WideTasks],
  })
  class WideModule {}
  return NestFactory.createApplicationContext(WideModule, { logger: ['error', 'warn'] });
}

async function produce(size: number, from: string): Promise<void> {
  const app = await start('producer');
  const workflows = app.get(WorkflowService);
  const tasks = workflows.tasks(WideTasks);
  await workflows.group([tasks.value.s(0)]).delay(); // connected and warm
  const watch = watchProcess();
  const begun = performance.now();
  const cpu = process.cpuUsage();
  const handle =
    from === 'list'
      ? await workflows
          .chord(
            Array.from({ length: size }, (_, n) => tasks.value.s(n)),
            tasks.sum.s(),
          )
          .delay()
      : await workflows
          .chord(
            async function* () {
              for (let n = 0; n < size; n++) yield tasks.value.s(n);
            },
            tasks.sum.s(),
            options['dispatch-only'] ? { window: Infinity } : {},
          )
          .delay();
  await handle.sealed({ timeout: Infinity });
  const dispatchMs = performance.now() - begun;
  const { user, system } = process.cpuUsage(cpu);
  const { rssMb, loopMs } = watch();
  let totalMs = 0;
  if (!options['dispatch-only']) {
    const sum = await handle.get({ timeout: '1h' });
    totalMs = performance.now() - begun;
    if (sum !== (size * (size - 1)) / 2) throw new Error(`the body of ${size} members came to ${sum}`);
  }
  process.send?.({ rssMb, loopMs, dispatchMs, totalMs, cpuMs: (user + system) / 1_000 } satisfies Report);
  await app.close();
  process.disconnect();
}

/** What BullMQ alone makes of it: the same as one flow. */
async function produceRaw(size: number): Promise<void> {
  const producer = new FlowProducer({ connection: { url: REDIS_URL } });
  await producer.add({
    name: 'warm',
    queueName: 'bodies',
    children: [{ name: 'value', queueName: 'default' }],
  });
  const watch = watchProcess();
  const begun = performance.now();
  const cpu = process.cpuUsage();
  await producer.add({
    name: 'sum',
    queueName: 'bodies',
    children: Array.from({ length: size }, (_, n) => ({
      name: 'value',
      queueName: 'default',
      data: { args: [n] },
    })),
  });
  const dispatchMs = performance.now() - begun;
  const { user, system } = process.cpuUsage(cpu);
  await new Promise((resolve) => setTimeout(resolve, 20)); // the loop has been blocked: it tells of it now
  process.send?.({
    ...watch(),
    dispatchMs,
    totalMs: 0,
    cpuMs: (user + system) / 1_000,
  } satisfies Report);
  await producer.close();
  process.disconnect();
}

async function work(): Promise<void> {
  const app = await start('worker');
  const watch = watchProcess();
  process.send?.('ready');
  process.on('message', () => {
    process.send?.({ ...watch(), dispatchMs: 0, totalMs: 0, cpuMs: 0 } satisfies Report);
    void app.close().then(() => process.disconnect());
  });
}

/** The highest memory and the longest block of the event loop from now on. */
function watchProcess(): () => Pick<Report, 'rssMb' | 'loopMs'> {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  let rss = process.memoryUsage.rss();
  const timer = setInterval(() => (rss = Math.max(rss, process.memoryUsage.rss())), 50);
  timer.unref();
  return () => {
    clearInterval(timer);
    delay.disable();
    return { rssMb: Math.max(rss, process.memoryUsage.rss()) / MB, loopMs: delay.max / 1e6 };
  };
}

async function measureAll(): Promise<void> {
  const redis = new Redis(REDIS_URL);
  console.log(
    '| members | from | dispatch | members/s | producer CPU µs a member | whole chord | producer MB | worker MB | Redis MB | bytes a member | ' +
      'loop of producer ms | loop of worker ms | Redis ms |',
  );
  console.log('|---|---|---|---|---|---|---|---|---|---|---|---|---|');
  for (const size of options.sizes.split(',').map(Number)) {
    for (const from of options.from.split(',')) console.log(await measure(redis, size, from));
  }
  redis.disconnect();
}

async function measure(redis: Redis, size: number, from: string): Promise<string> {
  await redis.flushall();
  const before = await usedMemory(redis);
  const pings = watchRedis();
  const worker = options['dispatch-only'] ? undefined : child('worker', size, from);
  if (worker) await message(worker);
  const producer = child('producer', size, from);
  const report = (await message(producer)) as Report;
  let ofWorker: Report | undefined;
  if (worker) {
    const answered = message(worker);
    worker.send('report');
    ofWorker = (await answered) as Report;
  }
  const { peak, blockedMs } = await pings();
  const cells = [
    size.toLocaleString('en'),
    from,
    `${(report.dispatchMs / 1_000).toFixed(2)} s`,
    Math.round(size / (report.dispatchMs / 1_000)).toLocaleString('en'),
    ((report.cpuMs / size) * 1_000).toFixed(0),
    report.totalMs === 0 ? '–' : `${(report.totalMs / 1_000).toFixed(1)} s`,
    report.rssMb.toFixed(0),
    ofWorker?.rssMb.toFixed(0) ?? '–',
    ((peak - before) / MB).toFixed(0),
    ((peak - before) / size).toFixed(0),
    report.loopMs.toFixed(0),
    ofWorker?.loopMs.toFixed(0) ?? '–',
    blockedMs.toFixed(0),
  ];
  return `| ${cells.join(' | ')} |`;
}

/** How long Redis let a PING wait at most, and its highest memory. */
function watchRedis(): () => Promise<{ peak: number; blockedMs: number }> {
  const redis = new Redis(REDIS_URL);
  let isOver = false;
  let peak = 0;
  let blockedMs = 0;
  const watching = (async () => {
    for (let round = 0; !isOver; round++) {
      const begun = performance.now();
      await redis.ping();
      blockedMs = Math.max(blockedMs, performance.now() - begun);
      if (round % 100 === 0) peak = Math.max(peak, await usedMemory(redis));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  })();
  return async () => {
    isOver = true;
    await watching;
    peak = Math.max(peak, await usedMemory(redis));
    redis.disconnect();
    return { peak, blockedMs };
  };
}

async function usedMemory(redis: Redis): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1] ?? 0);
}

function child(role: string, size: number, from: string): ChildProcess {
  const more = options['dispatch-only'] ? ['--dispatch-only'] : [];
  const args = ['--role', role, '--size', String(size), '--from', from, ...more];
  return fork(process.argv[1] ?? '', args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

function message(from: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    from.once('message', resolve);
    from.once('exit', (code) => reject(new Error(`a process of the measurement ended with ${code}`)));
  });
}
