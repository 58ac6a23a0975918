import { Injectable } from '@nestjs/common';
import {
  type DeadLetter,
  type DeadLetterSummary,
  type JsonValue,
  NonRetryableError,
  OnDeadLetter,
  RejectTask,
  Retry,
  Task,
  TaskContext,
} from 'nestjs-task-queue';
import { Diary } from './tasks.js';
import { type Handle, until, useStage, type World } from './world.js';

class Declined extends Error {
  override name = 'Declined';
}
class Gateway extends Error {
  override name = 'Gateway';
}

@Injectable()
class MortalTasks {
  /** Mended by a test. */
  static healthy = false;

  constructor(private readonly diary: Diary) {}

  @Task({ name: 'mortal', priority: 3 })
  @Retry({ for: [Gateway], maxRetries: 2, backoff: { type: 'fixed', delay: 1 } })
  mortal(how: string, task: TaskContext): JsonValue {
    this.diary.write(`mortal ${how} ${task.attempt}`);
    if (MortalTasks.healthy) return { ran: how, headers: task.headers };
    if (how === 'reject') throw new RejectTask('nobody wants it');
    if (how === 'never') throw new NonRetryableError('not again');
    throw new Gateway(`attempt ${task.attempt}`, { cause: new TypeError('no socket') });
  }

  @Task({ name: 'business', expected: [Declined] })
  @Retry({ maxRetries: 5, backoff: { type: 'fixed', delay: 1 } })
  business(how: string): never {
    this.diary.write(`business ${how}`);
    if (how === 'declined') throw new Declined('no money');
    throw new NonRetryableError('broken');
  }

  @Task({ name: 'mortalItem' })
  mortalItem(item: string): string {
    this.diary.write(`item ${item}`);
    if (item === 'bad' && !MortalTasks.healthy) throw new Gateway('bad item');
    return item.toUpperCase();
  }
}

/** What the second example of a dead letter queue in Celery's world does: a task of its own, in a queue of its own. */
@Injectable()
class Undertaker {
  readonly letters: DeadLetter[] = [];
  readonly business: string[] = [];

  @Task({ name: 'bury', queue: 'narrow' })
  @OnDeadLetter()
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 1 } })
  bury(letter: DeadLetter, task: TaskContext): string {
    if (task.retries === 0) throw new Gateway('the graveyard is closed for a moment');
    this.letters.push(letter);
    if (letter.failure.request.args[0] === 'bury me twice') throw new Error('no');
    return letter.id;
  }

  @Task({ name: 'bill', queue: 'narrow' })
  @OnDeadLetter('business', 'mortalItem')
  bill(letter: DeadLetter): void {
    this.business.push(letter.failure.request.name);
  }
}

