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
import { Diary } from './tasks.js';
import { type Fluent, type Handle, until, useStage, type World } from './world.js';

@Injectable()
class LateTasks {
  constructor(private readonly diary: Diary) {}

  /** A body, errback or callback: notes what it is told and what it gets. */
  @Task({ name: 'hear' })
  hear(payload: JsonValue, label: string, task: TaskContext): JsonValue {
    const { generation = 0, changed = [] } = task.redriven ?? {};
    this.diary.write(`${label} g${generation} [${changed.join(' ')}]`);
    this.diary.payloads.push(payload);
    return payload;
  }

  /** Fails, once the door is open. */
  @Task({ name: 'failsBehind' })
  async failsBehind(door: string, task: TaskContext): Promise<never> {
    this.diary.write('in progress');
    await this.diary.pass(door, task.signal);
    throw new RangeError(`behind ${door}`);
  }
}

/** What becomes of outcomes that come after a header was closed. */
export function lateCases(world: World): void {
  describe('an outcome that comes late', () => {
    const it_ = useStage(world, { queues: { narrow: { concurrency: 1 } } }, [LateTasks]);
    const stage = () => it_.stage;
    const call = (...args: Parameters<typeof it_.stage.call>) => stage().call(...args);
    const diary = () => stage().diary;
    const heard = () => diary().entries.filter((entry) => / g\d/.test(entry));
    const callback = () => ({ callback: call('hear', 'late') });

    async function publish(members: object, options: object): Promise<Handle> {
      const chord = stage().workflows.chord(
        members as never,
        call('hear', 'body') as never,
        options as ChordOptions as never,
      );
      return stage().publish((chord as unknown as Fluent).linkError(call('hear', 'errback')));
    }

    /** Has some of them end, and gives what should not follow yet the time to do so. */
    async function openSome(...doors: string[]): Promise<void> {
      for (const door of doors) diary().open(door);
      await new Promise((resolve) => setTimeout(resolve, 400));
    }

    /** Has them end, and waits for all that follows. */
    async function open(...doors: string[]): Promise<void> {
      for (const door of doors) diary().open(door);
      await stage().app.quiet();
    }

    const end = async (handle: Handle) => {
      await handle.get({ propagate: false });
      await until(() => diary().entries.some((entry) => /^(body|errback) g0/.test(entry)), 'it has followed');
    };

    describe('under amend', () => {
      it('begins the next generation, whose body runs over all members and is told which are new', async () => {
        const members = [call('progress', 'a'), call('echo', 1), call('progress', 'b')];
        const handle = await publish(members, { deadline: 150, late: 'amend' });
        await end(handle);
        expect(await handle.get()).toEqual([1]);
        await openSome('a');
        expect(heard()).toEqual(['body g0 []']); // one is late still
        await open('b');
        await until(() => heard().length === 2, 'the body has run anew');
        expect(heard()).toEqual(['body g0 []', 'body g1 [0 2]']);
        expect(await handle.get()).toEqual(['done', 1, 'done']);
        const { recovered, generation, history } = await handle.describe();
        expect({ recovered, generation, history }).toMatchObject({
          recovered: undefined,
          generation: 1,
          history: [{ generation: 0, state: 'SUCCESS', rerun: 0 }],
        });
        expect(await stage().workflows.groupResult(handle.id).settled()).toMatchObject([
          { status: 'fulfilled', value: 'done' },
          { status: 'fulfilled', value: 1 },
          { status: 'fulfilled', value: 'done' },
        ]);
      });

      it('waits for the end of what runs with what was there', async () => {
        const body = stage().workflows.signature('progress', ['body'], { immutable: true });
        const chord = stage().workflows.chord(
          [call('progress', 'late'), call('echo', 1)] as never,
          body as never,
          { deadline: 100, late: 'amend' } as never,
        );
        const handle = await stage().publish(chord);
        await until(() => diary().count('in progress') === 2, 'the body runs');
        diary().open('late');
        await new Promise((resolve) => setTimeout(resolve, 300));
        expect(diary().count('in progress')).toBe(2);
        diary().open('body');
        await until(async () => (await handle.describe()).generation === 1, 'it is amended');
        await handle.get();
        await stage().app.quiet();
        expect(diary().count('in progress')).toBe(3);
      });

      it('asks the recovery anew: of a late failure under ErrbackOnly the errback runs', async () => {
        const handle = await publish([call('failsBehind', 'a'), call('echo', 1)], {
          deadline: 100,
          late: 'amend',
        });
        await end(handle);
        await open('a');
        await until(() => heard().length === 2, 'the errback has run');
        expect(heard()).toEqual(['body g0 []', 'errback g1 [0]']);
        await expect(handle.get()).rejects.toMatchObject({ code: 'CHORD_FAILED' });
        expect(diary().payloads[1]).toMatchObject({ failureCount: 1, values: [{ index: 1, value: 1 }] });
        // Complete by now, it is redriven as any other.
        expect(await stage().workflows.redrive(handle.id)).toMatchObject({
          generation: 2,
          rerun: [`${handle.id}.0`],
        });
        await handle.get({ propagate: false });
        await stage().app.quiet();
      });

      it('has a body run that was denied what it needs at the deadline', async () => {
        const recovery = Tolerate({ minSuccesses: 2, rest: 'leave' });
        const handle = await publish([call('progress', 'a'), call('echo', 1)], {
          deadline: 100,
          recovery,
          late: 'amend',
        });
        await end(handle);
        await open('a');
        await until(() => heard().length === 2, 'the body has run');
        expect(heard()).toEqual(['errback g0 []', 'body g1 [0]']);
        expect(await handle.get()).toEqual(['done', 1]);
      });

      it('after a breach of the budget that let the body run', async () => {
        const budget = { count: 0, onBreach: 'callback', rest: 'leave' } as const;
        const members = [call('fail'), call('progress', 'a')];
        const handle = await publish(members, { recovery: Tolerate(budget), late: 'amend' });
        await end(handle);
        await open('a');
        await until(() => heard().length === 2, 'the body has run anew');
        expect(heard()).toEqual(['body g0 []', 'body g1 [1]']);
        expect(diary().payloads).toEqual([[], ['done']]);
      });

      it('after a redrive of the body alone amends what that came to', async () => {
        const members = [call('progress', 'a'), call('echo', 1)];
        const chord = stage().workflows.chord(
          members as never,
          call('better') as never,
          {
            deadline: 100,
            late: 'amend',
          } as never,
        );
        const handle = await stage().publish(chord);
        await expect(handle.get()).rejects.toThrow('not yet');
        expect(await stage().workflows.redrive(handle.id)).toMatchObject({
          generation: 1,
          rerun: [`${handle.id}.body`],
        });
        expect(await handle.get()).toEqual([1]);
        await openSome('a');
        await until(async () => (await handle.describe()).generation === 2, 'it is amended');
        expect(await handle.get()).toEqual(['done', 1]);
        await stage().app.quiet();
      });

      it('is refused of what a task puts in its place, or adds to its group', async () => {
        const chord = stage().workflows.chord(
          [call('echo', 1)] as never,
          call('echo') as never,
          {
            deadline: '1m',
            late: 'amend',
          } as never,
        );
        const data = JSON.parse(JSON.stringify(chord)) as never;
        const handle = await stage().run(call('becomes', data));
        expect((await handle.failure())?.error).toMatchObject({
          code: 'INVALID_CANVAS',
          message: expect.stringContaining('the canvas as a whole') as unknown,
        });
      });

      it('of members that are canvases waits for the whole of them', async () => {
        const { workflows } = stage();
        const still = (door: string) => workflows.signature('progress', [door], { immutable: true });
        const chain = workflows.chain(...([still('a'), still('b')] as never));
        const group = workflows.group([still('c'), still('d')] as never);
        const handle = await publish([chain, group, call('echo', 1)], { deadline: 100, late: 'amend' });
        await end(handle);
        await openSome('a', 'b', 'c');
        expect(heard()).toHaveLength(1);
        await open('d');
        await until(() => heard().length === 2, 'the body has run anew');
        expect(await handle.get()).toEqual(['done', ['done', 'done'], 1]);
      });

      it('is dropped where its members were revoked', async () => {
        const deadline = { after: 100, rest: 'terminate' } as const;
        const handle = await publish([call('progress', 'a'), call('echo', 1)], { deadline, late: 'amend' });
        await end(handle);
        await open();
        expect(heard()).toEqual(['body g0 []']);
        expect((await handle.describe()).generation).toBeUndefined();
      });

      it.each<[string, (chord: object) => object]>([
        ['step', (chord) => stage().workflows.chain(...([call('echo', 1), chord] as never))],
        ['member', (chord) => stage().workflows.group([chord] as never)],
        ['body', (chord) => stage().workflows.chord([call('echo', 1)] as never, chord as never)],
      ])('is refused in a chord that is a %s of something else', async (_, around) => {
        const chord = stage().workflows.chord([call('echo', 1)] as never, call('echo') as never, {
          deadline: '1m',
          late: 'amend',
        });
        await expect(stage().publish(around(chord))).rejects.toMatchObject({
          code: 'INVALID_CANVAS',
          message: expect.stringContaining('the canvas as a whole') as unknown,
        });
      });
    });

    describe('for a callback', () => {
      it('goes to it, in one call for all of them, with its place', async () => {
        const members = [call('progress', 'a'), call('echo', 1), call('failsBehind', 'b')];
        const options = { deadline: 150, recovery: CallbackWithOutcomes, late: callback() };
        const handle = await publish(members, options);
        await end(handle);
        await openSome('b');
        expect(heard()).toEqual(['body g0 []']);
        await open('a');
        await until(() => heard().length === 2, 'the callback has run');
        expect(heard()).toEqual(['body g0 []', 'late g0 []']);
        expect(diary().payloads[1]).toMatchObject({
          chordId: handle.id,
          outcomes: [
            { index: 0, taskId: `${handle.id}.0`, status: 'fulfilled', value: 'done' },
            {
              index: 2,
              taskId: `${handle.id}.2`,
              status: 'rejected',
              reason: { error: { name: 'RangeError', message: 'behind b' } },
            },
          ],
        });
        // What the header came to stays what it was.
        expect(await stage().workflows.groupResult(handle.id).settled()).toMatchObject([
          { status: 'rejected', reason: { reason: 'pending' } },
          { status: 'fulfilled', value: 1 },
          { status: 'rejected', reason: { reason: 'pending' } },
        ]);
        expect(await stage().workflows.result(`${handle.id}.late.0`).state()).toBe('SUCCESS');
      });

      it('also of a chord that is a part of something else', async () => {
        const { workflows } = stage();
        const still = (task: string, arg: number | string) =>
          workflows.signature(task, [arg], { immutable: true });
        const inner = workflows.chord(
          [still('echo', 1), still('progress', 'a')] as never,
          call('echo') as never,
          { deadline: 100, late: callback() } as never,
        );
        const outer = await stage().publish(workflows.chain(...([call('echo', 0), inner] as never)));
        expect(await outer.get()).toEqual([1]);
        await open('a');
        await until(() => heard().length === 1, 'the callback has run');
        expect(diary().payloads[0]).toMatchObject({
          chordId: `${outer.id}.1`,
          outcomes: [{ index: 1, value: 'done' }],
        });
      });

      it('after a breach that failed the chord', async () => {
        const recovery = Tolerate({ count: 0, rest: 'leave', recovery: CallbackWithSuccesses });
        const handle = await publish([call('fail'), call('progress', 'a')], { recovery, late: callback() });
        await end(handle);
        await open('a');
        await until(() => heard().length === 2, 'the callback has run');
        expect(heard()).toEqual(['errback g0 []', 'late g0 []']);
      });

      it.each(['revoke', 'terminate'] as const)('is not called when all were ended by %s', async (rest) => {
        const members = [call('held', 'gate'), call('held', 'second'), call('echo', 1)];
        const deadline = { after: 100, rest };
        const handle = await publish(members, { deadline, late: callback() });
        await end(handle);
        await open('gate');
        // What ran was let finish under `revoke`: that is late, and the other one never was.
        const late = diary().payloads[1];
        expect(late === undefined ? [] : (late as { outcomes: object[] }).outcomes).toMatchObject(
          rest === 'revoke' ? [{ index: 0, value: 'gate' }] : [],
        );
      });

      it('is not called of a header that was not closed', async () => {
        const handle = await publish([call('echo', 1)], { deadline: '1h', late: callback() });
        await end(handle);
        await open();
        expect(heard()).toEqual(['body g0 []']);
      });

      it('has the headers of its canvas, and survives JSON', async () => {
        const { workflows } = stage();
        const chord = workflows.chord(
          [call('progress', 'a')] as never,
          call('echo') as never,
          {
            deadline: 80,
            late: { callback: call('context') },
          } as never,
        ) as unknown as { stamp(headers: object): object };
        const data = JSON.parse(JSON.stringify(chord.stamp({ tenant: 't1' }))) as never;
        const handle = await stage().publish(workflows.fromData(data));
        await handle.get();
        await open('a');
        const callback_ = workflows.result<{ headers: object }>(`${handle.id}.late.0`);
        await until(() => callback_.ready(), 'the callback has run');
        expect((await callback_.get()).headers).toEqual({ tenant: 't1' });
      });
    });

    it.each(['amend', 'callback'])(
      'has nothing follow under %s once the results are forgotten',
      async (late) => {
        const options = { deadline: 80, late: late === 'amend' ? late : callback() };
        const handle = await publish([call('progress', 'a'), call('echo', 1)], options);
        await end(handle);
        await until(async () => (await handle.state()) === 'SUCCESS', 'it has ended');
        await handle.forget();
        await open('a');
        expect(heard()).toEqual(['body g0 []']);
      },
    );

    it('is dropped unless something else is asked for', async () => {
      const handle = await publish([call('progress', 'a'), call('echo', 1)], { deadline: 80, late: 'drop' });
      await end(handle);
      await open('a');
      expect(heard()).toEqual(['body g0 []']);
    });

    it.each<[object, string]>([
      [{ deadline: '1m', late: 'later' }, 'late'],
      [{ deadline: '1m', late: { callback: 'hear' } }, 'late.callback'],
      [{ late: 'amend' }, 'give the chord a deadline'],
    ])('under %j is refused', (options, message) => {
      const make = () =>
        stage().workflows.chord([] as never, call('echo') as never, options as ChordOptions as never);
      expect(make).toThrow(expect.objectContaining({ message: expect.stringContaining(message) }) as Error);
    });
  });
}
