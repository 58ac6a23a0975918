import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { currentTask, type Lock, LockLostError, LockUnavailableError, Retry, Task } from 'nestjs-task-queue';
import { Diary } from './tasks.js';
import { until, useStage, type World } from './world.js';

@Injectable()
class LockTasks {
  /** Those who are in the critical section now. */
  inside = 0;
  most = 0;
  readonly tokens: number[] = [];

  constructor(private readonly diary: Diary) {}

  @Task({ name: 'guarded' })
  async guarded(name: string, ms: number): Promise<number> {
    return currentTask().withLock(
      name,
      async (lock) => {
        this.most = Math.max(this.most, ++this.inside);
        this.tokens.push(lock.token);
        await pause(ms);
        this.inside -= 1;
        return lock.token;
      },
      { wait: '20s' },
    );
  }

  @Task({ name: 'impatient' })
  @Retry({ for: [LockUnavailableError], maxRetries: 1, backoff: { type: 'fixed', delay: 0 } })
  async impatient(name: string): Promise<string> {
    this.diary.write('impatient');
    await currentTask().lock(name, { wait: 0 });
    return 'got it';
  }

  /** Leaves its lock to the end of the attempt. */
  @Task({ name: 'forgetful' })
  async forgetful(name: string): Promise<boolean> {
    const lock = await currentTask().lock(name);
    await lock.assertHeld();
    return lock.held;
  }

  @Task({ name: 'holding' })
  @Retry({ for: [LockLostError], maxRetries: 0 })
  async holding(name: string, door: string): Promise<string> {
    const task = currentTask();
    await using lock = await task.lock(name, { ttl: 300 });
    this.diary.write('holding');
    await this.diary.pass(door, task.signal);
    return String(lock.held);
  }

  @Task({ name: 'hurried', timeLimit: 100 })
  @Retry({ for: ['TimeLimitExceededError'], maxRetries: 1, backoff: { type: 'fixed', delay: 0 } })
  async hurried(name: string): Promise<string> {
    const task = currentTask();
    const lock = await task.lock(name, { ttl: '1m', wait: 0 });
    this.tokens.push(lock.token);
    if (task.attempt === 1) await new Promise(() => undefined);
    return 'taken over';
  }
}

/** Locks: at most one holder, tokens that grow, and an end with the attempt. */
export function lockCases(world: World): void {
  describe('a lock', () => {
    const it_ = useStage(world, {}, [LockTasks]);
    const stage = () => it_.stage;
    const call = (...args: Parameters<typeof it_.stage.call>) => stage().call(...args);
    const tasks = (): LockTasks => stage().app.get(LockTasks);

    it('is held by one task at a time, with tokens that grow', async () => {
      const handles = await Promise.all(
        Array.from({ length: 6 }, () => stage().publish(call('guarded', 'account 7', 15))),
      );
      await Promise.all(handles.map((handle) => handle.get({ timeout: '30s' })));
      expect(tasks().most).toBe(1);
      expect(tasks().tokens).toHaveLength(6);
      expect(tasks().tokens).toEqual([...new Set(tasks().tokens)].sort((a, b) => a - b));
    });

    it('keeps no holder of another name out', async () => {
      await using _other = await stage().workflows.lock('one');
      expect(await (await stage().run(call('guarded', 'another', 0))).state()).toBe('SUCCESS');
    });

    it('that stays taken is a typed error, which policies can retry', async () => {
      await using _taken = await stage().workflows.lock('busy');
      const handle = await stage().run(call('impatient', 'busy'));
      await expect(handle.get()).rejects.toMatchObject({ code: 'LOCK_UNAVAILABLE' });
      expect(stage().diary.entries).toEqual(['impatient', 'impatient']);
    });

    it('says which task holds it', async () => {
      const holder = await stage().publish(call('holding', 'named', 'door'));
      await until(() => stage().diary.count('holding') === 1, 'it is held');
      const refused = stage().workflows.lock('named', { wait: 0 });
      await expect(refused).rejects.toMatchObject({ lockName: 'named', waitedMs: 0, heldBy: holder.id });
      stage().diary.open('door');
      expect(await holder.get()).toBe('true');
    });

    it('is renewed for as long as it is held', async () => {
      const holder = await stage().publish(call('holding', 'long', 'door'));
      await until(() => stage().diary.count('holding') === 1, 'it is held');
      await pause(900); // three times as long as it holds by itself
      await expect(stage().workflows.lock('long', { wait: 0 })).rejects.toBeInstanceOf(LockUnavailableError);
      stage().diary.open('door');
      expect(await holder.get()).toBe('true');
    });

    it('ends with the attempt, when the handler has not given it back', async () => {
      expect(await (await stage().run(call('forgetful', 'left'))).get()).toBe(true);
      const next = await stage().workflows.lock('left', { wait: 0 });
      await next.release();
    });

    it('is not given back for a handler that was abandoned; the next attempt of its task takes it over', async () => {
      const handle = await stage().run(call('hurried', 'abandoned'));
      expect(await handle.get()).toBe('taken over');
      const [first = 0, second = 0] = tasks().tokens;
      expect(second).toBeGreaterThan(first);
    });

    it('works outside of tasks, and is given back whatever comes of the work', async () => {
      const { workflows } = stage();
      let seen: Lock | undefined;
      const work = workflows.withLock('outside', async (lock) => {
        seen = lock;
        await lock.assertHeld();
        expect(lock.held).toBe(true);
        throw new RangeError('no');
      });
      await expect(work).rejects.toThrow(RangeError);
      expect(seen?.held).toBe(false);
      await expect(seen?.assertHeld()).rejects.toBeInstanceOf(LockLostError);
      expect(await workflows.withLock('outside', ({ token }) => token, { wait: 0 })).toBeGreaterThan(
        seen?.token ?? Infinity,
      );
    });

    it('is free for who waits as soon as it is given back', async () => {
      const first = await stage().workflows.lock('queue');
      const second = stage().workflows.lock('queue', { wait: '20s' });
      await pause(50);
      await first.release();
      await (await second).release();
    });

    it.each([
      ['a name that is none', '', {}, 'lock.name'],
      ['a time that is none', 'x', { ttl: 'soon' }, 'lock.ttl'],
      ['a time that is too short', 'x', { ttl: 10 }, 'lock.ttl'],
      ['an option that is none', 'x', { timeout: 5 }, 'lock.timeout'],
    ])('refuses %s', async (_what, name, options, path) => {
      await expect(stage().workflows.lock(name, options as never)).rejects.toMatchObject({
        code: 'INVALID_OPTIONS',
        path,
      });
    });
  });
}
