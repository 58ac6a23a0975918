import { Injectable } from '@nestjs/common';
import { Job } from 'bullmq';
import {
  Ctx,
  currentTask,
  GroupError,
  InvalidCanvasError,
  isControlFlow,
  type JsonValue,
  OnFailure,
  OnSuccess,
  Retry,
  Task,
  TaskContext,
  type TaskFailure,
  type TaskSuccess,
  TaskRevokedError,
  WorkflowService,
} from 'nestjs-task-queue';
import type { RedisBackend } from '../../libs/task-queue/src/broker/redis-backend.js';
import { TaskQueueEngine } from '../../libs/task-queue/src/engine/task-queue-engine.js';
import { Runs, type TestApp, until, useApps } from '../support/app-fixture.js';

/** Tasks that put a canvas in their own place while they run. */

@Injectable()
class ReplacingTasks {
  readonly gate = new AbortController();

  constructor(
    private readonly runs: Runs,
    private readonly workflows: WorkflowService,
  ) {}

  get #tasks() {
    return this.workflows.tasks(ReplacingTasks);
  }

  @Task()
  value(value: JsonValue): JsonValue {
    this.runs.record('value', { value, headers: currentTask().headers, id: currentTask().id });
    return value;
  }

  @Task()
  add(value: number, more: number): number {
    return value + more;
  }

  @Task()
  list(values: JsonValue[]): JsonValue {
    this.runs.record('list', values);
    return { list: values };
  }

  @Task()
  fail(tag: string): never {
    this.runs.record('fail', tag);
    throw new RangeError(`boom ${tag}`);
  }

  @Task()
  note(what: unknown, as: string): void {
    this.runs.record(as, what);
  }

  /** Is replaced by a task, a chain, a group or a chord over the number that it gets. */
  @Task()
  @Retry({ maxRetries: 2, backoff: { type: 'fixed', delay: 1 } })
  become(number: number, kind: string, task: TaskContext): JsonValue {
    this.runs.record('become', { number, attempt: task.attempt });
    const { value, add, list, fail, become } = this.#tasks;
    switch (kind) {
      case 'task':
        return task.replace(value.s(number));
      case 'chain':
        return task.replace(this.workflows.chain(value.s(number), add.s(1) as never, add.s(2)));
      case 'group':
        return task.replace(this.workflows.group([value.s(number), value.s(number + 1)]));
      case 'chord':
        return task.replace(this.workflows.chord([value.s(number), value.s(number + 1)], list.s()));
      case 'failing':
        return task.replace(fail.s(String(number)).linkError(this.#tasks.note.s('inner errback')));
      case 'failing group':
        return task.replace(this.workflows.group([value.s(number), fail.s('x')]));
      case 'twice':
        return task.replace(become.s(number + 1, 'chord'));
      case 'second time':
        if (task.retries === 0) throw new Error('once more');
        return task.replace(value.s(number));
      case 'stamped':
        return task.replace(
          value
            .s(number)
            .set({ headers: { own: 1, tenant: 'inner' } })
            .link(value.si('linked')),
        );
      case 'gated':
        return task.replace(this.#tasks.gated.s(number));
      case 'with an id':
        return task.replace(value.s(number).set({ taskId: 'mine' }));
      case 'what is no JSON':
        return task.replace(value.s(10n as never));
      default:
        throw new Error(kind);
    }
  }

  /** Waits until the test opens the gate, or it is told to end. */
  @Task({ queue: 'gated' })
  async gated(number: number, @Ctx() task: TaskContext): Promise<number> {
    this.runs.record('gated', task.id);
    const signal = AbortSignal.any([this.gate.signal, task.signal]);
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
    task.signal.throwIfAborted();
    return number;
  }

  @OnSuccess('become')
  succeeded({ id, args, value }: TaskSuccess): void {
    this.runs.record('succeeded', { id, args, value });
  }

  @OnFailure('become')
  failed(failure: TaskFailure): void {
    this.runs.record('failed', failure.error.message);
  }
}

describe('task.replace()', () => {
  const fixture = useApps();
  let app: TestApp;
  beforeEach(async () => {
    app = await fixture.boot({
      providers: [ReplacingTasks],
      options: {
        queues: { default: { concurrency: 2 }, gated: { concurrency: 3 } },
        worker: { lockDuration: 600, stalledInterval: 100, drainTimeout: 0 },
      },
    });
  });
  afterEach(() => jest.restoreAllMocks());
  const tasks = () => app.workflows.tasks(ReplacingTasks);
  const quiet = () =>
    until(async () => Object.keys(await fixture.unfinished(app.prefix)).length === 0, 'nothing unfinished');

  it.each([
    ['task', 5],
    ['chain', 8],
    ['group', [5, 6]],
    ['chord', { list: [5, 6] }],
    ['twice', { list: [6, 7] }],
  ])('a task that becomes a %s keeps its id and comes to what that comes to', async (kind, expected) => {
    const handle = await tasks().become.delay(5, kind);
    await expect(handle.get()).resolves.toEqual(expected);
    await app.runs.reached('succeeded', kind === 'twice' ? 2 : 1);
    expect(app.runs.of('succeeded')).toContainEqual({ id: handle.id, args: [5, kind], value: expected });
    await expect(app.workflows.result(`${handle.id}.replacement.0`).get()).resolves.toEqual(expected);
    await quiet();
  });

  it('runs while it waits, in nobody’s slot', async () => {
    const handles = await Promise.all([1, 2, 3].map((number) => tasks().become.delay(number, 'gated')));
    await app.runs.reached('gated', 3);
    await until(async () => (await handles[0]!.state()) === 'STARTED', 'the replaced task counts as started');
    await expect(
      tasks()
        .value.delay('meanwhile')
        .then((one) => one.get()),
    ).resolves.toBe('meanwhile');
    app.get(ReplacingTasks).gate.abort();
    await expect(Promise.all(handles.map((handle) => handle.get()))).resolves.toEqual([1, 2, 3]);
  });

  it('keeps its slot among members, a group being one member, and the body waits for it', async () => {
    const { workflows } = app;
    const members = ['task', 'group', 'chord', 'chain'].map((kind, at) => tasks().become.s(at * 10, kind));
    const handle = await workflows.chord([tasks().value.s('first'), ...members], tasks().list.s()).delay();
    const values = ['first', 0, [10, 11], { list: [20, 21] }, 33];
    await expect(handle.get()).resolves.toEqual({ list: values });
    expect(app.runs.count('become')).toBe(4);
    await expect(
      workflows
        .group(members)
        .delay()
        .then((group) => group.get()),
    ).resolves.toEqual(values.slice(1));
    await quiet();
  });

  it('keeps its place in a chain, its callbacks, and its place as a body', async () => {
    const { workflows } = app;
    const step = tasks().become.s('task').link(tasks().note.s('step link'));
    const chain = workflows.chain(tasks().value.s(3), step as never, tasks().add.s(1) as never);
    await expect((await chain.link(tasks().note.s('link') as never).delay()).get()).resolves.toBe(4);
    await app.runs.reached('link');
    await app.runs.reached('step link');
    expect([app.runs.of('step link'), app.runs.of('link')]).toEqual([[3], [4]]);
    const body = workflows.chord([tasks().value.s(1)], tasks().become.si(7, 'chord'));
    await expect((await body.delay()).get()).resolves.toEqual({ list: [7, 8] });
    await quiet();
  });

  it('fails as its replacement does, once, with its own errbacks and those of the replacement', async () => {
    const sig = tasks().become.s(1, 'failing').linkError(tasks().note.s('errback'));
    const handle = await sig.link(tasks().note.s('link')).delay();
    await expect(handle.get()).rejects.toThrow(new RangeError('boom 1'));
    await app.runs.reached('errback');
    await app.runs.reached('inner errback');
    await quiet();
    for (const once of ['become', 'fail', 'errback', 'inner errback', 'failed']) {
      expect([once, app.runs.count(once)]).toEqual([once, 1]);
    }
    expect(app.runs.count('link')).toBe(0);
    const group = await tasks().become.delay(1, 'failing group');
    await expect(group.get()).rejects.toThrow(GroupError);
  });

  it('a failed replacement in a header fails the chord, and a step after it is skipped', async () => {
    const { workflows } = app;
    const header = [tasks().value.s(1), tasks().become.s(2, 'failing')];
    const chord = workflows.chord(header, tasks().list.s()).linkError(tasks().note.s('errback'));
    const handle = await chord.delay();
    await expect(handle.get()).rejects.toMatchObject({ name: 'ChordError', failures: [{ index: 1 }] });
    await app.runs.reached('errback');
    const chain = await workflows.chain(tasks().become.s(2, 'failing'), tasks().list.s() as never).delay();
    await expect(chain.get()).rejects.toThrow('boom 2');
    await quiet();
    expect(app.runs.count('list')).toBe(0);
    expect(app.runs.count('errback')).toBe(1);
  });

  it('works in an attempt after a retry', async () => {
    const handle = await tasks().become.delay(5, 'second time');
    await expect(handle.get()).resolves.toBe(5);
    expect(app.runs.count('become')).toBe(2);
  });

  it('hands its headers on, also to callbacks of the replacement, whose own keys stay', async () => {
    const sig = tasks().become.s(5, 'stamped').stamp({ tenant: 'outer', trace: 't1' });
    await (await sig.delay()).get();
    await app.runs.reached('value', 2);
    expect(app.runs.of('value')).toEqual([
      expect.objectContaining({ value: 5, headers: { own: 1, tenant: 'inner', trace: 't1' } }),
      expect.objectContaining({ value: 'linked', headers: { tenant: 'outer', trace: 't1' } }),
    ]);
  });

  it.each([
    ['with an id', InvalidCanvasError, 'takes the id of the task'],
    ['what is no JSON', Error, 'cannot be sent as JSON'],
  ])('refuses a replacement %s', async (kind, _, message) => {
    const handle = await tasks().become.applyAsync([1, kind], { maxRetries: 0 });
    await expect(handle.get()).rejects.toThrow(message);
  });

  it('refuses it for an item of a map', async () => {
    const handle = await tasks()
      .become.starmap([[1, 'task']])
      .set({ maxRetries: 0 })
      .delay();
    await expect(handle.get()).rejects.toThrow('an item of a map, starmap or chunk cannot be replaced');
  });

  it('is control flow, which a handler that catches everything lets pass', async () => {
    const context = new TaskContext(
      () =>
        ({
          replacement: (canvas: { toJSON(): object }) => canvas.toJSON(),
        }) as never,
    );
    const canvas = tasks().value.s(1);
    let thrown: unknown;
    try {
      context.replace(canvas);
    } catch (error) {
      thrown = error;
    }
    expect(isControlFlow(thrown)).toBe(true);
    expect(thrown).toMatchObject({ name: 'ReplaceTask', canvas: canvas.toJSON() });
  });

  it.each([false, true])('is revoked together with its replacement (terminate: %s)', async (terminate) => {
    const sig = tasks().become.s(1, 'gated').linkError(tasks().note.s('errback'));
    const handle = await sig.delay();
    await app.runs.reached('gated');
    await expect(handle.revoke({ terminate })).resolves.toBe(true);
    if (terminate) {
      await expect(handle.get()).rejects.toBeInstanceOf(TaskRevokedError);
      await app.runs.reached('errback');
    } else {
      // What runs may finish, and what has come to its end stands.
      app.get(ReplacingTasks).gate.abort();
      await until(() => handle.ready(), 'an end');
    }
    await quiet();
    expect(app.runs.count('gated')).toBe(1);
  });

  it('a revoked canvas revokes the replacements of its members', async () => {
    const { workflows } = app;
    const members = Array.from({ length: 4 }, (_, at) => tasks().become.s(at, 'gated'));
    const chord = workflows.chord(members, tasks().list.s()).linkError(tasks().note.s('errback'));
    const handle = await chord.delay();
    await app.runs.reached('gated', 3); // the fourth waits for a slot, or for its replacement
    await handle.revoke({ terminate: true });
    await expect(handle.get()).rejects.toThrow();
    await app.runs.reached('errback');
    await quiet();
    await expect(handle.state()).resolves.toBe('REVOKED');
    expect([app.runs.count('list'), app.runs.count('errback')]).toEqual([0, 1]);
  });

  describe('whose worker is cut off', () => {
    type Call = (...args: never[]) => Promise<unknown>;
    const moments = [
      ['the note of the intention', 'setReplaced', 1],
      ['the publication', 'publishUnder', 1],
      ['the note of the deed', 'setData', 1],
      ['the look at the replacement', 'readChild', 1],
      ['the wait', 'moveToWaitingChildren', 1],
      ['the look at its end', 'readChild', 2],
    ] as const;
    const faults = ['dies before', 'dies after', 'hears nothing of', 'is too late for'] as const;
    const cases = moments.flatMap((moment) => faults.map((fault) => [fault, ...moment] as const));

    /** One fault at one call for one task: the nth of its kind. */
    function inject(fault: (typeof faults)[number], method: string, nth: number): { hit: boolean } {
      const { ledger, publisher, backend } = app.app.get(TaskQueueEngine);
      const { keys } = backend as RedisBackend;
      const seen = { hit: false, calls: 0 };
      const owner: object =
        method === 'publishUnder' ? publisher : method === 'moveToWaitingChildren' ? Job.prototype : ledger;
      const original = (owner as Record<string, Call>)[method] as Call;
      jest.spyOn(owner as Record<string, Call>, method).mockImplementation(async function (
        this: unknown,
        ...args: never[]
      ) {
        const call = () => original.apply(this, args);
        const holder = replacedTask(this, args);
        if (holder === undefined || ++seen.calls !== nth) return call();
        seen.hit = true;
        const lock = `${keys.job(holder.queue, holder.id)}:lock`;
        const steal = () => fixture.redis.set(lock, 'somebody else', 'PX', 50);
        if (fault === 'hears nothing of') {
          await call();
          throw new Error('the answer was lost');
        }
        if (fault === 'is too late for') {
          await steal();
          return call();
        }
        if (fault === 'dies after') await call();
        if ((await fixture.redis.exists(lock)) === 1) await steal();
        return new Promise(() => undefined);
      });
      return seen;
    }

    it.each(cases)('%s %s (%s %i): the replacement runs once', async (fault, _, method, nth) => {
      const fate = inject(fault, method, nth);
      const handle = await app.workflows
        .chord([tasks().become.s(1, 'chord'), tasks().value.s('sibling')], tasks().list.s())
        .linkError(tasks().note.s('errback'))
        .delay();
      await expect(handle.get({ timeout: 25_000 })).resolves.toEqual({
        list: [{ list: [1, 2] }, 'sibling'],
      });
      expect(fate.hit).toBe(true);
      await quiet();
      const values = app.runs.of<{ value: JsonValue }>('value').map(({ value }) => value);
      expect(new Set(values)).toEqual(new Set([1, 2, 'sibling']));
      expect(values).toHaveLength(3);
      expect(app.runs.of('list')).toEqual([
        [1, 2],
        [{ list: [1, 2] }, 'sibling'],
      ]);
      expect(app.runs.count('errback')).toBe(0);
      // Before the intention is noted, only the handler itself can be run again.
      const runsAgain = method === 'setReplaced' && fault !== 'dies after' && fault !== 'hears nothing of';
      expect(app.runs.count('become')).toBe(runsAgain ? 2 : 1);
    });
  });
});

/** The task that is replaced, where a call is about it: as holder, as parent of what is looked at, or as the job itself. */
function replacedTask(owner: unknown, args: never[]): { id: string; queue: string } | undefined {
  const about = (owner instanceof Job ? [{ id: owner.id, queue: owner.queueName }] : args) as {
    id: string;
    queue: string;
  }[];
  return about
    .slice(0, 2)
    .find((one) => one?.queue === 'default' && one.id.endsWith('.0') && !one.id.includes('.replacement.'));
}
