import { Injectable } from '@nestjs/common';
import { Idempotent, Retry, Task, TaskContext } from 'nestjs-task-queue';
import { Diary } from './tasks.js';
import { type Handle, until, useStage, type World } from './world.js';

class TooManyRequests extends Error {
  override name = 'TooManyRequests';
  constructor(readonly retryAfter: number) {
    super('429');
  }
}

/** Far enough away that no test gets there. */
const NEVER = '1h';

@Injectable()
class LimitedTasks {
  constructor(private readonly diary: Diary) {}

  @Task({ name: 'even', rateLimit: '20/s' })
  even(label: string, task: TaskContext): number {
    this.diary.write(`${label} ${performance.now()}`);
    return task.attempt;
  }

  @Task({ name: 'rare', rateLimit: { limit: 1, per: NEVER, burst: 2 } })
  rare(label: string): void {
    this.diary.write(label);
  }

  @Task({ name: 'soon', rateLimit: { limit: 1, per: '1s' } })
  soon(label: string): void {
    this.diary.write(label);
  }

  @Task({ name: 'perTenant', rateLimit: { limit: 1, per: NEVER, key: (tenant: string) => tenant } })
  perTenant(tenant: string, label: string): void {
    this.diary.write(`${tenant} ${label}`);
  }

  @Task({ name: 'sharing', rateLimit: { limit: 1, per: NEVER, name: 'other-side' } })
  sharing(label: string): void {
    this.diary.write(label);
  }

  @Task({ name: 'sharingToo', rateLimit: { limit: 1, per: NEVER, name: 'other-side' } })
  sharingToo(label: string): void {
    this.diary.write(label);
  }

  @Task({ name: 'keyless', rateLimit: { limit: 1, per: NEVER, key: (of: { tenant: string }) => of.tenant } })
  @Retry({ maxRetries: 3, backoff: { type: 'fixed', delay: 1 } })
  keyless(_of: unknown): void {
    this.diary.write('keyless');
  }

  @Task({ name: 'paysSeldom', rateLimit: { limit: 1, per: '500ms' } })
  @Idempotent({ key: (order: string) => order })
  paysSeldom(order: string, task: TaskContext): string {
    this.diary.write(`pay ${order}`);
    return `${order} in attempt ${task.attempt}`;
  }

  @Task({ name: 'remote', rateLimit: { limit: 1_000, per: '1s', burst: 10, key: (host: string) => host } })
  @Retry({ for: [TooManyRequests], maxRetries: 1 })
  remote(host: string, label: string, waitS: number, task: TaskContext): void {
    this.diary.write(`${host} ${label}`);
    if (waitS > 0 && task.retries === 0) throw new TooManyRequests(waitS);
  }
}

