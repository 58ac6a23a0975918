import { Injectable } from '@nestjs/common';
import {
  Breaker,
  type BreakerOpenedEvent,
  OnTaskEvent,
  Retry,
  Task,
  TaskContext,
  type TaskEvent,
} from 'nestjs-task-queue';
import { Diary } from './tasks.js';
import { type Handle, until, useStage, type World } from './world.js';

class Down extends Error {
  override name = 'Down';
}

/** What tasks call. */
@Injectable()
class Resource {
  works = true;
  calls = 0;

  call(): string {
    this.calls += 1;
    if (this.works) return 'answered';
    throw new Down('nobody there');
  }
}

/** Long: what is parked stays so, unless it is opened by hand for a shorter time. */
const SLOW = { for: [Down], threshold: 2, openFor: '1h' } as const;
const FAST = {
  for: [Down],
  threshold: 2,
  openFor: 100,
  probes: '50/s',
  closeAfter: 2,
  release: '100/s',
} as const;

@Injectable()
class GuardedTasks {
  readonly events: string[] = [];

  constructor(
    private readonly diary: Diary,
    private readonly resource: Resource,
  ) {}

  @Task({ name: 'calls' })
  @Breaker('slow', SLOW)
  calls(label: string): string {
    this.diary.write(label);
    return this.resource.call();
  }

  @Task({ name: 'callsToo' })
  @Breaker('slow', SLOW)
  callsToo(error: string): void {
    this.diary.write(`too ${error}`);
    throw error === 'down' ? new Down('nobody there') : new TypeError('a mistake of its own');
  }

  @Task({ name: 'insists' })
  @Breaker('fast', FAST)
  @Retry({ for: [Down], maxRetries: 1_000, backoff: { type: 'fixed', delay: 2 } })
  insists(task: TaskContext): object {
    return { answer: this.resource.call(), attempt: task.attempt, retries: task.retries };
  }

  @Task({ name: 'limitedToo', rateLimit: { limit: 1, per: '1h' } })
  @Breaker('fast', FAST)
  limitedToo(): string {
    this.diary.write('limited');
    return this.resource.call();
  }

  @OnTaskEvent('breaker.opened', 'breaker.half-open', 'breaker.closed')
  changed(event: TaskEvent): void {
    this.events.push(`${event.name} ${event.type.replace('breaker.', '')}`);
  }

  @OnTaskEvent('breaker.opened')
  opened({ why, until: time }: BreakerOpenedEvent): void {
    this.events.push(`why: ${why}${time === undefined ? ', for good' : ''}`);
  }
}

