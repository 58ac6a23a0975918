import { Queue } from 'bullmq';
import {
  type AsyncResult,
  type CanvasData,
  type JsonValue,
  type Signature,
  type TaskFailure,
} from 'nestjs-task-queue';
import {
  app,
  workflows,
  probe,
  tasks,
  quiet,
  failureOf,
  errbacksOf,
  labelsOf,
  errback,
  link,
  useCanvasApp,
} from '../support/canvas-app.js';
import { redisUrl, until } from '../support/canvas-runner.js';

/**
 * Decisions of the semantics about canvases, through the API that users see: how they end, and with which values.
 * Names begin with their number.
 */

useCanvasApp();

describe('1 every canvas comes to an end, whatever happens to a member', () => {
  /** A chord of three whose second member meets with something; its errback is `E`. */
  const chordAround = (member: Signature<unknown[], JsonValue>) =>
    workflows
      .chord(
        [tasks.echo.s(0), member.set({ headers: { only: 'this one' } }), tasks.echo.s(2)],
        tasks.show.s(),
      )
      .linkError(errback('E'));
  const named = (task: string, ...args: JsonValue[]) => workflows.signature(task, args);

  it.each<[event: string, task: string, args: JsonValue[], reason: string, error: object]>([
    ['an error', 'CanvasTasks.fail', ['x'], 'error', { name: 'Error', message: 'boom x' }],
    ['retries used up', 'CanvasTasks.hopeless', [], 'error', { message: 'still no' }],
    [
      'an error that is never retried',
      'CanvasTasks.throwing',
      ['permanent'],
      'error',
      { code: 'NON_RETRYABLE' },
    ],
    ['a rejection', 'CanvasTasks.throwing', ['rejected'], 'error', { message: 'not for me' }],
    ['throw undefined', 'CanvasTasks.throwing', ['undefined'], 'error', { name: 'NonError' }],
    ['throw null', 'CanvasTasks.throwing', ['null'], 'error', { name: 'NonError' }],
    ['a thrown text', 'CanvasTasks.throwing', ['text'], 'error', { message: 'a task threw "just text"' }],
    ['a thrown object', 'CanvasTasks.throwing', ['object'], 'error', { data: { reason: 42 } }],
    [
      'an error named as BullMQ names its own',
      'CanvasTasks.throwing',
      ['named like control flow'],
      'error',
      { name: 'WaitingChildrenError', message: 'surprise' },
    ],
    [
      "BullMQ's word for its rate limiter as the message",
      'CanvasTasks.throwing',
      ['rate limit'],
      'error',
      { message: 'bullmq:rateLimitExceeded' },
    ],
    ['a BigInt as result', 'CanvasTasks.returning', ['bigint'], 'error', { code: 'UNSERIALIZABLE_RESULT' }],
    ['a cycle as result', 'CanvasTasks.returning', ['cycle'], 'error', { code: 'UNSERIALIZABLE_RESULT' }],
    [
      'its soft limit',
      'CanvasTasks.softLimited',
      [],
      'soft-time-limit',
      { code: 'SOFT_TIME_LIMIT_EXCEEDED' },
    ],
    ['its hard limit', 'CanvasTasks.hardLimited', [], 'time-limit', { code: 'TIME_LIMIT_EXCEEDED' }],
    ['an unknown name', 'Nobody.knows', ['payload'], 'error', { code: 'UNKNOWN_TASK' }],
  ])('%s', async (_event, task, args, reason, error) => {
    const canvas = await chordAround(named(task, ...args)).delay();

    const failure = await failureOf(canvas);

    expect(failure.error).toMatchObject({ name: 'ChordError', code: 'CHORD_FAILED' });
    expect(failure.failures).toMatchObject([{ index: 1, failure: { reason, error } }]);
    expect(errbacksOf(canvas)).toMatchObject([
      {
        values: [
          { index: 0, value: 0 },
          { index: 2, value: 2 },
        ],
        failures: [{ index: 1, failure: { reason } }],
      },
    ]);
    expect(probe.argsOf('show', canvas)).toEqual([]);
  });

  it.each<[event: string, meddle: (queue: Queue, id: string) => Promise<unknown>, expected: object]>([
    [
      'removed by hand',
      (queue, id) => queue.remove(id),
      { reason: 'removed', error: { code: 'TASK_REMOVED' } },
    ],
    ['drained by hand', (queue) => queue.drain(true), { reason: 'removed', error: { code: 'TASK_REMOVED' } }],
    [
      'overwritten by somebody else',
      async (queue, id) => {
        const job = await queue.getJob(id);
        await job?.updateData('not an envelope');
        await job?.promote();
      },
      { reason: 'error', error: { code: 'UNDECODABLE_PAYLOAD' } },
    ],
    [
      'expired before it was started',
      async (queue, id) => (await queue.getJob(id))?.promote(),
      { reason: 'expired', error: { code: 'TASK_EXPIRED' } },
    ],
  ])('a job that is %s', async (_event, meddle, expected) => {
    const queue = new Queue('slow', { connection: { url: redisUrl() }, prefix: `{${app.prefix}:0}` });
    const late = tasks.elsewhere.s('late').set({ countdown: '1h', expires: 1 });
    const canvas = await workflows
      .chord([tasks.echo.s(0), late], tasks.show.s())
      .linkError(errback('E'))
      .delay();
    await until(
      async () => (await queue.getJob(`${canvas.id}.1`))?.getState(),
      (state) => state === 'delayed',
    );

    await meddle(queue, `${canvas.id}.1`);

    const failure = await failureOf(canvas);
    expect(failure.failures).toMatchObject([{ index: 1, failure: expected }]);
    expect(labelsOf(canvas)).toEqual(['E']);
    expect(probe.argsOf('elsewhere', canvas)).toEqual([]);
    await queue.close();
  });

  it.each([
    ['an ignored result', () => tasks.echo.s(1).set({ ignoreResult: true }), 1],
    ['IgnoreResult', () => tasks.ignoring.s(), null],
  ])('%s is a value all the same where the canvas needs one', async (_event, member, value) => {
    const canvas = await workflows.chord([tasks.echo.s(0), member()], tasks.show.s()).delay();

    expect(await canvas.get()).toEqual({ shown: [0, value] });
  });
});

