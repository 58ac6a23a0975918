/**
 * Whatever ends a task badly, wherever it stands: the canvas around it comes to an end in bounded time, with the
 * right reason; its errback runs once; its body does not run, or runs with outcomes; and Redis holds nothing
 * that still waits.
 */
import { setTimeout as delay } from 'node:timers/promises';
import {
  CanActivate,
  ForbiddenException,
  Injectable,
  UseGuards,
  UsePipes,
  ValidationPipe,
} from '@nestjs/common';
import { IsInt } from 'class-validator';
import { Queue } from 'bullmq';
import {
  Arg,
  type AsyncResult,
  CallbackWithOutcomes,
  ChordError,
  type FailureReason,
  GroupError,
  type JsonValue,
  NonRetryableError,
  type Outcome,
  RejectTask,
  Retry,
  type Signature,
  Task,
  TaskContext,
  type TaskFailure,
  type WorkflowService,
} from 'nestjs-task-queue';
import { redisUrl, Runs, type TestApp, uniquePrefix, until, useApps } from '../support/app-fixture.js';
import { WorkerProcess } from '../support/worker-process.js';
import { CountingTasks } from '../support/workers/counting-tasks.js';

/** A canvas must have come to its end after this long, whatever its cause. */
const WITHIN_MS = 60_000;

/** A call that ends badly; it ignores what a canvas puts in front of its arguments. */
type Bad = Signature<[], unknown, unknown[]>;

class Order {
  @IsInt()
  amount!: number;
}

@Injectable()
class Nobody implements CanActivate {
  canActivate(): boolean {
    return false;
  }
}

const THROWS = {
  'an Error': () =>
    Object.assign(new Error('broken', { cause: new TypeError('deeper') }), { code: 'E_X', status: 7 }),
  'a string': () => 'just text',
  undefined: () => undefined,
  'an object': () => ({}),
  'a DelayedError': () => named('DelayedError'),
  'a WaitingError': () => named('WaitingError'),
  'a WaitingChildrenError': () => named('WaitingChildrenError'),
  'a RateLimitError': () => new Error('bullmq:rateLimitExceeded'),
  'an UnrecoverableError': () => named('UnrecoverableError'),
  'an error whose message throws': () =>
    Object.defineProperty(new Error('hidden'), 'message', {
      get: () => {
        throw new Error('no message');
      },
    }),
  'an error whose properties throw': () =>
    new Proxy(new Error('hidden'), {
      get: () => {
        throw new Error('no properties');
      },
      has: () => {
        throw new Error('nothing to see');
      },
      getPrototypeOf: () => {
        throw new Error('no prototype');
      },
    }),
} as const;
type Thrown = keyof typeof THROWS;

const RETURNS = {
  'a BigInt': () => 1n,
  'a cycle': () => {
    const loop: { self?: unknown } = {};
    loop.self = loop;
    return loop;
  },
  'a Date': () => ({ at: new Date(0) }),
  'an instance': () => [new Order()],
  'a getter that throws': () => ({
    get value(): never {
      throw new Error('cannot be read');
    },
  }),
} as const;
type Returned = keyof typeof RETURNS;

@Injectable()
class Tasks {
  constructor(private readonly runs: Runs) {}

  @Task()
  ok(value: number): number {
    this.runs.record('ok', value);
    return value;
  }

  @Task()
  body(values: JsonValue[], label: string): number {
    this.runs.record(`body ${label}`, values);
    return values.length;
  }

  @Task()
  outcomes(values: Outcome[], label: string): number {
    this.runs.record(`outcomes ${label}`, values);
    return values.length;
  }

  @Task()
  after(_value: JsonValue, label: string): void {
    this.runs.record(`after ${label}`);
  }

  @Task()
  errback(failure: TaskFailure, label: string): void {
    this.runs.record(`errback ${label}`, failure);
  }

  @Task()
  throws(what: Thrown): never {
    this.runs.record('throws', what);
    throw THROWS[what]();
  }

  @Task()
  @Retry({ maxRetries: 5, backoff: { type: 'fixed', delay: 1 } })
  returns(what: Returned): unknown {
    this.runs.record('returns', what);
    return RETURNS[what]();
  }

  @Task()
  @Retry({ maxRetries: 2, backoff: { type: 'fixed', delay: 5 } })
  retried(task: TaskContext): never {
    this.runs.record('retried', task.retries);
    throw new Error(`retry ${task.retries}`);
  }

