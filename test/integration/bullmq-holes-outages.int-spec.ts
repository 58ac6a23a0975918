import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Injectable } from '@nestjs/common';
import { FlowProducer, Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { type JsonValue, Task, type TaskQueueModuleOptions, type TasksOf } from 'nestjs-task-queue';
import { Transactions } from '../../libs/task-queue/src/broker/transactions.js';
import { Probe, startApp, type StartedApp, uniquePrefix, until } from '../support/canvas-runner.js';

/*
 * Holes of BullMQ that open when Redis goes away, loses its scripts or its memory, and what the library does there.
 * The table in the head of bullmq-holes.int-spec.ts says which test belongs to which hole.
 */

jest.setTimeout(120_000);

/** A Redis of our own, which may be frozen, filled and killed. */
class PrivateRedis {
  private constructor(
    readonly url: string,
    readonly port: number,
    private readonly pid: number,
    private readonly keeper: ChildProcess,
  ) {}

  static async start(port?: number): Promise<PrivateRedis> {
    const tool = pathToFileURL(join(__dirname, '../../tools/redis/provision.mjs')).href;
    const options = JSON.stringify({ private: true, quiet: true, ...(port === undefined ? {} : { port }) });
    const script = `
      import { startRedis } from ${JSON.stringify(tool)};
      const redis = await startRedis(${options});
      console.log(JSON.stringify({ url: redis.url, port: redis.port, pid: redis.pid }));
      process.stdin.resume().once('end', async () => { await redis.stop(); process.exit(0); });`;
    const keeper = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [line] = (await once(keeper.stdout, 'data')) as [Buffer];
    const started = JSON.parse(line.toString()) as { url: string; port: number; pid: number };
    return new PrivateRedis(started.url, started.port, started.pid, keeper);
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void {
    process.kill(this.pid, signal);
  }

  async stop(): Promise<void> {
    const ended = once(this.keeper, 'close');
    this.keeper.stdin?.end();
    await ended;
  }
}

/** Stands between a client and Redis, and loses one answer: the connection breaks after Redis has done the work. */
class LossyProxy {
  readonly #sockets = new Set<Socket>();
  #losing = false;
  #refusing = false;

  private constructor(
    private readonly server: Server,
    private readonly target: number,
  ) {
    server.on('connection', (client) => this.#connect(client));
  }

  static async start(target: number): Promise<LossyProxy> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new LossyProxy(server, target);
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** The next transaction is carried out, but nobody hears of it; then nobody gets through. */
  loseNextTransaction(): void {
    this.#losing = true;
  }

  get lost(): boolean {
    return this.#refusing;
  }

  letThrough(): void {
    this.#refusing = false;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.server.close();
    await once(this.server, 'close');
  }

  #connect(client: Socket): void {
    if (this.#refusing) return void client.destroy();
    const upstream = connect(this.target, '127.0.0.1');
    const both = [client, upstream];
    const end = (): void => both.forEach((socket) => socket.destroy());
    for (const socket of both) {
      this.#sockets.add(socket);
      socket.on('error', end).on('close', end);
    }
    let losing = false;
    client.on('data', (data) => {
      if (this.#losing && /exec\r\n/i.test(data.toString('latin1'))) {
        this.#losing = false;
        losing = true;
      }
      upstream.write(data);
    });
    upstream.on('data', (data) => {
      if (!losing) return void client.write(data);
      this.#refusing = true;
      end();
    });
  }
}

@Injectable()
class Tasks {
  constructor(private readonly probe: Probe) {}

  @Task()
  echo(value: JsonValue): JsonValue {
    this.probe.called(value);
    return value;
  }

  @Task()
  show(values: JsonValue): JsonValue {
    this.probe.called(values);
    return { shown: values };
  }

  @Task()
  fail(tag: string): JsonValue {
    this.probe.called(tag);
    throw new Error(`boom ${tag}`);
  }

  @Task()
  async behind(door: string, value: JsonValue): Promise<JsonValue> {
    this.probe.called(door, value);
    await this.probe.pass(door);
    return value;
  }
}

const IGNORE = { ignoreDependencyOnFailure: true } as const;
const patient = (url: string) => ({ url, maxRetriesPerRequest: null });

let server: PrivateRedis;
let redis: Redis;
beforeAll(async () => {
  server = await PrivateRedis.start();
  redis = new Redis(server.url, { maxRetriesPerRequest: null });
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await redis.config('SET', 'maxmemory', '0');
  await redis.flushall();
});

interface Library extends StartedApp {
  readonly tasks: TasksOf<Tasks>;
  readonly probe: Probe;
}

async function startLibrary(options: TaskQueueModuleOptions = {}, url = server.url): Promise<Library> {
  const app = await startApp([Probe, Tasks], options, url);
  closing.push(() => app.close());
  return { ...app, tasks: app.workflows.tasks(Tasks), probe: app.module.get(Probe) };
}

/** BullMQ's objects on a prefix of their own, closed after the test. */
function startRaw() {
  const prefix = `{${uniquePrefix('raw')}:0}`;
  const keep = <
    T extends { close(force?: boolean): Promise<void>; on(event: 'error', listener: () => void): unknown },
  >(
    one: T,
  ): T => {
    one.on('error', () => undefined);
    closing.push(() => one.close(true));
    return one;
  };
  return {
    prefix,
    queue: (name: string) => keep(new Queue(name, { connection: patient(server.url), prefix })),
    flow: (url = server.url) => keep(new FlowProducer({ connection: patient(url), prefix })),
    worker: (name: string, processor: (id: string) => Promise<unknown>) =>
      keep(
        new Worker(name, (job, _token) => processor(job.id ?? ''), {
          connection: patient(server.url),
          prefix,
        }),
      ),
  };
}

const family = (id: string, childOptions: object = {}) => ({
  name: 'parent',
  queueName: 'parents',
  opts: { jobId: id },
  children: [
    { name: 'child', queueName: 'children', opts: { jobId: `${id}-c`, ...IGNORE, ...childOptions } },
  ],
});

describe('H14: a server that has lost its scripts while connections stay open', () => {
  it('raw: FlowProducer fails, and goes on failing; Queue recovers', async () => {
    const raw = startRaw();
    const flow = raw.flow();
    await flow.add(family('before'));
    await redis.script('FLUSH');

    await expect(flow.add(family('a'))).rejects.toThrow('NOSCRIPT');
    await expect(flow.add(family('b'))).rejects.toThrow('NOSCRIPT');

    expect((await raw.queue('children').add('child', 0, { jobId: 'alone' })).id).toBe('alone');
  });

  it('raw: where the server knows a part of the scripts, a parent is released without its children', async () => {
    const raw = startRaw();
    const flow = raw.flow();
    await flow.add(family('before'));
    await redis.script('FLUSH');
    await raw.flow().add(family('other', { delay: 60_000 }));

    await flow.add(family('p'));

    expect(await raw.queue('parents').getJobState('p')).toBe('waiting');
    expect(await raw.queue('children').getJob('p-c')).toBeUndefined();
  });

  it('held: one publication is refused with a typed error, the next one and the canvases that run go on', async () => {
    const { tasks, workflows, probe } = await startLibrary();
    const running = await workflows.chain(tasks.behind.s('H14', 1), tasks.echo.s(), tasks.echo.s()).delay();
    await until(
      () => probe.argsOf('behind', running),
      (runs) => runs.length === 1,
    );
    const group = workflows.group([tasks.echo.s(1), tasks.echo.s(2)]);

    await redis.script('FLUSH');
    await expect(group.delay()).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });

    expect(await (await group.delay()).get()).toEqual([1, 2]);
    await redis.script('FLUSH');
    probe.open('H14');
    expect(await running.get({ timeout: '60s' })).toBe(1);
    expect(probe.argsOf('echo', running)).toEqual([[1], [1]]);
  });
});

describe('H14: a transaction that is discarded, whose scripts the server did not know', () => {
  afterEach(() => jest.restoreAllMocks());

  it('held: is repeated as a whole', async () => {
    const { tasks, workflows } = await startLibrary();
    await redis.script('FLUSH');
    // It knows the script that adds a parent, and not the one that adds what holds it back.
    await startRaw().flow().add(family('other'));
    const run = Reflect.get(Transactions.prototype, 'run') as Transactions['run'];
    let discarded = 0;
    jest.spyOn(Transactions.prototype, 'run').mockImplementation(function (this: Transactions, change) {
      const look: typeof change.look = async (client) => {
        const answer = await change.look(client);
        if (change.id === 'discarded' && discarded++ === 0)
          await redis
            .multi()
            .set(change.keys[0] as string, 'touched')
            .del(change.keys[0] as string)
            .exec();
        return answer;
      };
      return run.call(this, { ...change, look });
    } as Transactions['run']);

    const members = Array.from({ length: 1_100 }, (_, at) => tasks.echo.s(at));
    const group = await workflows.group(members).applyAsync([], { taskId: 'discarded' });

    expect(await group.get()).toEqual(members.map((_, at) => at));
    expect(discarded).toBeGreaterThan(1);
  });
});

describe('H15: a server without memory', () => {
  const fill = () => redis.config('SET', 'maxmemory', '1mb');
  const free = () => redis.config('SET', 'maxmemory', '0');

  it('raw: a flow is refused as a whole; addBulk adds what fits and rejects', async () => {
    const raw = startRaw();
    const flow = raw.flow();
    const queue = raw.queue('children');
    await flow.add(family('before'));
    await fill();

    await expect(flow.add(family('a'))).rejects.toThrow('EXECABORT');
    expect(await raw.queue('parents').getJob('a')).toBeUndefined();
    await free();

    const used = Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]);
    await redis.config('SET', 'maxmemory', String(used + 8_000_000));
    const bulk = Array.from({ length: 200 }, (_, at) => ({
      name: 'child',
      data: `${at}`.padEnd(100_000),
      opts: {},
    }));
    await expect(queue.addBulk(bulk)).rejects.toThrow('OOM');
    await free();

    const added = (await queue.getJobCounts('waiting')).waiting ?? 0;
    expect(added).toBeGreaterThan(0);
    expect(added).toBeLessThan(201);
  });

  it('held: a publication is refused with a typed error, adds nothing, and may be repeated', async () => {
    const { tasks, workflows, probe, redis: inspect, prefix } = await startLibrary();
    const chord = workflows.chord([tasks.echo.s(1), tasks.echo.s(2)], tasks.show.s());
    expect(await (await chord.delay()).get()).toEqual({ shown: [1, 2] });
    const taskId = 'no-memory';

    await fill();
    const refused = await chord.applyAsync([], { taskId }).catch((error: unknown) => error);
    const alone = await tasks.echo.delay(3).catch((error: unknown) => error);
    await free();

    for (const error of [refused, alone]) {
      expect(error).toMatchObject({
        code: 'BROKER_UNAVAILABLE',
        message: expect.stringContaining('OOM') as string,
      });
    }
    expect(await inspect.keys(`{${prefix}:0}:*${taskId}*`)).toEqual([]);
    expect(await (await chord.applyAsync([], { taskId })).get()).toEqual({ shown: [1, 2] });
    expect(probe.argsOf('show', { id: taskId })).toHaveLength(1);
  });

  it('held: what ends while there is no memory is not lost', async () => {
    const { tasks, workflows, probe } = await startLibrary({
      worker: { lockDuration: 400, stalledInterval: 200, maxTimesLost: 20 },
    });
    const chord = await workflows
      .chord([tasks.behind.s('H15', 'v'), tasks.echo.s('w')], tasks.show.s())
      .delay();
    await until(
      () => probe.argsOf('behind', chord),
      (runs) => runs.length === 1,
    );

    await fill();
    probe.open('H15');
    const blocked = await redis.config('GET', 'maxmemory');
    await until(
      () => Date.now(),
      (
        (start) => (now: number) =>
          now - start > 300
      )(Date.now()),
    );
    await free();

    expect(blocked).toEqual(['maxmemory', '1048576']);
    expect(await chord.get({ timeout: '60s' })).toEqual({ shown: ['v', 'w'] });
    expect(probe.argsOf('show', chord)).toHaveLength(1);
  });
});

