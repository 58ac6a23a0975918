/**
 * A Redis whose master is lost and replaced: by Sentinel, with a replica that has everything or not, and behind an address
 * that moves. Chords come right; what replication had not carried over is told as unknown, and can be published again.
 */
import { Injectable } from '@nestjs/common';
import { readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import {
  type AsyncResult,
  BrokerUnavailableError,
  ChordError,
  NonRetryableError,
  ResultUnknownError,
  Task,
  type TaskFailure,
  type TaskQueueModuleOptions,
} from 'nestjs-task-queue';
import { Runs, type TestApp, until, useApps } from '../support/app-fixture.js';
import { CuttingProxy } from '../support/proxy.js';
import { SentinelRedis } from '../support/sentinel.js';
import { PrivateRedis } from '../support/workers/private-redis.js';

const CHORDS = 30;
const MEMBERS = 8;
const WITHIN_MS = 90_000;

@Injectable()
class Tasks {
  constructor(private readonly runs: Runs) {}

  @Task()
  async member(chord: string, index: number, fails: boolean): Promise<number> {
    this.runs.record(`member ${chord}`, index);
    await delay(20 + (index % 7) * 10);
    if (fails) throw new NonRetryableError(`member ${index}`);
    return index;
  }

  @Task({ queue: 'ends' })
  body(values: number[], chord: string): number {
    this.runs.record(`body ${chord}`);
    return values.reduce((sum, value) => sum + value, 0);
  }

  @Task({ queue: 'ends' })
  errback(failure: TaskFailure, chord: string): void {
    this.runs.record(`errback ${chord}`, failure.failures?.length);
  }
}

const OPTIONS: TaskQueueModuleOptions = {
  publishTimeout: 5_000,
  queues: { default: { concurrency: 10 } },
  worker: { lockDuration: 2_000, stalledInterval: 1_000, maxTimesLost: 20 },
};

const SUM = (MEMBERS * (MEMBERS - 1)) / 2;
const fixture = useApps();

const boot = (url: string, options: TaskQueueModuleOptions = {}): Promise<TestApp> =>
  fixture.boot({ url, providers: [Tasks], options: { connection: { url }, ...OPTIONS, ...options } });

function membersRun({ runs }: TestApp): number {
  return runs.all.filter(({ what }) => what.startsWith('member ')).length;
}

function chordOf({ workflows }: TestApp, name: string, failing?: number) {
  const tasks = workflows.tasks(Tasks);
  const header = Array.from({ length: MEMBERS }, (_, index) =>
    tasks.member.s(name, index, index === failing),
  );
  return workflows.chord(header, tasks.body.s(name)).linkError(tasks.errback.s(name));
}

interface Ended {
  readonly name: string;
  readonly id: string;
  readonly failing: number | undefined;
  readonly end: unknown;
}

/** Publishes until it is taken, and again if it is lost afterwards; by the same id, so that it is there once. */
async function endOf(app: TestApp, name: string, failing?: number): Promise<Ended> {
  const deadline = Date.now() + WITHIN_MS;
  for (let id = ''; ; await delay(20)) {
    try {
      const handle: AsyncResult<number> = await chordOf(app, name, failing).applyAsync([], { taskId: name });
      ({ id } = handle);
      return { name, id, failing, end: await handle.get({ timeout: WITHIN_MS }) };
    } catch (error) {
      const isOver = !(error instanceof BrokerUnavailableError || error instanceof ResultUnknownError);
      if (isOver || Date.now() > deadline) return { name, id, failing, end: error };
    }
  }
}

/** How often each body and errback was added to its queue, as the broker's own events say. */
async function released(prefix: string, client: Redis): Promise<Map<string, number>> {
  const added = new Map<string, number>();
  for (const [, fields] of await client.xrange(`{${prefix}:0}:ends:events`, '-', '+')) {
    const id = fields[fields.indexOf('jobId') + 1] ?? '';
    if (fields[fields.indexOf('event') + 1] === 'added') added.set(id, (added.get(id) ?? 0) + 1);
  }
  return added;
}

/** What is wrong with how chords ended, by what callers were told and by what the Redis that is left has seen. */
async function wrongIn(ended: readonly Ended[], prefix: string, client: Redis): Promise<unknown[]> {
  await until(
    async () => Object.keys(await fixture.unfinished(prefix, client)).length === 0,
    'nothing is left',
  );
  const counts = [...(await released(prefix, client))];
  return ended.flatMap(({ name, id, end, failing }) => {
    const isRight = failing === undefined ? end === SUM : end instanceof ChordError;
    const releases = counts.filter(([job]) => job.startsWith(`${id}.`));
    return isRight && releases.length === 1 && releases[0]?.[1] === 1 ? [] : [[name, String(end), releases]];
  });
}

describe('a fail-over by Sentinel', () => {
  let redis: SentinelRedis;
  let app: TestApp;
  beforeEach(async () => {
    redis = await SentinelRedis.start();
    // What would keep a connection from the master is not taken from the options.
    const others = { role: 'slave', sentinelRetryStrategy: () => null } as const;
    app = await boot(redis.master.url, { connection: { ...redis.connection, ...others } });
  }, 120_000);
  afterEach(async () => {
    await fixture.closeAll();
    await redis?.end();
  }, 120_000);

  /** Chords under way, of which some have run members already. */
  async function underWay(): Promise<Promise<Ended[]>> {
    const failingOf = (at: number): number | undefined => (at % 3 === 0 ? at % MEMBERS : undefined);
    const running = Array.from({ length: CHORDS }, (_, at) => endOf(app, `c${at}`, failingOf(at)));
    await until(() => membersRun(app) > CHORDS, 'the first members have run');
    return Promise.all(running);
  }

  it('the master stops answering while chords run: each ends once, with its callback or its errback', async () => {
    const running = underWay();
    await until(() => membersRun(app) > 2 * CHORDS, 'members have run');
    redis.master.freeze();
    await redis.failedOver();

    expect(await wrongIn(await running, app.prefix, redis.client(redis.replica))).toEqual([]);
    redis.master.thaw();
  }, 150_000);

  it('the master is killed before all was replicated: chords end once, and a publication that is lost is told', async () => {
    const running = underWay();
    await until(() => membersRun(app) > CHORDS, 'members have run');
    await redis.stopReplicating();
    const before = membersRun(app);
    await until(
      () => membersRun(app) > before + MEMBERS,
      'members have run that the replica knows nothing of',
    );
    const late = await chordOf(app, 'late').applyAsync([], { taskId: 'late' });
    await redis.master.kill();
    await redis.failedOver();

    await expect(late.get({ timeout: WITHIN_MS })).rejects.toThrow(ResultUnknownError);
    const ended = [...(await running), await endOf(app, 'late')];
    expect(await wrongIn(ended, app.prefix, redis.client(redis.replica))).toEqual([]);
  }, 150_000);
});

describe('a Redis that starts again with an older file', () => {
  it('what appendfsync everysec had not written when the power failed: chords end once, a lost one is told', async () => {
    const redis = await PrivateRedis.start('--appendfsync', 'everysec');
    let client: Redis | undefined;
    try {
      const app = await boot(redis.url);
      const running = Promise.all(Array.from({ length: CHORDS }, (_, at) => endOf(app, `c${at}`)));
      await until(() => membersRun(app) > CHORDS, 'members have run');
      const file = appendOnlyFile(redis.dir);
      const { size } = statSync(file);
      const before = membersRun(app);
      await until(
        () => membersRun(app) > before + MEMBERS,
        'members have run that the file knows nothing of',
      );
      const late = await chordOf(app, 'late').applyAsync([], { taskId: 'late' });
      await redis.kill();
      truncateSync(file, size);
      await redis.restart();

      await expect(late.get({ timeout: WITHIN_MS })).rejects.toThrow(ResultUnknownError);
      const ended = [...(await running), await endOf(app, 'late')];
      client = new Redis(redis.url);
      expect(await wrongIn(ended, app.prefix, client)).toEqual([]);
      await app.close();
    } finally {
      client?.disconnect();
      await redis.end();
    }
  }, 150_000);
});

describe('an address that moves to another master', () => {
  it('is followed, although the old master lives on as a replica and keeps its connections', async () => {
    const old = await PrivateRedis.start('--appendonly', 'no');
    const other = await PrivateRedis.start('--appendonly', 'no');
    const proxy = await CuttingProxy.start(old.url);
    const clients = [new Redis(old.url), new Redis(other.url)] as const;
    try {
      const app = await boot(proxy.url);
      expect((await endOf(app, 'before')).end).toBe(SUM);

      const { hostname, port } = new URL(other.url);
      await clients[0].replicaof(hostname, Number(port));
      proxy.target = other.url;
      const after = await endOf(app, 'after');
      // A Redis that was no replica: of what has been, it knows nothing, the names of the queues neither.

      expect(await wrongIn([after], app.prefix, clients[1])).toEqual([]);
      await app.close();
    } finally {
      for (const client of clients) client.disconnect();
      await proxy.close();
      await Promise.all([old.end(), other.end()]);
    }
  }, 120_000);
});

/** The file that grows, among those that Redis keeps. */
function appendOnlyFile(dir: string): string {
  const files = readdirSync(dir, { recursive: true, encoding: 'utf8' });
  const file = files.find((name) => /\.incr\.aof$/.test(name)) ?? files.find((name) => name.endsWith('.aof'));
  return join(dir, file ?? 'appendonly.aof');
}
