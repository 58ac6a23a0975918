/** Workers as a Nest microservice: how it is started and ended, and what it serves. */
import {
  Controller,
  type INestApplication,
  type INestMicroservice,
  Injectable,
  type OnModuleInit,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  type AsyncMicroserviceOptions,
  EventPattern,
  MessagePattern,
  type MicroserviceOptions,
  Payload,
} from '@nestjs/microservices';
import { hostname } from 'node:os';
import type { Redis } from 'ioredis';
import { lastValueFrom } from 'rxjs';
import { InvalidOptionsError, Task } from 'nestjs-task-queue';
import {
  TaskQueueClient,
  TaskQueueMicroserviceModule,
  TaskQueueServer,
  type TaskQueueServerInternals,
} from 'nestjs-task-queue/microservice';
import {
  type AppSpec,
  type LogLines,
  redisUrl,
  Runs,
  type TestApp,
  uniquePrefix,
  until,
  useApps,
} from '../support/app-fixture.js';
import { CuttingProxy } from '../support/proxy.js';
import { PrivateRedis } from '../support/workers/private-redis.js';

const WITHIN_MS = 60_000;
const fixture = useApps();

@Injectable()
class Tasks {
  constructor(private readonly runs: Runs) {}

  @Task()
  double(value: number): number {
    this.runs.record('double', value);
    return value * 2;
  }
}

@Controller()
class Patterns {
  constructor(private readonly runs: Runs) {}

  @MessagePattern('sum')
  sum(@Payload() values: number[]): number {
    this.runs.record('sum', values);
    return values.reduce((sum, value) => sum + value, 0);
  }

  @MessagePattern('slow')
  async slow(@Payload() value: string): Promise<string> {
    this.runs.record('slow began');
    await this.runs.reached('slow may end');
    this.runs.record('slow ended');
    return value;
  }

  @EventPattern({ user: 'created', version: 1 })
  created(@Payload('name') name: string): void {
    this.runs.record('created', name);
  }
}

const parts: AppSpec = {
  imports: [TaskQueueMicroserviceModule],
  providers: [Tasks],
  controllers: [Patterns],
};

const quiet = (log: LogLines) => ({ logger: log, abortOnError: false });

function microserviceOf(module: Type, log: LogLines): Promise<INestMicroservice> {
  return NestFactory.createMicroservice<AsyncMicroserviceOptions>(module, {
    ...quiet(log),
    inject: [TaskQueueServer],
    useFactory: (strategy: TaskQueueServer) => ({ strategy }),
  });
}

async function standalone(module: Type, log: LogLines): Promise<INestMicroservice> {
  const app = await microserviceOf(module, log);
  await app.listen();
  return app;
}

function hybrid(start: (app: INestApplication) => Promise<unknown>) {
  return async (module: Type, log: LogLines): Promise<INestApplication> => {
    const app = await NestFactory.create(module, quiet(log));
    app.connectMicroservice<MicroserviceOptions>({ strategy: app.get(TaskQueueServer) });
    await start(app);
    return app;
  };
}

/** Both kinds of handlers answer. */
async function expectServed({ workflows, runs }: TestApp): Promise<void> {
  await expect((await workflows.tasks(Tasks).double.delay(4)).get({ timeout: WITHIN_MS })).resolves.toBe(8);
  const sum = await workflows.signature('sum', [[1, 2, 3]]).delay();
  await expect(sum.get({ timeout: WITHIN_MS })).resolves.toBe(6);
  await workflows.signature('{"user":"created","version":1}', [{ name: 'Ada' }]).delay();
  await runs.reached('created');
  expect(runs.of('created')).toEqual(['Ada']);
}

/** One worker for `default` and one for the steps of canvases, with one blocking connection each. */
/** What workers call themselves, for whoever looks at the connections of Redis. */
const NAME = `${hostname()}:${process.pid}`;

