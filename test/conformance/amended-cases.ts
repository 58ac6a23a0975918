import { Injectable } from '@nestjs/common';
import {
  CallbackWithOutcomes,
  CallbackWithSuccesses,
  type ChordOptions,
  type JsonValue,
  Task,
  TaskContext,
  Tolerate,
} from 'nestjs-task-queue';
import { ledgerOf } from '../support/timer-stop.js';
import { Diary } from './tasks.js';
import { type Fluent, type Handle, until, useStage, type World } from './world.js';

@Injectable()
class HearingTasks {
  constructor(private readonly diary: Diary) {}

  /** A body or errback: notes what it is told and what it gets. */
  @Task({ name: 'hear' })
  hear(payload: JsonValue, label: string, task: TaskContext): JsonValue {
    const { generation = 0, changed = [] } = task.redriven ?? {};
    this.diary.write(`${label} g${generation} [${changed.join(' ')}]`);
    return payload;
  }

  /** A body that takes until a door is opened in the generation after the first. */
  @Task({ name: 'hearBehind' })
  async hearBehind(payload: JsonValue, label: string, task: TaskContext): Promise<JsonValue> {
    this.hear(payload, label, task);
    if (task.redriven?.generation === 1) await this.diary.pass(label, task.signal);
    return payload;
  }

  /** A body that fails in the first generation. */
  @Task({ name: 'hearBetter' })
  hearBetter(payload: JsonValue, label: string, task: TaskContext): JsonValue {
    this.hear(payload, label, task);
    if (task.redriven === undefined) throw new RangeError('not yet');
    return payload;
  }
}