describe('H17 and trap 15: how long one command keeps everybody else waiting', () => {
  const WIDTH = 2_500;
  /** The longest command of this time, and the longest transaction, in microseconds. */
  async function longest(work: () => Promise<unknown>): Promise<{ command: number; transaction: number }> {
    await redis.config('SET', 'slowlog-log-slower-than', '0');
    await redis.config('SET', 'slowlog-max-len', '100000');
    await redis.config('RESETSTAT');
    await redis.slowlog('RESET');
    await work();
    const entries = (await redis.slowlog('GET', -1)) as [number, number, number, string[]][];
    const stats = await redis.info('commandstats');
    await redis.config('SET', 'slowlog-log-slower-than', '-1');
    const own = (args: readonly string[]) => args[0]?.toLowerCase() === 'slowlog';
    return {
      command: Math.max(...entries.filter(([, , , args]) => !own(args)).map(([, , micros]) => micros)),
      transaction: Number(/cmdstat_exec:.*usec_per_call=([\d.]+)/.exec(stats)?.[1] ?? 0),
    };
  }

  /** What is long by itself is long each time; what the machine held up is not. */
  async function quietly(check: (turn: number) => Promise<void>): Promise<void> {
    for (let turn = 0; ; turn++) {
      try {
        return await check(turn);
      } catch (error) {
        if (turn === 3) throw error;
      }
    }
  }

  it('held: a wide canvas is published and forgotten in small pieces', async () => {
    const raw = startRaw();
    const flow = raw.flow();
    const { tasks, workflows } = await startLibrary({ queues: { default: { concurrency: 50 } } });
    const members = Array.from({ length: WIDTH }, (_, at) => tasks.echo.s(at));
    const children = Array.from({ length: WIDTH }, (_, at) => ({
      name: 'child',
      queueName: 'children',
      data: { v: 1, args: [at] },
      opts: { jobId: `c${at}`, ...IGNORE },
    }));

    const rawPublication = await longest(() =>
      flow.add({ name: 'parent', queueName: 'parents', opts: { jobId: 'p' }, children }),
    );
    const rawRemoval = await longest(async () =>
      (await raw.queue('parents').getJob('p'))?.removeUnprocessedChildren(),
    );

    await quietly(async (turn) => {
      const group = workflows.group(members).set({ taskId: `wide-${turn}`, countdown: '1h' });
      const publication = await longest(() => group.delay());
      expect(publication.transaction).toBeLessThan(rawPublication.transaction / 3);
      expect(publication.command).toBeLessThan(rawPublication.transaction / 3);
    });
    await quietly(async () => {
      const run = await workflows.group(members).delay();
      expect(await run.get()).toHaveLength(WIDTH);
      const removal = await longest(() => run.forget());
      expect(await run.state()).toBe('UNKNOWN');
      expect(removal.command).toBeLessThan(rawRemoval.command / 3);
    });
  });
});