async function expectOneSet({ app, prefix }: TestApp): Promise<void> {
  const { workers } = app.get(TaskQueueServer).unwrap<TaskQueueServerInternals<unknown, { name: string }>>();
  expect(workers.map(({ name }) => name).sort()).toEqual(['_canvas', 'default']);
  const blocking = async (): Promise<string[]> =>
    (await fixture.connectionsOf(prefix)).filter((name) => name.startsWith('{') && !name.endsWith(':qe'));
  await until(async () => (await blocking()).length >= 2, 'both workers are connected');
  expect((await blocking()).sort()).toEqual(
    ['_canvas', 'default']
      .map((queue) => `{${prefix}:0}:${Buffer.from(queue).toString('base64')}:w:${NAME}`)
      .sort(),
  );
}

describe('an application whose workers are a microservice', () => {
  it.each<[string, AppSpec['create']]>([
    ['standalone', standalone],
    [
      'hybrid, microservices before init',
      hybrid(async (app) => {
        await app.startAllMicroservices();
        await app.init();
      }),
    ],
    [
      'hybrid, init before microservices',
      hybrid(async (app) => {
        await app.init();
        await app.startAllMicroservices();
      }),
    ],
    ['an application context', undefined],
    [
      'hybrid, connected after init',
      async (module, log) => {
        const app = await NestFactory.create(module, quiet(log));
        await app.init();
        app.connectMicroservice<MicroserviceOptions>({ strategy: app.get(TaskQueueServer) });
        await app.startAllMicroservices();
        return app;
      },
    ],
    // Nest calls every hook of the start twice in these.
    [
      'standalone, init before listen',
      async (module, log) => {
        const app = await microserviceOf(module, log);
        await app.init();
        await app.listen();
        return app;
      },
    ],
    [
      'hybrid, initialised by itself, before the application',
      async (module, log) => {
        const app = await NestFactory.create(module, quiet(log));
        const strategy = app.get(TaskQueueServer);
        app.connectMicroservice<MicroserviceOptions>({ strategy }, { deferInitialization: true });
        await app.startAllMicroservices();
        return app.init();
      },
    ],
    [
      'hybrid, initialised by itself, after the application',
      async (module, log) => {
        const app = await NestFactory.create(module, quiet(log));
        const strategy = app.get(TaskQueueServer);
        app.connectMicroservice<MicroserviceOptions>({ strategy }, { deferInitialization: true });
        await app.init();
        await app.startAllMicroservices();
        return app;
      },
    ],
  ])('%s: serves tasks and patterns with one set of workers', async (_, create) => {
    const app = await fixture.boot({ ...parts, ...(create && { create }) });
    await expectServed(app);
    await expectOneSet(app);
  });

  it('waits with its workers until it listens', async () => {
    let listen = (): Promise<unknown> => Promise.resolve();
    const app = await fixture.boot({
      ...parts,
      create: hybrid(async (nest) => {
        await nest.init();
        listen = () => nest.startAllMicroservices();
      }),
    });
    const server = app.get(TaskQueueServer);
    const handle = await app.workflows.tasks(Tasks).double.delay(4);
    expect(() => server.unwrap()).toThrow('The workers have not started');
    expect(await fixture.unfinished(app.prefix)).toMatchObject({ 'default:wait': [handle.id] });
    await listen();
    await expect(handle.get({ timeout: WITHIN_MS })).resolves.toBe(8);
  });

  it('leaves nothing open of a start that fails after it began to listen', async () => {
    @Injectable()
    class Failing implements OnModuleInit {
      onModuleInit(): never {
        throw new Error('no start');
      }
    }
    const prefix = uniquePrefix('fails');
    const booted = fixture.boot({
      ...parts,
      prefix,
      providers: [Tasks, Failing],
      create: hybrid(async (nest) => {
        await nest.startAllMicroservices();
        await nest.init();
      }),
    });
    await expect(booted).rejects.toThrow('no start');
    expect(await fixture.connectionsOf(prefix)).toEqual([]);
  });

  it('starts its workers at bootstrap where nobody connects the server', async () => {
    const app = await fixture.boot({
      ...parts,
      create: async (module, log) => (await NestFactory.create(module, quiet(log))).init(),
    });
    await expectServed(app);
    await expectOneSet(app);
  });

  it('serves nothing as a producer, and says so', async () => {
    const app = await fixture.boot({ ...parts, create: standalone, options: { role: 'producer' } });
    expect(app.log.matching(/The role of this application is 'producer'/)).toHaveLength(1);
    expect(await fixture.connectionsOf(app.prefix)).toEqual([]);
  });

  it('as a hybrid has the global enhancers of the application, not those of the connected microservice', async () => {
    const app = await fixture.boot({
      ...parts,
      create: async (module, log) => {
        const nest = await NestFactory.create(module, quiet(log));
        const microservice = nest.connectMicroservice<MicroserviceOptions>({
          strategy: nest.get(TaskQueueServer),
        });
        const appending = (text: string) => ({
          transform: (value: unknown) => (Array.isArray(value) ? [...(value as unknown[]), text] : value),
        });
        nest.useGlobalPipes(appending('app'));
        microservice.useGlobalPipes(appending('microservice'));
        await nest.startAllMicroservices();
        return nest.init();
      },
    });
    const sum = await app.workflows.signature('sum', [[]]).delay();
    await expect(sum.get({ timeout: WITHIN_MS })).resolves.toBe('0app');
  });

  it('needs a registration, and has one server', async () => {
    const lone = fixture.boot({ ...parts, module: () => ({ module: class {}, imports: [] }) });
    await expect(lone).rejects.toThrow('expected the name of a TaskQueueModule.forRoot of this application');
    class Feature {}
    const feature = { module: Feature, imports: [TaskQueueMicroserviceModule.register({ queue: 'math' })] };
    const two = fixture.boot({ ...parts, imports: [TaskQueueMicroserviceModule, feature] });
    await expect(two).rejects.toThrow('TaskQueueMicroserviceModule: expected one for the whole application');
    const again = await fixture.boot({
      ...parts,
      imports: [TaskQueueMicroserviceModule, { module: Feature, imports: [TaskQueueMicroserviceModule] }],
    });
    await expectServed(again);
  });

  it('takes the queue of its pattern handlers from its options', async () => {
    const app = await fixture.boot({
      ...parts,
      imports: [TaskQueueMicroserviceModule.register({ queue: 'math' })],
      create: standalone,
    });
    const sum = await app.workflows.signature('sum', [[1, 2]]).delay();
    await expect(sum.get({ timeout: WITHIN_MS })).resolves.toBe(3);
    const { workers } = app
      .get(TaskQueueServer)
      .unwrap<TaskQueueServerInternals<unknown, { name: string }>>();
    expect(workers.map(({ name }) => name).sort()).toEqual(['_canvas', 'default', 'math']);
    expect(() => TaskQueueMicroserviceModule.register({ queue: '_own' })).toThrow(InvalidOptionsError);
    expect(() => TaskQueueMicroserviceModule.register({ queues: 'a' } as never)).toThrow(InvalidOptionsError);
  });
});

