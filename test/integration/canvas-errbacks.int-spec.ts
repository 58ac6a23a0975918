import { type JsonValue, type TaskFailure } from 'nestjs-task-queue';
import {
  app,
  workflows,
  probe,
  tasks,
  callbacks,
  quiet,
  failureOf,
  errbacksOf,
  labelsOf,
  errback,
  link,
  useCanvasApp,
} from '../support/canvas-app.js';
import { until } from '../support/canvas-runner.js';

/**
 * Decisions of the semantics about canvases, through the API that users see: errbacks.
 * Names begin with their number.
 */

useCanvasApp();

describe('5 an errback is an ordinary task', () => {
  it('gets the whole failure first, then its own arguments, and has a queue and a result of its own', async () => {
    const canvas = await workflows
      .chain(tasks.echo.s('a'), tasks.order.si('cup', 'saucer').set({ headers: { tenant: 'T' } }))
      .linkError(errback('with all'))
      .delay();

    const failure = await failureOf(canvas);

    expect(probe.argsOf('failed', canvas)).toHaveLength(1);
    expect(errbacksOf(canvas)).toEqual([failure]);
    expect(failure).toEqual({
      request: {
        id: `${canvas.id}.1`,
        name: 'CanvasTasks.order',
        args: ['cup', 'saucer'],
        queue: 'default',
        attempt: 1,
        workflowId: canvas.id,
        position: '1',
        headers: { tenant: 'T' },
      },
      error: {
        name: 'OutOfStock',
        message: 'out of stock: cup, saucer',
        code: 'OUT_OF_STOCK',
        stack: expect.stringContaining('canvas-tasks') as string,
        cause: {
          name: 'RangeError',
          message: 'shelf 7 is empty',
          stack: expect.stringContaining('canvas-tasks') as string,
        },
        data: { articles: ['cup', 'saucer'] },
      },
      reason: 'error',
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as string,
    });
    const own = await workflows.result(`${canvas.id}.errback.0`).describe();
    expect(own).toMatchObject({ state: 'SUCCESS', value: 'handled with all', name: 'Callbacks.failed' });
    expect(await app.redis.zscore(`{${app.prefix}:0}:errors:completed`, own.id)).not.toBeNull();
  });

  it('is retried by its own policy', async () => {
    const canvas = await tasks.fail.s('m').linkError(callbacks.stubborn.s()).delay();

    await failureOf(canvas);

    expect(probe.argsOf('stubborn', canvas)).toEqual([['boom m'], ['boom m'], ['boom m']]);
    expect(await workflows.result(`${canvas.id}.errback.0`).result()).toBe('mailed: boom m');
  });

  it('stores the state before it runs (B064)', async () => {
    const asked = workflows.chain(tasks.behind.s('state of 64', 1), tasks.fail.si('f'));
    const canvas = await asked.linkError(tasks.behind.si('errback of 64', 'e')).delay();

    probe.open('state of 64');

    await canvas.get({ propagate: false });
    expect(await canvas.state()).toBe('FAILURE');
    expect(probe.argsOf('behind', { id: `${canvas.id}.errback` })).toEqual([]);
    probe.open('errback of 64');
    await quiet();
    expect(probe.argsOf('behind', { id: `${canvas.id}.errback` })).toEqual([['errback of 64', 'e']]);
  });
});