  @Task()
  @Retry({ maxRetries: 5, backoff: { type: 'fixed', delay: 1 } })
  final(): never {
    this.runs.record('final');
    throw new NonRetryableError('for good');
  }

  @Task()
  @Retry({ maxRetries: 5, backoff: { type: 'fixed', delay: 1 } })
  rejected(): never {
    this.runs.record('rejected');
    throw new RejectTask('not for me');
  }

  @Task()
  asksAgain(task: TaskContext): never {
    this.runs.record('asksAgain');
    return task.retry({ countdown: 1, maxRetries: 1, error: new RangeError('still not') });
  }

  @Task()
  @Retry({
    maxRetries: 5,
    backoff: () => {
      throw new Error('the backoff is broken');
    },
  })
  brokenBackoff(): never {
    this.runs.record('brokenBackoff');
    throw new Error('the original');
  }

  @Task()
  @Retry({ maxRetries: 5, backoff: () => Number.NaN })
  senselessBackoff(): never {
    this.runs.record('senselessBackoff');
    throw new Error('the original');
  }

  @Task({ softTimeLimit: 60 })
  async slowSoft(task: TaskContext): Promise<void> {
    this.runs.record('slowSoft');
    await delay(30_000, undefined, { signal: task.signal });
  }

  @Task({ timeLimit: 60 })
  @Retry({ maxRetries: 5, backoff: { type: 'fixed', delay: 1 } })
  async slowHard(label: string, task: TaskContext): Promise<string> {
    this.runs.record('slowHard', label);
    await delay(400);
    await task.progress('too late');
    this.runs.record('slowHard ended', label);
    return 'too late';
  }

  @Task()
  @UseGuards(Nobody)
  guarded(): void {
    this.runs.record('guarded');
  }

  @Task()
  @UsePipes(new ValidationPipe())
  @Retry({ maxRetries: 5, backoff: { type: 'fixed', delay: 1 } })
  validated(@Arg() order: Order): number {
    this.runs.record('validated');
    return order.amount;
  }

  @Task()
  async held(label: string): Promise<string> {
    this.runs.record('held', label);
    await delay(300);
    this.runs.record('held ended', label);
    return 'too late';
  }
}

/** Tasks of a queue that most applications here do not serve. */
@Injectable()
class HandTasks {
  constructor(private readonly runs: Runs) {}

  @Task({ queue: 'hand' })
  waits(label: string): string {
    this.runs.record('waits', label);
    return label;
  }
}

const POSITIONS = [
  'member of a chord',
  'member of a group',
  'step of a chain',
  'body of a chord',
  'with outcomes',
] as const;
type Position = (typeof POSITIONS)[number];

interface Expected {
  readonly reason?: FailureReason;
  readonly error: Readonly<Record<string, unknown>>;
  readonly task?: string;
  readonly attempt?: number;
}

const fixture = useApps();

describe('a handler that throws', () => {
  const expected: Readonly<Record<Thrown, Expected['error']>> = {
    'an Error': {
      name: 'Error',
      message: 'broken',
      code: 'E_X',
      data: { status: 7 },
      stack: expect.stringContaining('Error: broken'),
      cause: expect.objectContaining({ name: 'TypeError', message: 'deeper' }),
    },
    'a string': { name: 'NonError', message: 'a task threw "just text"' },
    undefined: { name: 'NonError', message: 'a task threw undefined' },
    'an object': { name: 'Object', message: 'a task threw {}' },
    'a DelayedError': { name: 'DelayedError', message: 'named so' },
    'a WaitingError': { name: 'WaitingError', message: 'named so' },
    'a WaitingChildrenError': { name: 'WaitingChildrenError', message: 'named so' },
    'a RateLimitError': { name: 'Error', message: 'bullmq:rateLimitExceeded' },
    'an UnrecoverableError': { name: 'UnrecoverableError', message: 'named so' },
    'an error whose message throws': { name: 'Error', message: expect.any(String) },
    'an error whose properties throw': { name: expect.any(String), message: expect.any(String) },
  };

  it.each(Object.keys(THROWS) as Thrown[])('%s', async (what) => {
    const app = await fixture.boot({ providers: [Tasks, Nobody] });
    const bad = app.workflows.tasks(Tasks).throws.si(what);

    await expectEverywhere(app, bad, { error: expected[what], task: 'Tasks.throws', attempt: 1 });

    expect(app.runs.of('throws')).toEqual(POSITIONS.map(() => what));
  });
});

