import { Injectable } from '@nestjs/common';
import { Queue } from 'bullmq';
import {
  type AsyncResult,
  CallbackWithOutcomes,
  CallbackWithSuccesses,
  type CanvasData,
  ChordError,
  type ChordDecision,
  type ChordOutcome,
  ChordRecovery,
  Ctx,
  currentTask,
  GroupError,
  IgnoreResult,
  type JsonValue,
  NonRetryableError,
  OnFailure,
  OnSuccess,
  RejectTask,
  type Outcome,
  Retry,
  type Signature,
  Task,
  type TaskContext,
  type TaskFailure,
  type TaskSuccess,
  type TasksOf,
  UpstreamFailedError,
  type WorkflowService,
} from 'nestjs-task-queue';
import { Probe, redisUrl, startApp, type StartedApp, until } from '../support/canvas-runner.js';

/** The decisions of the semantics about canvases, through the API that users see. Names begin with their number. */

class OutOfStock extends Error {
  readonly code = 'OUT_OF_STOCK';
  constructor(readonly articles: readonly string[]) {
    super(`out of stock: ${articles.join(', ')}`, { cause: new RangeError('shelf 7 is empty') });
    this.name = 'OutOfStock';
  }
}

@Injectable()
class CanvasTasks {
  constructor(private readonly probe: Probe) {}

  @Task()
  echo(value: JsonValue): JsonValue {
    this.probe.called(value);
    return value;
  }

  @Task()
  add(a: number, b: number): number {
    this.probe.called(a, b);
    return a + b;
  }

  @Task()
  list(value: JsonValue, label: string): JsonValue[] {
    this.probe.called(value, label);
    return [label, value];
  }

  @Task()
  show(values: JsonValue): JsonValue {
    this.probe.called(values);
    return { shown: values };
  }

  @Task()
  fail(tag: string): number {
    this.probe.called(tag);
    throw new Error(`boom ${tag}`);
  }

  /** Fails with what came in as its first argument. */
  @Task()
  failWith(value: JsonValue, tag: string): JsonValue {
    this.probe.called(value, tag);
    throw new Error(`boom ${tag}`);
  }

  @Task()
  async behind(door: string, value: JsonValue): Promise<JsonValue> {
    await this.probe.pass(door);
    this.probe.called(door, value);
    return value;
  }

  @Task()
  order(...articles: string[]): number {
    throw new OutOfStock(articles);
  }

  @Task()
  throwing(what: string): JsonValue {
    this.probe.called(what);
    switch (what) {
      case 'undefined':
        throw undefined;
      case 'null':
        throw null;
      case 'text':
        throw 'just text';
      case 'object':
        throw { reason: 42 };
      case 'permanent':
        throw new NonRetryableError('never again');
      case 'rejected':
        throw new RejectTask('not for me');
      case 'named like control flow':
        throw Object.assign(new Error('surprise'), { name: 'WaitingChildrenError' });
      default:
        throw new Error('bullmq:rateLimitExceeded');
    }
  }

  @Task()
  returning(what: string): unknown {
    this.probe.called(what);
    if (what === 'bigint') return { price: 10n };
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    return cycle;
  }

  @Task()
  ignoring(): JsonValue {
    throw new IgnoreResult();
  }

  @Task({ softTimeLimit: 30 })
  async softLimited(@Ctx() task: TaskContext): Promise<void> {
    await aborted(task.signal);
  }

  @Task({ timeLimit: 30 })
  async hardLimited(): Promise<void> {
    await this.probe.pass('never');
  }

  @Task()
  @Retry({ maxRetries: 2, backoff: { type: 'fixed', delay: 1 } })
  hopeless(): number {
    this.probe.called(currentTask().retries);
    throw new Error('still no');
  }

  @Task()
  @Retry({ maxRetries: 3, backoff: { type: 'fixed', delay: 1 } })
  flaky(failures: number): string {
    this.probe.called(failures);
    if (currentTask().retries < failures) throw new Error('not yet');
    return 'at last';
  }

  @Task({ queue: 'slow' })
  elsewhere(value: JsonValue): JsonValue {
    this.probe.called(value, currentTask().queue);
    return value;
  }
}

/** Callbacks of the canvases: links get a value first, errbacks a failure. */
@Injectable()
class Callbacks {
  constructor(private readonly probe: Probe) {}