/** What a breaker does to tasks. */
export function breakerCases(world: World): void {
  describe('a breaker', () => {
    const it_ = useStage(world, {}, [Resource, GuardedTasks]);
    const stage = () => it_.stage;
    const breakers = () => stage().workflows.breakers;
    const resource = () => stage().app.get(Resource);
    const events = () => stage().app.get(GuardedTasks).events;
    const publish = (...[task, ...args]: Parameters<typeof it_.stage.call>) =>
      stage().publish(stage().call(task, ...args));
    /** It was taken by a worker, and waits again. */
    const parked = (handle: Handle) =>
      until(async () => {
        const { state, startedAt } = await handle.describe();
        return state === 'PENDING' && startedAt !== undefined;
      }, 'it is parked');

    it('opens for all tasks that name it, and parks them without an attempt', async () => {
      resource().works = false;
      await stage().run(stage().call('calls', 'first'));
      expect(await breakers().get('slow')).toMatchObject({ state: 'closed' });
      await stage().run(stage().call('callsToo', 'down'));
      expect(await breakers().get('slow')).toMatchObject({ state: 'open', why: '2 of 2 calls failed' });
      await until(() => events().length === 2, 'it was told');
      expect(events()).toEqual(['slow opened', 'why: 2 of 2 calls failed']);
      const [one, other] = [await publish('calls', 'one'), await publish('callsToo', 'down')];
      await parked(one);
      await parked(other);
      expect(await one.describe()).toMatchObject({ state: 'PENDING', retries: 0 });
      expect(stage().diary.entries).toEqual(['first', 'too down']);
    });

    it('counts only what is declared as a failure of its resource', async () => {
      for (let n = 0; n < 6; n++) await stage().run(stage().call('callsToo', 'mistake'));
      expect(await breakers().get('slow')).toEqual({ name: 'slow', state: 'closed' });
      // One of seven is no half of them, nor are two of eight.
      await stage().run(stage().call('callsToo', 'down'));
      await stage().run(stage().call('callsToo', 'down'));
      expect(await breakers().get('slow')).toMatchObject({ state: 'closed' });
    });

    it('probes, closes, and has everything run that was parked', async () => {
      resource().works = false;
      const handles = await Promise.all(Array.from({ length: 12 }, () => publish('insists')));
      await until(
        () => events().filter((event) => event === 'fast half-open').length >= 2,
        'it has probed twice',
      );
      resource().works = true;
      const failed = resource().calls;
      const ends = (await Promise.all(handles.map((handle) => handle.get()))) as {
        attempt: number;
        retries: number;
      }[];
      // Who was parked has spent nothing: attempts are calls.
      expect(ends.every(({ attempt, retries }) => attempt === retries + 1)).toBe(true);
      expect(ends.reduce((sum, { attempt }) => sum + attempt, 0)).toBe(resource().calls);
      expect(failed).toBeGreaterThanOrEqual(2);
      await until(() => events().at(-1) === 'fast closed', 'it has closed');
      expect(await breakers().get('fast')).toMatchObject({ state: 'closed' });
      // Every step is one that there is.
      const steps = events().filter((event) => event.startsWith('fast'));
      const legal = new Map([
        ['fast closed', ['fast opened']],
        ['fast opened', ['fast half-open']],
        ['fast half-open', ['fast opened', 'fast closed']],
      ]);
      ['fast closed', ...steps].reduce((before, step) => {
        expect(legal.get(before)).toContain(step);
        return step;
      });
    });

    it('is opened and closed by hand', async () => {
      await breakers().trip('fast', { why: 'maintenance' });
      const handle = await publish('insists');
      await parked(handle);
      expect(resource().calls).toBe(0);
      expect(await breakers().list()).toEqual([
        expect.objectContaining({ name: 'fast', state: 'open', why: 'maintenance' }),
        { name: 'slow', state: 'closed' },
      ]);
      expect(await breakers().reset('fast')).toBe(true);
      expect(await handle.get()).toEqual({ answer: 'answered', attempt: 1, retries: 0 });
      expect(await breakers().reset('fast')).toBe(false);
      await until(() => events().length === 3, 'both were told');
      expect(events()).toEqual(['fast opened', 'why: maintenance, for good', 'fast closed']);
    });

    it('opened for a time, it lets tasks probe after it', async () => {
      await breakers().trip('slow', { for: 50 });
      expect(await (await publish('calls', 'probe')).get()).toBe('answered');
      expect(await breakers().get('slow')).toMatchObject({ state: 'half-open' });
    });

    it('refuses names and times that are none', async () => {
      await expect(breakers().get('')).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
      await expect(breakers().trip('a b')).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
      await expect(breakers().trip('x', { for: 'soon' })).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
      await expect(breakers().trip('x', { why: 'x'.repeat(201) })).rejects.toMatchObject({
        code: 'INVALID_OPTIONS',
      });
    });

    it('who waits for it can be revoked, and expires', async () => {
      await breakers().trip('slow');
      const one = await publish('calls', 'one');
      await parked(one);
      expect(await one.revoke()).toBe(true);
      await expect(one.get()).rejects.toMatchObject({ code: 'TASK_REVOKED' });
      await breakers().trip('fast');
      const late = await stage().publish(stage().call('insists'), { expires: 50 });
      await expect(late.get()).rejects.toMatchObject({ code: 'TASK_EXPIRED' });
    });

    it('who is parked takes no start of a rate limit', async () => {
      await breakers().trip('fast');
      const handle = await publish('limitedToo');
      await parked(handle);
      await breakers().reset('fast');
      expect(await handle.get()).toBe('answered');
      expect(stage().diary.entries).toEqual(['limited']);
    });
  });
}
