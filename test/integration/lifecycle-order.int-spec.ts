/**
 * Where workers stand among the hooks of an application: started by the last one of the start, drained by the first
 * one of the end; and what is left when an application does not come to life.
 */
import {
  Controller,
  Get,
  Global,
  Injectable,
  Module,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  type OnModuleInit,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Task, TaskQueueModule, type TaskQueueModuleOptions, WorkflowService } from 'nestjs-task-queue';
import { LogLines, redisUrl, Runs, uniquePrefix, until, useApps } from '../support/app-fixture.js';

const WITHIN_MS = 60_000;
const fixture = useApps();

/** What stood in the way of a hook, and was opened by the test. */
class Gate {
  open = (): void => undefined;
  readonly passed = new Promise<void>((resolve) => {
    this.open = resolve;
  });
}

/** Something that a task needs, such as a pool of connections. */
abstract class Resource implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
  state: 'new' | 'opening' | 'open' | 'closed' = 'new';

  onModuleInit(): void {
    this.state = 'opening';
  }

  async onApplicationBootstrap(): Promise<void> {
    await delay(100);
    this.state = 'open';
  }

  onModuleDestroy(): void {
    this.state = 'closed';
  }
}

@Injectable()
class GlobalPool extends Resource {}
@Global()
@Module({ providers: [GlobalPool], exports: [GlobalPool] })
class GlobalPoolModule {}

@Injectable()
class FeaturePool extends Resource {}
@Module({ providers: [FeaturePool], exports: [FeaturePool] })
class FeaturePoolModule {}
/** One more step away from the root. */
@Module({ imports: [FeaturePoolModule], exports: [FeaturePoolModule] })
class FeatureModule {}

@Injectable()
class RootPool extends Resource {}

@Injectable()
class PoolTasks {
  constructor(
    private readonly runs: Runs,
    private readonly gate: Gate,
    private readonly inGlobal: GlobalPool,
    private readonly inFeature: FeaturePool,
    private readonly inRoot: RootPool,
  ) {}

  @Task()
  async looks(): Promise<string[]> {
    const states = () => [this.inGlobal.state, this.inFeature.state, this.inRoot.state];
    const atFirst = states();
    this.runs.record('looks');
    await this.gate.passed;
    return [...atFirst, ...states()];
  }
}

const pools = {
  imports: [GlobalPoolModule, FeatureModule],
  providers: [RootPool, Gate, PoolTasks],
};

describe('the order of hooks', () => {
  it('a task that waited begins when every hook of the start has ended, wherever it stands', async () => {
    const prefix = uniquePrefix('bootstrap');
    const producer = await fixture.boot({ prefix, ...pools, options: { role: 'producer' } });
    const handle = await producer.workflows.tasks(PoolTasks).looks.delay();

    const worker = await fixture.boot({ prefix, ...pools });
    worker.get(Gate).open();

    expect(await handle.get({ timeout: WITHIN_MS })).toEqual(Array(6).fill('open'));
  });

  it('a task that is drained finds everything open that providers close in onModuleDestroy', async () => {
    const app = await fixture.boot(pools);
    const { id } = await app.workflows.tasks(PoolTasks).looks.delay();
    await app.runs.reached('looks');

    const closing = app.close();
    await delay(100);
    app.get(Gate).open();
    await closing;

    for (const pool of [GlobalPool, FeaturePool, RootPool]) expect(app.get(pool).state).toBe('closed');
    const later = await fixture.boot({ ...pools, prefix: app.prefix, options: { role: 'producer' } });
    expect(await later.workflows.result(id).get({ timeout: WITHIN_MS })).toEqual(Array(6).fill('open'));
  });

  it('hooks of the end may publish, also the last ones', async () => {
    const published: string[] = [];
    @Injectable()
    class Farewell implements OnModuleDestroy, OnApplicationShutdown {
      constructor(private readonly workflows: WorkflowService) {}
      onModuleDestroy = () => this.#publish();
      onApplicationShutdown = () => this.#publish();
      async #publish(): Promise<void> {
        published.push((await this.workflows.tasks(PoolTasks).looks.delay()).id);
      }
    }
    const app = await fixture.boot({ ...pools, providers: [...pools.providers, Farewell] });
    await app.close();

    const later = await fixture.boot({ ...pools, prefix: app.prefix });
    later.get(Gate).open();
    const results = published.map((id) => later.workflows.result(id).get({ timeout: WITHIN_MS }));
    expect(await Promise.all(results)).toEqual([Array(6).fill('open'), Array(6).fill('open')]);
  });
});