/** Redrives of chords that late members amend, and what an amended chord says of itself. */
export function amendedCases(world: World): void {
  const it_ = useStage(world, {}, [HearingTasks]);
  const stage = () => it_.stage;
  const call = (...args: Parameters<typeof it_.stage.call>) => stage().call(...args);
  const diary = () => stage().diary;
  const heard = () => diary().entries.filter((entry) => / g\d/.test(entry));
  const OUTCOMES = { deadline: 150, recovery: CallbackWithOutcomes } as const;

  async function publish(members: unknown, options: object, body = call('hear', 'body')): Promise<Handle> {
    const chord = stage().workflows.chord(
      members as never,
      body as never,
      { ...options, late: 'amend' } as ChordOptions as never,
    );
    return stage().publish((chord as unknown as Fluent).linkError(call('hear', 'errback')));
  }

  async function amended(handle: Handle, generation = 1): Promise<void> {
    await until(
      async () => (await handle.describe()).generation === generation,
      `it is amended as generation ${generation}`,
    );
    await handle.get({ propagate: false });
    await stage().app.quiet();
  }

  const redrive = async (handle: Handle, options?: { after: number }) => {
    const { generation, begun, rerun } = await stage().workflows.redrive(handle.id, options);
    return { generation, begun, rerun };
  };
  const refusal = (handle: Handle) =>
    stage()
      .workflows.redrive(handle.id)
      .then(
        ({ generation }) => `generation ${generation}`,
        ({ reason }: { reason: string }) => reason,
      );

  describe('a redrive of a chord that is amended', () => {
    /** One of its members has failed, the other is late. */
    const members = () => [call('progress', 'a'), call('better', 1)];

    it('while it reads what failed runs that again as the generation after', async () => {
      const handle = await publish(members(), OUTCOMES);
      await handle.get();
      const ledger = ledgerOf(stage().app);
      const failedChildren = ledger.failedChildren.bind(ledger);
      jest.spyOn(ledger, 'failedChildren').mockImplementationOnce(async function* (node) {
        diary().open('a');
        await until(async () => (await handle.describe()).generation === 1, 'it is amended');
        yield* failedChildren(node);
      });
      expect(await redrive(handle)).toEqual({ generation: 2, begun: true, rerun: [`${handle.id}.1`] });
      expect(await handle.get()).toMatchObject([{ value: 'done' }, { value: 1 }]);
      await stage().app.quiet();
      expect(heard()).toEqual(['body g0 []', 'body g1 [0]', 'body g2 [1]']);
    });

    it('by two at once, after the generation before, runs what failed again once', async () => {
      const handle = await publish(members(), OUTCOMES);
      await handle.get();
      diary().open('a');
      await amended(handle);
      const both = await Promise.all([redrive(handle, { after: 0 }), redrive(handle, { after: 0 })]);
      expect(both.map(({ generation }) => generation)).toEqual([2, 2]);
      expect(both.filter(({ begun }) => begun)).toEqual([
        { generation: 2, begun: true, rerun: [`${handle.id}.1`] },
      ]);
      expect(await handle.get()).toMatchObject([{ value: 'done' }, { value: 1 }]);
      await stage().app.quiet();
      for (const after of [0, 1])
        expect(await redrive(handle, { after })).toEqual({ generation: 2, begun: false, rerun: [] });
      await expect(redrive(handle, { after: 2 })).rejects.toMatchObject({ reason: 'succeeded' });
      await expect(redrive(handle, { after: 3 })).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
      expect(heard()).toEqual(['body g0 []', 'body g1 [0]', 'body g2 [1]']);
      expect((await handle.describe()).history).toMatchObject([
        { generation: 0, rerun: 0, amended: true },
        { generation: 1, rerun: 1 },
      ]);
    });

    it('waits a moment for the end of what it asks to follow', async () => {
      const handle = await publish(members(), OUTCOMES, call('hearBehind', 'body'));
      await handle.get();
      diary().open('a');
      await until(() => heard().length === 2, 'its body runs');
      expect(await refusal(handle)).toBe('running');
      const asked = redrive(handle, { after: 0 });
      diary().open('body');
      expect(await asked).toEqual({ generation: 2, begun: true, rerun: [`${handle.id}.1`] });
      expect(await handle.get()).toMatchObject([{ value: 'done' }, { value: 1 }]);
      await stage().app.quiet();
      expect(heard()).toEqual(['body g0 []', 'body g1 [0]', 'body g2 [1]']);
    });

    it('is told of the one that has begun before the amendment', async () => {
      const handle = await publish(members(), OUTCOMES, call('hearBetter', 'body'));
      await expect(handle.get()).rejects.toThrow('not yet');
      const first = { generation: 1, begun: true, rerun: [`${handle.id}.body`] };
      expect(await redrive(handle, { after: 0 })).toEqual(first);
      await handle.get();
      diary().open('a');
      await amended(handle, 2);
      expect(await redrive(handle, { after: 0 })).toEqual({ ...first, begun: false, rerun: [] });
      const next = { generation: 3, begun: true, rerun: [`${handle.id}.1`] };
      expect(await redrive(handle, { after: 1 })).toEqual(next);
      await handle.get();
      for (const after of [1, 2])
        expect(await redrive(handle, { after })).toEqual({ ...next, begun: false, rerun: [] });
      expect(await redrive(handle, { after: 0 })).toEqual({ ...first, begun: false, rerun: [] });
      await stage().app.quiet();
      expect(heard()).toEqual(['body g0 []', 'errback g0 []', 'body g1 []', 'body g2 [0]', 'body g3 [1]']);
    });
  });

  describe('a header that was closed while it was read', () => {
    /** Goes on with its source when it is told to. */
    function source(members: readonly object[]): { readonly read: object; readonly goOn: () => void } {
      let goOn = (): void => undefined;
      const told = new Promise<void>((resolve) => (goOn = resolve));
      async function* read() {
        yield* members;
        await told;
        yield call('echo', 'too late');
      }
      return { read: read(), goOn: () => goOn() };
    }

    const lateFailure = () => stage().workflows.chain(...([call('progress', 'a'), call('better')] as never));

    it('is a part also when it has been amended, and not redriven', async () => {
      const { read, goOn } = source([call('echo', 1), lateFailure()]);
      const handle = await publish(read, OUTCOMES);
      await handle.get();
      expect(await handle.describe()).toMatchObject({
        dispatch: { state: 'open', dispatched: 2 },
        recovered: { failed: 0, size: 2, pending: 1 },
      });
      diary().open('a');
      await amended(handle);
      goOn();
      const { dispatch, recovered, counts } = await handle.describe();
      expect({ dispatch, recovered, counts }).toEqual({
        dispatch: { state: 'open', dispatched: 2 },
        recovered: { strategy: 'CallbackWithOutcomes', failed: 1, size: 2 },
        counts: { size: 2, succeeded: 1, failed: 1, pending: 0 },
      });
      expect(await stage().workflows.result(handle.id).sealed()).toBe(2);
      expect(await refusal(handle)).toBe('incomplete');
      await stage().app.quiet();
      expect(heard()).toEqual(['body g0 []', 'body g1 [1]']);
      expect((await handle.describe()).generation).toBe(1);
    });

    it('is told from one that succeeded as a whole', async () => {
      const { read, goOn } = source([call('echo', 1), call('progress', 'a')]);
      const handle = await publish(read, { deadline: 150 });
      await handle.get();
      diary().open('a');
      await amended(handle);
      goOn();
      expect(await handle.get()).toEqual([1, 'done']);
      expect(await handle.describe()).toMatchObject({
        dispatch: { state: 'open', dispatched: 2 },
        recovered: { strategy: 'deadline', failed: 0, size: 2 },
      });
      expect(await refusal(handle)).toBe('incomplete');
      await stage().app.quiet();
      expect(heard()).toEqual(['body g0 []', 'body g1 [1]']);
    });

    it.each<[what: string, options: object, ends: string[]]>([
      ['a late failure', { deadline: 150 }, ['body g0 []', 'errback g1 [1]']],
      [
        'a breach that lets the body run',
        { recovery: Tolerate({ count: 0, onBreach: 'callback', rest: 'leave' }) },
        ['body g0 []', 'body g1 [1]'],
      ],
      [
        'what it needs and has not got',
        { deadline: 150, recovery: Tolerate({ minSuccesses: 1, rest: 'leave' }) },
        ['errback g0 []', 'errback g1 [1]'],
      ],
    ])('is judged anew for %s', async (_, options, ends) => {
      const first = 'recovery' in options ? call('fail') : call('echo', 1);
      const { read, goOn } = source([first, lateFailure()]);
      const handle = await publish(read, options);
      await handle.get({ propagate: false });
      diary().open('a');
      await amended(handle);
      goOn();
      await stage().app.quiet();
      expect(heard()).toEqual(ends);
      expect(await refusal(handle)).toBe('incomplete');
    });

    it('has its body run where it has by now what it needs', async () => {
      const { read, goOn } = source([call('echo', 1), call('progress', 'a')]);
      const recovery = Tolerate({ minSuccesses: 2, rest: 'leave' });
      const handle = await publish(read, { deadline: 150, recovery });
      await handle.get({ propagate: false });
      diary().open('a');
      await amended(handle);
      goOn();
      await stage().app.quiet();
      expect(heard()).toEqual(['errback g0 []', 'body g1 [1]']);
      expect(await handle.get()).toEqual([1, 'done']);
    });

    it('is parked by a late failure, until its budget is changed', async () => {
      const { read, goOn } = source([call('echo', 1), lateFailure()]);
      const recovery = Tolerate({ count: 0, onBreach: 'park', recovery: CallbackWithSuccesses });
      const handle = await publish(read, { deadline: 150, recovery });
      await handle.get();
      diary().open('a');
      await until(async () => (await handle.describe()).parked !== undefined, 'it is parked');
      goOn();
      expect(await stage().workflows.setBudget(handle.id, { count: 1 })).toBe(true);
      await amended(handle);
      expect(await handle.get()).toEqual([1]);
      expect(await refusal(handle)).toBe('incomplete');
      expect(heard()).toEqual(['body g0 []', 'body g1 [1]']);
    });

    it('stays a part when its body alone is run again', async () => {
      const { read, goOn } = source([call('better', 1), call('progress', 'a')]);
      const handle = await publish(read, OUTCOMES, call('hearBetter', 'body'));
      await expect(handle.get()).rejects.toThrow('not yet');
      expect(await redrive(handle)).toMatchObject({ generation: 1, rerun: [`${handle.id}.body`] });
      await handle.get();
      const open = { dispatch: { state: 'open', dispatched: 2 } };
      expect(await handle.describe()).toMatchObject(open);
      diary().open('a');
      await amended(handle, 2);
      goOn();
      expect(await handle.describe()).toMatchObject(open);
      expect(await refusal(handle)).toBe('incomplete');
      await stage().app.quiet();
      expect(heard()).toEqual(['body g0 []', 'errback g0 []', 'body g1 []', 'body g2 [1]']);
    });
  });
}