describe('H19: the answer to a publication is lost', () => {
  it('raw: the client sends it again, a failed child is awaited once more, and the parent is stuck', async () => {
    const raw = startRaw();
    const proxy = await LossyProxy.start(server.port);
    closing.push(() => proxy.close());
    const flow = raw.flow(proxy.url);
    await flow.waitUntilReady();
    const children = raw.queue('children');
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    raw.worker('children', async (id) => {
      if (id === 'bad') throw new Error('boom');
      await held;
    });

    proxy.loseNextTransaction();
    const added = flow.add({
      name: 'parent',
      queueName: 'parents',
      opts: { jobId: 'p' },
      children: ['bad', 'good'].map((id) => ({
        name: 'child',
        queueName: 'children',
        opts: { jobId: id, ...IGNORE },
      })),
    });
    await until(
      () => children.getJobState('bad'),
      (state) => state === 'failed',
    );
    proxy.letThrough();
    await added;
    release();
    await until(
      () => children.getJobState('good'),
      (state) => state === 'completed',
    );

    expect(await redis.smembers(`${raw.prefix}:parents:p:dependencies`)).toEqual([
      `${raw.prefix}:children:bad`,
    ]);
    expect(await raw.queue('parents').getJobState('p')).toBe('waiting-children');
  });

  it('held: nothing is sent twice; the error names the id, and publishing again under it does the work once', async () => {
    const worker = await startLibrary();
    const proxy = await LossyProxy.start(server.port);
    closing.push(() => proxy.close());
    const producer = await startApp(
      [],
      { prefix: worker.prefix, role: 'producer', publishTimeout: '2s' },
      proxy.url,
    );
    closing.push(() => producer.close());
    const { tasks } = worker;
    const made = worker.workflows.chord([tasks.fail.s('H19'), tasks.behind.s('H19', 1)], tasks.show.s());
    const chord = producer.workflows.fromData(made.toJSON()) as typeof made;
    await producer.workflows.result('0~warm-up').state(); // the connection is open

    proxy.loseNextTransaction();
    const taskId = 'lost-answer';
    const error = await chord.applyAsync([], { taskId }).catch((thrown: unknown) => thrown);

    expect(proxy.lost).toBe(true);
    expect(error).toMatchObject({ code: 'BROKER_UNAVAILABLE', taskId });
    const header = worker.workflows.groupResult(taskId);
    await until(
      () => header.failedCount(),
      (failed) => failed === 1,
    );
    proxy.letThrough();
    const again = await chord.applyAsync([], { taskId });
    worker.probe.open('H19');
    await expect(again.get({ timeout: '60s' })).rejects.toMatchObject({
      code: 'CHORD_FAILED',
      failures: [{ index: 0 }],
    });
    expect(worker.probe.argsOf('fail', { id: taskId })).toHaveLength(1);
    expect(worker.probe.argsOf('behind', { id: taskId })).toHaveLength(1);
  });
});

