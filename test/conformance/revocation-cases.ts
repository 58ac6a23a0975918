import { CallbackWithSuccesses } from 'nestjs-task-queue';
import { type Fluent, until, useStage, type World } from './world.js';

/** What a revocation does, wherever it meets a task. */
export function revocationCases(world: World): void {
  describe('a revocation', () => {
    const it_ = useStage(world, { queues: { narrow: { concurrency: 1 } } });
    const stage = () => it_.stage;
    const call = (...args: Parameters<typeof it_.stage.call>) => stage().call(...args);
    const errback = (label: string) => call('keep', label);

    /** Holds the queue `narrow`, so that what comes after waits. */
    async function block() {
      const blocker = await stage().publish(call('held', 'gate'));
      await until(() => stage().diary.count('held gate') === 1, 'the queue is blocked');
      return blocker;
    }

    it('of what waits: it never starts, its errback and hook run once', async () => {
      const blocker = await block();
      const waiting = await stage().publish(call('waits').linkError(errback('E')), { queue: 'narrow' });
      expect(await waiting.revoke()).toBe(true);
      stage().diary.open('gate');
      await blocker.get();
      await stage().app.quiet();
      expect(await waiting.state()).toBe('REVOKED');
      await expect(waiting.get()).rejects.toMatchObject({ code: 'TASK_REVOKED' });
      expect([...stage().diary.entries].sort()).toEqual(['E', 'held gate', 'revoked hook revoked']);
    });

    it('of what is delayed', async () => {
      const handle = await stage().publish(call('note', 'never'), { countdown: '1h' });
      expect(await handle.revoke()).toBe(true);
      expect(await handle.failure()).toMatchObject({ reason: 'revoked' });
      await stage().app.quiet();
      expect(stage().diary.entries).toEqual([]);
      await handle.forget();
      expect(await handle.state()).toBe('UNKNOWN');
    });

    it('of what runs: it may finish', async () => {
      const running = await block();
      expect(await running.revoke()).toBe(true);
      stage().diary.open('gate');
      expect(await running.get()).toBe('gate');
    });

    it('of what runs, with terminate: its signal aborts and it is not tried again', async () => {
      const running = await block();
      await running.revoke({ terminate: true });
      await expect(running.get()).rejects.toMatchObject({ code: 'TASK_REVOKED' });
      await stage().app.quiet();
      expect(stage().diary.count('held gate')).toBe(1);
    });

    it('of a canvas: later members and the body never run, the errback runs once', async () => {
      const members = ['gate', 'other', 'third'].map((door) => call('held', door));
      const chord = stage().workflows.chord(
        members as never,
        call('note', 'body') as never,
      ) as unknown as Fluent;
      const handle = await stage().publish(chord.linkError(errback('E')));
      await until(() => stage().diary.count('held gate') === 1, 'the first member runs');
      expect(await handle.revoke({ terminate: true })).toBe(true);
      await expect(handle.get()).rejects.toMatchObject({ code: 'TASK_REVOKED' });
      await stage().app.quiet();
      expect(await handle.state()).toBe('REVOKED');
      expect(stage().diary.entries).toEqual(['held gate', 'E']);
      expect(stage().diary.payloads).toMatchObject([{ reason: 'revoked' }]);
    });

    it('of a chain between two steps: the next one is not begun', async () => {
      const chain = stage().workflows.chain(...([call('held', 'gate'), call('note', 'next')] as never));
      const handle = await stage().publish(chain);
      await until(() => stage().diary.count('held gate') === 1, 'the first step runs');
      await handle.revoke();
      stage().diary.open('gate');
      await handle.get({ propagate: false });
      await stage().app.quiet();
      expect(await handle.state()).toBe('REVOKED');
      expect(stage().diary.entries).toEqual(['held gate']);
    });

    it('of a canvas with terminate ends its tasks, not the callbacks that it has released', async () => {
      const { workflows } = stage();
      const members = [call('echo', 'door').link(call('progress')), call('progress', 'never')];
      const handle = await stage().publish(workflows.group(members as never));
      await until(() => stage().diary.count('in progress') === 2, 'a member and a callback run');
      await handle.revoke({ terminate: true });
      await handle.get({ propagate: false });
      stage().diary.open('door');
      expect(await workflows.result(`${handle.id}.0.link.0`).get()).toBe('done');
      expect(await handle.state()).toBe('REVOKED');
    });

    it('that comes while an attempt ends takes nothing from its record', async () => {
      const handle = await stage().publish(call('revokesItself').linkError(errback('E')));
      await handle.get({ propagate: false });
      await stage().app.quiet();
      expect(await stage().workflows.result(`${handle.id}.0`).failure()).toMatchObject({
        reason: 'error',
        error: { name: 'RangeError', message: 'too late' },
      });
      expect(stage().diary.entries).toEqual(['E']);
    });

    describe('in bulk', () => {
      const none = { waiting: 0, running: 0, canvases: 0 };

      it('by name: what is delayed, waits or runs, and nothing else', async () => {
        const { workflows } = stage();
        const running = await block();
        const later = { countdown: '1h' };
        const waits = await stage().publish(call('held', 'never'));
        const urgent = await stage().publish(call('held', 'never'), { priority: 2 });
        const delayed = await stage().publish(call('held', 'never'), later);
        const other = await stage().publish(call('note', 'other'), later);
        expect(await workflows.revoke({ name: 'held' })).toEqual({ waiting: 3, running: 1, canvases: 0 });
        expect(await workflows.revoke({ name: 'held' })).toEqual({ ...none, running: 1 });
        stage().diary.open('gate');
        expect(await running.get()).toBe('gate');
        for (const handle of [waits, urgent, delayed]) expect(await handle.state()).toBe('REVOKED');
        expect(await other.state()).toBe('PENDING');
        expect(await workflows.revoke({ name: 'held' })).toEqual(none);
        expect(await workflows.revoke({ name: 'note' })).toEqual({ ...none, waiting: 1 });
        await stage().app.quiet();
        expect(stage().diary.entries).toEqual(['held gate']);
      });

      it('by queue, with terminate; errbacks and hooks run once', async () => {
        const running = await block();
        const waits = await stage().publish(call('waits').linkError(errback('E')), { queue: 'narrow' });
        const counts = await stage().workflows.revoke({ queue: 'narrow' }, { terminate: true });
        expect(counts).toEqual({ waiting: 1, running: 1, canvases: 0 });
        await expect(running.get()).rejects.toMatchObject({ code: 'TASK_REVOKED' });
        await expect(waits.get()).rejects.toMatchObject({ code: 'TASK_REVOKED' });
        await stage().app.quiet();
        expect([...stage().diary.entries].sort()).toEqual(['E', 'held gate', 'revoked hook revoked']);
      });

      it('by stamp: also one of a list, and only with everything else that is given', async () => {
        const later = { countdown: '1h' };
        const { workflows } = stage();
        const stamped = (headers: object) => stage().publish(call('note', 'x'), { ...later, headers });
        const one = await stamped({ tenant: 7, tags: ['a', 'b'] });
        const two = await stamped({ tenant: 7 });
        const three = await stamped({ tenant: '7' });
        const other = await stage().publish(call('echo', 1), { ...later, headers: { tenant: 7 } });
        expect(await workflows.revoke({ stamp: { tags: 'b' } })).toEqual({ ...none, waiting: 1 });
        expect(await workflows.revoke({ stamp: { tenant: 7 }, name: 'note' })).toEqual({
          ...none,
          waiting: 1,
        });
        const states = await Promise.all([one, two, three, other].map((handle) => handle.state()));
        expect(states).toEqual(['REVOKED', 'REVOKED', 'PENDING', 'PENDING']);
        expect(await workflows.revoke({ queue: 'default' })).toEqual({ ...none, waiting: 2 });
      });

      it.each(['on the call', 'on the tasks'])(
        'of a canvas whose stamp stands %s: nothing of it begins any more',
        async (where) => {
          const { workflows } = stage();
          const stamp = { build: 3 };
          const header = workflows.group([call('held', 'gate'), call('held', 'never')] as never);
          const chord = workflows.chord([header] as never, call('note', 'body') as never, {
            recovery: CallbackWithSuccesses,
          }) as unknown as Fluent & { stamp(headers: object): Fluent };
          const canvas = where === 'on the tasks' ? chord.stamp(stamp) : chord;
          const handle = await stage().publish(
            canvas.linkError(errback('E')),
            where === 'on the call' ? { headers: stamp } : {},
          );
          await until(() => stage().diary.count('held gate') === 1, 'a member runs');
          expect(await workflows.revoke({ stamp })).toEqual({ waiting: 1, running: 1, canvases: 1 });
          stage().diary.open('gate');
          await expect(handle.get()).rejects.toMatchObject({ code: 'TASK_REVOKED' });
          await stage().app.quiet();
          expect(stage().diary.entries).toEqual(['held gate', 'E']);
        },
      );

      it('of a member that is stamped alone: the canvas around it goes on without it', async () => {
        const { workflows } = stage();
        const member = call('note', 'never') as unknown as {
          stamp(headers: object): Fluent & { set(o: object): Fluent };
        };
        const chord = workflows.chord(
          [call('echo', 1), member.stamp({ bad: true }).set({ countdown: '1h' })] as never,
          call('note', 'body') as never,
          { recovery: CallbackWithSuccesses },
        );
        const handle = await stage().publish(chord);
        expect(await workflows.revoke({ stamp: { bad: true } })).toEqual({ ...none, waiting: 1 });
        await handle.get();
        expect(stage().diary.entries).toEqual(['[1] body']);
      });

      it.each([
        [{}, /filter/],
        [{ nam: 'x' }, /did you mean "name"/],
        [{ name: '' }, /name/],
        [{ queue: '_canvas' }, /queue/],
        [{ stamp: {} }, /stamp/],
        [{ stamp: { tenant: { id: 1 } } }, /stamp\.tenant/],
      ])('by %j is refused', async (filter, message) => {
        await expect(async () => stage().workflows.revoke(filter as never)).rejects.toThrow(message);
      });
    });

    it('of what is over, or never was', async () => {
      const handle = await stage().run(call('echo', 1));
      expect(await handle.revoke()).toBe(false);
      expect(await handle.state()).toBe('SUCCESS');
      await expect(stage().workflows.result('0~never').revoke()).rejects.toMatchObject({
        code: 'RESULT_UNKNOWN',
      });
    });
  });
}
