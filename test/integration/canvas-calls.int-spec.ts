import { Injectable } from '@nestjs/common';
import {
  type AsyncResult,
  Ctx,
  currentTask,
  type JsonValue,
  MaxRetriesExceededError,
  OnFailure,
  OnRetry,
  OnSuccess,
  Retry,
  SoftTimeLimitExceededError,
  Task,
  TaskExpiredError,
  TaskContext,
  type TaskFailure,
  type TaskRetry,
  type TaskSuccess,
  type TasksOf,
  TimeLimitExceededError,
  type WorkflowService,
} from 'nestjs-task-queue';
import { Probe, startApp, type StartedApp, until } from '../support/canvas-runner.js';

/** What options of a call do, how attempts follow each other, and when hooks run. */

class Overloaded extends Error {
  override readonly name = 'Overloaded';
}
class Unreachable extends Overloaded {}
class InvalidInput extends Error {
  override readonly name = 'InvalidInput';
}

@Injectable()
class Tasks {
  constructor(private readonly probe: Probe) {}

  @Task()
  echo(value: JsonValue): JsonValue {
    const { queue, headers } = currentTask();
    this.probe.called(value, queue, { ...headers });
    return value;
  }

  @Task({ queue: 'single', priority: 500 })
  ranked(label: string): string {
    this.probe.called(label);
    return label;
  }

  @Task({ queue: 'single' })
  async hold(door: string): Promise<void> {
    this.probe.called(door);
    await this.probe.pass(door);
  }

  @Task()
  async limited(@Ctx() task: TaskContext): Promise<string> {
    this.probe.called();
    return new Promise((resolve) =>
      task.signal.addEventListener('abort', () =>
        resolve(`cleaned up: ${(task.signal.reason as Error).name}`),
      ),
    );
  }

  @Task()
  async stuck(): Promise<void> {
    this.probe.called();
    await this.probe.pass('never opened');
  }

  /** Throws, one after the other, the errors of this list; then returns. */
  @Task()
  @Retry({ for: [Unreachable], maxRetries: 1, backoff: { type: 'fixed', delay: 3 } })
  @Retry({
    for: [Overloaded, 'TypeError'],
    maxRetries: 2,
    backoff: { type: 'exponential', delay: 5, jitter: false },
  })
  @Retry({
    never: [InvalidInput],
    maxRetries: 1,
    backoff: (retries, error) => 7 + retries + (error as Error).message.length,
  })
  several(...errors: string[]): string {
    const { retries, attempt, maxRetries } = currentTask();
    this.probe.called(retries, attempt, maxRetries);
    const next = errors[retries];
    if (next === undefined) return `after ${retries}`;
    throw new ({ Unreachable, Overloaded, InvalidInput, TypeError }[next] ?? Error)(next);
  }

  @Task()
  @Retry({ maxRetries: 2, backoff: { type: 'fixed', delay: '1h' } })
  rateLimited(how: string): string {
    this.probe.called();
    if (currentTask().retries > 0) return 'let in';
    const error = new Error('429');
    switch (how) {
      case 'seconds':
        throw Object.assign(error, { retryAfter: 0.004 });
      case 'date':
        throw Object.assign(error, { retryAfter: new Date(Date.now() - 1_000) });
      case 'response':
        throw Object.assign(error, { response: { headers: new Headers({ 'Retry-After': '0' }) } });
      default:
        throw Object.assign(error, { headers: { 'retry-after': 0 } });
    }
  }

  @Task()
  @Retry({ maxRetries: 1, honourRetryAfter: false, backoff: { type: 'fixed', delay: 2 } })
  deaf(): string {
    if (currentTask().retries > 0) return 'came again';
    throw Object.assign(new Error('429'), { retryAfter: 3_600 });
  }

  /** Asks for attempts by itself, without a policy. */
  @Task()
  manual(upTo: number, withError: boolean, task: TaskContext): string {
    this.probe.called(task.retries);
    if (task.retries >= upTo) return `after ${task.retries}`;
    return task.retry({ countdown: 1, ...(withError ? { error: new Overloaded('ledger is locked') } : {}) });
  }

