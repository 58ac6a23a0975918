/** Who removes what has expired, and when. */
import { Injectable } from '@nestjs/common';
import { Task } from 'nestjs-task-queue';
import { type TestApp, uniquePrefix, until, useApps } from '../support/app-fixture.js';

@Injectable()
class Sums {
  @Task()
  add(a: number, b: number): number {
    return a + b;
  }

  @Task()
  never(): never {
    throw new RangeError('never');
  }
}

const fixture = useApps();
const { redis } = fixture;

const HOUR_MS = 3_600_000;

describe('a canvas whose time is over', () => {
  it('is removed soon after a worker has begun: none may live as long as rounds are apart', async () => {
    const prefix = uniquePrefix('expiry');
    const boot = (): Promise<TestApp> =>
      fixture.boot({ prefix, providers: [Sums], options: { defaults: { resultExpires: '1h' } } });
    const first = await boot();
    const tasks = first.workflows.tasks(Sums);
    const handle = await first.workflows.group([tasks.add.s(1, 2), tasks.add.s(3, 4)]).applyAsync();
    expect(await handle.get()).toEqual([3, 7]);
    const keysOf = async (): Promise<string[]> =>
      (await redis.keys(`{${prefix}:0}:*`)).filter((key) => key.includes(handle.id));
    await until(async () => (await redis.zscore(`{${prefix}:0}:_expiry`, handle.id)) !== null, 'it expires');
    await first.close();
    expect(await keysOf()).not.toEqual([]);

    await redis.zadd(`{${prefix}:0}:_expiry`, Date.now() - HOUR_MS, handle.id);
    await boot();
    // Rounds are half a minute apart.
    await until(async () => (await keysOf()).length === 0, 'every key of it is gone');
  });

  it('is unknown to a redrive also where no worker is that would clear it up', async () => {
    const prefix = uniquePrefix('expiry');
    const worker = await fixture.boot({ prefix, providers: [Sums] });
    const producer = await fixture.boot({ prefix, options: { role: 'producer' } });
    const { add, never } = worker.workflows.tasks(Sums);
    const { id } = await worker.workflows.group([add.s(1, 2), never.s()]).applyAsync();
    await worker.workflows.result(id).get({ propagate: false });
    const expiry = `{${prefix}:0}:_expiry`;
    await until(async () => (await redis.zscore(expiry, id)) !== null, 'it expires');
    await worker.close();

    await redis.zadd(expiry, Date.now() - HOUR_MS, id);
    await expect(producer.workflows.redrive(id)).rejects.toMatchObject({ code: 'RESULT_UNKNOWN' });
  });
});
