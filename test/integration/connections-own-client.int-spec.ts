/** An ioredis client that the application brings: its options are taken, and it is left alone. */
import { Global, Inject, Injectable, Module, type OnModuleDestroy } from '@nestjs/common';
import { once } from 'node:events';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import {
  CallbackWithSuccesses,
  Task,
  TaskContext,
  TaskQueueModule,
  type TaskQueueModuleOptions,
  WorkflowService,
} from 'nestjs-task-queue';
import {
  AppFixture,
  redisUrl,
  Runs,
  type TestApp,
  uniquePrefix,
  until,
  useApps,
} from '../support/app-fixture.js';
import { PrivateRedis } from '../support/workers/private-redis.js';

const WITHIN_MS = 60_000;

/** Opened by a test when handlers may go on. */
class Gate {
  open = (): void => undefined;
  readonly passed = new Promise<void>((resolve) => {
    this.open = resolve;
  });
}

@Injectable()
class Tasks {
  constructor(
    private readonly runs: Runs,
    private readonly gate: Gate,
    private readonly workflows: WorkflowService,
  ) {}

  @Task()
  double(value: number): number {
    if (value < 0) throw new Error('a negative value');
    return 2 * value;
  }

  @Task()
  sum(values: number[]): number {
    return values.reduce((sum, value) => sum + value, 0);
  }

  @Task()
  async waits(task: TaskContext): Promise<void> {
    this.runs.record('waits');
    await once(task.signal, 'abort');
  }

  @Task()
  async publishes(): Promise<string> {
    this.runs.record('publishes');
    await this.gate.passed;
    return (await this.workflows.tasks(Tasks).double.delay(4)).id;
  }
}

const fixture = useApps();
const providers = [Tasks, Gate];

/** Everything that goes over each of the connections: publications, failures, results, and a revocation. */
async function useEverything({ workflows, runs }: TestApp, round = 1): Promise<void> {
  const { double, sum, waits } = workflows.tasks(Tasks);
  const header = [double.s(1), double.s(-1), double.s(3)];
  const chord = await workflows.chord(header, sum.s(), { recovery: CallbackWithSuccesses }).applyAsync();
  expect(await chord.get({ timeout: WITHIN_MS })).toBe(8);
  const waiting = await waits.applyAsync([], { taskId: `waits-${round}` });
  await runs.reached('waits', round);
  await waiting.revoke({ terminate: true });
  await until(async () => (await waiting.state()) === 'REVOKED', 'it is revoked');
}

/** A client whose commands are counted, as far as it is asked for any. */
function watched(client: Redis | Cluster): { commands: string[] } {
  const commands: string[] = [];
  const send = client.sendCommand.bind(client) as (...args: unknown[]) => unknown;
  Object.assign(client, {
    sendCommand: (...args: [{ readonly name: string }]) => {
      commands.push(args[0].name);
      return send(...args);
    },
  });
  return { commands };
}

/** Cuts all connections of an application, and waits until it has new ones and hears revocations again. */
async function cutOff({ prefix }: TestApp): Promise<void> {
  const connections = async () =>
    String(await fixture.redis.call('CLIENT', 'LIST'))
      .split('\n')
      .map((line) => ({
        id: /^id=(\d+)/.exec(line)?.[1] ?? '',
        name: / name=(\S*)/.exec(line)?.[1] ?? '',
        subscribed: !line.includes(' sub=0 '),
      }))
      .filter(({ name }) => name.includes(prefix) && name !== prefix);
  const old = await connections();
  for (const { id } of old) await fixture.redis.call('CLIENT', 'KILL', 'ID', id);
  const ids = new Set(old.map(({ id }) => id));
  await until(async () => {
    const now = (await connections()).filter(({ id }) => !ids.has(id));
    return (
      ['publish', 'ledger', 'consume'].every((purpose) =>
        now.some(({ name }) => name === `${prefix}:${purpose}`),
      ) && now.some(({ name, subscribed }) => name === `${prefix}:listen` && subscribed)
    );
  }, 'all connections are back');
}

const listenersOf = (client: Redis): [string | symbol, number][] =>
  client.eventNames().map((name) => [name, client.listenerCount(name)]);