  @Task()
  @Retry({ for: [Overloaded], maxRetries: 2, backoff: { type: 'fixed', delay: 1 } })
  manualUnderPolicy(task: TaskContext): string {
    this.probe.called(task.retries);
    return task.retry({ error: new Overloaded('again') });
  }

  @Task()
  @Retry({ maxRetries: 5, backoff: { type: 'fixed', delay: 1 } })
  eager(): string {
    this.probe.called(currentTask().maxRetries);
    throw new Error('no');
  }

  @Task()
  @Retry()
  byDefault(): string {
    if (currentTask().retries > 0) return 'second try';
    throw new Error('once');
  }
}

/** Hooks of a class: each call is noted with the id of its task. */
@Injectable()
class Hooked {
  readonly heard: { hook: string; id: string; payload: TaskFailure | TaskSuccess | TaskRetry }[] = [];

  @Task()
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 1 } })
  work(failures: number, label: string): string {
    if (currentTask().retries < failures) throw new RangeError(`no ${label}`);
    return `yes ${label}`;
  }

  @Task()
  unrelated(): string {
    return 'unrelated';
  }

  @OnSuccess('work')
  onSuccess(success: TaskSuccess): void {
    this.heard.push({ hook: 'success', id: success.id, payload: success });
  }

  @OnRetry()
  onRetry(retry: TaskRetry): void {
    this.heard.push({ hook: 'retry', id: retry.failure.request.id, payload: retry });
  }

  @OnFailure()
  async onFailure(failure: TaskFailure): Promise<void> {
    this.heard.push({ hook: 'failure', id: failure.request.id, payload: failure });
    throw new Error('a hook that throws');
  }

  @OnFailure('work', 'Tasks.stuck')
  second(failure: TaskFailure): void {
    this.heard.push({ hook: 'second', id: failure.request.id, payload: failure });
  }
}

let app: StartedApp;
let workflows: WorkflowService;
let tasks: TasksOf<Tasks>;
let hooked: TasksOf<Hooked>;
let probe: Probe;

beforeAll(async () => {
  app = await startApp([Probe, Tasks, Hooked, Retries], {
    queues: { default: { concurrency: 20 }, single: { concurrency: 1 }, reports: {} },
  });
  workflows = app.workflows;
  tasks = workflows.tasks(Tasks);
  hooked = workflows.tasks(Hooked);
  probe = app.module.get(Probe);
});
afterAll(() => app.close());

const runsOf = (task: string, handle: { id: string }): number => probe.argsOf(task, handle).length;
const errorOf = async (handle: AsyncResult<unknown, unknown>): Promise<unknown> =>
  handle.get().then(
    () => new Error('it succeeded'),
    (error: unknown) => error,
  );
const heard = (handle: { id: string }): string[] =>
  app.module
    .get(Hooked)
    .heard.filter(({ id }) => id === handle.id || id.startsWith(`${handle.id}.`))
    .map(({ hook }) => hook)
    .sort();
const delaysOf = (handle: { id: string }): number[] =>
  app.module
    .get(Retries)
    .heard.filter(({ failure }) => failure.request.id === handle.id)
    .map(({ delayMs }) => delayMs);

/** Listens to the retries of another class. */
@Injectable()
class Retries {
  readonly heard: TaskRetry[] = [];

  @OnRetry(
    'Tasks.several',
    'Tasks.rateLimited',
    'Tasks.deaf',
    'Tasks.manual',
    'Tasks.manualUnderPolicy',
    'Tasks.byDefault',
  )
  onRetry(retry: TaskRetry): void {
    this.heard.push(retry);
  }
}

