import {
  ArgumentTooLargeError,
  type CanvasData,
  CallbackWithOutcomes,
  CanvasTooLargeError,
  type JsonValue,
} from 'nestjs-task-queue';
import { type Fluent, until, useStage, type World } from './world.js';

/** How large the parts of a canvas may be, and how it grows while it runs. */
export function compositionCases(world: World): void {
  describe('limits', () => {
    const limits = { argumentBytes: 2_000, resultBytes: 1_000, canvasBytes: 3_000 };
    const it_ = useStage(world, { limits });
    const stage = () => it_.stage;
    const text = (length: number): string => 'x'.repeat(length);
    const chain = (...steps: object[]): Fluent =>
      stage().workflows.chain(...(steps as never)) as unknown as Fluent;

    it('too large an argument is refused where it is published, with its path and size; nothing runs', async () => {
      const canvas = chain(stage().call('note', 'first'), stage().call('note', 'small', text(2_000)));
      await expect(stage().publish(canvas, { taskId: 'large-one' })).rejects.toMatchObject({
        code: 'ARGUMENT_TOO_LARGE',
        taskName: 'note',
        path: 'steps[1].args[1]',
        bytes: 2_012,
        limit: 2_000,
      });
      await expect(stage().publish(canvas)).rejects.toBeInstanceOf(ArgumentTooLargeError);
      await stage().app.quiet();
      expect(await stage().workflows.result('large-one').state()).toBe('UNKNOWN');
      expect(stage().diary.entries).toEqual([]);
    });

    it('a canvas that keeps too much for later is refused in the same way', async () => {
      const steps = Array.from({ length: 6 }, (_, index) => stage().call('note', index, text(700)));
      await expect(stage().publish(chain(...steps))).rejects.toBeInstanceOf(CanvasTooLargeError);
      expect(stage().diary.entries).toEqual([]);
    });

    it('too large a result fails its task, which is not tried again', async () => {
      const handle = await stage().run(
        stage().call('echo', text(1_000)).linkError(stage().call('keep', 'errback')),
      );
      expect(await handle.failure()).toMatchObject({
        reason: 'error',
        error: { name: 'ResultTooLargeError', code: 'RESULT_TOO_LARGE' },
      });
      await expect(handle.get()).rejects.toThrow('most of it at result; the limit is 1000');
      expect(stage().diary.entries).toEqual(['errback']);
    });

    it('the list of a group has no limit of its own', async () => {
      const members = Array.from({ length: 5 }, () => stage().call('echo', text(900)));
      const handle = await stage().run(stage().workflows.group(members as never));
      expect(await handle.get()).toEqual(members.map(() => text(900)));
    });

    it('of a replacement are those of the application that runs the task', async () => {
      const handle = await stage().run(stage().call('replaced', text(990), text(990)));
      expect(await handle.get()).toEqual([text(990), text(990)]);
      const large = await stage().run(stage().call('replacedBy', 2_500));
      expect(await large.failure()).toMatchObject({ error: { code: 'ARGUMENT_TOO_LARGE' } });
    });
  });

  describe('callbacks on every shape', () => {
    const it_ = useStage(world);
    const call = (...args: Parameters<typeof it_.stage.call>) => it_.stage.call(...args);
    const made = (canvas: unknown): Fluent => canvas as Fluent;
    const data = (canvas: object): JsonValue =>
      (canvas as { toJSON(): CanvasData }).toJSON() as unknown as JsonValue;
    const fixed = (task: string, ...args: JsonValue[]): Fluent =>
      made(it_.stage.workflows.signature(task, args, { immutable: true }));

    /** Every shape, around one call that comes to its end or fails. */
    const shapes = (
      last: Fluent,
      map: CanvasData,
    ): Readonly<Record<string, readonly [Fluent, JsonValue]>> => {
      const { workflows } = it_.stage;
      const group = (...members: object[]) => made(workflows.group(members as never));
      const chain = (...steps: object[]) => made(workflows.chain(...(steps as never)));
      const chord = (header: object[], body: object) => made(workflows.chord(header as never, body as never));
      const one = fixed('echo', 1);
      return {
        'a task': [last, 'x'],
        'a chain': [chain(one, one, last), 'x'],
        'a chain that begins with a group': [chain(group(one, one), last), 'x'],
        'a chain that ends in a group': [chain(one, group(one, last)), [1, 'x']],
        'a group after a group': [chain(group(one), group(one), last), 'x'],
        'a chain with a chord in the middle': [chain(one, chord([one], last), call('echo')), 'x'],
        'a group': [group(one, last), [1, 'x']],
        'a group that has got one more': [
          made((workflows.group([one] as never) as unknown as { add(member: object): object }).add(last)),
          [1, 'x'],
        ],
        'a group of groups, chains and chords': [
          group(group(one), chain(one, last), chord([one], one)),
          [[1], 'x', 1],
        ],
        'a chord whose header has it': [chord([one, last], call('echo')), [1, 'x']],
        'a chord whose header has a chain': [chord([chain(one, last), one], call('echo')), ['x', 1]],
        'a chord whose body is a task': [chord([one], last), 'x'],
        'a chord whose body is a chain': [chord([one], chain(one, last)), 'x'],
        'a chord whose body is a group': [chord([one], group(one, last)), [1, 'x']],
        'a chord whose body is a chord': [chord([one], chord([last], call('echo'))), ['x']],
        'a map': [made(workflows.fromData(map)), ['x']],
        chunks: [group(made(workflows.fromData(map)), one), [['x'], 1]],
        'a task that is replaced by a task': [fixed('becomes', data(last)), 'x'],
        'a task that is replaced by a chord': [
          fixed('becomes', data(chord([one, last], call('echo')))),
          [1, 'x'],
        ],
      };
    };
    const mapOf = (task: string): CanvasData => ({
      kind: 'task',
      task,
      args: [['x']],
      each: 'map',
      immutable: true,
    });

    it('link: once, with its value; linkError: never', async () => {
      const { stage } = it_;
      const expected: JsonValue[] = [];
      for (const [shape, [canvas, value]] of Object.entries(shapes(fixed('echo', 'x'), mapOf('echo')))) {
        await stage.run(canvas.link(call('keep', shape)).linkError(call('keep', `errback of ${shape}`)));
        expected.push([shape, value]);
      }
      expect(stage.diary.entries.map((shape, at) => [shape, stage.diary.payloads[at]])).toEqual(expected);
    });

    it('linkError: once, with what failed; link: never', async () => {
      const { stage } = it_;
      const all = Object.entries(shapes(fixed('fail', 'x'), mapOf('fail')));
      for (const [shape, [canvas]] of all) {
        await stage.run(canvas.link(call('keep', `link of ${shape}`)).linkError(call('keep', shape)));
      }
      expect(stage.diary.entries.filter((entry) => entry !== 'fail')).toEqual(all.map(([shape]) => shape));
      const silent = stage.diary.payloads.filter((failure) => !JSON.stringify(failure).includes('failed x'));
      expect(silent).toEqual([]);
    });
  });

  describe('what a callback sees', () => {
    const it_ = useStage(world);
    const call = (...args: Parameters<typeof it_.stage.call>) => it_.stage.call(...args);

    it('is a canvas that has ended, whatever its shape and its end (B064, B111)', async () => {
      const { workflows } = it_.stage;
      const made = (canvas: unknown): Fluent => canvas as Fluent;
      const shapes = (last: string): Fluent[] => [
        call(last),
        made(workflows.chain(...([call('nothing'), call(last)] as never))),
        made(workflows.group([call('nothing'), call(last)] as never)),
        made(workflows.chord([call('nothing')] as never, call(last) as never)),
      ];
      for (const shape of shapes('nothing')) await it_.stage.run(shape.link(call('peek')));
      for (const shape of shapes('fail')) await it_.stage.run(shape.linkError(call('peek')));
      expect(it_.stage.diary.entries.filter((entry) => entry !== 'fail')).toEqual([
        ...Array.from({ length: 4 }, () => '.link.0 SUCCESS'),
        ...Array.from({ length: 4 }, () => '.errback.0 FAILURE'),
      ]);
    });
  });

  describe('a member that adds others', () => {
    const it_ = useStage(world);
    const stage = () => it_.stage;
    const data = (canvas: object): CanvasData => (canvas as { toJSON(): CanvasData }).toJSON();
    const echo = (value: JsonValue) => stage().call('echo', value);
    const adds = (canvases: object[], failures = 0): Fluent =>
      stage().workflows.signature('adds', [canvases.map(data), failures], {
        immutable: true,
      }) as unknown as Fluent;
    const group = (...members: object[]): Fluent =>
      stage().workflows.group(members as never) as unknown as Fluent;
    const chain = (...steps: object[]): Fluent =>
      stage().workflows.chain(...(steps as never)) as unknown as Fluent;
    const chord = (header: object[], body: object, options?: object): Fluent =>
      stage().workflows.chord(header as never, body as never, options as never) as unknown as Fluent;

    it('to a group: behind all others, in the order in which they were added', async () => {
      const handle = await stage().run(group(echo(1), adds([echo('a'), echo('b')]), echo(2)));
      expect(await handle.get()).toEqual([1, 'adder', 2, 'a', 'b']);
      expect(stage().diary.entries).toEqual(['added .3 .4']);
      expect((await handle.children()).map(({ id }) => id)).toEqual(
        [0, 1, 2, 3, 4].map((index) => `${handle.id}.${index}`),
      );
      expect(await stage().workflows.groupResult(handle.id).counts()).toEqual({
        size: 5,
        succeeded: 5,
        failed: 0,
        pending: 0,
      });
    });

    it('to a header: the body waits for them, and gets them (B078)', async () => {
      const handle = await stage().run(
        chord([echo(1), adds([echo('a'), group(echo('b'), echo('c'))])], stage().call('echo')),
      );
      expect(await handle.get()).toEqual([1, 'adder', 'a', ['b', 'c']]);
    });

    it('once, although it is run again after it has added them', async () => {
      const handle = await stage().run(group(adds([echo('a'), echo('b')], 3), echo(2)));
      expect(await handle.get()).toEqual(['adder', 2, 'a', 'b']);
      expect(stage().diary.entries).toEqual(Array.from({ length: 4 }, () => 'added .2 .3'));
    });

    it('that fail: the group fails with them, its errback knows them', async () => {
      const canvas = group(adds([stage().call('fail', 'late'), echo('b')])).linkError(
        stage().call('keep', 'errback'),
      );
      const handle = await stage().run(canvas);
      await expect(handle.get()).rejects.toMatchObject({
        failures: [{ index: 1, failure: { error: { message: 'failed late' } } }],
        values: [
          { index: 0, value: 'adder' },
          { index: 2, value: 'b' },
        ],
      });
      expect(stage().diary.payloads).toMatchObject([{ failureCount: 1, failures: [{ index: 1 }] }]);
    });

    it('that are recovered with their header', async () => {
      const header = [adds([stage().call('fail', 'late'), echo('b')]), echo(1)];
      const handle = await stage().run(
        chord(header, stage().call('echo'), { recovery: CallbackWithOutcomes }),
      );
      expect(await handle.get()).toMatchObject([
        { status: 'fulfilled', value: 'adder' },
        { status: 'fulfilled', value: 1 },
        { status: 'rejected', reason: { error: { message: 'failed late' } } },
        { status: 'fulfilled', value: 'b' },
      ]);
    });

    it('from anywhere below: a step of a chain, a task with callbacks, a body, a replacement', async () => {
      const step = chain(echo(1), stage().call('note', 'x'), adds([echo('from a chain')]));
      const linked = adds([echo('from a task with a callback')]).link(stage().call('note', 'link'));
      const body = chord([echo(1)], stage().call('becomes', data(adds([echo('from a body')])) as never));
      for (const [member, added] of [
        [step, 'from a chain'],
        [linked, 'from a task with a callback'],
        [body, 'from a body'],
      ] as const) {
        const handle = await stage().run(group(member));
        expect(await handle.get()).toEqual(['adder', added]);
      }
    });

    it('also by those that were added themselves, and to the nearest group', async () => {
      const inner = group(adds([adds([echo('deep')])]));
      const handle = await stage().run(group(inner, echo(1)));
      expect(await handle.get()).toEqual([['adder', 'adder', 'deep'], 1]);
    });

    it('many at a time: each gets a place of its own', async () => {
      const adders = Array.from({ length: 12 }, (_, index) =>
        adds([echo(`${index}.0`), echo(`${index}.1`), echo(`${index}.2`)]),
      );
      const handle = await stage().run(group(...adders));
      const values = (await handle.get()) as string[];
      expect(values.slice(0, 12)).toEqual(adders.map(() => 'adder'));
      const added = values.slice(12);
      expect([...added].sort()).toEqual(
        adders.flatMap((_, index) => [`${index}.0`, `${index}.1`, `${index}.2`]).sort(),
      );
      for (const index of adders.keys()) {
        expect(added.filter((value) => value.startsWith(`${index}.`))).toEqual([
          `${index}.0`,
          `${index}.1`,
          `${index}.2`,
        ]);
      }
    });

    it('for the items of a map: each its own', async () => {
      const items = [[[data(echo('a'))]], [[data(echo('b')), data(echo('c'))]]] as unknown as JsonValue[];
      const map: CanvasData = {
        kind: 'task',
        task: 'adds',
        args: [items],
        each: 'starmap',
        immutable: true,
      };
      const handle = await stage().run(group(stage().workflows.fromData(map)));
      expect(await handle.get()).toEqual([['adder', 'adder'], 'a', 'b', 'c']);
    });

    it('outside of a group is told to put itself into one', async () => {
      const alone = await stage().run(adds([echo(1)]));
      expect(await alone.failure()).toMatchObject({ error: { code: 'CANNOT_ADD_MEMBER' } });
      const inChain = await stage().run(
        chain(echo(1), stage().call('becomes', data(adds([echo(1)])) as never)),
      );
      expect(await inChain.failure()).toMatchObject({ error: { code: 'CANNOT_ADD_MEMBER' } });
    });

    it('to a header that is still being read is refused', async () => {
      const { workflows, diary } = stage();
      diary.open('door');
      const source = async function* () {
        yield workflows.signature('addsBehind', ['door']);
        await until(() => diary.count('CANNOT_ADD_MEMBER') === 1, 'it was told');
        yield workflows.signature('echo', [2]);
      };
      const handle = await stage().run(workflows.group(source() as never));
      expect(await handle.get()).toEqual([null, 2]);
    });

    it('in a group that is revoked is refused', async () => {
      const waiting = stage().workflows.signature('echo', [1]).set({ countdown: '1h' });
      const handle = await stage().publish(group(stage().call('addsBehind', 'door'), waiting));
      await until(() => stage().diary.count('waits') === 1, 'it runs');
      await handle.revoke();
      stage().diary.open('door');
      await stage().app.quiet();
      expect(await handle.state()).toBe('REVOKED');
      expect(stage().diary.entries).toEqual(['waits', 'TASK_REVOKED']);
      expect(await stage().workflows.result(`${handle.id}.2`).state()).toBe('UNKNOWN');
    });
  });
}
