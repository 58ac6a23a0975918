import { setImmediate as turn } from 'node:timers/promises';
import { Tolerate } from 'nestjs-task-queue';
import { type Fluent, until, useStage, type World } from './world.js';

/** Why something has not ended, whatever its queues are kept in. */
export function explainCases(world: World): void {
  describe('explain', () => {
    const given = useStage(world);

    const kindsOf = async (id: string): Promise<string[]> =>
      (await given.stage.workflows.explain(id)).obstacles.map(({ kind, position }) =>
        `${kind} ${position}`.trim(),
      );

    it('walks from a canvas down to the task that runs, and says how it has ended', async () => {
      const { stage } = given;
      const { workflows } = stage;
      const held = workflows.chord(
        [stage.call('held', 'x'), stage.call('echo', 1)] as never,
        stage.call('echo') as never,
      );
      const handle = await stage.publish(held);
      await until(async () => (await kindsOf(handle.id)).includes('running 0'), 'a member runs');
      await until(
        async () => (await workflows.result(`${handle.id}.1`).state()) === 'SUCCESS',
        'the other has ended',
      );
      expect(await kindsOf(handle.id)).toEqual(['waiting-for-children', 'running 0']);
      expect((await kindsOf(`${handle.id}.body`))[0]).toBe('not-published body');
      expect((await workflows.explain(handle.id)).obstacles[0]).toMatchObject({
        pending: 1,
        succeeded: 1,
        failed: 0,
      });
      stage.diary.open('x');
      await handle.get();
      await stage.app.quiet();
      expect(await workflows.explain(handle.id)).toMatchObject({ state: 'SUCCESS', obstacles: [], rest: 0 });
    });

    it('says when the deadline of a chord comes up, and takes nobody for damage who waits for late members', async () => {
      const { stage } = given;
      const { workflows } = stage;
      const chord = (door: string, deadline: string | number) =>
        workflows.chord(
          [stage.call('progress', door), stage.call('echo', 1)] as never,
          stage.call('echo') as never,
          {
            deadline,
          } as never,
        );
      const open = await stage.publish(chord('y', '1h'));
      await until(
        async () => (await workflows.result(`${open.id}.1`).state()) === 'SUCCESS',
        'a member has ended',
      );
      const [, timer] = (await workflows.explain(open.id)).obstacles;
      expect(timer).toMatchObject({ kind: 'delayed', name: 'deadline', position: 'deadline' });
      expect(timer?.text).toContain('comes up at');
      expect((await workflows.reconcile(open.id)).mended).toEqual([]);
      const closed = await stage.publish(chord('z', 150));
      await closed.get();
      expect(await kindsOf(closed.id)).toEqual([]);
      for (const door of ['y', 'z']) stage.diary.open(door);
      await open.get();
      await stage.app.quiet();
      for (const { id } of [open, closed]) {
        expect(await kindsOf(id)).toEqual([]);
        expect((await workflows.reconcile(id)).mended).toEqual([]);
      }
    });

    it('says of a callback that is yet to come what it waits for, and of one that never comes that nobody knows it', async () => {
      const { stage } = given;
      const { workflows } = stage;
      const limits = { count: 1, onBreach: 'callback', rest: 'leave' } as const;
      const canvas = workflows.chord(
        [stage.call('progress', 'w'), stage.call('fail')] as never,
        stage.call('echo') as never,
        { recovery: Tolerate(limits), late: { callback: stage.call('echo', 'late') } } as never,
      );
      const { id } = await stage.publish(
        (canvas as unknown as Fluent).linkError(stage.call('echo')).link(stage.call('echo')),
      );
      const waits = 'waiting-for-children,running 0';
      await until(
        async () => (await kindsOf(id)).join() === waits,
        'the other has failed, and is not held against it',
      );
      for (const callback of ['errback.0', 'link.0', 'late.0']) {
        const { state, obstacles } = await workflows.explain(`${id}.${callback}`);
        expect(state).toBe('PENDING');
        expect(obstacles.slice(0, 2)).toMatchObject([
          { kind: 'not-published', by: id },
          { kind: 'waiting-for-children', id },
        ]);
      }
      for (const callback of ['errback.1', 'g1.errback.0', 'late.1', 'letter.0'])
        expect(await kindsOf(`${id}.${callback}`)).toEqual(['unknown']);
      // Its header is closed, and a member goes on.
      await workflows.setBudget(id, { ...limits, count: 0 });
      await workflows.result(id).get();
      const late = 'not-published,waiting-for-children late,running 0';
      await until(async () => (await kindsOf(`${id}.late.0`)).join() === late, 'who waits is looked at');
      stage.diary.open('w');
      await stage.app.quiet();
      expect(await kindsOf(`${id}.errback.0`)).toEqual(['unknown']);
      expect(await kindsOf(`${id}.late.0`)).toEqual([]);
    });

    it('takes nothing for damage that ends while it looks', async () => {
      const { stage } = given;
      const { workflows } = stage;
      const members = Array.from({ length: 150 }, (_, n) => stage.call('echo', n));
      const handle = await stage.publish(workflows.chord(members as never, stage.call('echo') as never));
      let looks = 0;
      const damage: string[] = [];
      for (let hasEnded = false; !hasEnded; looks++) {
        const { state, obstacles } = await workflows.explain(handle.id, { limit: 200 });
        const ofMember = await workflows.explain(`${handle.id}.${looks % 150}`);
        const damaged = [...obstacles, ...ofMember.obstacles].filter(({ mendable }) => mendable);
        damage.push(...damaged.map(({ kind, position }) => `${kind} ${position}`));
        hasEnded = state === 'SUCCESS';
        await turn(); // in memory a look waits for nothing, and nothing would go on beside it
      }
      expect(damage).toEqual([]);
      expect(looks).toBeGreaterThan(1);
    });

    it('says what is delayed, and what nobody knows', async () => {
      const { stage } = given;
      const later = await stage.publish(stage.call('echo', 1), { countdown: '1h' });
      expect(await kindsOf(later.id)).toEqual(['delayed']);
      await later.revoke();
      expect(await kindsOf('0~nobody')).toEqual(['unknown']);
      expect(String(await stage.workflows.explain(later.id))).toMatch(/has ended as REVOKED/);
    });

    it.each([undefined, null, 7])('of %s, which is no id, is refused, as everything else is', async (id) => {
      const { workflows } = given.stage;
      const none = id as never;
      const refusal = /^Option id: expected the id of a task or canvas, got/;
      await expect(workflows.explain(none)).rejects.toThrow(refusal);
      await expect(workflows.redrive(none)).rejects.toThrow(refusal);
      await expect(workflows.setBudget(none, { count: 1 })).rejects.toThrow(refusal);
      expect(() => workflows.result(none)).toThrow(refusal);
      expect(() => workflows.groupResult(none)).toThrow(refusal);
    });
  });
}
