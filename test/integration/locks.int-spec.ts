/** Locks on a real Redis: what the store does behind the back of whoever holds one. */
import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { type Lock, LockLostError, Retry, Task, TaskContext } from 'nestjs-task-queue';
import { redisUrl, Runs, type TestApp, useApps } from '../support/app-fixture.js';
import { StallingProxy } from '../support/stalling-proxy.js';

@Injectable()
class LockedTasks {
  constructor(private readonly runs: Runs) {}

  /** Works until it is told to end, in its first attempt. */
  @Task()
  @Retry({ for: [LockLostError], maxRetries: 1, backoff: { type: 'fixed', delay: 0 } })
  async stubborn(name: string, task: TaskContext): Promise<number> {
    const lock = await task.lock(name, { ttl: 300 });
    this.runs.record('locked', lock);
    if (task.attempt > 1) return lock.token;
    await new Promise((_, reject) =>
      task.signal.addEventListener('abort', () => {
        this.runs.record('aborted', task.signal.reason);
        reject(new DOMException('as most libraries say it', 'AbortError'));
      }),
    );
    return 0;
  }

  /** Asks for a lock when it is told to. */
  @Task()
  async late(name: string, task: TaskContext): Promise<number> {
    this.runs.record('begun', task.id);
    await this.runs.reached('go');
    const error = await task.lock(name).catch((thrown: unknown) => thrown);
    this.runs.record('late', error);
    return 1;
  }
}

const apps = useApps();

describe('locks in Redis', () => {
  let app: TestApp;
  const tasks = () => app.workflows.tasks(LockedTasks);
  const lockKey = (name: string): string => `{${app.prefix}:0}:_lock:${name}`;
  beforeEach(async () => {
    app = await apps.boot({ providers: [LockedTasks] });
  });

  it('one that somebody took away aborts the signal with the typed error, which a policy retries', async () => {
    const handle = await tasks().stubborn.delay('a');
    await app.runs.reached('locked');
    await apps.redis.del(lockKey('a'));
    const token = await handle.get({ timeout: 30_000 });
    expect(app.runs.of<Error>('aborted')).toEqual([expect.any(LockLostError)]);
    const [first] = app.runs.of<Lock>('locked');
    expect(token).toBeGreaterThan(first?.token ?? Infinity);
    expect(first?.held).toBe(false);
    expect(first?.signal.aborted).toBe(true);
  });

  it('one that cannot be renewed is lost when it has run out, not before', async () => {
    const proxy = await StallingProxy.start(redisUrl());
    try {
      const behind = await apps.boot({ url: proxy.url, options: { publishTimeout: '2s' } });
      const lock = await behind.workflows.lock('b', { ttl: 900 });
      const lost = new Promise<number>((resolve) =>
        lock.signal.addEventListener('abort', () => resolve(Date.now())),
      );
      const begin = Date.now();
      expect(proxy.stall('_lock:b')).toBe(1);
      expect((await lost) - begin).toBeGreaterThan(250);
      expect(lock.signal.reason).toMatchObject({ code: 'LOCK_LOST', lockName: 'b' });
      expect(lock.held).toBe(false);
      await lock.release(); // resolves although nobody answers
      await behind.close();
    } finally {
      await proxy.close();
    }
  });

  it('tokens go on growing when Redis has lost its data', async () => {
    const first = await app.workflows.lock('c');
    const keys = await apps.keys(app.prefix);
    await apps.redis.del(...keys);
    const second = await app.workflows.lock('c', { wait: 0 });
    expect(second.token).toBeGreaterThan(first.token);
    expect(Number.isSafeInteger(second.token)).toBe(true);
    await expect(first.assertHeld()).rejects.toBeInstanceOf(LockLostError);
    await Promise.all([first.release(), second.release()]);
  });

  it('releasing what has gone to somebody else leaves it to them', async () => {
    const first = await app.workflows.lock('d');
    await apps.redis.del(lockKey('d'));
    await using second = await app.workflows.lock('d', { wait: 0 });
    await first.release();
    await second.assertHeld();
  });

  it('an attempt that has been superseded gets none', async () => {
    const handle = await tasks().late.delay('e');
    await app.runs.reached('begun');
    await apps.redis.set(`{${app.prefix}:0}:default:${handle.id}:lock`, 'somebody else');
    app.runs.record('go');
    await app.runs.reached('late');
    expect(app.runs.of('late')).toEqual([expect.objectContaining({ code: 'LOCK_LOST' })]);
    expect(await apps.redis.exists(lockKey('e'))).toBe(0);
    await apps.redis.del(`{${app.prefix}:0}:default:${handle.id}:lock`);
  });

  it('what nobody gave back is given back when the application closes', async () => {
    await app.workflows.lock('f', { ttl: '1h' });
    await app.close();
    expect(await apps.redis.exists(lockKey('f'))).toBe(0);
  });

  it('leaves one key behind, however many locks there were', async () => {
    for (let at = 0; at < 20; at++) await app.workflows.withLock(`many ${at}`, () => pause(1));
    const keys = (await apps.keys(app.prefix)).filter((key) => /_lock|_token/.test(key));
    expect(keys).toEqual([`{${app.prefix}:0}:_token`]);
  });
});
