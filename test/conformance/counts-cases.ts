import { CallbackWithOutcomes } from 'nestjs-task-queue';
import { takeAway } from '../support/timer-stop.js';
import { type Handle, until, useStage, type World } from './world.js';

/** How many members of a canvas are where, also those that nobody will hear of again. */
export function countsCases(world: World): void {
  describe('the counts of a canvas have', () => {
    const it_ = useStage(world);
    const stage = () => it_.stage;
    const call = (...args: Parameters<typeof it_.stage.call>) => stage().call(...args);
    const recovered = (members: object): Promise<Handle> =>
      stage().publish(
        stage().workflows.chord(members as never, call('echo') as never, { recovery: CallbackWithOutcomes }),
      );
    const later = (x: number): object =>
      (call('echo', x) as unknown as { set(options: object): object }).set({ countdown: '1h' });
    const withdraw = async (id: string, revoked: number, removed: number): Promise<void> => {
      await stage().workflows.result(`${id}.${revoked}`).revoke();
      await takeAway(stage().app, { queue: 'default', id: `${id}.${removed}` });
    };
    const countsOf = async (id: string): Promise<object | undefined> =>
      (await stage().workflows.result(id).describe()).counts;
    const counted = async (handle: Handle, succeeded: number): Promise<void> =>
      until(
        async () => (await handle.describe()).counts?.succeeded === succeeded,
        `${succeeded} members have ended`,
      );

    it('as failed who was revoked while he waited, or removed, at once and at the end', async () => {
      const members = [call('echo', 0), later(1), later(2), later(3)];
      const handle = await stage().publish(stage().workflows.group(members as never));
      await counted(handle, 1);
      expect(await countsOf(handle.id)).toEqual({ size: 4, succeeded: 1, failed: 0, pending: 3 });
      await withdraw(handle.id, 1, 2);
      expect(await countsOf(handle.id)).toEqual({ size: 4, succeeded: 1, failed: 2, pending: 1 });
      expect((await stage().workflows.explain(handle.id)).obstacles).toMatchObject([
        { kind: 'removed', members: 2 },
        { kind: 'waiting-for-children', pending: 1 },
        { kind: 'delayed' },
      ]);
      await expect(handle.get({ failFast: true })).rejects.toMatchObject({
        failures: [
          { index: 1, failure: { reason: 'revoked' } },
          { index: 2, failure: { reason: 'removed' } },
        ],
        values: [{ index: 0 }],
      });
      await stage().workflows.result(`${handle.id}.3`).revoke();
      await handle.get({ propagate: false });
      await stage().app.quiet();
      expect(await countsOf(handle.id)).toEqual({ size: 4, succeeded: 1, failed: 3, pending: 0 });
    });

    it('the same of a recovered chord, whose body is none of them', async () => {
      const handle = await recovered([call('echo', 0), later(1), later(2)]);
      await withdraw(handle.id, 1, 2);
      await handle.get();
      await stage().app.quiet();
      const description = await handle.describe();
      expect(description).toMatchObject({ state: 'SUCCESS', recovered: { failed: 2, size: 3 } });
      expect(description.counts).toEqual({ size: 3, succeeded: 1, failed: 2, pending: 0 });
    });

    it('the same of a header that is being read, and of one that is wide', async () => {
      let tellEnd = (): void => undefined;
      const end = new Promise<void>((resolve) => (tellEnd = resolve));
      async function* source() {
        for (const member of [call('echo', 0), later(1), later(2)]) yield member;
        await end;
        yield call('echo', 3);
      }
      const read = await recovered(source());
      await counted(read, 1);
      await withdraw(read.id, 1, 2);
      expect(await countsOf(read.id)).toEqual({ size: 3, succeeded: 1, failed: 2, pending: 0 });
      tellEnd();
      await read.get();
      expect(await countsOf(read.id)).toEqual({ size: 4, succeeded: 2, failed: 2, pending: 0 });
      const many = Array.from({ length: 1_010 }, (_, at) => (at < 3 ? later(at) : call('echo', at)));
      const wide = await stage().publish(stage().workflows.group(many as never));
      await counted(wide, 1_007);
      await withdraw(wide.id, 0, 1);
      expect(await countsOf(wide.id)).toEqual({ size: 1_010, succeeded: 1_007, failed: 2, pending: 1 });
      await stage().workflows.result(`${wide.id}.2`).revoke();
      await wide.get({ propagate: false });
      await stage().app.quiet();
    }, 120_000);

    it('the same of the step of a chain: those behind it were never there', async () => {
      const steps = [call('echo', 1), later(2), call('echo', 3)];
      const handle = await stage().publish(stage().workflows.chain(...(steps as [never])));
      await counted(handle, 1);
      expect(await countsOf(handle.id)).toEqual({ size: 3, succeeded: 1, failed: 0, pending: 2 });
      await until(
        async () => (await stage().workflows.result(`${handle.id}.1`).describe()).publishedAt !== undefined,
        'the second step is there',
      );
      await stage().workflows.result(`${handle.id}.1`).revoke();
      await handle.get({ propagate: false });
      await stage().app.quiet();
      expect(await countsOf(handle.id)).toEqual({ size: 3, succeeded: 1, failed: 1, pending: 1 });
    });
  });
}
