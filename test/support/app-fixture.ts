/**
 * Small real applications for integration tests: each has a prefix of its own in the Redis of the run, and
 * after each test it is closed, has to have left no connection, and its keys are removed.
 */
import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type INestApplicationContext,
  type LoggerService,
  Module,
  type ModuleMetadata,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { TaskQueueModule, type TaskQueueModuleOptions, WorkflowService } from 'nestjs-task-queue';
import { until } from './until.js';

export { until } from './until.js';

/** The Redis of the run. */
export function redisUrl(): string {
  const url = process.env.TEST_REDIS_URL ?? process.env.REDIS_URL;
  if (url === undefined || url === '') throw new Error('neither TEST_REDIS_URL nor REDIS_URL is set');
  return url;
}

/** A prefix that nobody else has. It stands in every key and in the name of every connection. */
export function uniquePrefix(about = 'test'): string {
  return `${about}-${randomUUID().slice(0, 13)}`;
}

/** What handlers did, in the order in which they did it. */
export class Runs {
  readonly all: { readonly what: string; readonly with: unknown }[] = [];
  readonly #waiting = new Set<() => void>();

  record(what: string, details?: unknown): void {
    this.all.push({ what, with: details });
    for (const look of this.#waiting) look();
  }

  /** What was recorded under a name. */
  of<T = unknown>(what: string): T[] {
    return this.all.filter((run) => run.what === what).map((run) => run.with as T);
  }

  count(what: string): number {
    return this.of(what).length;
  }

  /** Resolves as soon as something has been recorded so many times. */
  async reached(what: string, count = 1, withinMs = 60_000): Promise<void> {
    if (this.count(what) >= count) return;
    let look = (): void => undefined;
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        look = () => (this.count(what) >= count ? resolve() : undefined);
        this.#waiting.add(look);
        timer = setTimeout(
          () => reject(new Error(`"${what}" ran ${this.count(what)} of ${count} times in ${withinMs} ms`)),
          withinMs,
        );
      });
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(look);
    }
  }
}

/** Keeps the lines that an application logs. */
export class LogLines implements LoggerService {
  readonly lines: { readonly level: string; readonly text: string }[] = [];
  log = (message: unknown): void => this.#add('log', message);
  error = (message: unknown): void => this.#add('error', message);
  warn = (message: unknown): void => this.#add('warn', message);
  debug = (message: unknown): void => this.#add('debug', message);

  matching(pattern: RegExp): string[] {
    return this.lines.filter(({ text }) => pattern.test(text)).map(({ text }) => text);
  }

  #add(level: string, message: unknown): void {
    this.lines.push({ level, text: String(message) });
  }
}

/** What an application is made of. */
export interface AppSpec extends Pick<ModuleMetadata, 'providers' | 'imports' | 'controllers'> {
  /** Over connection and prefix, which the fixture gives. */
  readonly options?: TaskQueueModuleOptions;
  readonly prefix?: string;
  readonly url?: string;
  /** Instead of `forRoot`; gets the options that it would have got. */
  readonly module?: (options: TaskQueueModuleOptions) => NonNullable<ModuleMetadata['imports']>[number];
  /** Instead of an application context. */
  readonly create?: (module: Type, log: LogLines) => Promise<INestApplicationContext>;
  /** Is left to the test: neither closed nor asked for its connections at its end. */
  readonly unmanaged?: boolean;
}

/** An application that has started. */
export class TestApp {
  #closed: Promise<void> | undefined;

  constructor(
    readonly app: INestApplicationContext,
    readonly prefix: string,
    readonly url: string,
    readonly runs: Runs,
    readonly log: LogLines,
  ) {}

  get workflows(): WorkflowService {
    return this.app.get(WorkflowService);
  }

  get<T>(type: Type<T>): T {
    return this.app.get(type);
  }

  close(): Promise<void> {
    return (this.#closed ??= this.app.close());
  }
}

const UNFINISHED = `
local found = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local place = key:match('[^:]*$')
  local ids = {}
  if place == 'wait' or place == 'active' or place == 'paused' then
    ids = redis.call('LRANGE', key, 0, -1)
  elseif place == 'waiting-children' or place == 'delayed' or place == 'prioritized' then
    ids = redis.call('ZRANGE', key, 0, -1)
  end
  if #ids > 0 then found[#found + 1] = {key, ids} end
end
return found`;

/** The applications of one spec, and a client that looks at Redis from outside. */
export class AppFixture {
  readonly #apps: TestApp[] = [];
  readonly #prefixes = new Set<string>();
  #redis: Redis | undefined;