describe('H20: a publication that timed out', () => {
  it.each<
    [kind: string, make: (app: Library) => { applyAsync(args: [], options: object): Promise<{ id: string }> }]
  >([
    ['a task', ({ tasks }) => tasks.echo.s(1)],
    [
      'a canvas',
      ({ tasks, workflows }) => workflows.chord([tasks.echo.s(1), tasks.echo.s(2)], tasks.show.s()),
    ],
  ])('held: %s may have been carried out; repeated under its id it runs once', async (_kind, make) => {
    const app = await startLibrary({ publishTimeout: 300 });
    const canvas = make(app);
    const taskId = 'timed-out';
    await app.workflows.result(taskId).state();

    server.signal('SIGSTOP');
    const startedAt = Date.now();
    const error = await canvas.applyAsync([], { taskId }).catch((thrown: unknown) => thrown);
    const took = Date.now() - startedAt;
    server.signal('SIGCONT');

    expect(error).toMatchObject({ code: 'BROKER_UNAVAILABLE', taskId });
    expect(took).toBeLessThan(3_000);
    const published = await until(
      () => canvas.applyAsync([], { taskId }).catch(() => undefined),
      (handle) => handle !== undefined,
    );
    await app.workflows.result(published?.id ?? '').get({ timeout: '60s' });
    await app.quiet();
    const runs = app.probe.calls.filter(({ id }) => id.startsWith(taskId)).map(({ id }) => id);
    expect(runs.length).toBeGreaterThan(0);
    expect(new Set(runs).size).toBe(runs.length);
  });

  it('held: without an id of one’s own, the error says under which one to repeat it', async () => {
    const app = await startLibrary({ publishTimeout: 300 });
    await app.workflows.result('0~warm-up').state();

    server.signal('SIGSTOP');
    const error = (await app.tasks.echo.delay('once').catch((thrown: unknown) => thrown)) as {
      taskId: string;
    };
    server.signal('SIGCONT');

    const handle = await until(
      () => app.tasks.echo.applyAsync(['once'], { taskId: error.taskId }).catch(() => undefined),
      (published) => published !== undefined,
    );
    expect(handle?.id).toBe(error.taskId);
    expect(await handle?.get({ timeout: '60s' })).toBe('once');
    expect(app.probe.argsOf('echo', { id: error.taskId })).toHaveLength(1);
  });
});

