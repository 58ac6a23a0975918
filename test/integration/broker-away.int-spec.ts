/**
 * A Redis that is away: before the start, in the middle, frozen, restarted, and behind a network that cuts
 * connections. Publishing says so in bounded time and can be repeated; what runs comes right by itself.
 */
import { Injectable } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import {
  type AsyncResult,
  BrokerUnavailableError,
  CallbackWithSuccesses,
  ChordError,
  type JsonValue,
  NonRetryableError,
  Task,
  type TaskFailure,
  type TaskQueueModuleOptions,
  type WorkflowService,
} from 'nestjs-task-queue';
import { RedisConnections } from '../../libs/task-queue/src/broker/redis-connections.js';
import { redisUrl, Runs, type TestApp, uniquePrefix, until, useApps } from '../support/app-fixture.js';
import { CuttingProxy, type Fate, type Judge } from '../support/proxy.js';
import { WorkerProcess } from '../support/worker-process.js';
import { PrivateRedis } from '../support/workers/private-redis.js';

const PUBLISH_TIMEOUT_MS = 400;
/** How late a bounded answer may come on a machine that is busy. */
const SLACK_MS = 600;

@Injectable()
class Tasks {
  constructor(private readonly runs: Runs) {}

  @Task()
  async member(chord: string, index: number, fails: boolean): Promise<number> {
    this.runs.record(`member ${chord}`, index);
    await delay(index % 7);
    if (fails) throw new NonRetryableError(`member ${index}`);
    return index;
  }

  @Task({ queue: 'ends' })
  body(values: JsonValue[], chord: string): JsonValue[] {
    this.runs.record(`body ${chord}`, values);
    return values;
  }

  @Task({ queue: 'ends' })
  errback(failure: TaskFailure, chord: string): void {
    const of = (list: readonly { index: number }[] | undefined): number[] =>
      (list ?? []).map(({ index }) => index);
    this.runs.record(`errback ${chord}`, { failures: of(failure.failures), values: of(failure.values) });
  }

  @Task()
  single(label: string): string {
    this.runs.record(`single ${label}`);
    return label;
  }

  @Task()
  async forEver(label: string): Promise<void> {
    this.runs.record(`forEver ${label}`);
    await delay(60_000, undefined, { ref: false });
  }
}

/** Every form of publication, each under a label by which its runs are told apart. */
const FORMS = {
  'a task': (workflows: WorkflowService, taskId?: string) =>
    workflows.tasks(Tasks).single.applyAsync(['a task'], { ...(taskId ? { taskId } : {}) }),
  'a group': (workflows: WorkflowService, taskId?: string) =>
    workflows
      .group([0, 1, 2].map((index) => member(workflows, 'a group', index)))
      .applyAsync([], { ...(taskId ? { taskId } : {}) }),
  'a chord': (workflows: WorkflowService, taskId?: string) =>
    workflows
      .chord(
        [0, 1, 2].map((index) => member(workflows, 'a chord', index)),
        workflows.tasks(Tasks).body.s('a chord'),
      )
      .applyAsync([], { ...(taskId ? { taskId } : {}) }),
  'a chain': (workflows: WorkflowService, taskId?: string) =>
    workflows
      .chain(member(workflows, 'a chain', 0), workflows.tasks(Tasks).single.si('a chain'))
      .applyAsync([], { ...(taskId ? { taskId } : {}) }),
} as const;
type Form = keyof typeof FORMS;
const FORM_NAMES = Object.keys(FORMS) as Form[];
const RUNS_OF: Readonly<Record<Form, Readonly<Record<string, number>>>> = {
  'a task': { 'single a task': 1 },
  'a group': { 'member a group': 3 },
  'a chord': { 'member a chord': 3, 'body a chord': 1 },
  'a chain': { 'member a chain': 1, 'single a chain': 1 },
};