  /** A client of the test's own. */
  get redis(): Redis {
    return (this.#redis ??= new Redis(redisUrl()));
  }

  async boot(spec: AppSpec): Promise<TestApp> {
    const prefix = spec.prefix ?? uniquePrefix();
    const url = spec.url ?? redisUrl();
    const runs = new Runs();
    const log = new LogLines();
    const options: TaskQueueModuleOptions = {
      connection: { url, connectionName: prefix },
      prefix,
      ...spec.options,
    };
    class RunsModule {}
    Module({ providers: [{ provide: Runs, useValue: runs }], exports: [Runs] })(RunsModule);
    class AppModule {}
    Module({
      imports: [
        { module: RunsModule, global: true },
        spec.module?.(options) ?? TaskQueueModule.forRoot(options),
        ...(spec.imports ?? []),
      ],
      providers: spec.providers ?? [],
      controllers: spec.controllers ?? [],
    })(AppModule);
    const create =
      spec.create ??
      ((module: Type) => NestFactory.createApplicationContext(module, { logger: log, abortOnError: false }));
    const app = await create(AppModule, log);
    const started = new TestApp(app, prefix, url, runs, log);
    if (spec.unmanaged !== true) this.#apps.push(started);
    if (url === redisUrl()) this.#prefixes.add(prefix);
    return started;
  }

  /** Names of the connections that Redis has of a prefix. */
  async connectionsOf(prefix: string, client: Redis = this.redis): Promise<string[]> {
    const list = String(await client.call('CLIENT', 'LIST'));
    return list
      .split('\n')
      .map((line) => /(?:^| )name=(\S*)/.exec(line)?.[1] ?? '')
      .filter((name) => name.includes(prefix));
  }

  /**
   * Jobs that are not over: by key, the members of every list and set in which BullMQ keeps such. Looked at in one step:
   * who reads one place after the other misses a job that moves between them, and takes a queue at work for an empty one.
   */
  async unfinished(prefix: string, client: Redis = this.redis): Promise<Record<string, string[]>> {
    const flat = (await client.eval(UNFINISHED, 0, `*${prefix}*`)) as [string, string[]][];
    return Object.fromEntries(flat.map(([key, ids]) => [key.slice(key.indexOf('}:') + 2), ids]));
  }

  async keys(prefix: string, client: Redis = this.redis): Promise<string[]> {
    const keys: string[] = [];
    const stream = client.scanStream({ match: `*${prefix}*`, count: 1_000 });
    for await (const page of stream as AsyncIterable<string[]>) keys.push(...page);
    return keys;
  }

  /** Closes all applications, and says what is wrong with how they did it. */
  async closeAll(): Promise<void> {
    const apps = this.#apps.splice(0);
    await Promise.all(
      apps.map(async (app) => {
        const late = delay(20_000, true, { ref: false });
        if (await Promise.race([app.close().then(() => false), late]))
          throw new Error('app.close() takes over 20 s');
      }),
    );
    for (const { prefix, url } of apps) {
      if (url !== redisUrl()) continue;
      let left: string[] = [];
      await until(
        async () => (left = await this.connectionsOf(prefix)).length === 0,
        'no connection of a closed application',
        2_000,
      ).catch((error: unknown) => {
        throw new Error(`${String(error)}; left: ${left.join(', ')}`);
      });
    }
    for (const prefix of this.#prefixes) {
      const keys = await this.keys(prefix);
      for (let at = 0; at < keys.length; at += 1_000) await this.redis.unlink(...keys.slice(at, at + 1_000));
    }
    this.#prefixes.clear();
  }

  async end(): Promise<void> {
    this.#redis?.disconnect();
    this.#redis = undefined;
  }

  /** Removes the keys of a prefix that no application of this process has, at the end of the test. */
  adopt(prefix: string): void {
    this.#prefixes.add(prefix);
  }
}

/** A fixture whose applications are closed and checked after each test of the file or block it is called in. */
export function useApps(): AppFixture {
  const fixture = new AppFixture();
  afterEach(() => fixture.closeAll(), 40_000);
  afterAll(() => fixture.end());
  return fixture;
}
