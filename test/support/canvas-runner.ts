import { randomUUID } from 'node:crypto';
import { Injectable, type ModuleMetadata } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { Redis } from 'ioredis';
import {
  currentTask,
  type JsonValue,
  TaskQueueModule,
  type TaskQueueModuleOptions,
  WorkflowService,
} from 'nestjs-task-queue';

/** The Redis of the run: of the global setup, or one that was given from outside. */
export function redisUrl(): string {
  const url = process.env.TEST_REDIS_URL ?? process.env.REDIS_URL;
  if (!url) throw new Error('no Redis: neither TEST_REDIS_URL nor REDIS_URL is set');
  return url;
}

/** A prefix that no other test has, so that tests can share one Redis. */
export const uniquePrefix = (name = 't'): string => `${name}-${randomUUID().slice(0, 12)}`;

/** Waits until something holds, by looking again and again; what it saw last stands in the error. */
export async function until<T>(
  look: () => Promise<T> | T,
  holds: (seen: T) => boolean,
  withinMs = 60_000,
): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const seen = await look();
    if (holds(seen)) return seen;
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms; seen last: ${show(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Does something with every item, a limited number of them at a time. */
export async function inTurns<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const left = [...items];
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
    }),
  );
}

const show = (value: unknown): string =>
  JSON.stringify(value, undefined, 1)?.slice(0, 4_000) ?? String(value);

/** A started application, on whatever its queues are kept in. */
export interface CanvasApp {
  readonly module: TestingModule;
  readonly workflows: WorkflowService;
  /** Waits until no job waits, runs or is delayed. */
  quiet(): Promise<void>;
  close(): Promise<void>;
}

/** A started application on a prefix of its own, with a connection to look behind the scenes. */
export interface StartedApp extends CanvasApp {
  readonly prefix: string;
  readonly redis: Redis;
  /** Every key below the prefix, sorted, without the prefix. */
  keys(): Promise<string[]>;
  /** Waits until no job of these queues waits, runs or is delayed. */
  quiet(...queues: string[]): Promise<void>;
}

/** Starts an application with these providers; options win over what the tests have in common. */
export async function startApp(
  providers: NonNullable<ModuleMetadata['providers']>,
  options: TaskQueueModuleOptions = {},
  url = redisUrl(),
): Promise<StartedApp> {
  const prefix = options.prefix ?? uniquePrefix();
  const module = await Test.createTestingModule({
    imports: [TaskQueueModule.forRoot({ connection: { url }, ...options, prefix })],
    providers,
  }).compile();
  module.useLogger(false);
  await module.init();
  const redis = new Redis(url, { maxRetriesPerRequest: null, disconnectTimeout: 50 });
  redis.on('error', () => undefined); // tests take Redis away on purpose
  const started: StartedApp = {
    module,
    workflows: module.get(WorkflowService),
    prefix,
    redis,
    keys: async () => {
      const found: string[] = [];
      for await (const page of redis.scanStream({ match: `{${prefix}:*`, count: 1_000 })) {
        found.push(...(page as string[]));
      }
      return [...new Set(found)].map((key) => key.slice(key.indexOf('}:') + 2)).sort();
    },
    quiet: async (...queues) => {
      await until(
        () => pendingJobs(redis, `{${prefix}:0}`, ['_canvas', 'default', ...queues]),
        (counts) => Object.values(counts).every((count) => count === 0),
      );
    },
    close: async () => {
      await module.close();
      if (redis.status === 'ready') await removeKeys(redis, `{${prefix}:*`);
      redis.disconnect();
    },
  };
  return started;
}

/** Removes every key of a pattern: the Redis may belong to somebody who keeps it. */
export async function removeKeys(redis: Redis, match: string): Promise<void> {
  for await (const page of redis.scanStream({ match, count: 1_000 })) {
    const keys = page as string[];
    if (keys.length > 0) await redis.unlink(...keys);
  }
}

async function pendingJobs(
  redis: Redis,
  prefix: string,
  queues: readonly string[],
): Promise<Record<string, number>> {
  const reads = redis.multi();
  const names: string[] = [];
  for (const queue of queues) {
    for (const list of ['wait', 'active']) {
      reads.llen(`${prefix}:${queue}:${list}`);
      names.push(`${queue} ${list}`);
    }
    for (const set of ['delayed', 'prioritized', 'waiting-children']) {
      reads.zcard(`${prefix}:${queue}:${set}`);
      names.push(`${queue} ${set}`);
    }
  }
  const replies = (await reads.exec()) ?? [];
  return Object.fromEntries(names.map((name, at) => [name, Number(replies[at]?.[1] ?? 0)]));
}

/** What ran, with what, in the order in which it began; and doors that hold tasks until a test opens them. */
@Injectable()
export class Probe {
  readonly calls: { task: string; args: readonly JsonValue[]; id: string }[] = [];
  readonly #doors = new Map<string, { readonly passed: Promise<void>; readonly open: () => void }>();

  /** To be called by a task with whatever the test wants to see of it. */
  called(...args: JsonValue[]): void {
    const { name, id } = currentTask();
    this.calls.push({ task: name.slice(name.indexOf('.') + 1), args, id });
  }

  /** What every call of a task inside one canvas, or below one of its nodes, was noted with. */
  argsOf(task: string, canvas: { id: string }): (readonly JsonValue[])[] {
    return this.calls
      .filter((call) => call.task === task && (call.id === canvas.id || call.id.startsWith(`${canvas.id}.`)))
      .map((call) => call.args);
  }

  /** Resolves when the door is opened, which may have happened before. */
  pass(door: string): Promise<void> {
    return this.#door(door).passed;
  }

  open(door: string): void {
    this.#door(door).open();
  }

  #door(name: string): { readonly passed: Promise<void>; readonly open: () => void } {
    let door = this.#doors.get(name);
    if (door === undefined) {
      let open = (): void => undefined;
      const passed = new Promise<void>((resolve) => (open = resolve));
      this.#doors.set(name, (door = { passed, open }));
    }
    return door;
  }
}
