import { Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Verdict } from '../../libs/task-queue/src/backend/delivery.js';
import { InterruptibleWorker } from '../../libs/task-queue/src/broker/interruptible-worker.js';
import { RedisConnections } from '../../libs/task-queue/src/broker/redis-connections.js';
import { RedisKeys } from '../../libs/task-queue/src/broker/redis-keys.js';
import { WorkerPool } from '../../libs/task-queue/src/broker/worker-pool.js';
import { pause } from '../../libs/task-queue/src/primitives/bounded.js';
import { redisUrl, uniquePrefix, until } from '../support/app-fixture.js';

/** Between BullMQ and the processors: what it makes of defects, and of BullMQ's own waiting. */

const openConnections = (): RedisConnections =>
  new RedisConnections({ kind: 'url', url: redisUrl(), options: {} }, 'tq', () => undefined);

it('gives a job back although nobody can be told of its defect, and is idle afterwards', async () => {
  const connections = openConnections();
  const keys = new RedisKeys(uniquePrefix(), 1);
  const durations = { lockDurationMs: 5_000, stalledIntervalMs: 1_000 };
  const pool = new WorkerPool(connections, keys, { worker: 'w', ...durations }, () => undefined);
  const queue = new Queue('q', { connection: connections.get('publish'), prefix: keys.shardPrefix(0) });
  let runs = 0;
  pool.serve({
    queue: 'q',
    concurrency: 1,
    process: async (): Promise<Verdict> => {
      if (++runs === 1) throw new Error('a defect');
      return { do: 'complete', value: null };
    },
    onLost: () => undefined,
    onDefect: () => {
      throw new Error('a logger that throws');
    },
  });
  try {
    await connections.ready('publish', 30_000);
    const job = await queue.add('task', {});
    await until(async () => (await job.getState()) === 'completed', 'it has run again');
    expect(runs).toBe(2);
    pool.stopFetching();
    expect(await pool.idle(10_000)).toBe(true);
  } finally {
    pool.stopFetching();
    await pool.letGo();
    connections.close();
  }
});

it('asks BullMQ again whether it is ready where that has failed, and no more once it is', async () => {
  const connections = openConnections();
  const options = { connection: connections.get('consume'), prefix: uniquePrefix(), autorun: false };
  const worker = new InterruptibleWorker('q', null, options, connections);
  const asked = jest.spyOn(Worker.prototype, 'waitUntilReady').mockRejectedValueOnce(new Error('not yet'));
  try {
    await expect(worker.waitUntilReady()).rejects.toThrow('not yet');
    await worker.waitUntilReady();
    await worker.waitUntilReady();
    expect(asked).toHaveBeenCalledTimes(2);
  } finally {
    asked.mockRestore();
    await worker.close();
    connections.close();
  }
});

it('keeps the lock of an attempt while one of the same job runs that was given up before it', async () => {
  const connections = openConnections();
  const keys = new RedisKeys(uniquePrefix(), 1);
  const durations = { lockDurationMs: 600, stalledIntervalMs: 200 };
  const pool = new WorkerPool(connections, keys, { worker: 'w', ...durations }, () => undefined);
  const prefix = keys.shardPrefix(0);
  const redis = connections.get('publish') as Redis;
  const queue = new Queue('q', { connection: redis, prefix });
  const ends: (() => void)[] = [];
  pool.serve({
    queue: 'q',
    concurrency: 3,
    process: (): Promise<Verdict> =>
      new Promise((resolve) => ends.push(() => resolve({ do: 'complete', value: null }))),
    onLost: () => undefined,
    onDefect: () => undefined,
  });
  try {
    await connections.ready('publish', 30_000);
    const job = await queue.add('task', {});
    await until(() => ends.length === 1, 'the first attempt runs');
    const key = `${prefix}:q`;
    // As if its lock had run out: to be run again, while it runs.
    await redis
      .multi()
      .del(`${key}:${job.id}:lock`)
      .lrem(`${key}:active`, 1, job.id ?? '')
      .lpush(`${key}:wait`, job.id ?? '')
      .zadd(`${key}:marker`, 0, '0')
      .exec();
    await until(() => ends.length === 2, 'the second attempt runs');
    ends[0]?.();
    // Several times as long as a lock holds that nobody renews.
    await pause(2_500);
    expect(ends).toHaveLength(2);
    ends[1]?.();
    await until(async () => (await job.getState()) === 'completed', 'the second attempt has ended it');
    expect(ends).toHaveLength(2);
  } finally {
    ends.forEach((end) => end());
    pool.stopFetching();
    await pool.idle(5_000);
    await queue.close();
    connections.close();
  }
});