describe('trap 17: Redis is away when the application starts', () => {
  it('raw: nothing settles, unless it is told not to wait', async () => {
    const client = new Redis({
      host: '127.0.0.1',
      port: 1,
      maxRetriesPerRequest: 1,
      enableOfflineQueue: false,
    });
    const waiting = new Queue('children', { connection: client });
    const hasty = new Queue('children', { connection: client, skipWaitingForReady: true });
    for (const one of [client, waiting, hasty]) one.on('error', () => undefined);
    let settled = false;
    void waiting.add('child', 0).then(
      () => (settled = true),
      () => (settled = true),
    );

    await expect(hasty.add('child', 0)).rejects.toThrow('writeable');

    expect(settled).toBe(false);
    client.disconnect();
  });

  it('held: the application starts, publishing and reading fail in time, and it closes', async () => {
    const away = await startApp([Probe, Tasks], { publishTimeout: 200 }, 'redis://127.0.0.1:1');
    const startedAt = Date.now();

    const calls = [
      away.workflows.tasks(Tasks).echo.delay(1),
      away.workflows.group([away.workflows.tasks(Tasks).echo.s(1)]).delay(),
      away.workflows.tasks(Tasks).echo.applyAsync([1], { taskId: 'chosen' }),
      away.workflows.result('0~some-id').state(),
    ];
    for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });
    await away.close();

    expect(Date.now() - startedAt).toBeLessThan(10_000);
  });
});

