import { Injectable } from '@nestjs/common';
import { CallbackWithOutcomes, type ChordOptions, currentTask, Task, Tolerate } from 'nestjs-task-queue';
import { headersOf, takeAway } from '../support/timer-stop.js';
import { Diary } from './tasks.js';
import { type Fluent, type Handle, until, useStage, type World } from './world.js';

@Injectable()
class NamedTasks {
  constructor(private readonly diary: Diary) {}

  /** Fails in the first generation, when its door is opened. */
  @Task({ name: 'betterAt' })
  async betterAt(door: string): Promise<string> {
    await this.diary.pass(door, currentTask().signal);
    if (currentTask().redriven === undefined) throw new RangeError('not yet');
    return door;
  }

  @Task({ name: 'failAs' })
  failAs(name: string): never {
    throw Object.assign(new Error('as it is named'), { name });
  }
}

/** What is said of a header that was closed before its end, and of members that were taken out of one. */
export function closedHeaderCases(world: World): void {
  describe('a header that is closed', () => {
    const it_ = useStage(world, { queues: { narrow: { concurrency: 1 } } }, [NamedTasks]);
    const stage = () => it_.stage;
    const call = (...args: Parameters<typeof it_.stage.call>) => stage().call(...args);
    const diary = () => stage().diary;

    async function publish(members: object, options: ChordOptions): Promise<Handle> {
      const chord = stage().workflows.chord(members as never, call('echo') as never, options as never);
      return stage().publish(chord);
    }

    it('says to whoever waits which limit was breached', async () => {
      const handle = await publish([call('fail'), call('progress', 'a')], { failFast: true });
      const why =
        'The header was closed: 1 member failed, and 0 may. 1 of 2 members failed and 1 had not ended';
      await expect(handle.get()).rejects.toThrow(why);
      expect((await handle.failure())?.error.message).toContain(why);
      diary().open('a');
      await stage().app.quiet();
    });

    it('counts as pending who is so when it is closed, and not when it was judged', async () => {
      const headers = headersOf(stage().app);
      const close = headers.close.bind(headers);
      const held = jest.spyOn(headers, 'close').mockImplementationOnce(async (...verdict) => {
        diary().open('a');
        await until(async () => (await members.completedCount()) === 1, 'the other member has ended');
        return close(...verdict);
      });
      const handle = await publish([call('better', 1), call('progress', 'a')], { failFast: true });
      const members = stage().workflows.groupResult(handle.id);
      await expect(handle.get()).rejects.toThrow('1 of 2 members failed; the first is [0] better: not yet');
      expect(held).toHaveBeenCalled();
      await stage().app.quiet();
      // Nothing of it is unknown, so it can be redriven.
      expect(await stage().workflows.redrive(handle.id)).toMatchObject({ generation: 1, left: [] });
      expect(await handle.get()).toEqual([1, 'done']);
      await stage().app.quiet();
    });

    it('counts as pending who is so, also where its last member was published since it was judged', async () => {
      let tellEnd = (): void => undefined;
      const end = new Promise<void>((resolve) => (tellEnd = resolve));
      async function* source() {
        yield call('progress', 'a');
        yield call('fail');
        await end;
      }
      const headers = headersOf(stage().app);
      const close = headers.close.bind(headers);
      const held = jest.spyOn(headers, 'close').mockImplementationOnce(async (node, ...verdict) => {
        tellEnd();
        const { id } = node;
        await until(
          async () => (await stage().workflows.result(id).describe()).dispatch?.state === 'sealed',
          'it is sealed',
        );
        return close(node, ...verdict);
      });
      const handle = await publish(source(), { failFast: true });
      await expect(handle.get()).rejects.toThrow('1 of 2 members failed and 1 had not ended');
      expect(held).toHaveBeenCalled();
      await expect(stage().workflows.redrive(handle.id)).rejects.toMatchObject({ reason: 'running' });
      diary().open('a');
      await stage().app.quiet();
      expect(await stage().workflows.redrive(handle.id)).toMatchObject({ rerun: [`${handle.id}.1`] });
      await handle.get({ propagate: false });
      await stage().app.quiet();
    });

    it('is judged when a member is revoked that waits', async () => {
      const members = [call('held', 'a'), call('held', 'b'), call('held', 'c')];
      const handle = await publish(members, { recovery: Tolerate({ count: 0 }) });
      await until(() => diary().count('held a') === 1, 'the first member runs');
      await stage().workflows.result(`${handle.id}.1`).revoke();
      await expect(handle.get()).rejects.toThrow('1 member failed, and 0 may');
      diary().open('a');
      await stage().app.quiet();
      expect(diary().entries).toEqual(['held a']);
    });

    it('is judged again when a member is revoked between a look and the waiting that follows', async () => {
      const headers = headersOf(stage().app);
      const wait = headers.wait.bind(headers);
      const members = [call('held', 'a'), call('held', 'b'), call('fail')];
      const held = jest.spyOn(headers, 'wait').mockImplementationOnce(async (node, seen) => {
        await until(() => diary().count('held a') === 1, 'the first member runs');
        await stage().workflows.result(`${node.id}.1`).revoke();
        return wait(node, seen);
      });
      const handle = await publish(members, { recovery: Tolerate({ count: 1 }) });
      await expect(handle.get()).rejects.toThrow('2 members failed, and 1 may');
      expect(held).toHaveBeenCalled();
      diary().open('a');
      await stage().app.quiet();
    });

    it('counts who was pending as such, whatever they come to, until it is redriven', async () => {
      const recovery = Tolerate({ count: 0, rest: 'leave' });
      const members = [call('progress', 'a'), call('betterAt', 'b'), call('better', 3)];
      const handle = await publish(members, { recovery });
      const header = stage().workflows.groupResult(handle.id);
      await expect(handle.get()).rejects.toThrow('1 of 3 members failed and 2 had not ended');
      const closed = { size: 3, succeeded: 0, failed: 1, pending: 2 };
      expect(await header.counts()).toEqual(closed);
      diary().open('a');
      diary().open('b');
      await stage().app.quiet();
      expect(await header.counts()).toEqual(closed);
      expect((await handle.describe()).counts).toEqual(closed);
      expect(await header.settled()).toMatchObject([
        { reason: { reason: 'pending' } },
        { reason: { reason: 'pending' } },
        { reason: { reason: 'error' } },
      ]);
      expect(await stage().workflows.redrive(handle.id)).toMatchObject({ generation: 1, left: [] });
      expect(await handle.get()).toEqual(['done', 'b', 3]);
      expect(await header.counts()).toEqual({ size: 3, succeeded: 3, failed: 0, pending: 0 });
      await stage().app.quiet();
    });

    it('tells who was removed before from who was pending, also while it is open', async () => {
      const limits = { count: 1, onBreach: 'callback', rest: 'leave' } as const;
      const recovery = Tolerate({ ...limits, recovery: CallbackWithOutcomes });
      const handle = await publish([call('held', 'a'), call('held', 'b'), call('held', 'c')], { recovery });
      await until(() => diary().count('held a') === 1, 'the first member runs');
      await takeAway(stage().app, { queue: 'narrow', id: `${handle.id}.1` });
      const { obstacles, text } = await stage().workflows.explain(handle.id);
      expect(obstacles).toMatchObject([
        { kind: 'removed', members: 1, ids: [`${handle.id}.1`] },
        { kind: 'waiting-for-children', pending: 2, shown: 2 },
        { kind: 'running', position: '0' },
        { kind: 'waiting', position: '2' },
      ]);
      expect(text).toContain(`${handle.id} has lost 1 member (${handle.id}.1), `);
      const [one] = (await stage().workflows.explain(`${handle.id}.1`)).obstacles;
      expect(one).toMatchObject({ kind: 'removed', id: `${handle.id}.1` });
      expect(one?.text).toContain('was taken out of its queue by hand');
      await stage().workflows.result(`${handle.id}.2`).revoke();
      expect(await handle.get()).toMatchObject([
        { reason: { reason: 'pending' } },
        { reason: { reason: 'removed' } },
        { reason: { reason: 'revoked' } },
      ]);
      expect((await stage().workflows.explain(handle.id)).text).toMatch(
        /recovered by CallbackWithOutcomes although 2 of 3 members failed and 1 of 3 had not ended/,
      );
      const counts = { size: 3, succeeded: 0, failed: 2, pending: 1 };
      expect((await handle.describe()).counts).toEqual(counts);
      diary().open('a');
      await stage().app.quiet();
      expect((await handle.describe()).counts).toEqual(counts);
    });

    it('while it was read has no more members to wait for', async () => {
      let tellEnd = (): void => undefined;
      const end = new Promise<void>((resolve) => (tellEnd = resolve));
      async function* source() {
        yield call('echo', 1);
        await end;
        yield call('echo', 2);
      }
      const handle = await publish(source(), { deadline: 100 });
      expect(await handle.get()).toEqual([1]);
      expect(await stage().workflows.result(handle.id).sealed()).toBe(1);
      tellEnd();
      await stage().app.quiet();
    });

    it.each(['Mail', 'Mail:Down', 'Mail: Down'])(
      'by the name %j of an error counts that alone',
      async (name) => {
        const byError = { Mail: 1, 'Mail:Down': 1, 'Mail: Down': 1, [name]: 0 };
        const others = Object.keys(byError).filter((other) => other !== name);
        const failing = (names: string[]): Fluent[] => names.map((one) => call('failAs', one));
        const options = { recovery: Tolerate({ byError }) };
        const held = await publish(failing(others), options);
        expect(await held.get()).toEqual([]);
        const breached = await publish(failing([...others, name]), options);
        await expect(breached.get()).rejects.toThrow(`1 member failed with ${name}, and 0 may`);
        await stage().app.quiet();
      },
    );
  });
}