const fixture = useApps();
const redises: PrivateRedis[] = [];
const proxies: CuttingProxy[] = [];
const clients: Redis[] = [];
const workers: WorkerProcess[] = [];

async function privateRedis(...args: string[]): Promise<PrivateRedis> {
  const redis = await PrivateRedis.start(...args);
  redises.push(redis);
  return redis;
}

function inspect(url: string): Redis {
  const client = new Redis(url);
  client.on('error', () => undefined);
  clients.push(client);
  return client;
}

const boot = (url: string, options: TaskQueueModuleOptions = {}): Promise<TestApp> =>
  fixture.boot({
    url,
    providers: [Tasks],
    options: { publishTimeout: PUBLISH_TIMEOUT_MS, ...options },
  });

// The fixture, whose hook comes first, has closed the applications by then.
afterEach(async () => {
  for (const client of clients.splice(0)) client.disconnect();
  await Promise.all(workers.splice(0).map((worker) => worker.end()));
  await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
  await Promise.all(redises.splice(0).map((redis) => redis.end()));
});

describe('publishing without Redis', () => {
  it('at a cold start: the application starts, publishing fails in bounded time, and works when Redis comes', async () => {
    const redis = await privateRedis();
    await redis.kill();

    const app = await boot(redis.url);
    const refused = await refusals(app);
    await redis.restart();
    await expectOnceEach(app, refused);
  });

  it('after a drop: fails in bounded time; published again by its id, nothing is done twice', async () => {
    const redis = await privateRedis();
    const app = await boot(redis.url);
    expect(await (await FORMS['a task'](app.workflows)).get()).toBe('a task');
    app.runs.all.length = 0;

    await redis.kill();
    const refused = await refusals(app);
    await redis.restart();
    await expectOnceEach(app, refused);
  });

  it('frozen for longer than the publish timeout: the same, although what was refused happens', async () => {
    const redis = await privateRedis();
    const app = await boot(redis.url);
    expect(await (await FORMS['a task'](app.workflows)).get()).toBe('a task');
    app.runs.all.length = 0;

    redis.freeze();
    const refused = await refusals(app);
    redis.thaw();
    await expectOnceEach(app, refused);
    // What was refused and carried out all the same must not come later either.
    const client = inspect(redis.url);
    await until(async () => isEmpty(await fixture.unfinished(app.prefix, client)), 'nothing is left to run');
    expect(countsOf(app)).toEqual(Object.assign({}, ...Object.values(RUNS_OF)));
  });

  it('a publication with an id of the caller’s is refused with that id, in the same time', async () => {
    const redis = await privateRedis();
    await redis.kill();
    const app = await boot(redis.url);

    const refused = await refusals(app, (form) => form.replaceAll(' ', '-'));
    expect(refused).toEqual(FORM_NAMES.map((form) => [form, form.replaceAll(' ', '-')]));
    await redis.restart();
    await expectOnceEach(app, refused);
  });

  it('two applications that publish one id at the same time do the work once', async () => {
    const prefix = uniquePrefix('same');
    const options = { providers: [Tasks], prefix };
    const apps = [await fixture.boot(options), await fixture.boot(options)];
    const handles = await Promise.all(
      Array.from({ length: 20 }, (_, at) => FORMS['a chord'](pick(apps, at).workflows, 'the-same')),
    );

    await Promise.all(handles.map((handle) => handle.get({ timeout: 60_000 })));
    await until(async () => isEmpty(await fixture.unfinished(prefix)), 'nothing is left to run');

    const ran = apps.flatMap((app) => app.runs.all).map(({ what }) => what);
    expect(ran.filter((what) => what === 'body a chord')).toHaveLength(1);
    expect(ran.filter((what) => what === 'member a chord')).toHaveLength(3);
  });
});

