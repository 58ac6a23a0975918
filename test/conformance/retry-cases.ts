import { Injectable, NotFoundException } from '@nestjs/common';
import {
  currentTask,
  isControlFlow,
  type JsonValue,
  MaxRetriesExceededError,
  OnFailure,
  OnRetry,
  Retry,
  RetryPresets,
  RetryTask,
  Task,
  TaskContext,
  type TaskFailure,
  type TaskRetry,
} from 'nestjs-task-queue';
import { Diary } from './tasks.js';
import { type Handle, useStage, type World } from './world.js';

class Temporary extends Error {
  override name = 'Temporary';
}

/** Tasks that ask for attempts by themselves, as they are written for Celery. */
@Injectable()
class AskingTasks {
  constructor(private readonly diary: Diary) {}

  /** Acquire, work, clean up after the final failure only, release in every case. */
  @Task({ name: 'cleansUp' })
  @Retry({ for: [], maxRetries: 3, backoff: { type: 'fixed', delay: 1 } })
  cleansUp(resource: string, failures: number, task: TaskContext): string {
    this.diary.write(`acquire ${resource}`);
    try {
      if (task.retries < failures) throw new Temporary(`${resource} is busy`);
      return `worked with ${resource}`;
    } catch (error) {
      if (task.isLastAttempt) this.diary.write(`clean up ${resource}`);
      return task.retry({ error });
    } finally {
      this.diary.write(`release ${resource}`);
    }
  }

  /** The same under a policy: nobody asks, the error is thrown. */
  @Task({ name: 'cleansUpByPolicy' })
  @Retry({ for: [Temporary], maxRetries: 2, backoff: { type: 'fixed', delay: 1 } })
  cleansUpByPolicy(errors: string[], task: TaskContext): void {
    const name = errors[task.retries];
    const error = name === 'temporary' ? new Temporary('busy') : new TypeError('broken');
    this.diary.write(`${name} ${task.willRetry(error)} ${task.isLastAttempt}`);
    throw error;
  }

  /** 1, 2, 4 … of a unit, by the number of retries. */
  @Task({ name: 'backsOff' })
  @Retry({ for: [], maxRetries: 3 })
  backsOff(unitMs: number): never {
    const task = currentTask();
    throw task.retry({ error: new Temporary('again'), countdown: unitMs * 2 ** task.retries });
  }

  /** Takes what is left with it. */
  @Task({ name: 'withTheRest' })
  withTheRest(items: string[], done: number, task: TaskContext): JsonValue {
    this.diary.write(`${task.retries}: ${items.join('')} ${done}`);
    const [, ...rest] = items;
    if (rest.length > 0) task.retry({ args: [rest, done + 1], countdown: 1, maxRetries: 9 });
    return { done: done + 1, args: [...task.args], retries: task.retries };
  }

  @Task({ name: 'reviewed' })
  reviewed(how: string, task: TaskContext): string {
    try {
      return task.retry({
        countdown: 1,
        maxRetries: 1,
        ...(how === 'bare' ? {} : { error: new Temporary(how) }),
      });
    } catch (error) {
      if (isControlFlow(error)) throw error;
      if (!(error instanceof MaxRetriesExceededError)) throw error;
      this.diary.write(`review after ${task.retries}: ${String(error.cause)}`);
      if (how === 'caught') return 'for manual review';
      throw error;
    }
  }

  @Task({ name: 'impatient' })
  @Retry({ maxRetries: Infinity, maxElapsed: 120, backoff: { type: 'fixed', delay: 40 } })
  impatient(task: TaskContext): never {
    this.diary.write(`begins ${task.retries}`);
    throw new Temporary('still not');
  }

