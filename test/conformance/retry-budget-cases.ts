import { Injectable } from '@nestjs/common';
import { Retry, RetryBudgetExceededError, type RetryOptions, Task, TaskContext } from 'nestjs-task-queue';
import { Diary } from './tasks.js';
import { until, useStage, type World } from './world.js';

class Busy extends Error {
  override name = 'Busy';
}

const POLICY = {
  for: [Busy],
  maxRetries: 3,
  backoff: { type: 'fixed', delay: 1 },
} as const satisfies RetryOptions;

@Injectable()
class BudgetedTasks {
  constructor(private readonly diary: Diary) {}

  @Task({ name: 'floored' })
  @Retry({ ...POLICY, budget: { name: 'api', share: 0, floor: 4, per: '1h' } })
  floored(failures: number, task: TaskContext): number {
    return this.#work('floored', failures, task);
  }

  @Task({ name: 'flooredToo', queue: 'narrow' })
  @Retry({ ...POLICY, budget: { name: 'api', share: 0, floor: 4, per: '1h' } })
  flooredToo(failures: number, task: TaskContext): number {
    return this.#work('floored too', failures, task);
  }

  @Task({ name: 'shared' })
  @Retry({ ...POLICY, budget: { share: 0.5, floor: 0, per: '1h' } })
  shared(failures: number, task: TaskContext): number {
    return this.#work('shared', failures, task);
  }

  @Task({ name: 'patient' })
  @Retry({ ...POLICY, budget: { name: 'patient', share: 0, floor: 1, per: '2s', over: 'wait' } })
  patient(failures: number, task: TaskContext): number {
    return this.#work('patient', failures, task);
  }

  @Task({ name: 'bounded' })
  @Retry({
    ...POLICY,
    maxElapsed: '5m',
    budget: { name: 'bounded', share: 0, floor: 1, per: '30d', over: 'wait' },
  })
  bounded(failures: number, task: TaskContext): number {
    return this.#work('bounded', failures, task);
  }

  #work(what: string, failures: number, { retries, attempt }: TaskContext): number {
    this.diary.write(`${what} ${attempt}/${retries}`);
    if (retries < failures) throw new Busy('not now');
    return retries;
  }
}

/** What a retry budget does to tasks. */
export function retryBudgetCases(world: World): void {
  describe('a retry budget', () => {
    const it_ = useStage(world, {}, [BudgetedTasks]);
    const run = (...args: Parameters<typeof it_.stage.call>) => it_.stage.run(it_.stage.call(...args));
    const publish = (...args: Parameters<typeof it_.stage.call>) =>
      it_.stage.publish(it_.stage.call(...args));

    it('fails what is over it, with the error that asked for the retry; others of its name share it', async () => {
      expect(await (await run('floored', 1)).get()).toBe(1);
      expect(await (await run('flooredToo', 2)).get()).toBe(2);
      const over = await run('floored', 2);
      const error = await over.get().then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(RetryBudgetExceededError);
      expect(error).toMatchObject({
        code: 'RETRY_BUDGET_EXCEEDED',
        cause: { name: 'Busy', message: 'not now' },
      });
      // One retry was left for it.
      expect(it_.stage.diary.entries.slice(-2)).toEqual(['floored 1/0', 'floored 2/1']);
      await expect((await run('flooredToo', 1)).get()).rejects.toMatchObject({
        code: 'RETRY_BUDGET_EXCEEDED',
      });
      // First attempts are as ever.
      expect(await (await run('floored', 0)).get()).toBe(0);
    });

    it('grows with first attempts', async () => {
      await expect((await run('shared', 1)).get()).rejects.toMatchObject({ code: 'RETRY_BUDGET_EXCEEDED' });
      expect(await (await run('shared', 1)).get()).toBe(1);
      await expect((await run('shared', 1)).get()).rejects.toMatchObject({ code: 'RETRY_BUDGET_EXCEEDED' });
      for (let n = 0; n < 3; n++) await run('shared', 0);
      expect(await (await run('shared', 2)).get()).toBe(2);
    });

    it('has tasks wait, where its policy says so, without spending an attempt', async () => {
      const handles = [await publish('patient', 1), await publish('patient', 1)];
      const { workflows, diary } = it_.stage;
      await until(async () => {
        const all = await Promise.all(handles.map(({ id }) => workflows.explain(id)));
        return all.some(({ obstacles }) => obstacles.some(({ kind }) => kind === 'over-retry-budget'));
      }, 'one of them waits');
      expect(await Promise.all(handles.map((handle) => handle.get()))).toEqual([1, 1]);
      expect([...diary.entries].sort()).toEqual(['patient 1/0', 'patient 1/0', 'patient 2/1', 'patient 2/1']);
    });

    it('has nobody wait for longer than its policy allows', async () => {
      expect(await (await run('bounded', 1)).get()).toBe(1);
      await expect((await run('bounded', 1)).get()).rejects.toMatchObject({ code: 'RETRY_BUDGET_EXCEEDED' });
      expect(it_.stage.diary.entries.slice(2)).toEqual(['bounded 1/0']);
    });
  });
}
