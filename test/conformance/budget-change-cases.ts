import { type ChordOptions, Tolerate } from 'nestjs-task-queue';
import { type Fluent, type Handle, until, useStage, type World } from './world.js';

/** What somebody says who changes the budget of a header that runs. */
export function budgetChangeCases(world: World): void {
  describe('a budget that is changed', () => {
    const it_ = useStage(world);
    const stage = () => it_.stage;
    const call = (...args: Parameters<typeof it_.stage.call>) => stage().call(...args);
    const diary = () => stage().diary;

    /** So many members that fail at once, and as many that wait for a door. */
    const failing = (count: number): Fluent[] => Array.from({ length: count }, () => call('fail'));
    const waiting = (count: number): Fluent[] =>
      Array.from({ length: count }, (_, at) => call('progress', `door ${at}`));
    const openDoors = (): void => [0, 1].forEach((at) => diary().open(`door ${at}`));
    const followed = () => diary().entries.filter((entry) => entry === 'body' || entry === 'errback');

    async function publish(members: object, options: ChordOptions): Promise<Handle> {
      const chord = stage().workflows.chord(
        members as never,
        call('keep', 'body') as never,
        options as never,
      ) as unknown as Fluent;
      return stage().publish(chord.linkError(call('keep', 'errback')));
    }

    it('holds while its chord runs, and is not heard when the header is over', async () => {
      const { workflows } = stage();
      const members = [...waiting(2), ...failing(1)];
      const handle = await publish(members, { recovery: Tolerate({ count: 1 }) });
      await until(async () => (await handle.describe()).counts?.failed === 1, 'a member has failed');
      expect(await workflows.setBudget(handle.id, { count: 0 })).toBe(true);
      await expect(handle.get()).rejects.toMatchObject({ code: 'CHORD_FAILED' });
      expect(await workflows.setBudget(handle.id, { count: 5 })).toBe(false);
      openDoors();
      await stage().app.quiet();
      expect(followed()).toEqual(['errback']);
      const plain = await stage().run(call('echo', 1));
      await expect(workflows.setBudget(plain.id, { count: 1 })).rejects.toMatchObject({ code: 'NO_BUDGET' });
      await expect(workflows.setBudget('0~never', { count: 1 })).rejects.toMatchObject({
        code: 'RESULT_UNKNOWN',
      });
    });

    it('is refused where it is when publishing, as soon as the size is known', async () => {
      const { workflows } = stage();
      const many = { minSuccesses: 3 };
      const handle = await publish(waiting(2), { recovery: Tolerate({ count: 1 }) });
      await expect(workflows.setBudget(handle.id, many)).rejects.toMatchObject({
        code: 'INVALID_CANVAS',
        message: expect.stringContaining('3 members would have to succeed, and there are 2') as string,
      });
      let tell = (): void => undefined;
      const told = new Promise<void>((resolve) => (tell = resolve));
      async function* source() {
        yield call('echo', 1);
        await told;
        yield* [call('echo', 2), call('echo', 3)];
      }
      const read = await publish(source, { recovery: Tolerate({ count: 1 }) });
      await until(async () => (await read.describe()).counts?.succeeded === 1, 'one has ended');
      expect(await workflows.setBudget(read.id, many)).toBe(true);
      tell();
      openDoors();
      await Promise.all([handle.get(), read.get()]);
      await stage().app.quiet();
      expect(followed()).toEqual(['body', 'body']);
    });

    it('of a chord whose turn has not come is refused', async () => {
      const { workflows } = stage();
      const inner = workflows.chord([call('fail')] as never, call('keep', 'body') as never, {
        recovery: Tolerate({ count: 0 }),
      });
      const chain = await stage().publish(workflows.chain(...([...waiting(1), inner] as never)));
      await until(() => diary().count('in progress') === 1, 'the first step runs');
      await expect(workflows.setBudget(`${chain.id}.1`, { count: 1 })).rejects.toMatchObject({
        code: 'NOT_BEGUN',
      });
      await chain.revoke();
      openDoors();
      await stage().app.quiet();
    });

    it('stays so in later generations', async () => {
      const { workflows, app } = stage();
      const members = [...waiting(1), ...failing(2)];
      const handle = await publish(members, { recovery: Tolerate({ count: 2 }) });
      await until(async () => (await handle.describe()).counts?.failed === 2, 'two have failed');
      await workflows.setBudget(handle.id, { count: 1 });
      await expect(handle.get()).rejects.toMatchObject({ code: 'CHORD_FAILED' });
      openDoors();
      await app.quiet();
      await workflows.redrive(handle.id);
      await app.quiet();
      await expect(handle.get()).rejects.toMatchObject({ code: 'CHORD_FAILED' });
      expect(followed()).toEqual(['errback', 'errback']);
    });
  });
}
