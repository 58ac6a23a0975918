/** The client of the transport: what it publishes, how it waits, and how it stops. */
import { Controller, Inject, Injectable } from '@nestjs/common';
import { ClientsModule, Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import type { Redis } from 'ioredis';
import { firstValueFrom, lastValueFrom, timeout, toArray } from 'rxjs';
import {
  type AsyncResult,
  BrokerUnavailableError,
  InvalidCanvasError,
  InvalidOptionsError,
  ResultTimeoutError,
  Retry,
  Task,
  TaskContext,
  type TaskFailure,
  UnserializableArgumentError,
  WaitInsideTaskError,
} from 'nestjs-task-queue';
import {
  TaskQueueClient,
  type TaskQueueClientOptions,
  TaskQueueContext,
  TaskQueueMicroserviceModule,
  TaskQueueRecordBuilder,
} from 'nestjs-task-queue/microservice';
import { redisUrl, Runs, type TestApp, uniquePrefix, until, useApps } from '../support/app-fixture.js';
import { CuttingProxy } from '../support/proxy.js';

const WITHIN_MS = 60_000;
const fixture = useApps();

class Declined extends Error {}

@Controller()
class Billing {
  constructor(private readonly runs: Runs) {}

  @MessagePattern({ cmd: 'sum' })
  sum(@Payload() values: number[]): number {
    return values.reduce((sum, value) => sum + value, 0);
  }

  @MessagePattern('nothing')
  nothing(): void {}

  @MessagePattern('context', { queue: 'special' })
  context(@Payload() payload: unknown, @Ctx() context: TaskQueueContext): unknown {
    const { id, queue, headers } = context.getTask();
    return { payload: payload ?? 'none', id, queue, headers, metadata: context.getMetadata() ?? null };
  }

  @MessagePattern('declined')
  @Retry({ for: ['Unknown'] })
  declined(): never {
    this.runs.record('declined');
    throw new Declined('no money');
  }

  @MessagePattern('slow')
  async slow(@Ctx() task: TaskContext): Promise<void> {
    this.runs.record('slow', task.id);
    await new Promise((resolve) => task.signal.addEventListener('abort', resolve));
    this.runs.record('slow aborted', (task.signal.reason as Error).name);
  }
}

@Injectable()
class Tasks {
  constructor(
    private readonly runs: Runs,
    @Inject('APP') private readonly client: TaskQueueClient,
    @Inject('PATIENT') private readonly patient: TaskQueueClient,
  ) {}

  @Task()
  double(value: number): number {
    return value * 2;
  }

  @Task()
  errback(failure: TaskFailure): void {
    this.runs.record('errback', failure.error.message);
  }

  @Task()
  asks(): Promise<number> {
    return firstValueFrom(this.client.send({ cmd: 'sum' }, [1, 2]));
  }

  @Task()
  asksPatiently(): Promise<number> {
    return firstValueFrom(this.patient.send({ cmd: 'sum' }, [1, 2]));
  }
}

/** The options of a client with a connection of its own. */
const optionsOf = (prefix: string, url = redisUrl()): TaskQueueClientOptions => ({
  connection: { url, connectionName: `${prefix}-own` },
  prefix,
  errors: [Declined],
});

/** A service, and in the same process clients of it, over its own connection and over another one. */
function boot(prefix = uniquePrefix('client')): Promise<TestApp> {
  return fixture.boot({
    prefix,
    options: { errors: [Declined] },
    imports: [
      TaskQueueMicroserviceModule,
      TaskQueueMicroserviceModule.registerClient(
        { name: 'APP' },
        { name: 'PATIENT', allowInsideTask: true },
        { name: 'HASTY', timeout: 300, revokeOnUnsubscribe: { terminate: true } },
        { name: 'SPECIAL', queue: 'special' },
      ),
      ClientsModule.register([
        { name: 'OWN', customClass: TaskQueueClient, options: { ...optionsOf(prefix) } },
      ]),
    ],
    controllers: [Billing],
    providers: [Tasks],
  });
}

const clientOf = ({ app }: TestApp, name: string): TaskQueueClient => app.get(name);

describe.each(['OWN', 'APP'])('send() of a client (%s)', (name) => {
  it('gives the value and completes', async () => {
    const client = clientOf(await boot(), name);
    await expect(lastValueFrom(client.send({ cmd: 'sum' }, [1, 2, 3]).pipe(toArray()))).resolves.toEqual([6]);
    await expect(lastValueFrom(client.send('nothing', {}).pipe(toArray()))).resolves.toEqual([null]);
  });

  it('reaches tasks of providers by their names', async () => {
    const client = clientOf(await boot(), name);
    await expect(firstValueFrom(client.send('Tasks.double', 21))).resolves.toBe(42);
  });

  it('publishes for each subscriber, and not before', async () => {
    const app = await boot();
    const answer = clientOf(app, name).send('declined', {});
    expect(await fixture.keys(app.prefix)).not.toContainEqual(expect.stringContaining('~'));
    await expect(firstValueFrom(answer)).rejects.toThrow('no money');
    await expect(firstValueFrom(answer)).rejects.toThrow('no money');
    expect(app.runs.count('declined')).toBe(2);
  });

  it('ends with the error of the task, of its own class', async () => {
    const client = clientOf(await boot(), name);
    await expect(firstValueFrom(client.send('declined', {}))).rejects.toBeInstanceOf(Declined);
    await expect(firstValueFrom(client.send('not there', {}))).rejects.toThrow(
      'No @Task method named "not there"',
    );
  });

  it('says what cannot be sent', async () => {
    const client = clientOf(await boot(), name);
    await expect(firstValueFrom(client.send('nothing', { at: [new Date()] }))).rejects.toThrow(
      UnserializableArgumentError,
    );
    await expect(firstValueFrom(client.send('nothing', { at: [new Date()] }))).rejects.toThrow('at[0]');
    await expect(firstValueFrom(client.send('nothing', null))).rejects.toThrow('invalid data');
    const record = new TaskQueueRecordBuilder({}).setOptions({ countDown: 1 } as never).build();
    await expect(firstValueFrom(client.send('nothing', record))).rejects.toThrow(InvalidCanvasError);
  });
});

describe('the options of a message', () => {
  it('are those of every call of a task', async () => {
    const app = await boot();
    const errback = app.workflows.tasks(Tasks).errback.s();
    const record = new TaskQueueRecordBuilder({ a: 1 }).setOptions({
      queue: 'default',
      taskId: 'mine',
      headers: { tenant: 't' },
      countdown: 20,
    });
    await expect(firstValueFrom(clientOf(app, 'OWN').send('context', record.build()))).resolves.toEqual({
      payload: { a: 1 },
      id: 'mine',
      queue: 'default',
      headers: { tenant: 't' },
      metadata: null,
    });
    const declined = new TaskQueueRecordBuilder('x').setOptions({ linkError: errback as never }).build();
    await expect(firstValueFrom(clientOf(app, 'APP').send('declined', declined))).rejects.toThrow();
    await app.runs.reached('errback');
    expect(app.runs.of('errback')).toEqual(['no money']);
    const without = new TaskQueueRecordBuilder().build();
    await expect(firstValueFrom(clientOf(app, 'APP').send('context', without))).resolves.toMatchObject({
      payload: 'none',
    });
  });

  it('say the queue, or else the client, or else the handler of this application', async () => {
    const app = await boot();
    const queueOf = async (name: string, data: unknown = {}): Promise<unknown> =>
      ((await firstValueFrom(clientOf(app, name).send('context', data))) as { queue: string }).queue;
    expect(await queueOf('APP')).toBe('special');
    expect(await queueOf('SPECIAL')).toBe('special');
    const record = new TaskQueueRecordBuilder({}).setOptions({ queue: 'default' }).build();
    expect(await queueOf('SPECIAL', record)).toBe('default');
    // A client with a connection of its own does not know the handlers.
    expect(await queueOf('OWN')).toBe('default');
  });

  it('carry what a dispatch hook attaches', async () => {
    const client = clientOf(await boot(), 'OWN');
    client.setOnDispatchHook((packet) => Object.assign(packet, { metadata: { trace: 'abc' } }));
    await expect(firstValueFrom(client.send('context', {}))).resolves.toMatchObject({
      metadata: { trace: 'abc' },
    });
  });
});

describe('emit()', () => {
  it('publishes at once, and gives the handle of the task', async () => {
    const app = await boot();
    clientOf(app, 'OWN').emit('declined', {});
    await app.runs.reached('declined');
    const handle = await lastValueFrom(clientOf(app, 'APP').emit<AsyncResult>('declined', {}));
    await expect(handle.get({ timeout: WITHIN_MS })).rejects.toBeInstanceOf(Declined);
    expect(app.runs.count('declined')).toBe(2);
  });

  it('says in the log what was not published, to a caller who does not listen', async () => {
    const app = await boot();
    clientOf(app, 'OWN').emit('nothing', { n: 1n });
    await until(() => app.log.matching(/The event nothing was not published/).length > 0, 'a line');
    await expect(lastValueFrom(clientOf(app, 'OWN').emit('nothing', { n: 1n }))).rejects.toThrow('n');
  });
});

describe('a wait that ends early', () => {
  it('by its time-out leaves the task alone, or ends it if asked to', async () => {
    const app = await boot();
    const record = new TaskQueueRecordBuilder({}).setOptions({ timeout: 300, taskId: 'goes-on' }).build();
    await expect(firstValueFrom(clientOf(app, 'APP').send('slow', record))).rejects.toBeInstanceOf(
      ResultTimeoutError,
    );
    await app.runs.reached('slow');
    expect(await app.workflows.result('goes-on').state()).toBe('STARTED');
    await app.workflows.result('goes-on').revoke({ terminate: true });
    await app.runs.reached('slow aborted');

    const hasty = new TaskQueueRecordBuilder({}).setOptions({ taskId: 'ends' }).build();
    await expect(firstValueFrom(clientOf(app, 'HASTY').send('slow', hasty))).rejects.toBeInstanceOf(
      ResultTimeoutError,
    );
    await until(
      async () => (await app.workflows.result('ends').state()) === 'REVOKED',
      'the task is revoked',
    );
  });

  it('by unsubscribing leaves the task alone, or revokes it if asked to', async () => {
    const app = await boot();
    const send = (taskId: string, revokeOnUnsubscribe: boolean | { terminate: boolean }) =>
      clientOf(app, 'OWN')
        .send(
          'slow',
          new TaskQueueRecordBuilder({})
            .setOptions({ taskId, revokeOnUnsubscribe, timeout: Infinity })
            .build(),
        )
        .subscribe();
    const left = send('left', false);
    const ended = send('ended', { terminate: true });
    await app.runs.reached('slow', 2);
    left.unsubscribe();
    ended.unsubscribe();
    await app.runs.reached('slow aborted');
    const stateOf = (id: string) => app.workflows.result(id).state();
    await until(async () => (await stateOf('ended')) === 'REVOKED', 'the task is revoked');
    expect(await stateOf('left')).toBe('STARTED');

    // One that waits never starts.
    const waiting = new TaskQueueRecordBuilder({}).setOptions({
      taskId: 'waiting',
      countdown: '1h',
      revokeOnUnsubscribe: true,
    });
    await expect(
      firstValueFrom(clientOf(app, 'OWN').send('slow', waiting.build()).pipe(timeout(300))),
    ).rejects.toThrow('Timeout');
    await until(async () => (await stateOf('waiting')) === 'REVOKED', 'the waiting task is revoked');
    expect(app.runs.count('slow')).toBe(2);
    await app.workflows.result('left').revoke({ terminate: true });
  });

  it('is refused inside a task, unless the client is told that it may', async () => {
    const app = await boot();
    const tasks = app.workflows.tasks(Tasks);
    const asked = await tasks.asks.delay();
    await expect(asked.get({ timeout: WITHIN_MS })).rejects.toBeInstanceOf(WaitInsideTaskError);
    const patiently = await tasks.asksPatiently.delay();
    await expect(patiently.get({ timeout: WITHIN_MS })).resolves.toBe(3);
  });
});

describe('the connection of a client', () => {
  it('is opened by the first message, shown by status, on() and unwrap(), over a cut as well', async () => {
    const app = await boot();
    const proxy = await CuttingProxy.start(redisUrl());
    const client = new TaskQueueClient(optionsOf(app.prefix, proxy.url));
    try {
      const statuses: string[] = [];
      const events: string[] = [];
      client.status.subscribe((status) => statuses.push(status));
      client.on('ready', () => events.push('ready'));
      client.on('close', () => events.push('close'));
      expect(() => client.unwrap()).toThrow('Not connected');
      await expect(firstValueFrom(client.send('Tasks.double', 4))).resolves.toBe(8);
      await expect(client.unwrap<Redis>().ping()).resolves.toBe('PONG');
      expect(statuses).toEqual(['connected']);
      proxy.cutAll();
      await until(() => statuses.length >= 4, 'connected again');
      expect(statuses).toEqual(['connected', 'disconnected', 'reconnecting', 'connected']);
      expect(events).toEqual(['ready', 'close', 'ready']);
      await client.close();
      expect(statuses.at(-1)).toBe('disconnected');
      // As with every client of Nest, a later message connects again.
      await expect(firstValueFrom(client.send('Tasks.double', 5))).resolves.toBe(10);
    } finally {
      await client.close();
      await proxy.close();
    }
  });

  it("of the application is neither opened anew nor closed with the client's", async () => {
    const app = await boot();
    const client = clientOf(app, 'APP');
    await expect(firstValueFrom(client.send('Tasks.double', 4))).resolves.toBe(8);
    expect((await fixture.connectionsOf(app.prefix)).filter((name) => name.endsWith('-own'))).toEqual([]);
    await client.close();
    await expect(
      (await app.workflows.tasks(Tasks).double.delay(5)).get({ timeout: WITHIN_MS }),
    ).resolves.toBe(10);
  });

  it('that cannot be made ends the wait within the publish time-out', async () => {
    const client = new TaskQueueClient({ connection: { host: '127.0.0.1', port: 1 }, publishTimeout: 300 });
    try {
      await expect(firstValueFrom(client.send('nothing', {}))).rejects.toBeInstanceOf(BrokerUnavailableError);
    } finally {
      await client.close();
    }
  });

  it('refuses options that cannot be read', async () => {
    expect(() => new TaskQueueClient({ connection: { url: 'http://x' } })).toThrow(InvalidOptionsError);
    expect(() => new TaskQueueClient({ conection: {} } as never)).toThrow('did you mean "connection"?');
    expect(() => new TaskQueueClient({ serializer: {} } as never)).toThrow(
      'Option serializer: expected one of the options connection, prefix, shards, publishTimeout, errors, codec, queue, timeout',
    );
    expect(() => new TaskQueueClient({ timeout: 'soon' })).toThrow('Option timeout:');
    const ofApp = TaskQueueMicroserviceModule.registerClient({ name: 'A', prefix: 'x' } as never);
    await expect(fixture.boot({ imports: [ofApp] })).rejects.toThrow('Option prefix:');
    expect(() => TaskQueueMicroserviceModule.registerClient({ name: 'A', queue: '_x' })).toThrow(
      InvalidOptionsError,
    );
  });

  it('is that of the registration that its client names', async () => {
    await expect(
      fixture.boot({ imports: [TaskQueueMicroserviceModule.registerClient({ name: 'A', connection: 'b' })] }),
    ).rejects.toThrow('the name of a TaskQueueModule.forRoot of this application: "default"');
  });
});