  @Task()
  linked(value: JsonValue, label: string): void {
    this.probe.called(value, label);
  }

  @Task({ queue: 'errors' })
  failed(failure: TaskFailure, label: string): string {
    this.probe.called(failure as unknown as JsonValue, label);
    return `handled ${label}`;
  }

  /** An errback that fails twice before it does its work. */
  @Task()
  @Retry({ maxRetries: 2, backoff: { type: 'fixed', delay: 1 } })
  stubborn(failure: TaskFailure): string {
    this.probe.called(failure.error.message);
    if (currentTask().retries < 2) throw new Error('the mail server is away');
    return `mailed: ${failure.error.message}`;
  }

  /** What a body of settled outcomes looks like. */
  @Task()
  outcomes(outcomes: Outcome<JsonValue>[]): JsonValue {
    this.probe.called(outcomes as unknown as JsonValue);
    return outcomes.map((outcome) =>
      outcome.status === 'fulfilled' ? outcome.value : outcome.reason.error.message,
    );
  }
}

/** Tasks whose hooks are counted. */
@Injectable()
class HookedTasks {
  readonly hooks: string[] = [];

  @Task()
  hooked(value: JsonValue): JsonValue {
    return value;
  }

  @OnFailure()
  onFailure(failure: TaskFailure): void {
    this.hooks.push(`failure ${failure.request.id}`);
  }

  @OnSuccess()
  onSuccess(success: TaskSuccess): void {
    this.hooks.push(`success ${success.id}`);
  }
}

@Injectable()
class TwoOfThree extends ChordRecovery<string> {
  override recover(outcome: ChordOutcome): ChordDecision {
    if (outcome.successes.length >= 2)
      return { run: 'callback', args: [`${outcome.successes.length} were enough`] };
    return outcome.successes.length === 1
      ? { run: 'fail', error: new RangeError(`only ${outcome.successes.length}`) }
      : { run: 'errback' };
  }
}

@Injectable()
class Broken extends ChordRecovery<JsonValue> {
  override recover(): ChordDecision {
    throw new TypeError('the strategy is broken');
  }
}

let app: StartedApp;
let workflows: WorkflowService;
let probe: Probe;
let tasks: TasksOf<CanvasTasks>;
let callbacks: TasksOf<Callbacks>;
let hooked: TasksOf<HookedTasks>;

beforeAll(async () => {
  app = await startApp([Probe, CanvasTasks, Callbacks, HookedTasks, TwoOfThree, Broken], {
    queues: { default: { concurrency: 30 }, errors: {}, slow: { concurrency: 5 } },
  });
  workflows = app.workflows;
  probe = app.module.get(Probe);
  tasks = workflows.tasks(CanvasTasks);
  callbacks = workflows.tasks(Callbacks);
  hooked = workflows.tasks(HookedTasks);
});
afterAll(() => app.close());

const quiet = (): Promise<void> => app.quiet('errors', 'slow');
/** Waits until a canvas has failed and everything that it released has run. */
async function failureOf(canvas: AsyncResult<unknown, unknown>): Promise<TaskFailure> {
  await canvas.get({ propagate: false, timeout: '15s' });
  await quiet();
  const failure = await canvas.failure();
  if (failure === undefined) throw new Error(`${canvas.id} is ${await canvas.state()}`);
  return failure;
}
const errbacksOf = (canvas: { id: string }): TaskFailure[] =>
  probe.argsOf('failed', canvas).map(([failure]) => failure as unknown as TaskFailure);
const labelsOf = (canvas: { id: string }, task: 'linked' | 'failed' = 'failed'): string[] =>
  probe
    .argsOf(task, canvas)
    .map(([, label]) => (typeof label === 'string' ? label : ''))
    .sort();
const errback = (label: string) => callbacks.failed.s(label);
const link = (label: string) => callbacks.linked.s(label);

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
        stack: expect.stringContaining('canvas.int-spec') as string,
        cause: {
          name: 'RangeError',
          message: 'shelf 7 is empty',
          stack: expect.stringContaining('canvas.int-spec') as string,
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

/** The message at the end of the chain of causes. */
function innermostMessage({ error }: TaskFailure): string {
  let at = error;
  while (at.cause !== undefined) at = at.cause;
  return at.message;
}

function innermostCause(error: unknown): Error {
  return error instanceof Error && error.cause instanceof Error
    ? innermostCause(error.cause)
    : (error as Error);
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
  );
}