describe('the end', () => {
  it('closing the transport drains its tasks; closing the application afterwards finds nothing to do', async () => {
    const app = await fixture.boot({
      ...parts,
      create: hybrid(async (nest) => {
        await nest.startAllMicroservices();
        await nest.init();
      }),
    });
    const server = app.get(TaskQueueServer);
    const slow = await app.workflows.signature('slow', ['a']).delay();
    await app.runs.reached('slow began');
    const closed = server.close();
    app.runs.record('slow may end');
    await closed;
    expect(app.runs.count('slow ended')).toBe(1);
    expect(await slow.get({ timeout: WITHIN_MS })).toBe('a');
    expect(server.unwrap.bind(server)).toThrow('The workers have not started');
    // Producing goes on; what is published now waits for another worker.
    const { id } = await app.workflows.tasks(Tasks).double.delay(4);
    expect(await fixture.unfinished(app.prefix)).toMatchObject({ 'default:wait': [id] });
    await expect(
      new Promise((resolve, reject) => server.listen((error) => (error ? reject(error) : resolve(true)))),
    ).rejects.toThrow('they do not start again');
    await app.close();
  });

  it('close() of a standalone microservice drains and leaves no connection', async () => {
    const app = await fixture.boot({ ...parts, create: standalone });
    const slow = await app.workflows.signature('slow', ['a']).delay();
    await app.runs.reached('slow began');
    const closed = app.close();
    app.runs.record('slow may end');
    await closed;
    expect(app.runs.count('slow ended')).toBe(1);
    await until(async () => (await fixture.connectionsOf(app.prefix)).length === 0, 'no connection is left');
    const reader = await fixture.boot({ prefix: app.prefix, options: { role: 'producer' } });
    await expect(reader.workflows.result(slow.id).get({ timeout: WITHIN_MS })).resolves.toBe('a');
  });
});

