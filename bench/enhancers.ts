import { Injectable, type INestApplicationContext, Module } from '@nestjs/common';
import { ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import { DiscoveryModule, DiscoveryService, ExternalContextCreator, NestFactory } from '@nestjs/core';
import { RetryTask, Task, TaskContext, TaskQueueModule } from 'nestjs-task-queue';
import { Enhanced } from './enhanced.js';
import { type Comparison, median } from './measure.js';
import { REDIS_URL } from './redis-url.js';
import { drain } from './no-op-tasks.js';
import type { Cost } from './stopwatch.js';

@Injectable()
class EnhancedTasks {
  @Task()
  bare(value: number): number {
    return value;
  }

  @Task()
  @Enhanced()
  enhanced(value: number): number {
    return value;
  }
}

@Module({
  imports: [DiscoveryModule, TaskQueueModule.forRoot({ connection: { url: REDIS_URL }, role: 'producer' })],
  providers: [EnhancedTasks],
})
class EnhancersModule {}

type Call = (value: number) => unknown;

/** What a worker does with a task between its delivery and its verdict: the handler with all that is around it. */
function callOfTask(app: INestApplicationContext, name: string): Call {
  const engines = app
    .get(DiscoveryService)
    .getProviders()
    .map(({ instance }): unknown => instance)
    .filter(hasRegistry);
  const task = engines[0]?.registry.get(name);
  if (task === undefined) throw new Error(`no task ${name}`);
  const context = contextOf(name);
  return (value) => task.invoke([value], context);
}

interface HasRegistry {
  readonly registry: {
    get(name: string): { invoke(args: readonly unknown[], context: TaskContext): unknown } | undefined;
  };
}

function hasRegistry(instance: unknown): instance is HasRegistry {
  return typeof instance === 'object' && instance !== null && 'registry' in instance && 'worker' in instance;
}

function contextOf(name: string): TaskContext {
  const ignore = (): void => undefined;
  return new TaskContext(() => ({
    id: 'bench',
    name,
    args: [],
    queue: 'default',
    attempt: 1,
    retries: 0,
    maxRetries: () => 0,
    headers: {},
    workflow: { id: 'bench', position: '' },
    signal: () => new AbortController().signal,
    logger: () => ({ log: ignore, warn: ignore, error: ignore, debug: ignore }),
    progress: () => Promise.resolve(),
    idempotencyKey: () => undefined,
    lock: (name) => Promise.reject(new Error(`no lock ${name} in a benchmark`)),
    interruption: () => undefined,
    extendTimeLimit: ignore,
    replacement: (canvas) => canvas.toJSON(),
    addMember: async () => '',
    retry: (request) => {
      throw new RetryTask(request);
    },
    retriesSpent: () => false,
    willRetry: () => true,
  }));
}

/** The same method with the same enhancers, run by Nest alone. */
function callByNest(app: INestApplicationContext): Call {
  const tasks = app.get(EnhancedTasks);
  const handler = app.get(ExternalContextCreator).create(
    tasks as never,
    Reflect.get(tasks, 'enhanced') as never,
    'enhanced',
    ROUTE_ARGS_METADATA,
    {
      exchangeKeyForValue: (...[, , [args]]: [unknown, unknown, readonly unknown[][]]) => args?.[0],
    } as never,
    undefined,
    undefined,
    { guards: true, interceptors: true, filters: true },
    'bench',
  );
  const context = contextOf('nest');
  return (value) => handler([value], context);
}

/** Work of the collector falls into single slices, and the median of them passes over it. */
const SLICES = 20;

/** Processor time for `count` calls, one after the other: they wait for nothing, and share the machine with others. */
async function timeOf(count: number, callOf: (app: INestApplicationContext) => Call): Promise<Cost> {
  const app = await NestFactory.createApplicationContext(EnhancersModule, { logger: ['error', 'warn'] });
  const call = callOf(app);
  for (let index = 0; index < count / 10; index++) await call(index);
  const slices: number[] = [];
  for (let slice = 0; slice < SLICES; slice++) {
    const before = process.cpuUsage();
    for (let index = 0; index < count / SLICES; index++) await call(index);
    const { user, system } = process.cpuUsage(before);
    slices.push((user + system) / 1_000);
  }
  await app.close();
  const ms = median(slices) * SLICES;
  return { ms, nodeMs: ms };
}

const ENHANCERS = 'enhancers (guard, pipe, interceptor, filter)';

/**
 * What the enhancers of a task cost: without a queue, next to the same work by Nest alone and to a bare handler; and from
 * a queue.
 *
 * @param count of calls, of which the queue gets a tenth
 */
export function enhancers(count: number): Comparison[] {
  const ours = () => timeOf(count, (app) => callOfTask(app, 'EnhancedTasks.enhanced'));
  return [
    {
      name: `${ENHANCERS}, against Nest alone`,
      unit: 'call',
      goal: 'at most 1.05: nothing added to what Nest itself costs',
      units: count,
      reference: () => timeOf(count, callByNest),
      ours,
    },
    {
      name: `${ENHANCERS}, against a bare handler`,
      unit: 'call',
      goal: 'shows what they cost: about 12 µs a call in Nest itself',
      units: count,
      reference: () => timeOf(count, (app) => callOfTask(app, 'EnhancedTasks.bare')),
      ours,
    },
    {
      name: 'no enhancers, against calling the method',
      unit: 'call',
      goal: 'shows what finding and calling a handler costs',
      units: count,
      reference: () =>
        timeOf(count, (app) => {
          const tasks = app.get(EnhancedTasks);
          return (value) => tasks.bare(value);
        }),
      ours: () => timeOf(count, (app) => callOfTask(app, 'EnhancedTasks.bare')),
    },
    ...[true, false].map((currentTask) => ({
      name: `${ENHANCERS}, from a queue, against a bare task${currentTask ? '' : ', worker.currentTask off'}`,
      unit: 'task',
      goal: 'shows what they cost in a worker',
      units: count / 10,
      reference: () => drain(count / 10, 'noop', currentTask),
      ours: () => drain(count / 10, 'enhancedNoop', currentTask),
    })),
  ];
}