describe('countdown and eta', () => {
  it('start the task when their time has come, to the millisecond and not to the next second', async () => {
    const before = Date.now();
    const handles = await Promise.all([
      tasks.echo.applyAsync(['countdown'], { countdown: 120 }),
      tasks.echo.applyAsync(['eta'], { eta: new Date(before + 120) }),
      workflows.group([tasks.echo.s('member').set({ countdown: '120ms' })]).delay(),
    ]);
    expect(await Promise.all(handles.map((handle) => handle.state()))).not.toContain('SUCCESS');

    await Promise.all(handles.map((handle) => handle.get()));

    const took = Date.now() - before;
    expect(took).toBeGreaterThanOrEqual(115);
    expect(took).toBeLessThan(900);
  });

  it('of a composite delay its start only, not each of its parts', async () => {
    const chain = workflows.chain(tasks.echo.s(1), tasks.echo.s(), tasks.echo.s());
    const handle = await chain.applyAsync([], { countdown: 150 });

    await handle.get();

    const times = await Promise.all(
      (await handle.children()).map(async (step) => Date.parse((await step.describe()).startedAt ?? '')),
    );
    expect(times.filter((time) => !Number.isNaN(time))).toEqual([]);
    const { publishedAt, finishedAt } = await handle.describe();
    const took = Date.parse(finishedAt ?? '') - Date.parse(publishedAt ?? '');
    expect(took).toBeGreaterThanOrEqual(145);
    expect(took).toBeLessThan(300 + 600);
  });

  it('exclude each other', async () => {
    await expect(tasks.echo.applyAsync([1], { countdown: 1, eta: Date.now() })).rejects.toMatchObject({
      code: 'INVALID_CANVAS',
      path: 'options',
    });
  });
});

describe('expires', () => {
  it('fails a task that nobody started in time, without running it or retrying it', async () => {
    const byLength = await tasks.several.applyAsync(['x'], { countdown: 40, expires: 10 });
    const byDate = await tasks.echo.applyAsync(['x'], { countdown: 40, expires: new Date(Date.now() + 10) });

    for (const handle of [byLength, byDate]) {
      expect(await errorOf(handle)).toBeInstanceOf(TaskExpiredError);
      expect((await handle.failure())?.reason).toBe('expired');
    }
    expect(runsOf('several', byLength) + runsOf('echo', byDate)).toBe(0);
  });

  it('does not count once the task has begun', async () => {
    const expires = Date.now() + 150;
    const handle = await tasks.hold.applyAsync(['expires'], { expires: new Date(expires) });
    await until(
      () => runsOf('hold', handle),
      (runs) => runs === 1,
    );
    await until(
      () => Date.now(),
      (now) => now > expires,
    );

    probe.open('expires');

    expect(await handle.get()).toBeNull();
  });

  it('of a body counts from its release (B152)', async () => {
    const chord = await workflows
      .chord([tasks.echo.s('slow').set({ countdown: 2_000 })], tasks.echo.s().set({ expires: '60s' }))
      .delay();
    const cut = await workflows
      .chord([tasks.echo.s('slow').set({ countdown: 2_000 })], tasks.echo.s().set({ expires: 1_500 }))
      .delay();

    expect(await chord.get()).toEqual(['slow']);
    expect(await cut.get()).toEqual(['slow']);
  });
});

describe('queue and priority', () => {
  it('the queue of the call wins over that of the composite, and that over the task’s', async () => {
    const handle = await workflows
      .group([tasks.echo.s('own').set({ queue: 'single' }), tasks.echo.s('composite')])
      .set({ queue: 'reports' })
      .applyAsync([], {});
    const plain = await tasks.echo.delay('declared');

    expect(await plain.get()).toBe('declared');
    expect(await handle.get()).toEqual(['own', 'composite']);
    expect(probe.argsOf('echo', handle).map(([value, queue]) => [value, queue])).toEqual(
      expect.arrayContaining([
        ['own', 'single'],
        ['composite', 'reports'],
      ]),
    );
  });

  it('lower numbers first, none before all; the call wins over the task', async () => {
    const held = await tasks.hold.delay('priority');
    await until(
      () => runsOf('hold', held),
      (runs) => runs === 1,
    );
    const order = [
      tasks.ranked.applyAsync(['task says 500']),
      tasks.ranked.applyAsync(['900'], { priority: 900 }),
      tasks.ranked.applyAsync(['2'], { priority: 2 }),
      workflows.signature('Tasks.hold', ['none'], { queue: 'single' }).delay(),
    ];
    probe.open('none');
    const handles = await Promise.all(order);

    probe.open('priority');

    await Promise.all(handles.map((handle) => handle.get()));
    const ids = handles.map(({ id }) => id);
    const ran = probe.calls.filter(({ id }) => ids.includes(id)).map(({ args }) => args[0]);
    expect(ran).toEqual(['none', '2', 'task says 500', '900']);
  });
});