describe('2 a failure climbs out of every nesting', () => {
  const ok = () => tasks.echo.s(1);
  const bad = () => tasks.fail.s('leaf');

  it.each<[shape: string, canvas: () => { delay(): Promise<AsyncResult<unknown, unknown>> }]>([
    [
      'a chord in a chord',
      () => workflows.chord([ok(), workflows.chord([ok(), bad()], tasks.show.s())], tasks.show.s()),
    ],
    [
      'a group at the end of a chain',
      () => workflows.chain(ok(), workflows.group([tasks.echo.s(), bad().immutable()])),
    ],
    ['a chain in a header', () => workflows.chord([workflows.chain(bad(), tasks.echo.s())], tasks.show.s())],
    [
      'a chord as a body',
      () => workflows.chord([ok()], workflows.chord([tasks.echo.s(), bad().immutable()], tasks.show.s())),
    ],
    [
      'a chord at the end of a chain',
      () => workflows.chain(ok(), workflows.chord([bad().immutable()], tasks.show.s())),
    ],
    [
      'a group in a group in a group',
      () => workflows.group([workflows.group([workflows.group([bad(), ok()])])]),
    ],
    [
      'the group in a chain in the header of a chord in a group',
      () =>
        workflows.group([
          workflows.chord(
            [workflows.chain(ok(), workflows.group([tasks.echo.s(), bad().immutable()]), tasks.show.s())],
            tasks.show.s(),
          ),
        ]),
    ],
    [
      'a chord whose body fails, as a step',
      () => workflows.chain(workflows.chord([ok()], tasks.failWith.s('leaf')), tasks.show.s()),
    ],
  ])('%s', async (_shape, make) => {
    const canvas = await make().delay();

    const failure = await failureOf(canvas);

    expect(innermostMessage(failure)).toBe('boom leaf');
    expect(await canvas.state()).toBe('FAILURE');
    expect(probe.argsOf('show', canvas)).toEqual([]);
  });
});

describe('3 empty and one-member composites', () => {
  it('an empty group is []', async () => {
    expect(await (await workflows.group([]).delay()).get()).toEqual([]);
  });

  it('a chord without a header runs its body with []', async () => {
    const canvas = await workflows.chord([], tasks.show.s()).delay();
    expect(await canvas.get()).toEqual({ shown: [] });
  });

  it('a group of one keeps its list', async () => {
    expect(await (await workflows.group([tasks.echo.s('one')]).delay()).get()).toEqual(['one']);
  });

  it('an empty group in mid-chain hands on []', async () => {
    const canvas = await workflows.chain(tasks.echo.s(1), workflows.group([]), tasks.show.s()).delay();
    expect(await canvas.get()).toEqual({ shown: [] });
  });

  it('an empty group as a member is the value []', async () => {
    const canvas = await workflows.chord([workflows.group([]), tasks.echo.s(1)], tasks.show.s()).delay();
    expect(await canvas.get()).toEqual({ shown: [[], 1] });
  });
});