/** What becomes of final failures that nobody expected. */
export function deadLetterCases(world: World): void {
  describe('dead letters', () => {
    const it_ = useStage(world, { queues: { narrow: { concurrency: 1 } } }, [MortalTasks]);
    const stage = () => it_.stage;
    const letters = () => stage().workflows.deadLetters;
    const run = (task: string, ...args: JsonValue[]): Promise<Handle> =>
      stage().run(stage().call(task, ...args));
    const listed = async (filter: object = {}): Promise<string[]> =>
      (await letters().list(filter)).letters.map(({ id }) => id);
    /** Letters stand by the millisecond in which their tasks failed; those of one millisecond in no order of time. */
    const runApart = async (task: string, ...args: JsonValue[]): Promise<Handle> => {
      const handle = await run(task, ...args);
      const failedAt = Date.now();
      await until(() => Date.now() > failedAt, 'the next millisecond');
      return handle;
    };
    beforeEach(() => (MortalTasks.healthy = false));

    it('hold the call, the error with its cause, every attempt, and the place', async () => {
      const handle = await stage().run(stage().call('mortal', 'x'), { headers: { tenant: 7 } });
      const letter = await letters().get(handle.id);
      expect(letter).toEqual({
        id: handle.id,
        failure: await handle.failure(),
        attempts: [1, 2, 3].map((attempt) => ({
          attempt,
          at: expect.any(String),
          worker: expect.stringMatching(new RegExp(`:${process.pid}$`)),
          error: { name: 'Gateway', message: `attempt ${attempt}` },
        })),
        payload: { v: 1, args: ['x'], headers: { tenant: 7 } },
      });
      expect(letter?.failure).toMatchObject({
        request: {
          name: 'mortal',
          args: ['x'],
          queue: 'default',
          attempt: 3,
          position: '',
          headers: { tenant: 7 },
        },
        error: { name: 'Gateway', cause: { name: 'TypeError', message: 'no socket' } },
      });
    });

    it('of members know their canvas and what the step before gave them', async () => {
      const { workflows } = stage();
      const chain = workflows.chain(
        stage().call('echo', 'from before') as never,
        workflows.group([stage().call('echo') as never, stage().call('mortal') as never]) as never,
      ) as unknown as object;
      const handle = await stage().run(chain);
      const [id = ''] = await listed();
      const letter = await letters().get(id);
      expect(id.startsWith(`${handle.id}.`)).toBe(true);
      expect(letter?.failure.request).toMatchObject({ workflowId: handle.id, args: ['from before'] });
      expect(letter?.payload).toEqual({ v: 1, args: ['from before'] });
      expect(await listed()).toHaveLength(1);
    });

    it.each([
      ['a value', 'echo', ['x']],
      ['an error that the task expects', 'business', ['declined']],
    ])('are not made of %s', async (_what, task, args) => {
      await run(task, ...args);
      expect(await listed()).toEqual([]);
      expect(stage().diary.count('business declined')).toBeLessThanOrEqual(1);
    });

    it('are not made of what somebody asked for: an expiry, a revocation', async () => {
      await stage().run(stage().call('mortal', 'late'), { countdown: 30, expires: 1 });
      const delayed = await stage().publish(stage().call('mortal', 'revoked'), { countdown: '1h' });
      await delayed.revoke();
      await stage().app.quiet();
      expect(await listed()).toEqual([]);
    });

    it.each([
      ['a rejection', 'mortal', ['reject'], 'NON_RETRYABLE'],
      ['a NonRetryableError', 'mortal', ['never'], 'NON_RETRYABLE'],
      ['an error beside those that it expects', 'business', ['other'], 'NON_RETRYABLE'],
      ['a result that is no JSON', 'bigint', [], 'UNSERIALIZABLE_RESULT'],
    ])('are made of %s', async (_what, task, args, code) => {
      const handle = await run(task, ...args);
      expect((await letters().list()).letters).toMatchObject([{ id: handle.id, task, error: { code } }]);
    });

    it('are made of a task that nobody knows, which runs when somebody does', async () => {
      const handle = await stage().run(stage().call('nobody', 1, 2), { queue: 'default' });
      expect(await letters().get(handle.id)).toMatchObject({
        failure: { error: { code: 'UNKNOWN_TASK' }, request: { name: 'nobody', queue: 'default' } },
        payload: { v: 1, args: [1, 2] },
      });
    });

    describe('retried', () => {
      it('their tasks run again, by themselves, with what they had', async () => {
        const member = stage().call('mortal', 'x') as unknown as { set(options: object): object };
        const group = stage().workflows.group([member.set({ headers: { tenant: 7 } }) as never]);
        await stage().run(group);
        const [id = ''] = await listed();
        MortalTasks.healthy = true;
        const handle = await letters().retry(id);
        expect(handle.id).toBe(`${id}.redrive.0`);
        expect(await handle.get()).toEqual({ ran: 'x', headers: { tenant: 7 } });
        expect(await listed()).toEqual([]);
        expect(await listed({ retried: true })).toEqual([id]);
        expect(await letters().get(id)).toMatchObject({ retriedAs: handle.id });
      });

      it('a second time: the same run', async () => {
        const { id } = await run('mortal', 'x');
        MortalTasks.healthy = true;
        const handles = await Promise.all([letters().retry(id), letters().retry(id), letters().retry(id)]);
        handles.push(await letters().retry(id));
        await stage().app.quiet();
        expect(new Set(handles.map((handle) => handle.id)).size).toBe(1);
        expect(stage().diary.entries.filter((entry) => entry === 'mortal x 1')).toHaveLength(2);
      });

      it('with other arguments, and into another letter when that fails', async () => {
        const { id } = await run('mortal', 'x');
        const again = await letters().retry(id, { args: ['never'] });
        await again.get({ propagate: false });
        expect(await listed()).toEqual([again.id]);
        MortalTasks.healthy = true;
        const third = await letters().retry(again.id, { args: ['y'] });
        expect(third.id).toBe(`${id}.redrive.1`);
        expect(await third.get()).toMatchObject({ ran: 'y' });
      });

      it('a map goes on with the item that failed', async () => {
        const data = {
          kind: 'task' as const,
          task: 'mortalItem',
          args: [['a', 'bad', 'c']],
          each: 'map' as const,
        };
        const { id } = await stage().run(stage().workflows.fromData(data));
        MortalTasks.healthy = true;
        expect(await (await letters().retry(id)).get()).toEqual(['A', 'BAD', 'C']);
        expect(stage().diary.count('item a')).toBe(1);
      });

      it('many, so many in a second', async () => {
        const ids: string[] = [];
        for (const how of ['a', 'b', 'c', 'd']) ids.push((await run('mortal', how)).id);
        const other = await run('business', 'other');
        MortalTasks.healthy = true;
        const { retried, refused } = await letters().retryAll({ task: 'mortal' }, { perSecond: 25 });
        expect([...retried.keys()].sort()).toEqual([...ids].sort());
        expect(refused.size).toBe(0);
        await stage().app.quiet();
        const begun = await Promise.all(
          [...retried.values()].map(async (id) => {
            const { publishedAt = '', startedAt = '' } = await stage().workflows.result(id).describe();
            return Date.parse(startedAt) - Date.parse(publishedAt);
          }),
        );
        begun.forEach((waitedMs, at) => expect(waitedMs).toBeGreaterThanOrEqual(at * 40 - 1));
        expect(await listed()).toEqual([other.id]);
      });

      it('with arguments that a call could not have: they are refused, and the letter stays open', async () => {
        await it_.start({ limits: { argumentBytes: 1_000 } });
        const { id } = await run('mortal', 'x');
        const data = { kind: 'task' as const, task: 'mortalItem', args: [['bad']], each: 'map' as const };
        const map = await stage().run(stage().workflows.fromData(data));
        await expect(letters().retry(id, { args: ['x'.repeat(2_000)] })).rejects.toMatchObject({
          code: 'ARGUMENT_TOO_LARGE',
          path: 'args[0]',
        });
        await expect(letters().retry(map.id, { args: ['no list'] })).rejects.toMatchObject({
          code: 'INVALID_CANVAS',
        });
        expect((await listed()).sort()).toEqual([id, map.id].sort());
      });

      it('one that is not there', async () => {
        await expect(letters().retry('0~nothing')).rejects.toMatchObject({ code: 'DEAD_LETTER_UNKNOWN' });
        const { id } = await run('mortal', 'x');
        await expect(letters().retry(id, { args: [1n] })).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
        expect(await listed()).toEqual([id]);
      });
    });

    describe('looked at', () => {
      it('page by page, the newest first, by task, queue, error and time', async () => {
        const made: string[] = [];
        for (let at = 0; at < 7; at++) made.push((await runApart('mortal', at % 2 ? 'never' : 'x')).id);
        const narrow = await stage().run(stage().call('business', 'other'), { queue: 'narrow' });
        const newest = [narrow.id, ...made.toReversed()];
        expect(await listed()).toEqual(newest);
        const seen: DeadLetterSummary[] = [];
        for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
          const page = await letters().list({ limit: 3, ...(cursor === undefined ? {} : { cursor }) });
          expect(page.letters.length).toBeLessThanOrEqual(3);
          seen.push(...page.letters);
          cursor = page.cursor;
        }
        expect(seen.map(({ id }) => id)).toEqual(newest);
        expect(await letters().count()).toBe(8);

        expect(await listed({ task: 'business' })).toEqual([narrow.id]);
        expect(await listed({ queue: 'narrow' })).toEqual([narrow.id]);
        expect(await listed({ error: 'Gateway' })).toHaveLength(4);
        expect(await listed({ error: 'NON_RETRYABLE', task: 'mortal' })).toHaveLength(3);
        expect(await listed({ retried: 'both' })).toEqual(newest);
        const [first] = seen;
        expect(await listed({ from: new Date(first?.failedAt ?? '') })).toContain(narrow.id);
        expect(await listed({ until: first?.failedAt ?? '' })).not.toContain(narrow.id);
        expect(await listed({ until: 0 })).toEqual([]);
      });

      it.each([
        [{ limit: 0 }, /limit/],
        [{ cursor: 'x' }, /cursor/],
        [{ task: '' }, /task/],
        [{ tasks: 'x' }, /did you mean "task"/],
        [{ retried: 'maybe' }, /retried/],
        [{ from: 'soon' }, /from/],
      ])('a list of %j is refused', async (options, message) => {
        await expect(letters().list(options as never)).rejects.toThrow(message);
      });

      it('and thrown away: one, those of a task, all', async () => {
        const one = await run('mortal', 'x');
        const two = await run('mortal', 'x');
        const other = await run('business', 'other');
        expect([await letters().discard(one.id), await letters().discard(one.id)]).toEqual([true, false]);
        expect(await letters().get(one.id)).toBeUndefined();
        expect(await letters().purge({ task: 'business' })).toBe(1);
        expect(await listed()).toEqual([two.id]);
        expect(await letters().purge()).toBe(1);
        expect([await letters().count(), await other.state()]).toEqual([0, 'FAILURE']);
      });
    });

    it('no more than are to be kept, the newest', async () => {
      await it_.start({ deadLetters: { maxCount: 3 } });
      const ids: string[] = [];
      for (let at = 0; at < 6; at++) ids.push((await runApart('mortal', 'never')).id);
      expect(await listed()).toEqual(ids.slice(3).toReversed());
      expect(await letters().count()).toBe(3);
    });

    it('none, where none are to be kept', async () => {
      await it_.start({ deadLetters: { maxCount: 0 } });
      await run('mortal', 'x');
      expect(await letters().count()).toBe(0);
    });
  });

  describe('a handler of dead letters', () => {
    const it_ = useStage(world, { queues: { narrow: { concurrency: 1 } } }, [MortalTasks, Undertaker]);
    const stage = () => it_.stage;
    const undertaker = () => stage().app.get(Undertaker);
    const buried = (count: number): Promise<void> =>
      until(() => undertaker().letters.length >= count, `${count} letters are buried`);
    beforeEach(() => (MortalTasks.healthy = false));

    it('gets each letter once, as a task that is retried and has a result', async () => {
      const handle = await stage().run(stage().call('mortal', 'x'));
      await buried(1);
      await stage().app.quiet();
      expect(undertaker().letters).toEqual([await stage().workflows.deadLetters.get(handle.id)]);
      expect(await stage().workflows.result(`${handle.id}.letter.0`).get()).toBe(handle.id);
    });

    it('gets letters of tasks that nobody knows; one with names gets those of its tasks', async () => {
      await stage().run(stage().call('nobody'), { queue: 'default' });
      await stage().run(stage().call('business', 'other'));
      await stage().run(stage().call('business', 'declined'));
      await buried(2);
      await until(() => undertaker().business.length >= 1, 'the letter of the business');
      await stage().app.quiet();
      expect(
        undertaker()
          .letters.map(({ failure }) => failure.request.name)
          .sort(),
      ).toEqual(['business', 'nobody']);
      expect(undertaker().business).toEqual(['business']);
    });

    it('that fails itself makes a letter, and calls no handler', async () => {
      const { id } = await stage().run(stage().call('mortal', 'bury me twice'));
      await buried(1);
      await stage().app.quiet();
      const { letters } = await stage().workflows.deadLetters.list();
      expect(letters.map((letter) => [letter.task, letter.id])).toEqual([
        ['bury', `${id}.letter.0`],
        ['mortal', id],
      ]);
      expect(undertaker().letters).toHaveLength(1);
    });
  });
}
