import {
  type AsyncResult,
  CallbackWithOutcomes,
  CallbackWithSuccesses,
  ChordError,
  GroupError,
  type JsonValue,
  type Signature,
  UpstreamFailedError,
} from 'nestjs-task-queue';
import {
  app,
  workflows,
  probe,
  tasks,
  callbacks,
  hooked,
  quiet,
  failureOf,
  errbacksOf,
  labelsOf,
  errback,
  link,
  useCanvasApp,
} from '../support/canvas-app.js';
import { until } from '../support/canvas-runner.js';
import { HookedTasks, TwoOfThree, Broken } from '../support/canvas-tasks.js';

/**
 * Decisions of the semantics about canvases, through the API that users see: links, skipped steps, recovery and errors.
 * Names begin with their number.
 */

useCanvasApp();

describe('7 link', () => {
  it('on a task, a group, a chain and a chord: once each, with the value', async () => {
    const task = tasks.add.s(1, 2).link(link('task'));
    const group = workflows.group([tasks.echo.s('a'), tasks.echo.s('b')]).link(link('group'));
    const chain = workflows.chain(tasks.add.s(1, 2), tasks.add.s(10)).link(link('chain'));
    const chord = workflows.chord([tasks.echo.s('x')], tasks.show.s()).link(link('chord'));
    const canvas = await workflows.group([task, group, chain, chord]).link(link('all')).delay();

    const all = [3, ['a', 'b'], 13, { shown: ['x'] }];
    expect(await canvas.get()).toEqual(all);
    await quiet();
    expect(sorted(probe.argsOf('linked', canvas))).toEqual(
      sorted([
        [3, 'task'],
        [['a', 'b'], 'group'],
        [13, 'chain'],
        [{ shown: ['x'] }, 'chord'],
        [all, 'all'],
      ]),
    );
  });

  it('on a group: not before the last member, and never when one failed', async () => {
    const held = await workflows
      .group([tasks.echo.s(1), tasks.behind.s('link of a group', 2)])
      .link(link('held'))
      .delay();
    await until(
      () => held.completedCount(),
      (count) => count === 1,
    );
    expect(labelsOf(held, 'linked')).toEqual([]);
    probe.open('link of a group');
    expect(await held.get()).toEqual([1, 2]);

    const failed = await workflows
      .group([tasks.echo.s(1), tasks.fail.s('g')])
      .link(link('failed'))
      .delay();
    await failureOf(failed);
    expect(labelsOf(held, 'linked')).toEqual(['held']);
    expect(labelsOf(failed, 'linked')).toEqual([]);
  });

  it('on a chord: after its body, also when it was recovered', async () => {
    const canvas = await workflows
      .chord([tasks.fail.s('h'), tasks.echo.s('v')], tasks.show.s(), { recovery: CallbackWithSuccesses })
      .link(link('recovered'))
      .linkError(errback('never'))
      .delay();

    expect(await canvas.get()).toEqual({ shown: ['v'] });
    await quiet();
    expect(probe.argsOf('linked', canvas)).toEqual([[{ shown: ['v'] }, 'recovered']]);
    expect(labelsOf(canvas)).toEqual([]);
  });
});

describe('8 steps after a failed one', () => {
  it('never run; each fails as upstream, with the original as cause, and no hook of theirs runs', async () => {
    const canvas = await workflows
      .chain(
        hooked.hooked.s('first'),
        tasks.fail.si('original'),
        hooked.hooked.s(),
        workflows.group([hooked.hooked.s(), hooked.hooked.s()]),
        workflows.chord([hooked.hooked.s()], hooked.hooked.s()),
      )
      .delay();

    await failureOf(canvas);

    for (const step of [2, 3, 4]) {
      const skipped = workflows.result(`${canvas.id}.${step}`);
      expect(await skipped.state()).toBe('FAILURE');
      expect((await skipped.failure())?.reason).toBe('upstream');
      const error = await skipped.get().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(UpstreamFailedError);
      expect(error).toMatchObject({ cause: { message: 'boom original' } });
    }
    const hooks = app.module.get(HookedTasks).hooks.filter((hook) => hook.includes(canvas.id));
    expect(hooks).toEqual([`success ${canvas.id}.0`]);
  });

  it('the body of a failed chord as well', async () => {
    const canvas = await workflows.chord([tasks.fail.s('header')], hooked.hooked.s()).delay();

    await failureOf(canvas);

    const error = await workflows.result(`${canvas.id}.body`).error();
    expect(error).toBeInstanceOf(UpstreamFailedError);
    expect(innermostCause(error).message).toBe('boom header');
    expect(app.module.get(HookedTasks).hooks.filter((hook) => hook.includes(canvas.id))).toEqual([]);
  });
});

