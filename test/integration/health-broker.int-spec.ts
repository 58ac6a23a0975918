/**
 * What is said of Redis: whether it answers, can be written to, and keeps what it is given. Looked at over the
 * connection that is there already, within a bound whatever Redis does, and well again by itself.
 */
import { rmSync } from 'node:fs';
import { Cluster, Redis } from 'ioredis';
import { TaskQueueHealth, TaskQueueHealthModule } from 'nestjs-task-queue/health';
import { type TestApp, uniquePrefix, until, useApps } from '../support/app-fixture.js';
import { PrivateRedis } from '../support/workers/private-redis.js';

const KEEPS_NOTHING = ['--appendonly', 'no'];
const TIMEOUT_MS = 1_500;
/** How late a bounded answer may come on a machine that is busy. */
const SLACK_MS = 1_500;

const fixture = useApps();
const redises: PrivateRedis[] = [];
const clients: Redis[] = [];
const clusters: Cluster[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.disconnect();
  for (const cluster of clusters.splice(0)) cluster.disconnect();
  await fixture.closeAll();
  await Promise.all(redises.splice(0).map((redis) => redis.end()));
});

async function privateRedis(...args: string[]): Promise<PrivateRedis> {
  const redis = await PrivateRedis.start(...args);
  redises.push(redis);
  return redis;
}

function admin(url: string): Redis {
  const client = new Redis(url);
  client.on('error', () => undefined);
  clients.push(client);
  return client;
}

const boot = (url: string, role: 'producer' | 'both' = 'producer'): Promise<TestApp> =>
  fixture.boot({
    url,
    imports: [TaskQueueHealthModule.forRoot({ timeout: TIMEOUT_MS })],
    options: { role },
  });

const healthOf = (app: TestApp): TaskQueueHealth => app.get(TaskQueueHealth);