describe('6 linkError', () => {
  const bad = (tag: string) => tasks.fail.s(tag);
  const ok = (value: JsonValue = 1) => tasks.echo.s(value);

  it('on a task: once, at its final failure', async () => {
    const canvas = await tasks.hopeless.s().linkError(errback('task')).delay();

    await failureOf(canvas);

    expect(probe.argsOf('hopeless', canvas)).toEqual([[0], [1], [2]]);
    expect(errbacksOf(canvas)).toMatchObject([{ error: { message: 'still no' }, request: { attempt: 3 } }]);
  });

  it('on a task that comes through: never', async () => {
    const canvas = await tasks.flaky.s(2).linkError(errback('never')).link(link('once')).delay();

    expect(await canvas.get()).toBe('at last');
    await quiet();
    expect(labelsOf(canvas)).toEqual([]);
    expect(labelsOf(canvas, 'linked')).toEqual(['once']);
  });

  it('several on one task: each once; an equal one counts once', async () => {
    const canvas = await bad('x')
      .linkError(errback('1'))
      .linkError(errback('2'))
      .linkError(errback('1'))
      .delay();

    await failureOf(canvas);

    expect(labelsOf(canvas)).toEqual(['1', '2']);
  });

  it('on a chain: once, with the step that failed', async () => {
    const canvas = await workflows
      .chain(ok(), bad('second').immutable(), tasks.echo.s())
      .linkError(errback('chain'))
      .delay();

    await failureOf(canvas);

    expect(errbacksOf(canvas)).toMatchObject([
      {
        request: { position: '1', name: 'CanvasTasks.fail', args: ['second'] },
        error: { message: 'boom second' },
      },
    ]);
  });

  it('on a group: once, after all members are terminal, with all failures and all values', async () => {
    const canvas = await workflows
      .group([bad('a'), tasks.behind.s('group errback', 'v'), bad('c')])
      .linkError(errback('group'))
      .delay();
    await until(
      () => canvas.failedCount(),
      (failed) => failed === 2,
    );
    expect(labelsOf(canvas)).toEqual([]);
    expect(await canvas.state()).toBe('STARTED');

    probe.open('group errback');

    await failureOf(canvas);
    expect(errbacksOf(canvas)).toMatchObject([
      {
        error: { name: 'GroupError', code: 'GROUP_FAILED', cause: { message: 'boom a' } },
        failures: [
          { index: 0, failure: { error: { message: 'boom a' } } },
          { index: 2, failure: { error: { message: 'boom c' } } },
        ],
        values: [{ index: 1, value: 'v' }],
        failureCount: 2,
      },
    ]);
  });

  it('on a chord: once, with all failures and all successes, when the header fails', async () => {
    const canvas = await workflows
      .chord([bad('a'), ok('v'), bad('c')], tasks.show.s())
      .linkError(errback('chord'))
      .delay();

    await failureOf(canvas);

    expect(errbacksOf(canvas)).toMatchObject([
      {
        error: { name: 'ChordError' },
        failures: [{ index: 0 }, { index: 2 }],
        values: [{ index: 1, value: 'v' }],
      },
    ]);
    expect(probe.argsOf('show', canvas)).toEqual([]);
  });

  it('on a chord: once, with the body that failed and the successes of the header', async () => {
    const canvas = await workflows
      .chord([ok('a'), ok('b')], tasks.failWith.s('body'))
      .linkError(errback('chord'))
      .delay();

    const failure = await failureOf(canvas);

    expect(failure).toMatchObject({
      request: { id: `${canvas.id}.body`, position: 'body', args: [['a', 'b'], 'body'] },
    });
    expect(errbacksOf(canvas)).toMatchObject([
      {
        error: { message: 'boom body' },
        failures: [],
        values: [
          { index: 0, value: 'a' },
          { index: 1, value: 'b' },
        ],
      },
    ]);
  });

  it.each<[kind: string, body: () => ReturnType<typeof tasks.show.s>]>([
    ['a task', () => tasks.show.s()],
    ['a chain', () => workflows.chain(tasks.show.s(), tasks.show.s()) as never],
    ['a group', () => workflows.group([tasks.show.s(), tasks.show.s()]) as never],
    ['a chord', () => workflows.chord([tasks.show.s()], tasks.show.s()) as never],
  ])('on the body, %s: it is the chord’s, once, when the header fails', async (_kind, body) => {
    const canvas = await workflows.chord([ok('v'), bad('h')], body().linkError(errback('body'))).delay();

    await failureOf(canvas);

    expect(errbacksOf(canvas)).toMatchObject([
      { error: { name: 'ChordError' }, failures: [{ index: 1 }], values: [{ index: 0, value: 'v' }] },
    ]);
  });

  it.each<[kind: string, body: () => ReturnType<typeof tasks.show.s>]>([
    ['a task', () => tasks.failWith.s('b') as never],
    ['a chain', () => workflows.chain(tasks.show.s(), tasks.failWith.s('b')) as never],
    ['a group', () => workflows.group([tasks.failWith.s('b'), tasks.show.s()]) as never],
    ['a chord', () => workflows.chord([tasks.failWith.s('b')], tasks.show.s()) as never],
  ])('on the body, %s: once when the body fails, with what failed in it', async (_kind, body) => {
    const canvas = await workflows.chord([ok('v')], body().linkError(errback('body'))).delay();

    await failureOf(canvas);

    const [failure, ...others] = errbacksOf(canvas);
    expect(others).toEqual([]);
    expect(failure && innermostMessage(failure)).toBe('boom b');
  });

  it('on an outer canvas: once for the whole of it, and once on every level that the failure climbs through', async () => {
    const inner = workflows.chord([ok(), bad('leaf')], tasks.show.s()).linkError(errback('inner'));
    const canvas = await workflows
      .chain(workflows.group([inner, bad('other')]), tasks.show.s())
      .linkError(errback('outer'))
      .delay();

    await failureOf(canvas);

    expect(labelsOf(canvas)).toEqual(['inner', 'outer']);
  });

  it('of a step or composite that was skipped: never', async () => {
    const skipped = workflows
      .group([tasks.show.s().linkError(errback('member'))])
      .linkError(errback('group'));
    const canvas = await workflows
      .chain(bad('first'), tasks.show.s().linkError(errback('step')), skipped)
      .linkError(errback('chain'))
      .delay();

    await failureOf(canvas);

    expect(labelsOf(canvas)).toEqual(['chain']);
  });

  it('of a member: once, whatever becomes of the others and of the chord', async () => {
    const canvas = await workflows
      .chord([bad('m').linkError(errback('member')), ok().link(link('member'))], tasks.show.s())
      .linkError(errback('chord'))
      .delay();

    await failureOf(canvas);

    expect(labelsOf(canvas)).toEqual(['chord', 'member']);
    expect(labelsOf(canvas, 'linked')).toEqual(['member']);
  });

  it('given with the call, and as a whole canvas', async () => {
    const handler = workflows.chain(errback('first'), workflows.group([tasks.show.s(), tasks.list.s('all')]));
    const canvas = await bad('call').applyAsync([], { linkError: handler });

    await failureOf(canvas);

    expect(labelsOf(canvas)).toEqual(['first']);
    const { id } = workflows.result(`${canvas.id}.errback.0`);
    expect(await workflows.result(id).get()).toEqual([{ shown: 'handled first' }, ['all', 'handled first']]);
  });
});

/** The message at the end of the chain of causes. */
function innermostMessage({ error }: TaskFailure): string {
  let at = error;
  while (at.cause !== undefined) at = at.cause;
  return at.message;
}