describe('4 values come in definition order, one per node', () => {
  it('whatever ends first', async () => {
    const door = (name: string) => tasks.behind.s(`order ${name}`, name);
    const canvas = await workflows
      .chord(
        [door('a'), workflows.group([door('b'), workflows.group([door('c')])]), door('d')],
        tasks.show.s(),
      )
      .delay();

    for (const name of ['d', 'c', 'b', 'a']) {
      probe.open(`order ${name}`);
      await until(
        () => probe.argsOf('behind', canvas).map(([, value]) => value),
        (ended) => ended.includes(name),
      );
    }

    expect(await canvas.get()).toEqual({ shown: ['a', ['b', ['c']], 'd'] });
  });

  it('a group after a group gets the list once per member', async () => {
    const canvas = await workflows
      .chain(
        workflows.group([tasks.echo.s('a'), tasks.echo.s('b')]),
        workflows.group([tasks.list.s('x'), tasks.list.s('y')]),
        tasks.show.s(),
      )
      .delay();

    expect(await canvas.get()).toEqual({
      shown: [
        ['x', ['a', 'b']],
        ['y', ['a', 'b']],
      ],
    });
  });

  it('a chord in a chord, a chord as a body, a chain in a header: each is one value', async () => {
    const inner = workflows.chord([tasks.echo.s('i')], tasks.show.s());
    const body = workflows.chord([tasks.list.s('p'), tasks.list.s('q')], tasks.show.s());
    const canvas = await workflows
      .chord([inner, workflows.chain(tasks.add.s(1, 2), tasks.add.s(10))], body)
      .delay();

    const header = [{ shown: ['i'] }, 13];
    expect(await canvas.get()).toEqual({
      shown: [
        ['p', header],
        ['q', header],
      ],
    });
  });

  it('an immutable step ignores what came before; a partial one gets it in front', async () => {
    const canvas = await workflows
      .chain(tasks.echo.s('ignored'), tasks.add.si(1, 2), tasks.add.s(40), tasks.list.s('end'))
      .delay();

    expect(await canvas.get()).toEqual(['end', 43]);
  });

  it('an immutable body ignores the header, and a call fills what a canvas misses', async () => {
    const canvas = await workflows.chord([tasks.add.s(2), tasks.add.s(3)], tasks.echo.si('done')).delay(40);

    expect(await canvas.get()).toBe('done');
    expect(probe.argsOf('add', canvas)).toEqual(
      expect.arrayContaining([
        [40, 2],
        [40, 3],
      ]),
    );
  });

  it('a value of 1 MB travels through steps, members and bodies', async () => {
    const large = 'x'.repeat(1_000_000);
    const canvas = await workflows
      .chain(tasks.echo.s(large), workflows.group([tasks.echo.s(), tasks.list.s('l')]), tasks.show.s())
      .link(link('large'))
      .delay();

    expect(await canvas.get()).toEqual({ shown: [large, ['l', large]] });
    await quiet();
    expect(probe.argsOf('linked', canvas)).toEqual([[{ shown: [large, ['l', large]] }, 'large']]);
  });
});

describe('long and deep canvases', () => {
  it('a chain of 300 steps', async () => {
    const steps = Array.from({ length: 299 }, () => tasks.add.s(1).toJSON());
    const canvas = await workflows
      .fromData({ kind: 'chain', steps: [tasks.add.s(0, 1).toJSON(), ...steps] })
      .delay();

    expect(await canvas.get({ timeout: '90s' })).toBe(300);
  });

  it('groups and chords in each other, 40 levels deep, with a value and with a failure', async () => {
    const nested = (depth: number, leaf: CanvasData): CanvasData =>
      depth === 0
        ? leaf
        : depth % 2 === 0
          ? { kind: 'group', members: [nested(depth - 1, leaf)] }
          : { kind: 'chord', header: [nested(depth - 1, leaf)], body: tasks.echo.s().toJSON() };
    const levels = (depth: number): JsonValue => (depth === 0 ? 'leaf' : [levels(depth - 1)]);

    const good = await workflows.fromData(nested(40, tasks.echo.s('leaf').toJSON())).delay();
    const bad = await workflows.fromData(nested(40, tasks.fail.s('deep').toJSON())).delay();

    expect(await good.get()).toEqual(levels(40));
    expect(innermostMessage(await failureOf(bad as AsyncResult<unknown, unknown>))).toBe('boom deep');
  });
});

/** The message at the end of the chain of causes. */
function innermostMessage({ error }: TaskFailure): string {
  let at = error;
  while (at.cause !== undefined) at = at.cause;
  return at.message;
}