describe('retries', () => {
  const once = POSITIONS.length;
  const cases: readonly [string, (tasks: MakersOf) => Bad, Expected & { runs: [string, number] }][] = [
    [
      'that are used up',
      (tasks) => tasks.retried.si(),
      { error: { name: 'Error', message: 'retry 2' }, runs: ['retried', 3 * once] },
    ],
    [
      'ruled out by a NonRetryableError',
      (tasks) => tasks.final.si(),
      {
        error: { name: 'NonRetryableError', code: 'NON_RETRYABLE', message: 'for good' },
        runs: ['final', once],
      },
    ],
    [
      'ruled out by RejectTask',
      (tasks) => tasks.rejected.si(),
      { error: { name: 'NonRetryableError', message: 'not for me' }, runs: ['rejected', once] },
    ],
    [
      'that the task asks for too often',
      (tasks) => tasks.asksAgain.si(),
      { error: { name: 'RangeError', message: 'still not' }, runs: ['asksAgain', 2 * once] },
    ],
    [
      'whose backoff throws',
      (tasks) => tasks.brokenBackoff.si(),
      { error: { name: 'Error', message: 'the original' }, runs: ['brokenBackoff', once] },
    ],
    [
      'whose backoff is no length of time',
      (tasks) => tasks.senselessBackoff.si(),
      { error: { name: 'Error', message: 'the original' }, runs: ['senselessBackoff', once] },
    ],
  ];

  it.each(cases)('%s', async (_, bad, { runs: [what, times], ...expected }) => {
    const app = await fixture.boot({ providers: [Tasks, Nobody] });

    await expectEverywhere(app, bad(app.workflows.tasks(Tasks)), expected);

    expect(app.runs.count(what)).toBe(times);
  });
});

describe('limits', () => {
  it('a soft limit ends a handler that listens to its signal', async () => {
    const app = await fixture.boot({ providers: [Tasks, Nobody] });

    await expectEverywhere(app, app.workflows.tasks(Tasks).slowSoft.si(), {
      reason: 'soft-time-limit',
      error: { name: 'SoftTimeLimitExceededError', code: 'SOFT_TIME_LIMIT_EXCEEDED' },
    });
  });

  it('a hard limit abandons a handler that does not, and what it does then is not heard', async () => {
    const app = await fixture.boot({ providers: [Tasks, Nobody] });
    const tasks = app.workflows.tasks(Tasks);

    await expectEverywhere(app, tasks.slowHard.si('late'), {
      reason: 'time-limit',
      error: { name: 'TimeLimitExceededError', code: 'TIME_LIMIT_EXCEEDED' },
      attempt: 1,
    });

    await app.runs.reached('slowHard ended', POSITIONS.length);
    expect(app.runs.count('slowHard')).toBe(POSITIONS.length);
    expect(app.log.matching(/progress of an attempt that is over was refused/)).toHaveLength(
      POSITIONS.length,
    );
    expect(await fixture.unfinished(app.prefix)).toEqual({});
  });

  it('a task that has expired is not started', async () => {
    const app = await fixture.boot({ providers: [Tasks, Nobody] });
    const bad = app.workflows
      .tasks(Tasks)
      .throws.si('a string')
      .set({ expires: new Date(Date.now() - 1) });

    await expectEverywhere(app, bad, { reason: 'expired', error: { code: 'TASK_EXPIRED' } });

    expect(app.runs.count('throws')).toBe(0);
  });
});

describe('a result that cannot be stored', () => {
  const paths: Readonly<Record<Returned, RegExp>> = {
    'a BigInt': /result is a BigInt/,
    'a cycle': /result\.self is a reference back/,
    'a Date': /result\.at is a Date/,
    'an instance': /result\[0\] is an instance of Order/,
    'a getter that throws': /cannot be read/,
  };
  const stored = (Object.keys(RETURNS) as Returned[]).filter((what) => what !== 'a getter that throws');

  it.each(stored)('%s fails the task, which is not run again', async (what) => {
    const app = await fixture.boot({ providers: [Tasks, Nobody] });

    await expectEverywhere(app, app.workflows.tasks(Tasks).returns.si(what), {
      error: {
        name: 'UnserializableResultError',
        code: 'UNSERIALIZABLE_RESULT',
        message: expect.stringMatching(paths[what]),
      },
    });

    expect(app.runs.count('returns')).toBe(POSITIONS.length);
  });

  it('a getter that throws ends the task as well', async () => {
    const app = await fixture.boot({ providers: [Tasks, Nobody] });

    await expectEverywhere(app, app.workflows.tasks(Tasks).returns.si('a getter that throws'), {
      error: { message: expect.stringMatching(paths['a getter that throws']) },
    });
  });
});