describe('a client of your own', () => {
  const clients: Redis[] = [];
  const clientWith = (options: RedisOptions): Redis => {
    const client = new Redis(redisUrl(), options);
    clients.push(client);
    return client;
  };
  afterEach(() => {
    for (const client of clients.splice(0)) client.disconnect();
  });

  it.each<[string, RedisOptions]>([
    ['as ioredis makes it', {}],
    ['lazyConnect', { lazyConnect: true }],
    ['no offline queue', { enableOfflineQueue: false }],
    ['maxRetriesPerRequest', { maxRetriesPerRequest: 3 }],
    ['a commandTimeout, shorter than a worker blocks', { commandTimeout: 300 }],
    ['a socketTimeout, shorter than a worker blocks', { socketTimeout: 300 }],
    ['autoResubscribe and autoResend off', { autoResubscribe: false, autoResendUnfulfilledCommands: false }],
    ['automatic pipelines', { enableAutoPipelining: true }],
    ['numbers as texts', { stringNumbers: true }],
    ['replies as maps', { replyMapping: 'resp3' }],
    ['no reconnecting', { retryStrategy: null }],
    ['another database', { db: 3 }],
  ])('%s: everything works, and it is neither used nor closed', async (_, given) => {
    const prefix = uniquePrefix('own');
    const client = clientWith({ connectionName: prefix, ...given });
    if (!given.lazyConnect) await once(client, 'ready');
    const listeners = listenersOf(client);
    const { commands } = watched(client);

    const app = await fixture.boot({ prefix, providers, options: { connection: client } });
    await useEverything(app);
    // Longer than the timeouts above: a worker blocks while there is nothing to do.
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(app.log.matching(/Redis, /)).toEqual([]);
    await cutOff(app);
    await useEverything(app, 2);
    await app.close();

    expect(commands).toEqual([]);
    expect(listenersOf(client)).toEqual(listeners);
    expect(client.status).toBe(given.lazyConnect ? 'wait' : 'ready');
    if (given.lazyConnect) await client.connect();
    expect(await client.ping()).toBe('PONG');
    // The fixture wants no connection to be left of the prefix.
    client.disconnect();
  });

  const keyPrefix = 'my:';
  it.each<[string, Redis | Cluster]>([
    ['a client', new Redis({ lazyConnect: true, keyPrefix })],
    ['a Cluster', new Cluster([], { lazyConnect: true, keyPrefix })],
    ['the nodes of a Cluster', new Cluster([], { lazyConnect: true, redisOptions: { keyPrefix } })],
  ])('%s with a keyPrefix is refused, and told what there is instead', async (_, connection) => {
    await expect(fixture.boot({ providers, options: { connection } })).rejects.toThrow(
      'Option connection.keyPrefix: expected none: the option prefix is the front of every key, got "my:".',
    );
  });

  it('that is subscribed to something goes on hearing it', async () => {
    const prefix = uniquePrefix('own');
    const client = clientWith({});
    await client.subscribe(`${prefix}:news`);
    const heard: string[] = [];
    client.on('message', (_channel, text: string) => heard.push(text));

    const app = await fixture.boot({ prefix, providers, options: { connection: client } });
    await useEverything(app);
    await app.close();

    await fixture.redis.publish(`${prefix}:news`, 'still there');
    await until(() => heard.length > 0, 'a message has come');
    expect(heard).toEqual(['still there']);
  });

  it('may be closed by its owner at any time: the application has connections of its own', async () => {
    const prefix = uniquePrefix('own');
    const client = clientWith({});
    const app = await fixture.boot({ prefix, providers, options: { connection: client } });
    await client.quit();
    await useEverything(app);
  });

  it('may be given to two applications: when one is closed, the other goes on', async () => {
    const client = clientWith({});
    const one = await fixture.boot({ providers, options: { connection: client } });
    const other = await fixture.boot({ providers, options: { connection: client } });
    await Promise.all([useEverything(one), useEverything(other)]);
    await one.close();
    await useEverything(other, 2);
    await other.close();
    expect(await client.ping()).toBe('PONG');
  });

  it('may come from another provider, which closes it while tasks still run', async () => {
    const CLIENT = Symbol('client');
    @Injectable()
    class Owner implements OnModuleDestroy {
      constructor(@Inject(CLIENT) readonly client: Redis) {}
      async onModuleDestroy(): Promise<void> {
        await this.client.quit();
      }
    }
    @Global()
    @Module({
      providers: [Owner, { provide: CLIENT, useFactory: () => clientWith({}) }],
      exports: [CLIENT, Owner],
    })
    class ClientModule {}
    const app = await fixture.boot({
      providers,
      imports: [ClientModule],
      module: (options) =>
        TaskQueueModule.forRootAsync({
          inject: [CLIENT],
          useFactory: (connection: Redis): TaskQueueModuleOptions => ({ ...options, connection }),
        }),
    });
    await useEverything(app);
    const publishing = await app.workflows.tasks(Tasks).publishes.delay();
    await app.runs.reached('publishes');

    const closing = app.close();
    const { client } = app.get(Owner);
    app.get(Gate).open();
    await closing;

    await until(() => client.status === 'end', 'its owner has closed it');
    const later = await fixture.boot({ prefix: app.prefix, providers, options: { role: 'producer' } });
    const id = await later.workflows.result<string>(publishing.id).get({ timeout: WITHIN_MS });
    expect(['PENDING', 'SUCCESS']).toContain(await later.workflows.result(id).state());
  });
});

describe('a Cluster of your own', () => {
  const fixtureOfCluster = new AppFixture();
  let server: PrivateRedis;
  let cluster: Cluster;
  beforeAll(async () => {
    server = await PrivateRedis.start('--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1');
    const node = new Redis(server.url);
    await node.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await until(
      async () => String(await node.call('CLUSTER', 'INFO')).includes('cluster_state:ok'),
      'it is up',
    );
    node.disconnect();
  }, 240_000);
  beforeEach(() => {
    cluster = new Cluster([server.url], { redisOptions: { connectionName: 'mine' }, lazyConnect: true });
  });
  afterEach(() => cluster.disconnect());
  afterAll(async () => {
    await fixtureOfCluster.closeAll();
    await fixtureOfCluster.end();
    await server?.end();
  }, 240_000);

  // One node refuses a command over several slots as well as three do.
  it.each([1, 3])('everything works with shards: %d, and it is neither used nor closed', async (shards) => {
    const { commands } = watched(cluster);
    const options = { connection: cluster, shards };
    const app = await fixtureOfCluster.boot({ url: server.url, providers, options });
    await useEverything(app);
    expect(app.log.matching(/Redis, /)).toEqual([]);
    await app.close();

    expect(commands).toEqual([]);
    expect(cluster.status).toBe('wait');
    await cluster.connect();
    expect(await cluster.ping()).toBe('PONG');
    const names = String(await cluster.call('CLIENT', 'LIST')).match(/name=\S*/g) ?? [];
    expect(names.filter((name) => name.includes(app.prefix) || name.includes('mine:'))).toEqual([]);
  });
});