/** An application with a server, which its test starts and ends. */
function server(prefix: string, parts: { controllers?: Type[]; providers?: Type[] }, log = new LogLines()) {
  const options: TaskQueueModuleOptions = { connection: { url: redisUrl(), connectionName: prefix }, prefix };
  fixture.adopt(prefix);
  class ServerModule {}
  Module({ imports: [TaskQueueModule.forRoot(options)], ...parts })(ServerModule);
  return NestFactory.create(ServerModule, { logger: log, abortOnError: false });
}

const withoutConnections = (prefix: string) =>
  until(async () => (await fixture.connectionsOf(prefix)).length === 0, 'no connection is left');

describe('an application that ends early', () => {
  @Injectable()
  class LateTasks {
    static ran = 0;
    @Task()
    late(): number {
      return ++LateTasks.ran;
    }
  }
  beforeEach(() => (LateTasks.ran = 0));

  /** A task that waits, and the handle on it. */
  async function prefill(prefix: string) {
    const producer = await fixture.boot({ prefix, providers: [LateTasks], options: { role: 'producer' } });
    const handle = await producer.workflows.tasks(LateTasks).late.delay();
    const before = (await fixture.connectionsOf(prefix)).length;
    const leftNothing = async () => {
      await until(async () => (await fixture.connectionsOf(prefix)).length <= before, 'nothing is left open');
      expect({ state: await handle.state(), ran: LateTasks.ran }).toEqual({ state: 'PENDING', ran: 0 });
    };
    return { leftNothing };
  }

  it.each(['onModuleInit', 'onApplicationBootstrap'] as const)(
    'because %s of a provider throws: it has run nothing and leaves nothing open',
    async (hook) => {
      @Injectable()
      class Broken {
        [hook](): never {
          throw new Error('no licence');
        }
      }
      const prefix = uniquePrefix('broken');
      const { leftNothing } = await prefill(prefix);

      await expect(fixture.boot({ prefix, providers: [LateTasks, Broken] })).rejects.toThrow('no licence');
      await leftNothing();
      const app = await server(prefix, { providers: [LateTasks, Broken] });
      await expect(app.init()).rejects.toThrow('no licence');
      await app.close();
      await leftNothing();
    },
  );

  it('because it is closed before it was started', async () => {
    const prefix = uniquePrefix('early');
    const { leftNothing } = await prefill(prefix);
    const app = await server(prefix, { providers: [LateTasks] });
    await app.close();
    await app.close();
    await leftNothing();
  });

  it('because it is closed while it starts', async () => {
    const gate = new Gate();
    let begun = (): void => undefined;
    const starting = new Promise<void>((resolve) => (begun = resolve));
    @Injectable()
    class Slow implements OnModuleInit {
      async onModuleInit(): Promise<void> {
        begun();
        await gate.passed;
      }
    }
    const prefix = uniquePrefix('while-it-starts');
    const { leftNothing } = await prefill(prefix);
    const app = await server(prefix, { providers: [LateTasks, Slow] });
    const started = app.init();
    await starting;
    const closed = Promise.all([app.close(), app.close()]);
    gate.open();
    await Promise.allSettled([started, closed]);
    await closed;
    await leftNothing();
  });
});

describe('an HTTP request that waits for a result', () => {
  it('is answered when the application ends, and does not keep it', async () => {
    let waits = (): void => undefined;
    const waiting = new Promise<void>((resolve) => (waits = resolve));
    @Controller()
    class WaitController {
      constructor(private readonly workflows: WorkflowService) {}
      @Get()
      async wait(): Promise<unknown> {
        const { id } = await this.workflows.signature('nobody.serves.this', [], { queue: 'far' }).delay();
        const got = this.workflows.result(id).get({ timeout: Infinity });
        waits();
        return got;
      }
    }
    const prefix = uniquePrefix('request');
    const app = await server(prefix, { controllers: [WaitController] });
    await app.listen(0, '127.0.0.1');
    const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
    const request = get({ port, host: '127.0.0.1', agent: false });
    const answered = once(request, 'response') as Promise<[IncomingMessage]>;
    await waiting;

    await app.close();

    const [response] = await answered;
    expect(response.statusCode).toBe(500);
    response.resume();
    await withoutConnections(prefix);
  });
});