describe('a refusal', () => {
  it('of a guard', async () => {
    const app = await fixture.boot({ providers: [Tasks, Nobody] });

    await expectEverywhere(app, app.workflows.tasks(Tasks).guarded.si(), {
      error: { name: ForbiddenException.name, message: 'Forbidden resource' },
    });

    expect(app.runs.count('guarded')).toBe(0);
  });

  it('of a ValidationPipe is not retried and says what was wrong', async () => {
    const app = await fixture.boot({ providers: [Tasks, Nobody] });
    const bad = app.workflows.tasks(Tasks).validated.si({ amount: 'three' } as unknown as Order);

    await expectEverywhere(app, bad, {
      attempt: 1,
      error: {
        name: 'InvalidArgumentsError',
        code: 'INVALID_ARGUMENTS',
        message: 'The arguments were refused: amount must be an integer number',
      },
    });

    expect(app.runs.count('validated')).toBe(0);
  });

  it('of the worker: no task has the name', async () => {
    const app = await fixture.boot({ providers: [Tasks, Nobody] });
    const bad = app.workflows.signature('Elsewhere.task', ['raw'], { immutable: true }) as Bad;

    await expectEverywhere(app, bad, {
      task: 'Elsewhere.task',
      error: { name: 'UnknownTaskError', code: 'UNKNOWN_TASK' },
    });
  });
});

describe('a job that somebody handles by hand', () => {
  const handQueue = (app: TestApp): Queue => {
    const queue = new Queue('hand', {
      connection: { url: redisUrl(), connectionName: `by-hand-of-${app.prefix}` },
      prefix: `{${app.prefix}:0}`,
      skipVersionCheck: true,
    });
    queues.push(queue);
    return queue;
  };
  const queues: Queue[] = [];
  // An inner block's hooks come first: before the fixture looks for connections.
  afterEach(() => Promise.all(queues.splice(0).map((queue) => queue.close())));

  const removals: readonly [string, (queue: Queue, ids: readonly string[]) => Promise<unknown>][] = [
    ['removed', (queue, ids) => Promise.all(ids.map((id) => queue.remove(id)))],
    ['drained', (queue) => queue.drain(true)],
    ['obliterated with its queue', (queue) => queue.obliterate({ force: true })],
    ['cleaned away', (queue) => queue.clean(0, 0, 'wait')],
  ];

  it.each(removals)('is %s', async (_, remove) => {
    const app = await fixture.boot({ providers: [Tasks, Nobody] });
    const queue = handQueue(app);
    const bad = app.workflows.tasks(HandTasks).waits.si('for ever');

    await expectEverywhere(app, bad, {
      reason: 'removed',
      error: { name: 'TaskRemovedError', code: 'TASK_REMOVED' },
      meanwhile: async () => {
        await until(async () => (await queue.getWaitingCount()) === POSITIONS.length, 'all jobs wait');
        await remove(
          queue,
          (await queue.getWaiting()).map(({ id }) => id ?? ''),
        );
      },
    });
  });

  it('is moved to failed while it runs: its handler is not heard any more', async () => {
    const app = await fixture.boot({ providers: [Tasks, Nobody] });
    const queue = new Queue('default', {
      connection: { url: redisUrl() },
      prefix: `{${app.prefix}:0}`,
      skipVersionCheck: true,
    });
    queues.push(queue);

    await expectEverywhere(app, app.workflows.tasks(Tasks).held.si('by hand'), {
      error: { message: 'by hand' },
      meanwhile: async () => {
        await app.runs.reached('held', POSITIONS.length);
        for (const job of await queue.getActive()) {
          if (job.name === 'Tasks.held') await job.moveToFailed(new Error('by hand'), '0', false);
        }
        expect(app.runs.count('held ended')).toBe(0);
      },
    });

    await app.runs.reached('held ended', POSITIONS.length);
    expect(app.runs.count('held')).toBe(POSITIONS.length);
  });

  const garbage: readonly [string, unknown][] = [
    ['null', null],
    ['a text', 'hello'],
    ['a list', [1, 2]],
    ['another version', { v: 2, args: [] }],
    ['arguments that are no list', { v: 1, args: 'none' }],
    ['an input that is null', { v: 1, args: [], input: null }],
    ['an input of no known kind', { v: 1, args: [], input: { from: 'elsewhere' } }],
    ['an input without a node', { v: 1, args: [], input: { from: 'members' } }],
    ['no JSON at all', undefined],
  ];

  it.each(garbage)('has its data replaced: %s', async (_, data) => {
    const app = await fixture.boot({ providers: [Tasks, Nobody] });
    const queue = handQueue(app);
    const bad = app.workflows.tasks(HandTasks).waits.si('readable');

    await expectEverywhere(app, bad, {
      error: { name: 'UndecodablePayloadError', code: 'UNDECODABLE_PAYLOAD' },
      meanwhile: async () => {
        await until(async () => (await queue.getWaitingCount()) === POSITIONS.length, 'all jobs wait');
        for (const job of await queue.getWaiting()) {
          if (data === undefined) await fixture.redis.hset(queue.toKey(job.id ?? ''), 'data', '{"v":1');
          else await job.updateData(data);
        }
        await fixture.boot({ prefix: app.prefix, providers: [HandTasks] });
      },
    });
  });

  it('was added by another program: it fails, and the queue goes on', async () => {
    const app = await fixture.boot({ providers: [Tasks, Nobody] });
    const queue = new Queue('default', {
      connection: { url: redisUrl() },
      prefix: `{${app.prefix}:0}`,
      skipVersionCheck: true,
    });
    queues.push(queue);

    const jobs = await Promise.all(
      [null, 'hello', 7, { v: 1 }, { args: [1] }].map((data) => queue.add('Tasks.ok', data)),
    );
    await until(async () => (await queue.getFailedCount()) === jobs.length, 'all of them failed');
    const reasons = (await queue.getFailed()).map(({ failedReason }) => failedReason);
    const good = await app.workflows.tasks(Tasks).ok.delay(5);

    expect(await good.get({ timeout: WITHIN_MS })).toBe(5);
    expect(reasons).toEqual(jobs.map(() => expect.stringContaining('UndecodablePayloadError')));
    expect(app.runs.of('ok')).toEqual([5]);
  });
});

