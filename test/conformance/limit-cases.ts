import { Injectable } from '@nestjs/common';
import { Retry, Task, TaskContext } from 'nestjs-task-queue';
import { Diary } from './tasks.js';
import { type Handle, until, useStage, type World } from './world.js';

@Injectable()
class ChangedTasks {
  #together = 0;

  constructor(private readonly diary: Diary) {}

  @Task({ name: 'waitsFor', softTimeLimit: '1h' })
  async waitsFor(door: string, task: TaskContext): Promise<string> {
    this.diary.write(`begins ${door}`);
    await this.diary.pass(door, task.signal);
    return `${door} was opened`;
  }

  @Task({ name: 'deaf' })
  async deaf(): Promise<void> {
    this.diary.write('begins deaf');
    await new Promise(() => undefined);
  }

  @Task({ name: 'shortened', softTimeLimit: 40 })
  async shortened(task: TaskContext): Promise<string> {
    await task.sleep(300);
    return 'had the time';
  }

  @Task({ name: 'seldom', rateLimit: { limit: 1, per: '1h', name: 'crm', key: (tenant: string) => tenant } })
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 1 } })
  seldom(tenant: string): string {
    this.diary.write(tenant);
    return tenant;
  }

  @Task({ name: 'narrow', queue: 'narrow' })
  async narrow(door: string, task: TaskContext): Promise<void> {
    this.diary.write(`begins ${door}`);
    await this.diary.pass(door, task.signal);
  }

  @Task({ name: 'crowd', queue: 'narrow' })
  async crowd(task: TaskContext): Promise<number> {
    const together = ++this.#together;
    await task.sleep(50);
    this.#together--;
    return together;
  }

  @Task({ name: 'unlimited' })
  unlimited(label: string): void {
    this.diary.write(label);
  }
}