describe('the connection', () => {
  it('status tells how it stands, also over a cut; on() hears its events; unwrap() gives it', async () => {
    const proxy = await CuttingProxy.start(redisUrl());
    try {
      const statuses: string[] = [];
      const events: string[] = [];
      let microservice: INestMicroservice | undefined;
      const app = await fixture.boot({
        ...parts,
        url: proxy.url,
        create: async (module, log) => {
          microservice = await microserviceOf(module, log);
          microservice.status.subscribe((status) => statuses.push(status));
          microservice.on('ready', () => events.push('ready'));
          microservice.on('close', () => events.push('close'));
          await microservice.listen();
          return microservice;
        },
      });
      fixture.adopt(app.prefix);
      await until(() => statuses.includes('connected'), 'connected');
      const { connection } = app.get(TaskQueueServer).unwrap<TaskQueueServerInternals<Redis>>();
      await expect(connection.ping()).resolves.toBe('PONG');
      proxy.cutAll();
      await until(() => statuses.length >= 4, 'connected again');
      expect(statuses).toEqual(['connected', 'disconnected', 'reconnecting', 'connected']);
      expect(events).toEqual(['ready', 'close', 'ready']);
      await expectServed(app);
      await app.close();
      expect(statuses.at(-1)).toBe('disconnected');
    } finally {
      await proxy.close();
    }
  });

  it('status of server and client tells of a Redis that goes and comes back', async () => {
    const redis = await PrivateRedis.start();
    const client = new TaskQueueClient({ connection: { url: redis.url }, prefix: 'restarted' });
    const ofClient: string[] = [];
    const ofServer: string[] = [];
    client.status.subscribe((status) => ofClient.push(status));
    try {
      const app = await fixture.boot({ ...parts, url: redis.url, prefix: 'restarted', create: standalone });
      app.get(TaskQueueServer).status.subscribe((status) => ofServer.push(status));
      await expect(lastValueFrom(client.send('sum', [1, 2]))).resolves.toBe(3);
      const both = [ofClient, ofServer];
      await until(() => both.every((statuses) => statuses.at(-1) === 'connected'), 'both are connected');
      await redis.kill();
      await until(() => both.every((statuses) => statuses.includes('reconnecting')), 'both miss Redis');
      expect(both.map((statuses) => statuses.slice(0, 2))).toEqual(
        both.map(() => ['connected', 'disconnected']),
      );
      await redis.restart();
      await until(
        () => both.every((statuses) => statuses.at(-1) === 'connected'),
        'both are connected again',
      );
      await expect(lastValueFrom(client.send('sum', [3, 4]))).resolves.toBe(7);
      await app.close();
      await client.close();
      expect(both.map((statuses) => statuses.at(-1))).toEqual(['disconnected', 'disconnected']);
    } finally {
      await client.close();
      await fixture.closeAll();
      await redis.end();
    }
  });
});