describe('Redis in the middle of a run', () => {
  it('is killed and started again: workers go on by themselves, and chords end right', async () => {
    const redis = await privateRedis();
    const app = await boot(redis.url, {
      queues: { default: { concurrency: 10 } },
      worker: { lockDuration: 1_000, stalledInterval: 500, maxTimesLost: 20 },
    });
    const running = chords(app, 40, 10);
    for (const members of [60, 200]) {
      await until(() => membersRun(app) >= members, `${members} members have run`);
      await redis.kill();
      // Long enough for every connection to notice, and to try in vain.
      await delay(400);
      await redis.restart();
    }

    await expectRight(app, await running, inspect(redis.url));
  });

  it('is used again as soon as it has loaded its data, however much was left to load when it was asked', async () => {
    // A millisecond for each of many keys, and then one that is most of the file: halfway it seems to have a long way to go.
    const redis = await privateRedis(
      '--key-load-delay',
      '1000',
      '--loading-process-events-interval-bytes',
      '1024',
    );
    const others = [0, 1, 2].map(() => inspect(redis.url));
    const keys = Array.from({ length: 4_000 }, (_, at) => ['set', `small:${at}`, at]);
    await others[0]?.pipeline(keys).set('large', 'x'.repeat(20_000_000)).exec();
    const app = await boot(redis.url);
    await untilPublished(() => FORMS['a task'](app.workflows));
    await redis.kill();
    const back = redis.restart();
    await untilPublished(() => FORMS['a task'](app.workflows));
    // They believe the estimate, and look again after 10 s.
    expect(others.map(({ status }) => status)).not.toContain('ready');
    await back;
  });

  it('is frozen for longer than locks last: no chord is lost, none ends twice', async () => {
    const redis = await privateRedis();
    const app = await boot(redis.url, {
      worker: { lockDuration: 400, stalledInterval: 200, maxTimesLost: 20 },
    });
    const running = chords(app, 30, 10);
    for (const members of [50, 150]) {
      await until(() => membersRun(app) >= members, `${members} members have run`);
      redis.freeze();
      await delay(PUBLISH_TIMEOUT_MS * 2);
      redis.thaw();
    }

    await expectRight(app, await running, inspect(redis.url));
  });

  it('is behind a network that cuts connections: no chord hangs, none is released twice', async () => {
    const proxy = await CuttingProxy.start(redisUrl());
    proxies.push(proxy);
    const app = await boot(proxy.url, {
      queues: { default: { concurrency: 10 } },
      worker: { lockDuration: 1_000, stalledInterval: 500, maxTimesLost: 50 },
    });
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
    const random = generator(seed);
    proxy.judge = (command): Fate => {
      const dice = random();
      // The first commands of a connection are few; without mercy for them none would ever be ready.
      if (HANDSHAKE.has(command) || dice > 1 / 200) return 'pass';
      return dice > 1 / 400 ? 'lose-answer' : 'lose-command';
    };

    const ended = await chords(app, 100, 8);
    proxy.judge = () => 'pass';

    await expectRight(app, ended, fixture.redis);
    fixture.adopt(app.prefix);
    process.stdout.write(
      `broker-away: seed ${seed}; connections cut before a command ${proxy.cuts['lose-command']}×, ` +
        `before its answer ${proxy.cuts['lose-answer']}×; 800 members ran ${membersRun(app)} times\n`,
    );
    expect(proxy.cuts['lose-answer']).toBeGreaterThan(5);
    expect(proxy.cuts['lose-command']).toBeGreaterThan(5);
  }, 240_000);
});