/** What becomes of limits that are changed while workers run. */
export function limitCases(world: World): void {
  describe('a limit that is changed', () => {
    const it_ = useStage(world, {}, [ChangedTasks]);
    const stage = () => it_.stage;
    const limits = () => stage().workflows.limits;
    const publish = (...[task, ...args]: Parameters<typeof it_.stage.call>) =>
      stage().publish(stage().call(task, ...args));
    const written = (line: string) => until(() => stage().diary.count(line) > 0, line);
    const turnedAway = (handle: Handle) =>
      until(async () => {
        const { state, startedAt } = await handle.describe();
        return state === 'PENDING' && startedAt !== undefined;
      }, 'it is turned away');

    it('ends what runs and has run for longer, and holds for what comes', async () => {
      const handle = await publish('waitsFor', 'one');
      await written('begins one');
      await limits().set('waitsFor', { softTimeLimit: 30 });
      await expect(handle.get()).rejects.toMatchObject({ code: 'SOFT_TIME_LIMIT_EXCEEDED' });
      await expect((await publish('waitsFor', 'two')).get()).rejects.toMatchObject({
        code: 'SOFT_TIME_LIMIT_EXCEEDED',
      });
      expect(await limits().list()).toEqual([{ name: 'waitsFor', softTimeLimitMs: 30 }]);
      expect(await limits().clear('waitsFor')).toBe(true);
      expect(await limits().clear('waitsFor')).toBe(false);
      const third = await publish('waitsFor', 'three');
      await written('begins three');
      stage().diary.open('three');
      expect(await third.get()).toBe('three was opened');
    });

    it('is a hard one too, also where none was declared', async () => {
      const handle = await publish('deaf');
      await written('begins deaf');
      await limits().set('deaf', { timeLimit: 30 });
      await expect(handle.get()).rejects.toMatchObject({ code: 'TIME_LIMIT_EXCEEDED' });
    });

    it('gives more time; what a call says for itself stays', async () => {
      await limits().set('shortened', { softTimeLimit: '1h' });
      await until(async () => {
        const handle = await publish('shortened');
        return handle.get().then(
          (value) => value === 'had the time',
          () => false, // its worker has not heard of it yet
        );
      }, 'it has the time');
      const own = await stage().publish(stage().call('shortened'), { softTimeLimit: 40 });
      await expect(own.get()).rejects.toMatchObject({ code: 'SOFT_TIME_LIMIT_EXCEEDED' });
    });

    it('may be that of one task that runs', async () => {
      const [one, other] = [await publish('waitsFor', 'one'), await publish('waitsFor', 'other')];
      await written('begins one');
      await written('begins other');
      await limits().setRunning(one.id, { softTimeLimit: 1 });
      await expect(one.get()).rejects.toMatchObject({ code: 'SOFT_TIME_LIMIT_EXCEEDED' });
      stage().diary.open('other');
      expect(await other.get()).toBe('other was opened');
      expect(await limits().list()).toEqual([]);
    });

    it('may be a rate: of a shared limit, of one key of it, and where none was declared', async () => {
      await limits().set('crm:b', { rateLimit: { limit: 1, per: '1s', burst: 5 } });
      await limits().set('unlimited', { rateLimit: '1/h' });
      const heard = await stage().publish(stage().call('echo', 1));
      await heard.get();
      await until(async () => {
        const before = stage().diary.count('probe');
        const probe = await publish('unlimited', 'probe');
        // Who is turned away is at work until he has been put back.
        await until(async () => {
          const { startedAt, state } = await probe.describe();
          return startedAt !== undefined && state !== 'STARTED';
        }, 'the probe was taken');
        return stage().diary.count('probe') === before && (await probe.describe()).state === 'PENDING';
      }, 'the rate holds');
      await publish('seldom', 'a');
      await written('a');
      await turnedAway(await publish('seldom', 'a'));
      for (let n = 0; n < 3; n++) expect(await (await publish('seldom', 'b')).get()).toBe('b');
      await limits().set('crm', { rateLimit: '100/s' });
      await until(
        async () => (await publish('seldom', 'c'), stage().diary.count('c') > 2),
        'the new rate holds',
      );
      expect((await limits().list()).map(({ name, rateLimit }) => [name, rateLimit])).toEqual([
        ['crm', { intervalMs: 10, burst: 1 }],
        ['crm:b', { intervalMs: 1_000, burst: 5 }],
        ['unlimited', { intervalMs: 3_600_000, burst: 1 }],
      ]);
    });

    it('may be the concurrency of a queue: more at once, less when what runs has ended', async () => {
      const { workflows, diary } = await it_.start({ queues: { narrow: { concurrency: 1 } } });
      const { limits: changed } = workflows;
      const crowd = async () => {
        const handles = await Promise.all([1, 2, 3, 4].map(() => publish('crowd')));
        return Math.max(...(await Promise.all(handles.map((handle) => handle.get() as Promise<number>))));
      };
      expect(await crowd()).toBe(1);
      const [one, two] = [await publish('narrow', 'one'), await publish('narrow', 'two')];
      await until(() => diary.entries.some((entry) => entry.startsWith('begins ')), 'its one slot is taken');
      await changed.set('narrow', { concurrency: 2 });
      await written('begins one');
      await written('begins two');
      expect(await changed.list()).toEqual([{ name: 'narrow', concurrency: 2 }]);
      await changed.set('narrow', { concurrency: 4 });
      await until(async () => {
        diary.open('one');
        diary.open('two');
        return (await crowd()) > 2;
      }, 'there are more slots than two');
      await Promise.all([one.get(), two.get()]);
      expect(await changed.clear('narrow')).toBe(true);
      await until(async () => (await crowd()) === 1, 'it is as declared');
      expect(await crowd()).toBe(1);
    });

    it('is refused where it is none', async () => {
      const refused = { code: 'INVALID_OPTIONS' };
      await expect(limits().set('', { timeLimit: 1 })).rejects.toMatchObject(refused);
      await expect(limits().set('x', {})).rejects.toMatchObject(refused);
      await expect(limits().set('x', { softTimeLimit: 0 })).rejects.toMatchObject(refused);
      await expect(limits().set('x', { softTimeLimit: '2s', timeLimit: '1s' })).rejects.toMatchObject(
        refused,
      );
      await expect(limits().set('x', { rateLimit: 'often' })).rejects.toMatchObject(refused);
      await expect(limits().set('x', { rate: '1/s' } as never)).rejects.toMatchObject(refused);
      for (const concurrency of [0, -1, 1.5, Infinity, '2', null] as number[]) {
        await expect(limits().set('narrow', { concurrency })).rejects.toMatchObject({
          ...refused,
          message: expect.stringContaining('concurrency') as string,
        });
      }
      await expect(limits().set('crm:b', { concurrency: 1 })).rejects.toMatchObject(refused);
      expect(await limits().list()).toEqual([]);
      await expect(limits().setRunning('x', {})).rejects.toMatchObject(refused);
    });
  });
}
