import { Injectable } from '@nestjs/common';
import {
  type AttemptError,
  type ErrorDecision,
  OnDeadLetter,
  OnError,
  OnRetry,
  Retry,
  Task,
  TaskContext,
} from 'nestjs-task-queue';
import { Diary } from './tasks.js';
import { useStage, type World } from './world.js';

class Refused extends Error {
  override name = 'Refused';
}
class Declined extends Error {
  override name = 'Declined';
}

/** What a hook is told to answer. */
type Answers = Readonly<Record<string, unknown>>;

@Injectable()
class DecidedTasks {
  constructor(private readonly diary: Diary) {}

  /** Throws as often as it is told to. */
  @Task({ name: 'decided', expected: [Declined] })
  @Retry({ for: [Refused], maxRetries: 1, backoff: { type: 'fixed', delay: 3 } })
  decided(error: string, times: number, _answers: Answers, task: TaskContext): string {
    this.diary.write(`attempt ${task.attempt}/${task.retries}`);
    if (task.retries >= times) return 'in the end';
    if (error === 'request') task.retry({ countdown: 1, maxRetries: 1 });
    throw error === 'declined'
      ? new Declined('no')
      : error === 'refused'
        ? new Refused('no')
        : new TypeError('no');
  }

  @OnError('decided')
  async first({ error, decision, request, retries }: AttemptError): Promise<ErrorDecision | void> {
    const { first } = request.args[2] as Answers;
    const told = decision.do === 'retry' ? `retry ${String(decision.after)}` : decision.do;
    this.diary.write(`first ${(error as Error).name} ${told} ${request.attempt}/${retries}`);
    if (first === 'throw') throw new Error('no idea');
    return first as ErrorDecision;
  }

  @OnError('decided')
  second({ error, decision, request }: AttemptError): ErrorDecision | void {
    this.diary.write(`second ${(error as Error).name} ${decision.do}`);
    const { second } = request.args[2] as Answers;
    if (second === 'replace the error') return { do: 'fail', error: new RangeError('in other words') };
    return second as ErrorDecision;
  }

  @OnRetry('decided')
  again(): void {
    this.diary.write('again');
  }

  @OnDeadLetter('decided')
  @Task({ name: 'letter' })
  letter(): void {
    this.diary.write('letter');
  }
}

/** Somewhere else in the application. */
@Injectable()
class Watcher {
  constructor(private readonly diary: Diary) {}

  @OnError('*')
  any({ request, decision }: AttemptError): void {
    if (request.name === 'fail') this.diary.write(`of any task: ${request.name} ${decision.do}`);
  }
}

/** What hooks make of errors. */
export function errorHookCases(world: World): void {
  describe('a hook that is asked about an error', () => {
    const it_ = useStage(world, {}, [DecidedTasks, Watcher]);
    const decided = (error: string, times: number, answers: object = {}) =>
      it_.stage.run(it_.stage.call('decided', error, times, answers as never));
    const written = () => it_.stage.diary.entries;

    it('hears what is going to happen, and changes nothing by silence', async () => {
      const handle = await decided('refused', 2);
      await expect(handle.get()).rejects.toMatchObject({ name: 'Refused' });
      expect(written()).toEqual([
        'attempt 1/0',
        'first Refused retry 3 1/0',
        'second Refused retry',
        'again',
        'attempt 2/1',
        'first Refused fail 2/1',
        'second Refused fail',
        'letter',
      ]);
    });

    it('has a task tried again that would fail, as often as it says', async () => {
      const handle = await decided('type', 3, { first: { do: 'retry', after: 1 } });
      expect(await handle.get()).toBe('in the end');
      expect(written().filter((line) => !line.startsWith('second'))).toEqual([
        'attempt 1/0',
        'first TypeError fail 1/0',
        'again',
        'attempt 2/1',
        'first TypeError fail 2/1',
        'again',
        'attempt 3/2',
        'first TypeError fail 3/2',
        'again',
        'attempt 4/3',
      ]);
    });

    it('has a task fail that would be tried again, with another error', async () => {
      const handle = await decided('refused', 9, { second: 'replace the error' });
      await expect(handle.get()).rejects.toMatchObject({ name: 'RangeError', message: 'in other words' });
      expect(written()).toEqual([
        'attempt 1/0',
        'first Refused retry 3 1/0',
        'second Refused retry',
        'letter',
      ]);
    });

    it('declares an error expected, or an expected one not', async () => {
      const handle = await decided('type', 9, { first: { do: 'fail-as-expected' } });
      await expect(handle.get()).rejects.toMatchObject({ name: 'TypeError' });
      expect(written()).toEqual([
        'attempt 1/0',
        'first TypeError fail 1/0',
        'second TypeError fail-as-expected',
      ]);
      await decided('declined', 9, { first: { do: 'fail' } });
      expect(written().slice(3)).toEqual([
        'attempt 1/0',
        'first Declined fail-as-expected 1/0',
        'second Declined fail',
        'letter',
      ]);
    });

    it('ends a task well that threw', async () => {
      const handle = await decided('type', 9, { first: { do: 'ignore', value: [1] } });
      expect(await handle.get()).toEqual([1]);
      expect(written()).toEqual(['attempt 1/0', 'first TypeError fail 1/0', 'second TypeError ignore']);
    });

    it('leaves the decision as it was when it throws, or answers what cannot be read', async () => {
      const handle = await decided('type', 9, { first: 'throw', second: { do: 'explode' } });
      await expect(handle.get()).rejects.toMatchObject({ name: 'TypeError' });
      expect(written()).toEqual([
        'attempt 1/0',
        'first TypeError fail 1/0',
        'second TypeError fail',
        'letter',
      ]);
    });

    it('is not asked about what the task asks for itself', async () => {
      expect(await (await decided('request', 1)).get()).toBe('in the end');
      expect(written()).toEqual(['attempt 1/0', 'again', 'attempt 2/1']);
    });

    it('hears of every task of the application where it names *', async () => {
      await it_.stage.run(it_.stage.call('fail'));
      expect(written()).toEqual(['fail', 'of any task: fail fail']);
    });
  });
}