describe('headers', () => {
  it('reach task.headers: those of the call over those of the composite, stamps on everything', async () => {
    const link = tasks.echo.s();
    const handle = await workflows
      .chord([tasks.echo.s('member').set({ headers: { own: 1, tenant: 'M' } })], tasks.echo.s())
      .link(link)
      .stamp({ trace: 'T' })
      .applyAsync([], { headers: { tenant: 'A', request: 7 } });
    await handle.get();
    await app.quiet();

    const headers = Object.fromEntries(
      probe.calls
        .filter(({ id }) => id.startsWith(handle.id))
        .map(({ id, args }) => [id.slice(handle.id.length), args[2]]),
    );
    expect(headers).toEqual({
      '.0': { own: 1, tenant: 'M', request: 7, trace: 'T' },
      '.body': { tenant: 'A', request: 7, trace: 'T' },
      '.link.0': { trace: 'T' },
    });
  });
});

describe('limits', () => {
  it('soft: the signal aborts with the error, and the task may clean up and return', async () => {
    const handle = await tasks.limited.applyAsync([], { softTimeLimit: 30, timeLimit: '1m' });

    expect(await handle.get()).toBe('cleaned up: SoftTimeLimitExceededError');
  });

  it('hard: the attempt ends whatever the handler does, and is not retried by a policy for every error', async () => {
    const handle = await tasks.stuck.applyAsync([], { timeLimit: 30 });

    expect(await errorOf(handle)).toEqual(new TimeLimitExceededError(30));
    expect((await handle.failure())?.reason).toBe('time-limit');
    expect(new SoftTimeLimitExceededError(1)).not.toBeInstanceOf(TimeLimitExceededError);
  });
});

describe('@Retry', () => {
  it.each<[what: string, errors: string[], delays: number[], end: string]>([
    ['the first policy that matches decides', ['Unreachable'], [3], 'after 1'],
    ['each policy counts for itself', ['Unreachable', 'Overloaded', 'Overloaded'], [3, 5, 10], 'after 3'],
    ['a name matches as well', ['TypeError'], [5], 'after 1'],
    ['a policy without a list takes the rest, with a backoff of its own', ['Error'], [12], 'after 1'],
    [
      'a policy that is used up is final, whatever the others still have',
      ['Unreachable', 'Unreachable'],
      [3],
      'Unreachable',
    ],
    ['never is final at once', ['InvalidInput'], [], 'InvalidInput'],
    ['never is final between retries', ['Overloaded', 'InvalidInput'], [5], 'InvalidInput'],
  ])('%s', async (_what, errors, delays, end) => {
    const handle = await tasks.several.delay(...errors);

    expect(await handle.get().catch((error: Error) => error.message)).toBe(end);
    expect(delaysOf(handle)).toEqual(delays);
    const counts = delays.map((_, at) => [at, at + 1, 1]);
    expect(probe.argsOf('several', handle)).toEqual([...counts, [counts.length, counts.length + 1, 1]]);
  });

  it('without arguments retries any error, 3 times, with full jitter from a second', async () => {
    const handle = await tasks.byDefault.delay();

    expect(await handle.get()).toBe('second try');
    const [delay] = delaysOf(handle);
    expect(delay).toBeGreaterThanOrEqual(0);
    expect(delay).toBeLessThanOrEqual(1_000);
  });

  it.each([
    ['seconds', 4],
    ['date', 0],
    ['response', 0],
    ['header', 0],
  ])('honours Retry-After: %s', async (how, delay) => {
    const handle = await tasks.rateLimited.delay(how);

    expect(await handle.get()).toBe('let in');
    expect(delaysOf(handle)).toEqual([delay]);
  });

  it('does not honour it where it is told so', async () => {
    const handle = await tasks.deaf.delay();

    expect(await handle.get()).toBe('came again');
    expect(delaysOf(handle)).toEqual([2]);
  });

  it('maxRetries of the call replaces that of the policy', async () => {
    const none = await tasks.eager.applyAsync([], { maxRetries: 0 });
    const two = await workflows.chain(tasks.eager.s().set({ maxRetries: 2 }), tasks.echo.s()).delay();

    await Promise.all([errorOf(none), errorOf(two)]);

    expect(probe.argsOf('eager', none)).toEqual([[0]]);
    expect(probe.argsOf('eager', two)).toEqual([[2], [2], [2]]);
  });
});

