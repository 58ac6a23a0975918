import {
  type Budget,
  CallbackWithOutcomes,
  type ChordOptions,
  ErrbackOnly,
  Tolerate,
} from 'nestjs-task-queue';
import { type Fluent, type Handle, until, useStage, type World } from './world.js';

/** What follows when more goes wrong in a header than it may. */
export function budgetCases(world: World): void {
  describe('a budget', () => {
    const it_ = useStage(world, { queues: { narrow: { concurrency: 1 } } });
    const stage = () => it_.stage;
    const call = (...args: Parameters<typeof it_.stage.call>) => stage().call(...args);
    const diary = () => stage().diary;

    /** A chord with a body and an errback that are counted. */
    function chord(members: object, options: ChordOptions): Fluent {
      const made = stage().workflows.chord(
        members as never,
        call('keep', 'body') as never,
        options as never,
      ) as unknown as Fluent;
      return made.linkError(call('keep', 'errback'));
    }

    /** So many members that fail at once, and as many that wait for a door. */
    const failing = (count: number): Fluent[] => Array.from({ length: count }, () => call('fail'));
    const waiting = (count: number): Fluent[] =>
      Array.from({ length: count }, (_, at) => call('progress', `door ${at}`));
    const openDoors = (): void => [0, 1, 2, 3].forEach((at) => diary().open(`door ${at}`));
    const followed = () => diary().entries.filter((entry) => entry === 'body' || entry === 'errback');

    async function publish(members: object, options: ChordOptions): Promise<Handle> {
      return stage().publish(chord(members, options));
    }

    it('that is not spent lets the body run with the values of the others', async () => {
      const members = [call('fail'), call('echo', 1), call('fail'), call('echo', 2)];
      const budget = Tolerate({ count: 2, percentage: 50, minSuccesses: 2, byError: { RangeError: 2 } });
      const handle = await stage().run(chord(members, { recovery: budget }));
      expect(followed()).toEqual(['body']);
      expect(diary().payloads).toEqual([[1, 2]]);
      expect((await handle.describe()).recovered).toEqual({
        strategy: 'CallbackWithSuccesses',
        failed: 2,
        size: 4,
      });
    });

    it('that nobody has to touch changes nothing', async () => {
      const members = [call('echo', 1), call('echo', 2)];
      const handle = await stage().run(chord(members, { recovery: Tolerate({ count: 0 }) }));
      expect(diary().payloads).toEqual([[1, 2]]);
      expect((await handle.describe()).recovered).toBeUndefined();
    });

    it.each<[string, Budget]>([
      ['count', { count: 1 }],
      ['percentage', { percentage: 30 }],
      ['minSuccesses', { minSuccesses: 3 }],
      ['byError', { count: 3, byError: { RangeError: 1 } }],
    ])('of %s is breached while members run: the errback runs at once, once', async (_, limits) => {
      const handle = await publish([...waiting(2), ...failing(2)], { recovery: Tolerate(limits) });
      await expect(handle.get()).rejects.toMatchObject({ code: 'CHORD_FAILED' });
      expect(diary().entries).not.toContain('body');
      openDoors();
      await stage().app.quiet();
      expect(followed()).toEqual(['errback']);
      expect(diary().payloads[0]).toMatchObject({
        error: { cause: { name: 'RangeError' } },
        reason: 'error',
        failures: [
          { index: 0, failure: { reason: 'pending', error: { code: 'MEMBER_PENDING' } } },
          { index: 1, failure: { reason: 'pending' } },
          { index: 2, failure: { reason: 'error' } },
          { index: 3, failure: { reason: 'error' } },
        ],
      });
    });

    it('that is breached can let the body run with what is there', async () => {
      const recovery = Tolerate({ count: 1, onBreach: 'callback' });
      const handle = await publish([call('echo', 1), ...waiting(1), ...failing(2)], { recovery });
      await handle.get();
      openDoors();
      await stage().app.quiet();
      expect(followed()).toEqual(['body']);
      expect((await handle.describe()).recovered).toMatchObject({ size: 4 });
    });

    it('tells a body that takes outcomes which members were still pending', async () => {
      const recovery = Tolerate({ count: 0, onBreach: 'callback', recovery: CallbackWithOutcomes });
      const handle = await publish([...waiting(1), ...failing(1)], { recovery });
      await handle.get();
      openDoors();
      await stage().app.quiet();
      const [outcomes] = diary().payloads;
      expect(outcomes).toMatchObject([
        { status: 'rejected', reason: { reason: 'pending' } },
        { status: 'rejected', reason: { reason: 'error' } },
      ]);
      expect((await handle.describe()).recovered).toMatchObject({ failed: 1, pending: 1, size: 2 });
      // What a straggler returned afterwards is not heard, wherever it is asked for.
      expect(await stage().workflows.groupResult(handle.id).settled()).toMatchObject([
        { status: 'rejected', reason: { reason: 'pending' } },
        { status: 'rejected' },
      ]);
      expect(await stage().workflows.result(`${handle.id}.0`).failure()).toMatchObject({ reason: 'pending' });
    });

    it('revokes what has not begun, and lets what runs come to its end', async () => {
      const held = [call('held', 'gate'), call('held', 'second'), call('held', 'third')];
      const handle = await publish([...held, call('addsBehind', 'fails')], { failFast: true });
      await until(() => diary().count('held gate') === 1 && diary().count('waits') === 1, 'two members run');
      await stage().workflows.result(`${handle.id}.3`).revoke({ terminate: true });
      await expect(handle.get()).rejects.toMatchObject({ code: 'CHORD_FAILED' });
      diary().open('gate');
      diary().open('fails');
      await stage().app.quiet();
      expect(diary().entries.filter((entry) => entry.startsWith('held'))).toEqual(['held gate']);
      expect(followed()).toEqual(['errback']);
    });

    it.each(['leave', 'terminate'] as const)('does with the rest what it was told: %s', async (rest) => {
      const members = [call('held', 'gate'), call('held', 'second'), call('fail')];
      const handle = await publish(members, { recovery: Tolerate({ count: 0, rest }) });
      await until(() => diary().count('held gate') === 1 || rest === 'terminate', 'a member runs');
      await expect(handle.get()).rejects.toMatchObject({ code: 'CHORD_FAILED' });
      diary().open('second');
      if (rest === 'leave') diary().open('gate');
      await stage().app.quiet();
      expect(diary().count('held second')).toBe(rest === 'leave' ? 1 : 0);
      expect(followed()).toEqual(['errback']);
    });

    it('reaches into members that are canvases, and is reached from there', async () => {
      const { workflows } = stage();
      const chain = (...steps: Fluent[]) => workflows.chain(...(steps as never));
      const members = [
        chain(call('held', 'gate'), call('note', 'next')),
        chain(call('fail'), call('note', 'x')),
      ];
      const handle = await publish(members, { failFast: true });
      await handle.get({ propagate: false });
      diary().open('gate');
      await stage().app.quiet();
      expect(diary().entries).not.toContain('next');
      expect(followed()).toEqual(['errback']);
    });

    it('holds for members that a running task adds', async () => {
      const added = JSON.parse(JSON.stringify(call('fail'))) as never;
      const handle = await publish([call('adds', [added]), ...waiting(1)], { failFast: true });
      await expect(handle.get()).rejects.toMatchObject({ code: 'CHORD_FAILED' });
      openDoors();
      await stage().app.quiet();
      expect(followed()).toEqual(['errback']);
    });

    it('closes a header to members that a straggler would add', async () => {
      const recovery = Tolerate({ count: 0, rest: 'leave' });
      const handle = await publish([call('addsBehind', 'door'), call('slow', 20, 1), call('fail')], {
        recovery,
      });
      await handle.get({ propagate: false });
      diary().open('door');
      await until(() => diary().count('CANNOT_ADD_MEMBER') === 1, 'the addition is refused');
      await stage().app.quiet();
      expect(followed()).toEqual(['errback']);
    });

    it('inside of another canvas fails that part of it, and nothing waits for the rest', async () => {
      const inner = chord([...waiting(1), ...failing(1)], { failFast: true });
      const outer = await stage().publish(stage().workflows.group([inner, call('echo', 'beside')] as never));
      await expect(outer.get()).rejects.toMatchObject({ code: 'GROUP_FAILED' });
      openDoors();
      await stage().app.quiet();
      expect(followed()).toEqual(['errback']);
    });

    it('of a group that is to fail fast ends it, with what is there', async () => {
      const { workflows } = stage();
      const group = workflows.group([call('echo', 1), ...waiting(1), ...failing(1)] as never, {
        failFast: true,
      }) as unknown as Fluent;
      const handle = await stage().publish(group.linkError(call('keep', 'errback')));
      await expect(handle.get()).rejects.toMatchObject({ code: 'GROUP_FAILED' });
      openDoors();
      await stage().app.quiet();
      expect(followed()).toEqual(['errback']);
      expect(await workflows.groupResult(handle.id).settled()).toMatchObject([
        {},
        { status: 'rejected', reason: { reason: 'pending' } },
        { status: 'rejected', reason: { reason: 'error' } },
      ]);
    });

    it('of a fail-fast group is that of the chord which it is the header of', async () => {
      const group = stage().workflows.group([...waiting(1), ...failing(1)] as never, { failFast: true });
      const handle = await publish(group, { recovery: ErrbackOnly });
      await expect(handle.get()).rejects.toMatchObject({ code: 'CHORD_FAILED' });
      openDoors();
      await stage().app.quiet();
      expect(followed()).toEqual(['errback']);
    });

    it('ends a header that is still being read', async () => {
      let tellEnd = (): void => undefined;
      const end = new Promise<void>((resolve) => (tellEnd = resolve));
      async function* source() {
        yield call('fail');
        for (let at = 1; at < 1_200; at++) yield call('echo', at); // some chunks, of which one may be on its way
        await end;
        for (let at = 0; at < 1_200; at++) yield call('note', 'too late');
      }
      const handle = await publish(source as never, { failFast: true });
      await handle.get({ propagate: false });
      tellEnd();
      await expect(handle.sealed()).rejects.toMatchObject({ code: 'CHORD_FAILED' });
      await stage().app.quiet();
      expect(await handle.state()).toBe('FAILURE');
      expect(followed()).toEqual(['errback']);
      expect(diary().entries).not.toContain('too late');
    });

    it('with a share of a header that is read is looked at when that is sealed', async () => {
      async function* source() {
        yield call('fail');
        await until(() => diary().count('fail') === 1, 'the first member has failed');
        yield call('echo', 1);
        yield call('progress', 'door 0');
      }
      // One of one has failed while the source is read; one of three in the end.
      const handle = await publish(source as never, { recovery: Tolerate({ percentage: 34 }) });
      openDoors();
      await handle.get();
      await stage().app.quiet();
      expect(followed()).toEqual(['body']);
    });

    it('with a share that is breached by the seal ends there', async () => {
      async function* source() {
        yield call('fail');
        await until(() => diary().count('fail') === 1, 'the first member has failed');
        yield call('progress', 'door 0');
      }
      const handle = await publish(source as never, { recovery: Tolerate({ percentage: 40 }) });
      await expect(handle.get()).rejects.toMatchObject({ code: 'CHORD_FAILED' });
      openDoors();
      await stage().app.quiet();
      expect(followed()).toEqual(['errback']);
    });

    describe('that parks', () => {
      const recovery = Tolerate({ count: 0, onBreach: 'park' });

      async function parked(members: Fluent[]): Promise<Handle> {
        const handle = await publish(members, { recovery });
        await until(async () => (await handle.describe()).parked !== undefined, 'it is parked');
        return handle;
      }

      it('waits, also when all members have ended, until it is changed', async () => {
        const handle = await parked([...waiting(1), ...failing(1)]);
        openDoors();
        await until(async () => (await handle.describe()).counts?.succeeded === 1, 'all have ended');
        const { state, parked: note } = await handle.describe();
        expect([state, note?.why]).toEqual(['STARTED', '1 member failed, and 0 may']);
        expect(followed()).toEqual([]);
        expect(await stage().workflows.setBudget(handle.id, { count: 1 })).toBe(true);
        await handle.get();
        await stage().app.quiet();
        expect(followed()).toEqual(['body']);
        expect(diary().payloads).toEqual([['done']]);
      });

      it('ends as soon as it is told how', async () => {
        const handle = await parked([...waiting(1), ...failing(1)]);
        await stage().workflows.setBudget(handle.id, { count: 0, onBreach: 'errback' });
        await expect(handle.get()).rejects.toMatchObject({ code: 'CHORD_FAILED' });
        openDoors();
        await stage().app.quiet();
        expect(followed()).toEqual(['errback']);
      });

      it('goes on to wait when the new budget holds', async () => {
        const handle = await parked([...waiting(1), ...failing(1)]);
        await stage().workflows.setBudget(handle.id, { count: 1 });
        await until(async () => (await handle.describe()).parked === undefined, 'it is parked no more');
        expect(followed()).toEqual([]);
        openDoors();
        await handle.get();
        await stage().app.quiet();
        expect(followed()).toEqual(['body']);
      });

      it('fails when it is told something, if the rest of it was never published', async () => {
        let tell = (): void => undefined;
        const told = new Promise<void>((resolve) => (tell = resolve));
        async function* source() {
          yield call('fail');
          await told;
          throw new Error('no more');
        }
        const handle = await publish(source, { recovery });
        await until(async () => (await handle.describe()).parked !== undefined, 'it is parked');
        tell();
        await until(async () => (await handle.dispatch())?.state === 'failed', 'its source has ended');
        await stage().workflows.setBudget(handle.id, { count: 1 });
        await expect(handle.get()).rejects.toMatchObject({ code: 'DISPATCH_INCOMPLETE' });
        await stage().app.quiet();
        expect(followed()).toEqual(['errback']);
      });

      it('is revoked like everything else', async () => {
        const handle = await parked(failing(1));
        await handle.revoke();
        await expect(handle.get()).rejects.toMatchObject({ code: 'TASK_REVOKED' });
        await stage().app.quiet();
        expect(followed()).toEqual(['errback']);
      });
    });

    it.each<[Budget, string]>([
      [{}, 'a limit'],
      [{ count: -1 }, 'recovery.count'],
      [{ percentage: 101 }, 'recovery.percentage'],
      [{ minSuccesses: 3 }, 'there are 2'],
      [{ byError: { RangeError: 0.5 } }, 'recovery.byError.RangeError'],
      [{ count: 1, onBreach: 'wait' as never }, 'errback, callback, park'],
      [{ count: 1, most: 2 } as never, 'recovery.most'],
    ])('of %j is refused', (budget, message) => {
      expect(() => chord(failing(2), { recovery: Tolerate(budget) })).toThrow(
        expect.objectContaining({
          code: 'INVALID_CANVAS',
          message: expect.stringContaining(message),
        }) as Error,
      );
    });
  });
}