describe('9 recovery', () => {
  const header = () => [tasks.fail.s('a'), tasks.echo.s('v'), tasks.fail.s('c'), tasks.echo.s('w')];

  it('CallbackWithSuccesses: the body gets what succeeded, in order; the handle says that it was recovered', async () => {
    const canvas = await workflows
      .chord(header(), tasks.show.s(), { recovery: CallbackWithSuccesses })
      .delay();

    expect(await canvas.get()).toEqual({ shown: ['v', 'w'] });
    expect(await canvas.describe()).toMatchObject({
      state: 'SUCCESS',
      recovered: { strategy: 'CallbackWithSuccesses', failed: 2, size: 4 },
    });
    expect(probe.argsOf('show', canvas)).toEqual([[['v', 'w']]]);
  });

  it('CallbackWithOutcomes: one outcome per member, also when none failed', async () => {
    const some = await workflows
      .chord(header(), callbacks.outcomes.s(), { recovery: CallbackWithOutcomes })
      .delay();
    const none = await workflows
      .chord([tasks.echo.s(1)], callbacks.outcomes.s(), { recovery: CallbackWithOutcomes })
      .delay();

    expect(await some.get()).toEqual(['boom a', 'v', 'boom c', 'w']);
    expect(await none.get()).toEqual([1]);
    expect((await none.describe()).recovered).toBeUndefined();
  });

  it('when the body of a recovered chord fails, its errback runs once, with that', async () => {
    const canvas = await workflows
      .chord(header(), tasks.failWith.s('body'), { recovery: CallbackWithSuccesses })
      .linkError(errback('E'))
      .delay();

    await failureOf(canvas);

    expect(errbacksOf(canvas)).toMatchObject([
      { error: { message: 'boom body' }, failures: [{ index: 0 }, { index: 2 }] },
    ]);
  });

  it('a strategy of the application decides: callback, error of its own, or errback', async () => {
    const run = (...members: Signature<[], JsonValue>[]) =>
      workflows.chord(members, tasks.echo.s(), { recovery: TwoOfThree }).linkError(errback('E')).delay();
    const good = tasks.echo.s(1);
    const bad = workflows.signature<JsonValue, []>('CanvasTasks.fail', ['x']);

    const enough = await run(good, bad, good);
    const tooFew = await run(good, bad, bad);
    const nothing = await run(bad, bad, bad);

    expect(await enough.get()).toBe('2 were enough');
    await expect(tooFew.get()).rejects.toThrow(new RangeError('only 1'));
    await expect(nothing.get()).rejects.toThrow(ChordError);
    await quiet();
    expect([labelsOf(enough), labelsOf(tooFew), labelsOf(nothing)]).toEqual([[], ['E'], ['E']]);
  });

  it('a strategy that throws fails the chord; one that nobody registered as well', async () => {
    const broken = await workflows.chord(header(), tasks.show.s() as never, { recovery: Broken }).delay();
    const absent = await workflows
      .fromData({ ...workflows.chord(header(), tasks.show.s()).toJSON(), recovery: 'Unheard' })
      .delay();

    expect((await failureOf(broken)).error).toMatchObject({
      code: 'RECOVERY_FAILED',
      cause: { name: 'TypeError', message: 'the strategy is broken' },
    });
    expect((await failureOf(absent)).error).toMatchObject({ code: 'RECOVERY_FAILED' });
  });
});

describe('15 retries of a member happen inside the canvas', () => {
  it.each<
    [place: string, canvas: () => { delay(): Promise<AsyncResult<unknown, unknown>> }, value: JsonValue]
  >([
    ['alone', () => tasks.flaky.s(2), 'at last'],
    ['in a chain', () => workflows.chain(tasks.flaky.s(2), tasks.show.s()), { shown: 'at last' }],
    [
      'in a header',
      () => workflows.chord([tasks.flaky.s(2), tasks.echo.s(1)], tasks.show.s()),
      { shown: ['at last', 1] },
    ],
    ['as a body', () => workflows.chord([tasks.echo.s(1)], tasks.flaky.s(2).immutable()), 'at last'],
  ])('%s', async (_place, make, value) => {
    const canvas = await make().delay();

    expect(await canvas.get()).toEqual(value);
    expect(probe.argsOf('flaky', canvas)).toHaveLength(3);
  });

  it('the body waits for the last of them, and none of them releases an errback', async () => {
    const canvas = await workflows
      .chord([tasks.flaky.s(3).linkError(errback('member')), tasks.hopeless.s()], tasks.show.s(), {
        recovery: CallbackWithSuccesses,
      })
      .delay();

    expect(await canvas.get()).toEqual({ shown: ['at last'] });
    await quiet();
    const order = probe.calls.filter(({ id }) => id.startsWith(canvas.id)).map(({ task }) => task);
    expect(order.at(-1)).toBe('show');
    expect(order.filter((task) => task === 'flaky')).toHaveLength(4);
    expect(order.filter((task) => task === 'hopeless')).toHaveLength(3);
    expect(labelsOf(canvas)).toEqual([]);
  });
});

describe('GroupError and ChordError', () => {
  it('name the failure with the lowest index as their cause, and hold everything', async () => {
    const members = [tasks.echo.s('v'), tasks.fail.s('first'), tasks.order.s('cup')];
    const group = await workflows.group(members).delay();
    const chord = await workflows.chord(members, tasks.show.s()).delay();

    for (const [handle, type] of [
      [group, GroupError],
      [chord, ChordError],
    ] as const) {
      const error = (await handle.get().catch((thrown: unknown) => thrown)) as GroupError;
      expect(error).toBeInstanceOf(type);
      expect(error.cause).toMatchObject({ message: 'boom first' });
      expect(error.failures).toMatchObject([
        { index: 1, failure: { request: { id: `${handle.id}.1`, args: ['first'] } } },
        { index: 2, failure: { error: { code: 'OUT_OF_STOCK', data: { articles: ['cup'] } } } },
      ]);
      expect(error.values).toEqual([{ index: 0, value: 'v' }]);
    }
  });
});

const sorted = (calls: readonly (readonly JsonValue[])[]): string[] =>
  calls.map((call) => JSON.stringify(call)).sort();

function innermostCause(error: unknown): Error {
  return error instanceof Error && error.cause instanceof Error
    ? innermostCause(error.cause)
    : (error as Error);
}