describe('at the worst moment', () => {
  it.each(['publish', 'ledger'] as const)(
    'who waits for an answer on %s hears at once that it will not come',
    async (purpose) => {
      const proxy = await CuttingProxy.start(redisUrl());
      const connections = new RedisConnections(
        { kind: 'url', url: proxy.url, options: {} },
        'tq',
        () => undefined,
      );
      try {
        const client = await connections.ready(purpose, 30_000);
        proxy.judge = (command) => (command === 'GET' ? 'lose-answer' : 'pass');
        // Left alone, ioredis neither sends it again nor rejects it after a first cut.
        await expect(client.get('nothing')).rejects.toThrow();
      } finally {
        connections.close();
        await proxy.close();
      }
    },
  );

  it('the answer to a publication is lost: it is not sent again by itself, and repeating it doubles nothing', async () => {
    const proxy = await CuttingProxy.start(redisUrl());
    proxies.push(proxy);
    const prefix = uniquePrefix('lost');
    const options = { publishTimeout: PUBLISH_TIMEOUT_MS };
    const worker = await fixture.boot({ prefix, providers: [Tasks], options });
    const producer = await fixture.boot({
      prefix,
      url: proxy.url,
      options: { ...options, role: 'producer' },
    });
    const { workflows } = producer;
    const tasks = workflows.tasks(Tasks);
    // Members that fail at once are gone before the connection is back: a second MULTI would run them again.
    const chord = workflows
      .chord(
        [0, 1, 2].map((index) => tasks.member.s('lost', index, index === 1)),
        tasks.body.s('lost'),
      )
      .linkError(tasks.errback.s('lost'));

    for (const [round, taskId] of [undefined, `${prefix}-own`].entries()) {
      // Connections are open and scripts are known, so that nothing but the publication is judged.
      await tasks.single.applyAsync(['warm'], { taskId: `warm-${round}` });
      let lose = 1;
      proxy.judge = (command) => (command === 'EXEC' && lose-- > 0 ? 'lose-answer' : 'pass');
      const error = await chord
        .applyAsync([], { ...(taskId ? { taskId } : {}) })
        .then(neverPublished, (thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(BrokerUnavailableError);
      expect(proxy.cuts['lose-answer']).toBe(round + 1);
      const id = (error as BrokerUnavailableError).taskId ?? '';

      const again = await untilPublished(() => chord.applyAsync([], { taskId: id }));
      expect(await again.get({ timeout: 60_000 }).catch((thrown: unknown) => thrown)).toBeInstanceOf(
        ChordError,
      );
      await until(async () => isEmpty(await fixture.unfinished(prefix)), 'nothing is left to run');
      expect(worker.runs.of<number>('member lost').sort((one, other) => one - other)).toEqual([0, 1, 2]);
      expect([worker.runs.count('body lost'), worker.runs.count('errback lost')]).toEqual([0, 1]);
      worker.runs.all.length = 0;
    }
  });

  /** What is let through before a worker is held up for good, and another one takes its node over. */
  const moments: readonly [string, () => Judge][] = [
    ['before it adds the body', () => (command) => (command === 'MULTI' ? 'hold' : 'pass')],
    [
      'after it has added the body, before it has noted that',
      () => {
        let isAdded = false;
        return (command) => {
          if (isAdded) return 'hold';
          isAdded = command === 'EXEC';
          return 'pass';
        };
      },
    ],
  ];

  it.each(moments)('a worker is held up %s: the body is added once', async (_, makeJudge) => {
    const proxy = await CuttingProxy.start(redisUrl());
    proxies.push(proxy);
    const prefix = uniquePrefix('late');
    const options: TaskQueueModuleOptions = { worker: { lockDuration: 500, stalledInterval: 250 } };
    const producer = await fixture.boot({ prefix, options: { role: 'producer' } });
    const tasks = producer.workflows.tasks(Tasks);
    const late = await fixture.boot({ prefix, url: proxy.url, providers: [Tasks], options });
    // The first transaction of this worker is the one that adds the body.
    proxy.judge = makeJudge();
    const chord = await producer.workflows
      .chord(
        [0, 1].map((index) => tasks.member.s('late', index, false)),
        tasks.body.s('late'),
      )
      .applyAsync();
    await until(() => proxy.holding, 'the worker is held up');
    expect(late.runs.count('body late')).toBe(0);

    const other = await fixture.boot({ prefix, providers: [Tasks], options });
    expect(await chord.get({ timeout: 60_000 })).toEqual([0, 1]);
    proxy.judge = () => 'pass';
    proxy.release();
    // Its transactions go one after the other: when this one is done, the late one has been answered.
    const after = await late.workflows
      .tasks(Tasks)
      .single.applyAsync(['after'], { taskId: `${prefix}-after` });
    await after.get({ timeout: 60_000 });
    await until(async () => isEmpty(await fixture.unfinished(prefix)), 'nothing is left to run');

    expect(await addedTo(prefix, 'ends', fixture.redis)).toEqual(new Map([[`${chord.id}.body`, 1]]));
    expect(late.runs.count('body late') + other.runs.count('body late')).toBe(1);
    expect(await chord.get({ timeout: 1_000 })).toEqual([0, 1]);
  });
});

describe('a publication that was given up', () => {
  it('does nothing late that would undo the fence of another one', async () => {
    const proxy = await CuttingProxy.start(redisUrl());
    proxies.push(proxy);
    const prefix = uniquePrefix('fence');
    const other = await fixture.boot({ prefix, providers: [Tasks] });
    const app = await fixture.boot({
      prefix,
      url: proxy.url,
      options: { role: 'producer', publishTimeout: PUBLISH_TIMEOUT_MS },
    });
    const publish = (by: TestApp, taskId: string): Promise<AsyncResult<JsonValue[]>> => {
      const tasks = by.workflows.tasks(Tasks);
      const header = [0, 1].map((index) => tasks.member.s(taskId, index, false));
      return by.workflows.chord(header, tasks.body.s(taskId)).applyAsync([], { taskId });
    };
    await (await app.workflows.tasks(Tasks).single.applyAsync(['warm'], { taskId: 'warm' })).get();

    proxy.judge = (command) => (command === 'WATCH' ? 'hold' : 'pass');
    await expect(publish(app, 'first')).rejects.toThrow(BrokerUnavailableError);
    const second = publish(app, 'second').catch((error: unknown) => error);
    // From here on every transaction waits for the other application to have published the same first.
    proxy.judge = (command) => (command === 'MULTI' ? 'hold' : 'pass');
    proxy.release();
    await until(() => proxy.holding, 'a transaction is about to be sent');
    await (await publish(other, 'second')).get({ timeout: 60_000 });
    proxy.release();
    await second;
    proxy.judge = () => 'pass';
    proxy.release();

    // Whatever came late has been answered before this one is.
    await untilPublished(() => app.workflows.tasks(Tasks).single.applyAsync(['last'], { taskId: 'last' }));
    await until(async () => isEmpty(await fixture.unfinished(prefix)), 'nothing is left to run');
    expect(other.runs.of<number>('member second')).toHaveLength(2);
    expect(other.runs.count('body second')).toBe(1);
  });
});

describe('closing without Redis', () => {
  it.each(['killed', 'frozen'])('takes bounded time while tasks run and callers wait: %s', async (how) => {
    const redis = await privateRedis();
    const app = await boot(redis.url, { worker: { drainTimeout: 200 } });
    const handle = await app.workflows.tasks(Tasks).forEver.delay('x');
    await app.runs.reached('forEver x');
    const waiting = handle.get({ timeout: '1m' }).catch((error: unknown) => error);
    await handle.state();

    if (how === 'killed') await redis.kill();
    else redis.freeze();
    const begin = Date.now();
    await app.close();
    const took = Date.now() - begin;
    if (how === 'frozen') redis.thaw();

    // Drain time, a second for handlers to end, and the bounds of what says farewell to Redis.
    expect(took).toBeLessThan(200 + 8_000);
    expect(await waiting).toBeInstanceOf(BrokerUnavailableError);
    expect(Date.now() - begin).toBeLessThan(200 + 8_000);
  });

  it('takes what is under way on a connection that is open again with it: nothing is left that rejects unheard', async () => {
    const proxy = await CuttingProxy.start(redisUrl());
    proxies.push(proxy);
    const app = await boot(proxy.url);
    await (await app.workflows.tasks(Tasks).single.delay('x')).get({ timeout: '1m' });
    const unheard: unknown[] = [];
    const hear = (reason: unknown): number => unheard.push(reason);
    process.on('unhandledRejection', hear);

    // The worker's connection for revocations is opened anew, and closed before its first command is answered.
    proxy.judge = (command) => (command === 'SUBSCRIBE' ? 'hold' : 'pass');
    proxy.cutAll();
    await until(() => proxy.holding, 'it listens again', 60_000);
    await app.close();
    await until(() => !proxy.connected, 'all is closed', 60_000);
    await delay(1);
    process.off('unhandledRejection', hear);
    expect(unheard).toEqual([]);
  });

  it('a process ends by itself after its application was closed', async () => {
    const redis = await privateRedis();
    const prefix = uniquePrefix('gone');
    const worker = await WorkerProcess.start('counting-worker', { url: redis.url, prefix, options: {} });
    workers.push(worker);
    await redis.kill();

    const begin = Date.now();
    await worker.end('SIGTERM');

    expect(worker.exitCode).toBe(0);
    expect(Date.now() - begin).toBeLessThan(10_000);
  });
});

/** Commands of a connection's first moments. */
const HANDSHAKE = new Set(['HELLO', 'INFO', 'CLIENT', 'SELECT', 'AUTH', 'SUBSCRIBE', 'SSUBSCRIBE']);

/** Tries every form of publication while Redis is away. @returns the id that each was refused with */
async function refusals(app: TestApp, idOf?: (form: Form) => string): Promise<[Form, string][]> {
  return Promise.all(
    FORM_NAMES.map(async (form): Promise<[Form, string]> => {
      const begin = Date.now();
      const error = await FORMS[form](app.workflows, idOf?.(form)).then(
        neverPublished,
        (thrown: unknown) => thrown,
      );
      const took = Date.now() - begin;
      expect(error).toBeInstanceOf(BrokerUnavailableError);
      expect([form, took < PUBLISH_TIMEOUT_MS + SLACK_MS]).toEqual([form, true]);
      const { taskId } = error as BrokerUnavailableError;
      if (taskId === undefined) throw new Error(`${form} was refused without an id`);
      return [form, taskId];
    }),
  );
}

/** Publishes again what was refused, under the ids of the refusals, until it is taken; everything runs once. */
async function expectOnceEach(app: TestApp, refused: readonly [Form, string][]): Promise<void> {
  const handles = await Promise.all(
    refused.map(([form, id]) =>
      untilPublished(() => FORMS[form](app.workflows, id) as Promise<AsyncResult<unknown>>),
    ),
  );
  await Promise.all(handles.map((handle) => handle.get({ timeout: 60_000 })));
  expect(countsOf(app)).toEqual(Object.assign({}, ...Object.values(RUNS_OF)));
  expect(handles.map(({ id }) => id)).toEqual(refused.map(([, id]) => id));
}

function countsOf(app: TestApp): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { what } of app.runs.all) counts[what] = (counts[what] ?? 0) + 1;
  return counts;
}