describe('a worker that is killed', () => {
  const workers: WorkerProcess[] = [];
  afterEach(() => Promise.all(workers.splice(0).map((worker) => worker.end())));

  it('more often than the poison limit allows', async () => {
    const prefix = uniquePrefix('poison');
    const app = await fixture.boot({ prefix, providers: [Tasks, Nobody] });
    const start = async (): Promise<WorkerProcess> => {
      const worker = await WorkerProcess.start('counting-worker', {
        url: redisUrl(),
        prefix,
        options: {
          queues: { members: { concurrency: 10 } },
          worker: { lockDuration: 500, stalledInterval: 250, maxTimesLost: 1 },
        },
      });
      workers.push(worker);
      return worker;
    };
    const victims = async (): Promise<number> =>
      Number(await fixture.redis.get(`count:${prefix}:victim:all`));

    await expectEverywhere(app, app.workflows.tasks(CountingTasks).victim.si('all'), {
      reason: 'worker-lost',
      error: { name: 'WorkerLostError', code: 'WORKER_LOST' },
      task: 'CountingTasks.victim',
      meanwhile: async () => {
        for (const round of [1, 2]) {
          const worker = await start();
          await until(async () => (await victims()) === round * POSITIONS.length, `round ${round} runs`);
          await worker.end('SIGKILL');
        }
        await start();
      },
    });

    expect(await victims()).toBe(2 * POSITIONS.length);
  });
});

type MakersOf = ReturnType<WorkflowService['tasks']> & ReturnType<typeof makersOf>;
const makersOf = (workflows: WorkflowService) => workflows.tasks(Tasks);

