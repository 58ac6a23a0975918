import { Injectable } from '@nestjs/common';
import {
  CallbackWithOutcomes,
  type ChordOptions,
  type JsonValue,
  Task,
  TaskContext,
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

/** Redrives of chords that late members amend. */
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
}