async function untilPublished<T>(publish: () => Promise<T>): Promise<T> {
  for (const deadline = Date.now() + 20_000; ;) {
    try {
      return await publish();
    } catch (error) {
      if (!(error instanceof BrokerUnavailableError) || Date.now() > deadline) throw error;
      // A refusal may come without any turn of the event loop, in which the connection would come back.
      await delay(10);
    }
  }
}

interface EndedChord {
  readonly name: string;
  readonly handle: AsyncResult<JsonValue[]>;
  readonly failing: readonly number[];
  readonly recovers: boolean;
  readonly value?: JsonValue[];
  readonly error?: unknown;
}

/** Runs chords, a few at a time; every third has members that fail, and half of those recover. */
async function chords(app: TestApp, count: number, size: number): Promise<EndedChord[]> {
  const { workflows } = app;
  const tasks = workflows.tasks(Tasks);
  const run = async (at: number): Promise<EndedChord> => {
    const name = `c${at}`;
    const failing = at % 3 === 0 ? [1, size - 1] : [];
    const recovers = at % 2 === 0;
    const header = Array.from({ length: size }, (_, index) =>
      tasks.member.s(name, index, failing.includes(index)),
    );
    const chord = workflows
      .chord(header, tasks.body.s(name), recovers ? { recovery: CallbackWithSuccesses } : ({} as object))
      .linkError(tasks.errback.s(name));
    const taskId = `${app.prefix}-${name}`;
    const handle = await untilPublished(() => chord.applyAsync([], { taskId }));
    const ended = { name, handle, failing, recovers };
    try {
      return { ...ended, value: await handle.get({ timeout: 40_000 }) };
    } catch (error) {
      return { ...ended, error };
    }
  };
  const ended: EndedChord[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let at = next++; at < count; at = next++) ended[at] = await run(at);
  };
  await Promise.all(Array.from({ length: 12 }, lane));
  return ended;
}