describe('task.retry()', () => {
  it('asks for another attempt after its countdown', async () => {
    const handle = await tasks.manual.delay(2, false);

    expect(await handle.get()).toBe('after 2');
    expect(probe.argsOf('manual', handle)).toEqual([[0], [1], [2]]);
    expect(delaysOf(handle)).toEqual([1, 1]);
  });

  it('once more than it may: MaxRetriesExceededError', async () => {
    const handle = await tasks.manual.delay(99, false);

    expect(await errorOf(handle)).toBeInstanceOf(MaxRetriesExceededError);
    expect(runsOf('manual', handle)).toBe(4);
  });

  it('with an error: that is what the task fails with (B132)', async () => {
    const handle = await tasks.manual.applyAsync([99, true], { maxRetries: 1 });

    expect(await errorOf(handle)).toMatchObject({ name: 'Overloaded', message: 'ledger is locked' });
    expect(runsOf('manual', handle)).toBe(2);
  });

  it('takes delay and maximum from the policy that matches', async () => {
    const handle = await tasks.manualUnderPolicy.delay();

    expect(await errorOf(handle)).toMatchObject({ name: 'Overloaded' });
    expect(runsOf('manualUnderPolicy', handle)).toBe(3);
    expect(delaysOf(handle)).toEqual([1, 1]);
  });
});

describe('hooks', () => {
  it('run once each: retry per retry, then success; a throwing one changes nothing', async () => {
    const handle = await hooked.work.delay(1, 'a');
    const unrelated = await hooked.unrelated.delay();

    expect(await handle.get()).toBe('yes a');
    expect(await unrelated.get()).toBe('unrelated');
    await app.quiet();
    expect(heard(handle)).toEqual(['retry', 'success']);
    expect(heard(unrelated)).toEqual([]);
    const payloads = app.module.get(Hooked).heard.filter(({ id }) => id === handle.id);
    expect(payloads.map(({ payload }) => payload)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          delayMs: 1,
          failure: expect.objectContaining({ reason: 'error' }) as unknown,
        }),
        { id: handle.id, name: 'Hooked.work', args: [1, 'a'], value: 'yes a' },
      ]),
    );
  });

  it('of a final failure: every one of them, once, never for a retry, although the first throws', async () => {
    const handle = await hooked.work.delay(2, 'b');

    expect(await errorOf(handle)).toEqual(new RangeError('no b'));
    await app.quiet();
    expect(heard(handle)).toEqual(['failure', 'retry', 'second']);
    expect(await handle.state()).toBe('FAILURE');
    const failure = app.module
      .get(Hooked)
      .heard.find(({ hook, id }) => hook === 'second' && id === handle.id);
    expect(failure?.payload).toEqual(await handle.failure());
  });

  it('inside a canvas: the same, and the canvas does not wait for them', async () => {
    const handle = await workflows.group([hooked.work.s(0, 'm'), hooked.work.s(2, 'n')]).delay();

    await errorOf(handle);
    await app.quiet();

    expect(heard(handle)).toEqual(['failure', 'retry', 'second', 'success']);
  });

  it('named for a task of another class', async () => {
    const handle = await tasks.stuck.applyAsync([], { timeLimit: 20 });

    await errorOf(handle);
    await app.quiet();

    expect(heard(handle)).toEqual(['second']);
  });
});