  /** As two of the presets say, only sooner. */
  @Task({ name: 'fetches' })
  @Retry({ ...RetryPresets.network, backoff: { type: 'fixed', delay: 1 } })
  @Retry(RetryPresets.notFound)
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 1 } })
  fetches(code: string | number): never {
    this.diary.write('fetches');
    if (code === 404) throw new NotFoundException();
    const failed = new Error('fetch failed', {
      cause: Object.assign(new Error('x'), { code, status: code }),
    });
    throw failed;
  }

  @Task({ name: 'itemwise' })
  itemwise(item: JsonValue, task: TaskContext): JsonValue {
    this.diary.write(`${task.item} ${JSON.stringify(item)}`);
    if (item === 'first try') task.retry({ args: ['second try'], countdown: 1 });
    return item;
  }

  @Task({ name: 'asksFor' })
  asksFor(what: string, task: TaskContext): JsonValue {
    if (task.retries > 0) return [task.retries, task.maxRetries, task.isLastAttempt, task.attempt];
    switch (what) {
      case 'both':
        return task.retry({ countdown: 1, eta: new Date() });
      case 'a time':
        return task.retry({ eta: new Date(Date.now() + 60) });
      case 'a countdown that is none':
        return task.retry({ countdown: 'soon' });
      case 'arguments that are no JSON':
        return task.retry({ args: [1n] });
      case 'arguments, thrown by hand':
        throw new RetryTask({ args: [1n] });
      case 'arguments that are too large':
        return task.retry({ args: [{ rows: 'x'.repeat(2_000) }] });
      case 'too large, thrown by hand':
        throw new RetryTask({ args: [{ rows: 'x'.repeat(2_000) }] });
      default:
        return task.retry({ countdown: 1 });
    }
  }

  @OnRetry()
  again({ failure, delayMs }: TaskRetry): void {
    this.diary.write(`retry in ${delayMs}: ${failure.error.message}`);
  }

  @OnFailure()
  failed({ request, error }: TaskFailure): void {
    this.diary.write(`failed after ${request.attempt}: ${error.name}`);
  }
}

