import { CallbackWithSuccesses } from 'nestjs-task-queue';
import { type Fluent, type Handle, until, useStage, type World } from './world.js';

/** Groups and chords that are published while their members are read, and wide ones. */
export function wideCases(world: World): void {
  describe('a canvas of a source', () => {
    const it_ = useStage(world);
    const stage = () => it_.stage;
    const call = (...args: Parameters<typeof it_.stage.call>) => stage().call(...args);
    const from = (make: (index: number) => Fluent, count: number) =>
      async function* () {
        for (let index = 0; index < count; index++) yield make(index);
      };
    const group = (source: () => AsyncIterable<Fluent>, options?: object): object =>
      stage().workflows.group(source as never, options);
    const chord = (source: () => AsyncIterable<Fluent>, body: object, options?: object): Fluent =>
      stage().workflows.chord(source as never, body as never, options) as unknown as Fluent;

    it('gives the values of all members in their order, and says how far it is', async () => {
      const handle = await stage().run(group(from((index) => call('echo', index), 1_100)));
      expect(await handle.get()).toEqual(Array.from({ length: 1_100 }, (_, index) => index));
      expect(await handle.sealed()).toBe(1_100);
      expect(await handle.describe()).toMatchObject({
        counts: { size: 1_100, succeeded: 1_100, failed: 0, pending: 0 },
        dispatch: { dispatched: 1_100, state: 'sealed', total: 1_100 },
      });
    });

    it('runs its body once, also when there is no member, and recovers as one of a list does', async () => {
      const none = await stage().run(
        chord(
          from(() => call('echo'), 0),
          call('echo', 'body'),
        ),
      );
      expect(await none.get()).toEqual([[], 'body']);
      const some = chord(
        from((index) => (index === 1 ? call('fail') : call('echo', index)), 3),
        call('echo', 'body'),
        { recovery: CallbackWithSuccesses },
      );
      const handle = await stage().run(some);
      expect(await handle.get()).toEqual([[0, 2], 'body']);
      expect((await handle.describe()).recovered).toMatchObject({ failed: 1, size: 3 });
    });

    it('fails when its source throws; what was published has run, the body never does', async () => {
      const broken = from((index) => {
        if (index === 2) throw new RangeError('no more');
        return call('note', `member ${index}`);
      }, 5);
      const canvas = chord(broken, call('note', 'body')).linkError(call('keep', 'E'));
      const handle = await stage().run(canvas);
      await expect(handle.sealed()).rejects.toMatchObject({ code: 'DISPATCH_INCOMPLETE' });
      await expect(handle.get()).rejects.toMatchObject({
        code: 'DISPATCH_INCOMPLETE',
        cause: new RangeError('no more'),
      });
      expect(await handle.dispatch()).toEqual({ dispatched: 2, state: 'failed' });
      expect([...stage().diary.entries].sort()).toEqual(['E', 'member 0', 'member 1']);
    });

    it('is not read on while its window is full', async () => {
      let read = 0;
      const source = from((index) => {
        read = index + 1;
        return call('echo', index);
      }, 300);
      const handle = await stage().run(group(source, { window: 20 }));
      expect(await handle.get()).toHaveLength(300);
      expect(read).toBe(300);
    });

    it('published twice under one id runs once, as a list or from a source', async () => {
      const run = async (canvas: object): Promise<Handle> => stage().run(canvas, { taskId: 'twice' });
      const source = from((index) => call('note', `s${index}`), 30);
      const first = await run(group(source));
      await run(group(source));
      expect(await first.get()).toHaveLength(30);
      const list = Array.from({ length: 1_200 }, (_, index) => call('note', `l${index}`));
      for (let times = 0; times < 2; times++) {
        await stage().run(stage().workflows.group(list as never), { taskId: 'twice-list' });
      }
      expect(stage().diary.entries).toHaveLength(1_230);
    });
  });

  describe('a canvas of a source that is still open', () => {
    const it_ = useStage(world);

    it('ends when it is revoked; its source is left, and its errback runs once', async () => {
      const { workflows, diary } = it_.stage;
      let isLeft = false;
      const source = async function* () {
        try {
          for (;;) {
            yield workflows.signature('slow', [20, 1]);
            await new Promise((resolve) => setTimeout(resolve, 5));
          }
        } finally {
          isLeft = true;
        }
      };
      const errback = workflows.signature<null, [unknown]>('keep', ['E']);
      const canvas = workflows.group(source).linkError(errback);
      const publishing = canvas.set({ taskId: 'endless' }).delay();
      publishing.catch(() => undefined);
      const handle = workflows.result('endless');
      await until(
        async () => ((await handle.dispatch().catch(() => undefined))?.dispatched ?? 0) > 3,
        'members are there',
      );
      await handle.revoke();
      await until(() => isLeft, 'the source is left');
      await publishing;
      await it_.stage.app.quiet();
      expect(await handle.state()).toBe('REVOKED');
      expect(diary.count('E')).toBe(1);
    });
  });
}