/** What a rate limit does to tasks. */
export function rateLimitCases(world: World): void {
  describe('a rate limit', () => {
    const it_ = useStage(world, {}, [LimitedTasks]);
    const stage = () => it_.stage;
    const call = (...args: Parameters<typeof it_.stage.call>) => stage().call(...args);
    const written = () => stage().diary.entries;
    const lines = (count: number) => until(() => written().length === count, `${count} have run`);
    /** It was taken by a worker, and waits again. */
    const turnedAway = (handle: Handle) =>
      until(async () => {
        const { state, startedAt } = await handle.describe();
        return state === 'PENDING' && startedAt !== undefined;
      }, 'it is turned away');

    it('spreads starts evenly; to be turned away is no attempt', async () => {
      const calls = Array.from({ length: 9 }, (_, n) => call('even', String(n)));
      const handle = await stage().run(stage().workflows.group(calls as never));
      expect(await handle.get()).toEqual(Array.from({ length: 9 }, () => 1));
      const times = written().map((line) => Number(line.split(' ')[1]));
      // Nine starts are eight intervals of 50 ms apart; the first may begin a while after it was let in.
      expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(250);
    });

    it('lets a burst go at once, and the rest wait, without a retry', async () => {
      await stage().publish(call('rare', 'one'));
      await stage().publish(call('rare', 'two'));
      await lines(2);
      const third = await stage().publish(call('rare', 'three'));
      await turnedAway(third);
      expect(await third.describe()).toMatchObject({ state: 'PENDING', retries: 0 });
      expect([...written()].sort()).toEqual(['one', 'two']);
    });

    it('with a key is one for each of its values', async () => {
      await stage().publish(call('perTenant', 'a', 'first'));
      await lines(1);
      await turnedAway(await stage().publish(call('perTenant', 'a', 'second')));
      await stage().publish(call('perTenant', 'b', 'first'));
      await lines(2);
      expect(written()).toEqual(['a first', 'b first']);
    });

    it('is shared by tasks that name the same one', async () => {
      await stage().publish(call('sharing', 'sharing'));
      await lines(1);
      await turnedAway(await stage().publish(call('sharingToo', 'sharing too')));
      expect(written()).toEqual(['sharing']);
    });

    it('who waits for it can be revoked', async () => {
      await stage().publish(call('perTenant', 'a', 'first'));
      await lines(1);
      const second = await stage().publish(call('perTenant', 'a', 'second'));
      await turnedAway(second);
      expect(await second.revoke()).toBe(true);
      await expect(second.get()).rejects.toMatchObject({ code: 'TASK_REVOKED' });
      expect(written()).toEqual(['a first']);
    });

    it('does not keep a call that expires', async () => {
      await stage().publish(call('soon', 'first'));
      await lines(1);
      const late = await stage().publish(call('soon', 'second'), { expires: 100 });
      await expect(late.get()).rejects.toMatchObject({ code: 'TASK_EXPIRED' });
      expect(written()).toEqual(['first']);
    });

    it('without a key that can be had ends the task, at once', async () => {
      const handle = await stage().run(call('keyless', null));
      await expect(handle.get({})).rejects.toMatchObject({ code: 'NON_RETRYABLE' });
      expect(written()).toEqual([]);
    });

    it('and an idempotency key: one effect, one start, and nobody waits for ever', async () => {
      // As members: where they stand alone, all with one key would be one task.
      const orders = ['a', 'b', 'a', 'b', 'a'];
      const members = orders.map((order) => call('paysSeldom', order));
      const group = await stage().publish(stage().workflows.group(members as never));
      expect(await group.get()).toEqual(orders.map((order) => `${order} in attempt 1`));
      expect([...written()].sort()).toEqual(['pay a', 'pay b']);
      // Of what has a value no start is asked for: the next one may begin at its time.
      const third = await stage().publish(call('paysSeldom', 'c'));
      expect(await third.get()).toBe('c in attempt 1');
    });

    it('who has the key and waits for the limit gives it up when he is revoked', async () => {
      await stage().publish(call('paysSeldom', 'first'));
      await lines(1);
      const owner = await stage().publish(call('paysSeldom', 'x'));
      await until(async () => (await owner.describe()).startedAt !== undefined, 'it was taken');
      const other = await stage().publish(stage().workflows.group([call('paysSeldom', 'x')] as never));
      await owner.revoke();
      expect(await other.get()).toEqual([expect.stringMatching(/^x in attempt/)]);
      expect(written().filter((line) => line === 'pay x')).toHaveLength(1);
    });

    it('Retry-After holds those who call the same, and nobody else', async () => {
      const first = await stage().publish(call('remote', 'a', 'first', 1));
      await until(async () => (await first.describe()).state === 'RETRY', 'it was told to wait');
      await turnedAway(await stage().publish(call('remote', 'a', 'second', 0)));
      await stage().publish(call('remote', 'b', 'other', 0));
      await lines(2);
      expect(written()).toEqual(['a first', 'b other']);
      await stage().app.quiet();
      expect(written().slice(2).sort()).toEqual(['a first', 'a second']);
    });
  });
}