/** What the broker probe says, once it says so. */
async function status(app: TestApp, expected: string): Promise<void> {
  let found = '';
  await until(
    async () => {
      const verdict = await healthOf(app).broker();
      found = JSON.stringify(verdict);
      return verdict.status === expected;
    },
    `the broker to be ${expected}`,
    30_000,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}; it is ${found}`);
  });
}

async function reasons(app: TestApp): Promise<readonly string[]> {
  const verdict = await healthOf(app).broker();
  return verdict.status === 'up' ? [] : verdict.reasons;
}

describe('a Redis that answers', () => {
  let redis: PrivateRedis;
  let control: Redis;
  let app: TestApp;
  beforeEach(async () => {
    redis = await privateRedis();
    control = admin(redis.url);
    app = await boot(redis.url);
  });

  it('is up, with what it says of itself', async () => {
    expect(await healthOf(app).broker()).toMatchObject({
      status: 'up',
      details: {
        latencyMs: expect.any(Number) as number,
        servers: [
          {
            role: 'master',
            persistence: 'aof',
            maxmemoryPolicy: 'noeviction',
            maxMemoryBytes: 0,
            loading: false,
          },
        ],
      },
    });
  });

  it('is degraded while it keeps nothing, may throw tasks away or is nearly full', async () => {
    await control.config('SET', 'appendonly', 'no');
    expect(await reasons(app)).toEqual([expect.stringMatching(/^persistence is off/)]);
    await control.config('SET', 'save', '900 1');
    expect(await reasons(app)).toEqual([]);
    await control.config('SET', 'maxmemory-policy', 'allkeys-lru');
    expect(await reasons(app)).toEqual([expect.stringMatching(/^maxmemory-policy is allkeys-lru/)]);
    await control.config('SET', 'maxmemory-policy', 'noeviction');
    const used = Number(/used_memory:(\d+)/.exec(await control.info('memory'))?.[1]);
    await control.config('SET', 'maxmemory', String(Math.ceil(used * 1.04)));
    expect(await reasons(app)).toEqual([
      expect.stringMatching(/^Redis uses 9\d % of maxmemory, 90 % or more$/),
    ]);
    await control.config('SET', 'maxmemory', String(Math.floor(used * 0.9)));
    expect(await healthOf(app).broker()).toMatchObject({
      status: 'down',
      reasons: [expect.stringContaining('refuses to be written to')],
    });
    await control.config('SET', 'maxmemory', '0');
    expect(await reasons(app)).toEqual([]);
  });

  it('is down while it is a replica', async () => {
    await control.call('REPLICAOF', '127.0.0.1', '1');
    expect(await healthOf(app).broker()).toMatchObject({
      status: 'down',
      reasons: ['Redis is a replica, to which nothing can be written'],
    });
    expect((await healthOf(app).readiness()).status).toBe('down');
    await control.call('REPLICAOF', 'NO', 'ONE');
    expect((await healthOf(app).broker()).status).toBe('up');
  });

  it('is down after a snapshot that failed, as it refuses what is written, or degraded where it does not', async () => {
    await control.config('SET', 'save', '900 1');
    rmSync(redis.dir, { recursive: true });
    await control.set('some', 'key');
    await control.bgsave();
    const failed = async (): Promise<boolean> =>
      /rdb_last_bgsave_status:err/.test(await control.info('persistence'));
    await until(failed, 'a snapshot that failed');
    expect(await healthOf(app).broker()).toMatchObject({
      status: 'down',
      reasons: [expect.stringMatching(/^Redis answers PING with: MISCONF/)],
    });
    await control.config('SET', 'stop-writes-on-bgsave-error', 'no');
    expect(await reasons(app)).toEqual(['the last snapshot of Redis failed']);
  });

  it('is not asked over a connection of its own', async () => {
    await healthOf(app).check();
    const before = await connections(control);
    for (let round = 0; round < 5; round++) await healthOf(app).check();
    await Promise.all(Array.from({ length: 20 }, () => healthOf(app).check()));
    expect(await connections(control)).toEqual(before);
  });
});

/** Ids of the connections that Redis has. */
async function connections(control: Redis): Promise<string[]> {
  return [...String(await control.call('CLIENT', 'LIST')).matchAll(/^id=(\d+)/gm)].map(([, id]) => id ?? '');
}

describe('a provider that hides', () => {
  /** A user who may do everything but what is taken away. */
  async function restricted(rights: string[], ...args: string[]): Promise<TestApp> {
    const redis = await privateRedis(...args);
    await admin(redis.url).call('ACL', 'SETUSER', 'app', 'on', '>se-cret', '~*', '&*', '+@all', ...rights);
    return boot(redis.url.replace('redis://', 'redis://app:se-cret@'));
  }

  it('CONFIG: the policy is known all the same, and persistence is not called off', async () => {
    const app = await restricted(['-config'], ...KEEPS_NOTHING, '--maxmemory-policy', 'volatile-lru');
    for (let round = 0; round < 2; round++) {
      expect(await healthOf(app).broker()).toMatchObject({
        status: 'degraded',
        reasons: [expect.stringMatching(/^maxmemory-policy is volatile-lru/)],
        details: { servers: [{ persistence: 'unknown' }] },
      });
    }
  });

  it('CONFIG, by another name: the same', async () => {
    const redis = await privateRedis(...KEEPS_NOTHING, '--rename-command', 'CONFIG', '');
    const app = await boot(redis.url);
    expect(await healthOf(app).broker()).toMatchObject({
      status: 'up',
      details: { servers: [{ persistence: 'unknown', maxmemoryPolicy: 'noeviction' }] },
    });
  });

  it('CONFIG, INFO and PING: it is up, and nothing is known of it', async () => {
    const warned = jest.spyOn(console, 'warn').mockImplementation(() => undefined);
    const app = await restricted(['-config', '-info', '-ping']);
    expect(await healthOf(app).broker()).toMatchObject({ status: 'up', details: { servers: [] } });
    warned.mockRestore();
  });

  it('nothing that is said holds a password', async () => {
    const redis = await privateRedis();
    await admin(redis.url).call('ACL', 'SETUSER', 'app', 'on', '>se-cret', '~*', '&*', '+@all');
    const wrong = await boot(redis.url.replace('redis://', 'redis://app:wrong-se-cret@'));
    const right = await boot(redis.url.replace('redis://', 'redis://app:se-cret@'));
    const said = JSON.stringify([await healthOf(wrong).check(), await healthOf(right).check()]);
    expect(said).toContain('WRONGPASS');
    expect(said).not.toContain('se-cret');
  });
});

describe('a Cluster', () => {
  it('is asked at each master that there is a connection to', async () => {
    const redis = await privateRedis('--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1');
    const control = admin(redis.url);
    await control.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await until(
      async () => /cluster_state:ok/.test(await control.cluster('INFO')),
      'a cluster that works',
      30_000,
    );
    const { hostname, port } = new URL(redis.url);
    const cluster = new Cluster([{ host: hostname, port: Number(port) }], { lazyConnect: true });
    clusters.push(cluster);
    const app = await fixture.boot({
      url: redis.url,
      imports: [TaskQueueHealthModule.forRoot({ timeout: TIMEOUT_MS })],
      options: { connection: cluster, role: 'producer', shards: 3 },
    });
    await app.workflows.signature('Some.task', []).applyAsync();
    expect(await healthOf(app).broker()).toMatchObject({
      status: 'up',
      details: { servers: [{ role: 'master', persistence: 'aof' }] },
    });
    expect((await healthOf(app).queues()).details.queues?.['default']).toMatchObject({ backlog: 1 });
    const before = await connections(control);
    for (let round = 0; round < 5; round++) await healthOf(app).check();
    expect(await connections(control)).toEqual(before);
  });
});

describe('a Redis that does not answer', () => {
  /** Every look, with how long it took. */
  async function look(app: TestApp): Promise<string[]> {
    const health = healthOf(app);
    const started = performance.now();
    const verdicts = await Promise.all([
      health.check(),
      health.broker(),
      health.queues(),
      health.failures(),
      health.canvases(),
      health.readiness(),
    ]);
    const took = performance.now() - started;
    expect(took).toBeLessThan(TIMEOUT_MS + SLACK_MS);
    return [...new Set(verdicts.map((verdict) => verdict.status))];
  }

  it('is down within the bound while its process is stopped; nothing piles up; it is up again by itself', async () => {
    const redis = await privateRedis();
    const app = await boot(redis.url, 'both');
    await status(app, 'up');
    const control = admin(redis.url);
    const processed = async () =>
      Number(/cmdstat_ping:calls=(\d+)/.exec(await control.info('commandstats'))?.[1]);
    const before = await processed();
    redis.freeze();
    try {
      for (let round = 0; round < 3; round++) expect(await look(app)).toEqual(['down']);
      expect(await reasons(app)).toEqual([`Redis did not answer within ${TIMEOUT_MS} ms`]);
      expect((await healthOf(app).liveness()).status).toBe('up');
    } finally {
      redis.thaw();
    }
    await status(app, 'up');
    expect((await healthOf(app).check()).status).toBe('up');
    // Many looks while it was stopped, and one PING that waited for all of them.
    expect((await processed()) - before).toBeLessThan(10);
  });

  it('is down within the bound while clients are paused, and up again by itself', async () => {
    const redis = await privateRedis();
    const app = await boot(redis.url);
    await status(app, 'up');
    const control = admin(redis.url);
    await control.call('CLIENT', 'PAUSE', String(3 * TIMEOUT_MS), 'ALL');
    expect(await look(app)).toEqual(['down']);
    await status(app, 'up');
  });

  it('is down while it is gone, with the reason, and up again by itself', async () => {
    const redis = await privateRedis();
    const app = await boot(redis.url, 'both');
    await status(app, 'up');
    await redis.kill();
    await status(app, 'down');
    expect(await look(app)).toEqual(['down']);
    const reason = async () => (await reasons(app))[0];
    await until(
      async () => (await reason())?.includes('ECONNREFUSED') === true,
      'the reason to be known',
      30_000,
    );
    expect((await healthOf(app).liveness()).status).toBe('up');
    await redis.restart();
    await status(app, 'up');
    await until(async () => (await healthOf(app).check()).status === 'up', 'everything to be up', 30_000);
  }, 240_000);

  it('is down, with the reason, while it reads its data back in', async () => {
    const redis = await privateRedis(
      '--key-load-delay',
      '1500',
      '--loading-process-events-interval-bytes',
      '1024',
    );
    const app = await boot(redis.url);
    const control = admin(redis.url);
    const pipeline = control.pipeline();
    for (let key = 0; key < 2_000; key++) pipeline.set(`${uniquePrefix()}:${key}`, 'x'.repeat(100));
    await pipeline.exec();
    await redis.kill();
    const restarted = redis.restart();
    let said = '';
    await until(
      async () => /loading/.test((said = (await reasons(app))[0] ?? '')),
      'a Redis that loads',
      10_000,
    );
    expect(said).toMatch(/^Redis is loading its data \([\d.]+ %\)$/);
    await restarted;
    await status(app, 'up');
  }, 240_000);

  it('is down when there is none, without a word that it ever was', async () => {
    const app = await boot('redis://127.0.0.1:1');
    expect(await look(app)).toEqual(['down']);
    expect(await reasons(app)).toEqual([
      `Redis did not answer within ${TIMEOUT_MS} ms (connect ECONNREFUSED 127.0.0.1:1)`,
    ]);
  });
});