/** Attempts that a task asks for itself: what Celery's `self.retry()` does. */
export function retryCases(world: World): void {
  describe('task.retry()', () => {
    const it_ = useStage(world, {}, [AskingTasks]);
    const stage = () => it_.stage;
    const run = (task: string, ...args: JsonValue[]): Promise<Handle> =>
      stage().run(stage().call(task, ...args));
    const entries = (): string[] => stage().diary.entries;

    it('cleans up after the final failure only, and releases in every case', async () => {
      const handle = await run('cleansUp', 'disk', 9);
      const round = ['acquire disk', 'release disk', 'retry in 1: disk is busy'];
      const last = ['acquire disk', 'clean up disk', 'release disk', 'failed after 4: Temporary'];
      expect(entries()).toEqual([...round, ...round, ...round, ...last]);
      await expect(handle.get()).rejects.toMatchObject({ name: 'Temporary', message: 'disk is busy' });
    });

    it('does not clean up where the last attempt succeeds', async () => {
      expect(await (await run('cleansUp', 'disk', 3)).get()).toBe('worked with disk');
      expect(entries().filter((entry) => entry.startsWith('clean up'))).toEqual([]);
      expect(entries().filter((entry) => entry === 'release disk')).toHaveLength(4);
    });

    it.each([
      ['used up', ['temporary', 'temporary', 'temporary'], ['true false', 'true false', 'false true']],
      ['not matched', ['temporary', 'other'], ['true false', 'false false']],
    ])('a policy tells beforehand what it will do: %s', async (_what, errors, foretold) => {
      await run('cleansUpByPolicy', errors);
      const told = entries().filter((entry) => /true|false/.test(entry));
      expect(told).toEqual(errors.map((error, at) => `${error} ${foretold[at]}`));
      expect(entries().at(-1)).toMatch(new RegExp(`^failed after ${errors.length}: `));
    });

    it('waits as the task says, by its retries so far', async () => {
      await run('backsOff', 2);
      expect(entries().filter((entry) => entry.startsWith('retry'))).toEqual(
        [2, 4, 8].map((delay) => `retry in ${delay}: again`),
      );
    });

    it('with other arguments: those of the next attempts, and of its failure', async () => {
      const handle = await run('withTheRest', ['a', 'b', 'c'], 0);
      expect(await handle.get()).toEqual({ done: 3, args: [['c'], 2], retries: 2 });
      expect(entries().filter((entry) => /^\d/.test(entry))).toEqual(['0: abc 0', '1: bc 1', '2: c 2']);
      const short = await stage().run(stage().call('withTheRest', ['a', 'b', 'c'], 0), { maxRetries: 0 });
      expect(await short.get()).toMatchObject({ retries: 2 });
    });

    it('with other arguments, in place of what the step before gave', async () => {
      const { workflows } = stage();
      const chain = workflows.chain(
        stage().call('echo', ['x', 'y']) as never,
        stage().call('withTheRest', 5) as never,
      ) as unknown as object;
      expect(await (await stage().run(chain)).get()).toEqual({ done: 7, args: [['y'], 6], retries: 1 });
    });

    it('with other arguments for the item of a map that asks', async () => {
      const map = stage().workflows.fromData({
        kind: 'task',
        task: 'itemwise',
        args: [[1, 'first try', 3]],
        each: 'map',
      });
      expect(await (await stage().run(map)).get()).toEqual([1, 'second try', 3]);
      expect(entries().filter((entry) => /^\d/.test(entry))).toEqual([
        '0 1',
        '1 "first try"',
        '1 "second try"',
        '2 3',
      ]);
    });

    it.each([
      ['caught', 'SUCCESS', 'Temporary: caught', undefined],
      ['let through', 'FAILURE', 'Temporary: let through', { name: 'Temporary' }],
      ['bare', 'FAILURE', 'undefined', { name: 'MaxRetriesExceededError', code: 'MAX_RETRIES_EXCEEDED' }],
    ])('once too often, and the handler may catch it: %s', async (how, state, cause, error) => {
      const handle = await run('reviewed', how);
      expect(await handle.state()).toBe(state);
      expect(entries()).toContain(`review after 1: ${cause}`);
      if (error) expect((await handle.failure())?.error).toMatchObject(error);
      else expect(await handle.get()).toBe('for manual review');
    });

    it('without anything: three times, as in Celery, and the task knows', async () => {
      expect(await (await run('asksFor', 'nothing special')).get()).toEqual([1, 3, false, 2]);
      const handle = await stage().run(stage().call('asksFor', 'nothing special'), { maxRetries: 1 });
      expect(await handle.get()).toEqual([1, 1, true, 2]);
    });

    it('at a point in time', async () => {
      const handle = await run('asksFor', 'a time');
      expect(await handle.get()).toEqual([1, 3, false, 2]);
      const waited = Number(/retry in (\d+)/.exec(entries()[0] ?? '')?.[1]);
      expect(waited).toBeGreaterThan(0);
      expect(waited).toBeLessThanOrEqual(60);
    });

    it('no attempt begins after the time that its policy allows for all of them', async () => {
      const handle = await run('impatient');
      await expect(handle.get()).rejects.toMatchObject({ name: 'Temporary' });
      const begun = entries().filter((entry) => entry.startsWith('begins')).length;
      expect(begun).toBeGreaterThanOrEqual(1);
      expect(begun).toBeLessThanOrEqual(4);
    });

    it.each([
      ['ECONNRESET', 7],
      [404, 1],
      ['anything else', 2],
    ])('presets stand beside a policy of one’s own: %s', async (code, runs) => {
      await run('fetches', code);
      expect(stage().diary.count('fetches')).toBe(runs);
    });

    it.each([
      ['both', /retry\.eta.*one of countdown and eta/],
      ['a countdown that is none', /retry\.countdown.*"soon"/],
      ['arguments that are no JSON', /retry\.args\[0\].*bigint/i],
      ['arguments, thrown by hand', /retry\.args\[0\].*bigint/i],
    ])('refuses %s, and nothing is retried', async (what, message) => {
      const failure = await (await run('asksFor', what)).failure();
      expect(failure).toMatchObject({ error: { code: 'INVALID_OPTIONS' }, request: { attempt: 1 } });
      expect(failure?.error.message).toMatch(message);
    });

    it.each(['arguments that are too large', 'too large, thrown by hand'])(
      'refuses %s: no more than a call may have',
      async (what) => {
        await it_.start({ limits: { argumentBytes: 1_000 } });
        const failure = await (await run('asksFor', what)).failure();
        expect(failure).toMatchObject({
          error: { code: 'ARGUMENT_TOO_LARGE', data: { path: 'retry.args[0].rows', limit: 1_000 } },
          request: { attempt: 1 },
        });
      },
    );
  });
}