/** Every chord came to what it must; each body or errback was released once, as the broker's own events say. */
async function expectRight(app: TestApp, ended: readonly EndedChord[], redis: Redis): Promise<void> {
  await until(async () => isEmpty(await fixture.unfinished(app.prefix, redis)), 'nothing is left');
  const added = await addedTo(app.prefix, 'ends', redis);
  const wrong: unknown[] = [];
  for (const { name, handle, failing, recovers, value, error } of ended) {
    const size = app.runs.of<number>(`member ${name}`).reduce((max, index) => Math.max(max, index + 1), 0);
    const succeeding = Array.from({ length: size }, (_, index) => index).filter(
      (index) => !failing.includes(index),
    );
    const hasBody = failing.length === 0 || recovers;
    const releases = [added.get(`${handle.id}.body`) ?? 0, added.get(`${handle.id}.errback.0`) ?? 0];
    if (JSON.stringify(releases) !== JSON.stringify(hasBody ? [1, 0] : [0, 1])) wrong.push([name, releases]);
    if (hasBody) {
      if (JSON.stringify(value) !== JSON.stringify(succeeding)) wrong.push([name, value, String(error)]);
      continue;
    }
    const told = app.runs.of(`errback ${name}`);
    const right = JSON.stringify({ failures: failing, values: succeeding });
    if (!(error instanceof ChordError) || told.length === 0) wrong.push([name, String(error), told]);
    if (told.some((one) => JSON.stringify(one) !== right)) wrong.push([name, told]);
  }
  expect(wrong).toEqual([]);
}

/** How often each job was added to a queue, as the broker's own events say. */
async function addedTo(prefix: string, queue: string, redis: Redis): Promise<Map<string, number>> {
  const added = new Map<string, number>();
  for (const [, fields] of await redis.xrange(`{${prefix}:0}:${queue}:events`, '-', '+')) {
    const id = fields[fields.indexOf('jobId') + 1] ?? '';
    if (fields[fields.indexOf('event') + 1] === 'added') added.set(id, (added.get(id) ?? 0) + 1);
  }
  return added;
}

function membersRun(app: TestApp): number {
  return app.runs.all.filter(({ what }) => what.startsWith('member ')).length;
}

function isEmpty(found: object): boolean {
  return Object.keys(found).length === 0;
}

function member(workflows: WorkflowService, label: string, index: number) {
  return workflows.tasks(Tasks).member.s(label, index, false);
}

function pick<T>(list: readonly T[], at: number): T {
  return list[at % list.length] as T;
}

function neverPublished(): never {
  throw new Error('expected the publication to be refused');
}

/** A generator of numbers in [0, 1) that a seed repeats (mulberry32). */
function generator(from: number): () => number {
  let state = from >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
