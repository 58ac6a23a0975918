import { CallbackWithOutcomes, CallbackWithSuccesses, ChordError, GroupError } from 'nestjs-task-queue';
import { ConformanceTasks, EvenCount } from './tasks.js';
import { type Fluent, useStage, type World } from './world.js';

/** What canvases come to. */
export function canvasCases(world: World): void {
  describe('a canvas', () => {
    const it_ = useStage(world);
    const stage = () => it_.stage;
    const call = (...args: Parameters<typeof it_.stage.call>) => stage().call(...args);
    const errback = (label: string) => call('keep', label);
    const chain = (...steps: object[]): Fluent =>
      stage().workflows.chain(...(steps as never)) as unknown as Fluent;
    const group = (...members: object[]): Fluent =>
      stage().workflows.group(members as never) as unknown as Fluent;
    const chord = (header: object[], body: object, options?: object): Fluent =>
      stage().workflows.chord(header as never, body as never, options as never) as unknown as Fluent;

    describe('chains', () => {
      it('hand values on, in front of stored arguments', async () => {
        const handle = await stage().run(chain(call('echo', 1), call('echo', 2), call('echo', 3)));
        expect(await handle.get()).toEqual([[1, 2], 3]);
      });

      it('a value too large to travel is handed on as well', async () => {
        const large = 'x'.repeat(40_000);
        const handle = await stage().run(chain(call('echo', large), call('echo', 1)));
        expect(await handle.get()).toEqual([large, 1]);
      });

      it('the first failure ends them; later steps are skipped, the errback runs once', async () => {
        const canvas = chain(call('echo', 1), call('fail'), call('note', 'never')).linkError(errback('E'));
        const handle = await stage().run(canvas);
        await expect(handle.get()).rejects.toBeInstanceOf(RangeError);
        expect(stage().diary.entries).toEqual(['fail', 'E']);
        expect(stage().diary.payloads).toMatchObject([{ request: { position: '1', name: 'fail' } }]);
        const [first, second, third] = await handle.children();
        expect(await first?.state()).toBe('SUCCESS');
        expect(await second?.state()).toBe('FAILURE');
        expect(await third?.failure()).toMatchObject({
          reason: 'upstream',
          error: { code: 'UPSTREAM_FAILED' },
        });
        expect(third?.parent?.id).toBe(handle.id);
      });

      it('a group in a chain is one step, an empty one gives an empty list', async () => {
        const canvas = chain(
          call('echo', 1),
          group(call('echo', 2), call('echo', 3)),
          group(),
          call('echo', 9),
        );
        expect(await (await stage().run(canvas)).get()).toEqual([[], 9]);
      });
    });

    describe('groups', () => {
      it('give values in definition order, whatever the order of ends', async () => {
        const handle = await stage().run(
          group(call('slow', 60, 'a'), call('slow', 1, 'b'), group(call('echo', 1))),
        );
        expect(await handle.get()).toEqual(['a', 'b', [1]]);
      });

      it('count and name their members, and end when all have ended', async () => {
        const canvas = group(call('echo', 1), call('fail', 'x'), call('echo', 3)).linkError(errback('E'));
        const { id } = await stage().run(canvas);
        const handle = stage().workflows.groupResult(id);
        expect(await handle.counts()).toEqual({ size: 3, succeeded: 2, failed: 1, pending: 0 });
        const error = await handle.get().catch((thrown: unknown) => thrown as GroupError);
        expect(error).toBeInstanceOf(GroupError);
        expect(error).toMatchObject({
          failures: [{ index: 1, failure: { error: { message: 'failed x' } } }],
          values: [
            { index: 0, value: 1 },
            { index: 2, value: 3 },
          ],
        });
        expect(await handle.settled()).toMatchObject([
          { status: 'fulfilled', value: 1 },
          { status: 'rejected', reason: { request: { id: `${id}.1` } } },
          { status: 'fulfilled', value: 3 },
        ]);
        expect(await handle.get({ propagate: false })).toEqual([1, new RangeError('failed x'), 3]);
        expect(stage().diary.payloads).toMatchObject([
          { failureCount: 1, values: [{ value: 1 }, { value: 3 }] },
        ]);
        const ended: number[] = [];
        for await (const member of handle) ended.push(member.index);
        expect(ended.sort((one, other) => one - other)).toEqual([0, 1, 2]);
      });

      it('linkError with each runs for every member that fails', async () => {
        const each = group(call('fail', 1), call('fail', 2), call('echo', 3)).linkError(errback('E'), {
          each: true,
        });
        await stage().run(each);
        expect(stage().diary.count('E')).toBe(2);
      });

      it('failFast does not wait for the others', async () => {
        const handle = await stage().publish(group(call('fail'), call('slow', 400, 1)));
        await expect(handle.get({ failFast: true })).rejects.toBeInstanceOf(GroupError);
        expect(await handle.state()).toBe('STARTED');
        await stage().app.quiet();
      });

      it('of many members', async () => {
        const members = Array.from({ length: 1_500 }, (_, index) => call('echo', index));
        const handle = await stage().run(chord(members, call('echo')));
        expect(await handle.get()).toEqual(members.map((_, index) => index));
      });
    });

    describe('chords', () => {
      const header = (): object[] => [call('echo', 1), call('fail', 'a'), call('echo', 3), call('fail', 'b')];

      it('the body gets the list', async () => {
        const handle = await stage().run(chord([call('echo', 1), call('echo', 2)], call('echo')));
        expect(await handle.get()).toEqual([1, 2]);
        expect(await (await stage().run(chord([], call('echo')))).get()).toEqual([]);
      });

      it('without a recovery only the errback runs, once, with all ends', async () => {
        const handle = await stage().run(chord(header(), call('note', 'body').linkError(errback('E'))));
        await expect(handle.get()).rejects.toMatchObject({
          name: 'ChordError',
          failures: [{ index: 1 }, { index: 3 }],
          values: [
            { index: 0, value: 1 },
            { index: 2, value: 3 },
          ],
        });
        expect(await handle.error()).toBeInstanceOf(ChordError);
        expect(stage().diary.entries.filter((entry) => entry !== 'fail')).toEqual(['E']);
        expect(stage().diary.payloads).toMatchObject([
          { failureCount: 2, failures: [{ index: 1 }, { index: 3 }] },
        ]);
      });

      it('CallbackWithSuccesses: the body gets what succeeded, the handle says so', async () => {
        const canvas = chord(header(), call('echo'), { recovery: CallbackWithSuccesses }).linkError(
          errback('E'),
        );
        const handle = await stage().run(canvas);
        expect(await handle.get()).toEqual([1, 3]);
        expect(await handle.describe()).toMatchObject({
          state: 'SUCCESS',
          recovered: { strategy: 'CallbackWithSuccesses', failed: 2, size: 4 },
        });
        expect(stage().diary.count('E')).toBe(0);
      });

      it('CallbackWithOutcomes: the body gets every end, also when all succeeded', async () => {
        const recovery = { recovery: CallbackWithOutcomes };
        const mixed = await stage().run(chord([call('echo', 1), call('fail')], call('echo'), recovery));
        expect(await mixed.get()).toMatchObject([
          { status: 'fulfilled', value: 1 },
          { status: 'rejected', reason: { error: { name: 'RangeError' } } },
        ]);
        const fine = await stage().run(chord([call('echo', 1)], call('echo'), recovery));
        expect(await fine.get()).toEqual([{ status: 'fulfilled', value: 1 }]);
      });

      it('a strategy of the application decides, and may throw', async () => {
        const own = { recovery: EvenCount };
        expect(await (await stage().run(chord(header(), call('echo'), own))).get()).toBe(2);
        const odd = await stage().run(chord([call('fail'), call('echo', 1)], call('echo'), own));
        await expect(odd.get()).rejects.toEqual(new RangeError('1 is odd'));
        const all = await stage().run(chord([call('fail')], call('echo'), own));
        await expect(all.get()).rejects.toMatchObject({ code: 'RECOVERY_FAILED' });
      });

      it('a body that fails is the failure of the chord, with its errback', async () => {
        const handle = await stage().run(chord([call('echo', 1)], call('fail').linkError(errback('E'))));
        await expect(handle.get()).rejects.toEqual(new RangeError('failed 1'));
        expect(stage().diary.entries).toEqual(['fail', 'E']);
      });

      it('nest in each other, failures climbing out of every depth', async () => {
        const inner = chord([call('echo', 1), chain(call('echo', 2), call('echo', 3))], call('echo'));
        const outer = chord([inner, group(call('echo', 4))], chain(call('echo'), call('echo', 5)));
        expect(await (await stage().run(outer)).get()).toEqual([[[1, [2, 3]], [4]], 5]);
        const broken = chord([chord([group(call('fail'))], call('echo'))], call('note', 'body'));
        const handle = await stage().run(broken.linkError(errback('E')));
        await expect(handle.get()).rejects.toBeInstanceOf(ChordError);
        expect(stage().diary.entries).toEqual(['fail', 'E']);
      });

      it('retries of a member are waited for', async () => {
        const handle = await stage().run(chord([call('flaky', ['transient', 'transient'])], call('echo')));
        expect(await handle.get()).toEqual(['after 3']);
      });
    });

    describe('callbacks', () => {
      it('of every kind of canvas run once, with its value', async () => {
        await stage().run(
          group(
            chain(call('echo', 1), call('echo', 2)).link(errback('chain')),
            chord([call('echo', 3)], call('echo')).link(errback('chord')),
          ).link(errback('group')),
        );
        expect([...stage().diary.entries].sort()).toEqual(['chain', 'chord', 'group']);
        expect(stage().diary.payloads).toEqual(expect.arrayContaining([[1, 2], [3], [[1, 2], [3]]]));
      });

      it('may be canvases, with results under fixed ids', async () => {
        const handle = await stage().run(call('echo', 1).link(chain(call('echo', 2), call('echo', 3))));
        expect(await stage().workflows.result(`${handle.id}.link.0`).get()).toEqual([[1, 2], 3]);
      });
    });

    it('a task may put a canvas in its place, wherever it stands', async () => {
      expect(await (await stage().run(call('replaced', 1, 2))).get()).toEqual([1, 2]);
      const handle = await stage().run(chain(call('replaced', 1, 2), call('echo', 3)));
      expect(await handle.get()).toEqual([[1, 2], 3]);
    });

    it('what takes a place gives its value to it, also when nobody would keep its result', async () => {
      const by = { kind: 'task', task: 'echo', args: ['kept'], options: { ignoreResult: true } };
      const chained = await stage().run(chain(call('becomes', by), call('echo', 1)));
      expect(await chained.get()).toEqual(['kept', 1]);
      expect(await (await stage().run(call('becomes', by))).get()).toBe('kept');
    });

    it('items of a map run in one job, those of chunks in as many as there are chunks', async () => {
      const tasks = stage().workflows.tasks(ConformanceTasks);
      const mapped = await tasks.echo.map([1, 2, 3]).applyAsync();
      expect(await mapped.get()).toEqual([1, 2, 3]);
      const chunked = await tasks.echo.chunks([[1], [2], [3]], 2).applyAsync();
      expect(await chunked.get()).toEqual([[1, 2], [3]]);
    });

    it('forget() of a canvas leaves nothing of its parts', async () => {
      const handle = await stage().run(group(call('echo', 1), call('fail')));
      const parts = await handle.children();
      await handle.forget();
      expect(await Promise.all([handle, ...parts].map((one) => one.state()))).toEqual([
        'UNKNOWN',
        'UNKNOWN',
        'UNKNOWN',
      ]);
    });

    it('results expire together with their canvas', async () => {
      const { workflows, app } = await it_.start({ defaults: { resultExpires: '1s' } });
      const made = workflows.group([workflows.signature('echo', [1])] as never);
      const handle = await (made as unknown as Published).applyAsync();
      await handle.get();
      const member = workflows.result(`${handle.id}.0`);
      expect(await member.result()).toBe(1);
      for (let looks = 0; (await handle.state()) !== 'UNKNOWN' && looks < 2_000; looks++)
        await new Promise((resolve) => setTimeout(resolve, 10));
      expect(await member.state()).toBe('UNKNOWN');
      await app.quiet();
    });
  });
}

interface Published {
  applyAsync(): Promise<{ id: string; get(): Promise<unknown>; state(): Promise<string> }>;
}