/** Puts a call that ends badly in every position, and looks at everything that has to follow. */
async function expectEverywhere(
  app: TestApp,
  bad: Bad,
  expected: Expected & { readonly meanwhile?: () => Promise<void> },
): Promise<void> {
  const published = await Promise.all(
    POSITIONS.map(async (position) => ({ position, handle: await publish(app.workflows, bad, position) })),
  );
  await expected.meanwhile?.();
  for (const { position, handle } of published) {
    const leaf = await leafFailure(app, position, handle);
    expect([position, leaf]).toEqual([
      position,
      expect.objectContaining({
        reason: expected.reason ?? 'error',
        error: expect.objectContaining(expected.error),
      }),
    ]);
    if (expected.task !== undefined) expect([position, leaf.request.name]).toEqual([position, expected.task]);
    if (expected.attempt !== undefined) {
      expect([position, leaf.request.attempt]).toEqual([position, expected.attempt]);
    }
  }
  // Only when nothing is left that could still run is "once" a statement.
  await until(
    async () => Object.keys(await fixture.unfinished(app.prefix)).length === 0,
    'nothing is left to run',
  );
  for (const position of POSITIONS) {
    const recovered = position === 'with outcomes';
    expect([position, app.runs.count(`errback ${position}`)]).toEqual([position, recovered ? 0 : 1]);
    expect([position, app.runs.count(`outcomes ${position}`)]).toEqual([position, recovered ? 1 : 0]);
    expect([position, app.runs.count(`body ${position}`)]).toEqual([position, 0]);
    expect([position, app.runs.count(`after ${position}`)]).toEqual([position, 0]);
  }
}

async function publish(
  workflows: WorkflowService,
  bad: Bad,
  position: Position,
): Promise<AsyncResult<unknown, unknown>> {
  const tasks = workflows.tasks(Tasks);
  const errback = tasks.errback.s(position);
  const members = [tasks.ok.s(0), bad, tasks.ok.s(2)];
  switch (position) {
    case 'member of a chord':
      return workflows
        .chord(members, unchecked(tasks.body.s(position)))
        .linkError(errback)
        .applyAsync();
    case 'member of a group':
      return workflows.group(members).linkError(errback).applyAsync();
    case 'step of a chain':
      return workflows
        .chain(tasks.ok.s(0), bad, unchecked(tasks.after.s(position)))
        .linkError(errback)
        .applyAsync();
    case 'body of a chord':
      return workflows
        .chord([tasks.ok.s(0), tasks.ok.s(1)], bad)
        .linkError(errback)
        .applyAsync();
    case 'with outcomes':
      return workflows
        .chord(members, unchecked(tasks.outcomes.s(position)), { recovery: CallbackWithOutcomes })
        .linkError(errback)
        .applyAsync();
  }
}

/** What the handle, the errback and the body say that the bad call came to; they must all say the same. */
async function leafFailure(
  app: TestApp,
  position: Position,
  handle: AsyncResult<unknown, unknown>,
): Promise<TaskFailure> {
  const error = await handle.get({ timeout: WITHIN_MS }).then(
    (value: unknown) => ({ value }),
    (thrown: unknown) => thrown,
  );
  if (position === 'with outcomes') {
    await app.runs.reached(`outcomes ${position}`);
    const [outcomes] = app.runs.of<Outcome[]>(`outcomes ${position}`);
    expect(error).toEqual({ value: 3 });
    expect(outcomes?.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    const [, rejected] = outcomes ?? [];
    return rejected?.status === 'rejected' ? rejected.reason : neverFailed();
  }
  await app.runs.reached(`errback ${position}`);
  const failure = (await handle.failure()) ?? neverFailed();
  const [told] = app.runs.of<TaskFailure>(`errback ${position}`);
  if (position !== 'member of a chord' && position !== 'member of a group') {
    expect(told?.error).toEqual(failure.error);
    return failure;
  }
  expect(error).toBeInstanceOf(position === 'member of a chord' ? ChordError : GroupError);
  const { failures, values } = error as ChordError;
  expect(values).toEqual([
    { index: 0, value: 0 },
    { index: 2, value: 2 },
  ]);
  expect(failures.map(({ index }) => index)).toEqual([1]);
  expect(told?.failures?.map(stable)).toEqual(failures.map(stable));
  expect(told?.values).toEqual(values);
  return failures[0]?.failure ?? neverFailed();
}

/** A member that is in no list is described anew by each reader, at another time. */
function stable({
  index,
  failure: { at: _at, ...failure },
}: {
  index: number;
  failure: TaskFailure;
}): object {
  return { index, failure };
}

function neverFailed(): never {
  throw new Error('expected a failure');
}

/** What a bad call returns is nobody's business: it never returns. */
function unchecked<Result>(signature: Signature<never, Result, never>): Signature<[unknown], Result> {
  return signature as unknown as Signature<[unknown], Result>;
}

function named(name: string): Error {
  const error = new Error('named so');
  error.name = name;
  return error;
}