describe('traps 1 and 18: Redis goes away while workers run', () => {
  it('held: an application whose Redis has gone closes in bounded time, with a task that runs', async () => {
    const own = await PrivateRedis.start();
    const app = await startApp([Probe, Tasks], { worker: { drainTimeout: 100 } }, own.url);
    const probe = app.module.get(Probe);
    const task = await app.workflows.tasks(Tasks).behind.delay('trap 18', 1);
    await until(
      () => probe.argsOf('behind', task),
      (runs) => runs.length === 1,
    );

    own.signal('SIGKILL');
    await own.stop();
    const startedAt = Date.now();
    await app.close();

    expect(Date.now() - startedAt).toBeLessThan(12_000);
    probe.open('trap 18');
  });

  it('held: workers and waiters are back after an outage that is longer than a blocking read', async () => {
    let own = await PrivateRedis.start();
    closing.push(() => own.stop());
    const app = await startLibrary({ publishTimeout: 500 }, own.url);
    expect(await (await app.tasks.echo.delay('before')).get()).toBe('before');

    own.signal('SIGKILL');
    await own.stop();
    const downSince = Date.now();
    await expect(app.tasks.echo.delay('during')).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });
    await until(
      () => Date.now() - downSince,
      (downMs) => downMs > 6_200,
    );
    own = await PrivateRedis.start(own.port);

    const handle = await until(
      () =>
        app.workflows
          .chain(app.tasks.echo.s('after'), app.tasks.show.s())
          .delay()
          .catch(() => undefined),
      (published) => published !== undefined,
    );
    expect(await handle?.get({ timeout: '60s' })).toEqual({ shown: 'after' });
  });
});
