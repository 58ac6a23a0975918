import {
  CallbackWithOutcomes,
  CallbackWithSuccesses,
  type ChordOptions,
  ErrbackOnly,
  Tolerate,
} from 'nestjs-task-queue';
import { headersOf, isDue, stopTimer, takeAway } from '../support/timer-stop.js';
import { type Fluent, type Handle, until, useStage, type World } from './world.js';

/** What follows when the time of a header is over. */
export function deadlineCases(world: World): void {
  describe('a deadline', () => {
    const it_ = useStage(world, { queues: { narrow: { concurrency: 1 } } });
    const stage = () => it_.stage;
    const call = (...args: Parameters<typeof it_.stage.call>) => stage().call(...args);
    const diary = () => stage().diary;
    const followed = () => diary().entries.filter((entry) => entry === 'body' || entry === 'errback');

    async function publish(members: object, options: ChordOptions): Promise<Handle> {
      const { workflows } = stage();
      const chord = workflows.chord(members as never, call('keep', 'body') as never, options as never);
      return stage().publish((chord as unknown as Fluent).linkError(call('keep', 'errback')));
    }

    it('lets the body run with what is there, and drops what comes later', async () => {
      const handle = await publish([call('echo', 1), call('progress', 'late')], { deadline: 80 });
      await handle.get();
      diary().open('late');
      await stage().app.quiet();
      expect(followed()).toEqual(['body']);
      expect(diary().payloads).toEqual([[1]]);
      const { recovered } = await handle.describe();
      expect(recovered).toEqual({ strategy: 'deadline', failed: 0, pending: 1, size: 2 });
      expect(await stage().workflows.groupResult(handle.id).settled()).toMatchObject([
        { status: 'fulfilled', value: 1 },
        { status: 'rejected', reason: { reason: 'pending' } },
      ]);
    });

    it('marks the missing members for a body that takes outcomes', async () => {
      const options = { deadline: 80, recovery: CallbackWithOutcomes };
      const handle = await publish([call('progress', 'late'), call('echo', 1), call('fail')], options);
      await handle.get();
      diary().open('late');
      await stage().app.quiet();
      expect(diary().payloads[0]).toMatchObject([
        { status: 'rejected', reason: { reason: 'pending', error: { code: 'MEMBER_PENDING' } } },
        { status: 'fulfilled', value: 1 },
        { status: 'rejected', reason: { reason: 'error' } },
      ]);
      expect(followed()).toEqual(['body']);
    });

    it.each<[string, ChordOptions]>([
      ['a member that failed keeps the body from running, as ever', { deadline: 80, recovery: ErrbackOnly }],
      ['the budget is held to what is there', { deadline: 80, recovery: Tolerate({ minSuccesses: 2 }) }],
    ])('%s', async (_, options) => {
      const handle = await publish([call('echo', 1), call('fail'), call('progress', 'late')], options);
      await expect(handle.get()).rejects.toMatchObject({ code: 'CHORD_FAILED' });
      diary().open('late');
      await stage().app.quiet();
      expect(followed()).toEqual(['errback']);
    });

    it('that nobody needs is gone with its chord', async () => {
      const handle = await publish([call('echo', 1), call('echo', 2)], { deadline: '1h' });
      await handle.get();
      await stage().app.quiet(); // a timer that is left would be delayed for an hour
      expect(diary().payloads).toEqual([[1, 2]]);
      expect((await handle.describe()).recovered).toBeUndefined();
    });

    it('ends what has not ended, where that is asked for', async () => {
      const deadline = { after: 80, rest: 'terminate' } as const;
      await (await publish([call('held', 'gate'), call('held', 'second')], { deadline })).get();
      await stage().app.quiet();
      expect(diary().entries).toEqual(['held gate', 'body']);
    });

    it.each(['first-outcome', 'last-outcome'] as const)('counts from the %s', async (from) => {
      const members = [call('progress', 'first'), call('progress', 'late')];
      const handle = await publish(members, { deadline: { after: 150, from } });
      await until(() => diary().count('in progress') === 2, 'both run');
      await new Promise((resolve) => setTimeout(resolve, 300));
      // Nothing has ended, so it has not begun to count.
      expect(await handle.state()).not.toBe('SUCCESS');
      diary().open('first');
      await handle.get();
      diary().open('late');
      await stage().app.quiet();
      expect(diary().payloads).toEqual([['done']]);
    });

    /** A member that is not taken up. */
    function later(): Fluent {
      const made = call('echo', 1) as Fluent & { stamp(headers: object): { set(options: object): Fluent } };
      return made.stamp({ kind: 'later' }).set({ countdown: '1h' });
    }

    /** How a member that waits is revoked: each is an outcome as any other. */
    const revocations: readonly [string, (chord: Handle) => Promise<unknown>][] = [
      ['by itself', (chord) => stage().workflows.result(`${chord.id}.1`).revoke()],
      ['by its stamp', () => stage().workflows.revoke({ stamp: { kind: 'later' } })],
    ];

    it.each(
      (['first-outcome', 'last-outcome'] as const).flatMap((from) =>
        revocations.map(([how, revoke]) => [from, how, revoke] as const),
      ),
    )('counts from a %s that is a member revoked %s while it waited', async (from, _how, revoke) => {
      const handle = await publish([call('progress', 'late'), later()], {
        deadline: { after: 100, from },
        recovery: CallbackWithSuccesses,
      });
      await until(() => diary().count('in progress') === 1, 'the other one runs');
      await revoke(handle);
      expect(await stage().workflows.result(`${handle.id}.1`).state()).toBe('REVOKED');
      await handle.get();
      diary().open('late');
      await stage().app.quiet();
      expect(diary().payloads).toEqual([[]]);
    });

    it('counts from the end of a canvas whose tasks were all revoked while they waited', async () => {
      const { workflows } = stage();
      const handle = await publish([call('progress', 'late'), workflows.group([later(), later()] as never)], {
        deadline: { after: 100, from: 'first-outcome' },
        recovery: CallbackWithSuccesses,
      });
      await until(() => diary().count('in progress') === 1, 'the other one runs');
      await workflows.result(`${handle.id}.1`).revoke();
      await handle.get();
      diary().open('late');
      await stage().app.quiet();
      expect(diary().payloads).toEqual([[]]);
    });

    it('does not count from a member that was removed by hand', async () => {
      const { app } = stage();
      const handle = await publish([call('progress', 'late'), later()], {
        deadline: { after: 100, from: 'first-outcome' },
        recovery: CallbackWithSuccesses,
      });
      await takeAway(app, { queue: 'default', id: `${handle.id}.1` });
      expect(await headersOf(app).times(handle.id, 0)).not.toHaveProperty('firstOutcomeMs');
      diary().open('late');
      await handle.get();
      await app.quiet();
      expect(diary().payloads).toEqual([['done']]);
    });

    it('counts from the seal of a header that is read', async () => {
      let tell = (): void => undefined;
      const told = new Promise<void>((resolve) => (tell = resolve));
      async function* source() {
        yield call('echo', 1);
        await told;
        yield call('progress', 'late');
      }
      const handle = await publish(source as never, { deadline: { after: 100, from: 'seal' } });
      await new Promise((resolve) => setTimeout(resolve, 250));
      expect(await handle.state()).not.toBe('SUCCESS');
      tell();
      await handle.get();
      diary().open('late');
      await stage().app.quiet();
      expect(diary().payloads).toEqual([[1]]);
    });

    it.each(['dispatch', 'seal', 'last-outcome'] as const)(
      'from the %s ends a header of which the rest is never published',
      async (from) => {
        async function* source() {
          yield call('echo', 1);
          yield call('progress', 'late');
          throw new Error('no more');
        }
        const handle = await publish(source as never, { deadline: { after: 100, from }, late: 'amend' });
        await expect(handle.get()).rejects.toMatchObject({ code: 'DISPATCH_INCOMPLETE' });
        await until(() => followed().length > 0, 'the errback');
        diary().open('late');
        await stage().app.quiet();
        expect(followed()).toEqual(['errback']);
      },
    );

    it('of a chord that comes later counts from its turn', async () => {
      const { workflows } = stage();
      const still = (task: string, arg: number | string) =>
        workflows.signature(task, [arg], { immutable: true });
      const inner = workflows.chord(
        [still('echo', 1), still('progress', 'late')] as never,
        call('echo') as never,
        { deadline: 80 },
      );
      const chain = await stage().publish(workflows.chain(...([call('slow', 100, 0), inner] as never)));
      expect(await chain.get()).toEqual([1]);
      diary().open('late');
      await stage().app.quiet();
    });

    it('counts anew when its chord is redriven', async () => {
      const handle = await publish([call('better', 1), call('echo', 2)], { deadline: 120 });
      await expect(handle.get()).rejects.toMatchObject({ code: 'CHORD_FAILED' });
      await new Promise((resolve) => setTimeout(resolve, 150));
      await stage().workflows.redrive(handle.id);
      await handle.get();
      await stage().app.quiet();
      expect(followed()).toEqual(['errback', 'body']);
      expect(diary().payloads[1]).toEqual([1, 2]);
    });

    /** A chord whose first generation ends when the door `first` is opened, and its second one with the door `late`. */
    const twice = (deadline: ChordOptions['deadline']): Promise<Handle> =>
      publish([call('progress', 'first'), call('betterLate', 'late')], { deadline });

    async function redrive(handle: Handle): Promise<void> {
      diary().open('first');
      await expect(handle.get()).rejects.toMatchObject({ code: 'CHORD_FAILED' });
      await stage().workflows.redrive(handle.id);
    }

    it('that has passed for one generation does not pass for the next', async () => {
      const { app } = stage();
      const headers = headersOf(app);
      const handle = await twice('1h');
      await redrive(handle);
      await until(() => diary().count('again') === 1, 'the next generation runs');
      // A timer of the first one that was paused after its look.
      await headers.setDue(handle.id, 0);
      expect(await isDue(app, handle.id)).toBe(false);
      expect(await headers.times(handle.id, 0)).toBe('over');
      expect(await headers.times(handle.id, 2)).toBe('unknown');
      await headers.setDue(handle.id, 1);
      expect(await isDue(app, handle.id)).toBe(true);
      await handle.get();
      diary().open('late');
      await stage().app.quiet();
      expect(diary().payloads.at(-1)).toEqual(['done']);
    });

    it.each(['first-outcome', 'last-outcome'] as const)(
      'does not count from a %s of the generation before',
      async (from) => {
        const headers = headersOf(stage().app);
        const noted = jest.spyOn(headers, 'noteOutcome');
        const handle = await twice({ after: '1h', from });
        await redrive(handle);
        await until(() => diary().count('again') === 1, 'the next generation runs');
        const notes = [...noted.mock.calls];
        expect(notes).toHaveLength(2);
        // Those who noted them were paused until now.
        for (const note of notes) await headers.noteOutcome(...note);
        const times = await headers.times(handle.id, 1);
        expect(times).toEqual({
          dispatchMs: expect.any(Number) as number,
          sealMs: expect.any(Number) as number,
        });
        diary().open('late');
        await handle.get();
        await stage().app.quiet();
      },
    );

    it('is set for a generation while the timer of the last one is about to end', async () => {
      const timer = stopTimer(stage().app);
      const handle = await twice(400);
      await timer.hasBegun;
      diary().open('first');
      await expect(handle.get()).rejects.toMatchObject({ code: 'CHORD_FAILED' });
      await timer.letLook();
      await stage().workflows.redrive(handle.id);
      timer.letGo();
      await handle.get();
      diary().open('late');
      await stage().app.quiet();
      expect(followed()).toEqual(['errback', 'body']);
      expect(diary().payloads.at(-1)).toEqual(['done']);
    });

    it.each<[ChordOptions['deadline'], string]>([
      ['soon', 'deadline'],
      [0, '1 ms or more'],
      [{ after: '1m', from: 'now' as never }, 'deadline.from'],
      [{ after: '1m', late: 'drop' } as never, 'deadline.late'],
    ])('of %j is refused', (deadline, message) => {
      const make = () => stage().workflows.chord([] as never, call('echo') as never, { deadline } as never);
      expect(make).toThrow(expect.objectContaining({ message: expect.stringContaining(message) }) as Error);
    });
  });
}
