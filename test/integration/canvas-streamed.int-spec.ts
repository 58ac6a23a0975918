import { setTimeout as delay } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import {
  CallbackWithSuccesses,
  currentTask,
  CallbackWithOutcomes,
  type DispatchIncompleteError,
  type JsonValue,
  Outcomes,
  Retry,
  type Signature,
  Task,
  type TaskFailure,
  type TasksOf,
  type WorkflowService,
} from 'nestjs-task-queue';
import { redisUrl, startApp, type StartedApp, until } from '../support/canvas-runner.js';
import { WorkerProcess } from '../support/worker-process.js';

/** Headers that are read while they are published, and wide ones whose producer stops half-way. */

/** Which kills and pauses happen follows from this; a failure names it. */
const SEED = Number(process.env.WIDE_SEED ?? 20_261_121);

@Injectable()
class Tasks {
  readonly runs = new Map<string, number>();
  readonly failures: TaskFailure[] = [];
  /** Members wait for it while it is closed. */
  door: Promise<void> = Promise.resolve();

  @Task()
  async member(index: number): Promise<number> {
    this.#ran();
    await this.door;
    return index;
  }

  @Task()
  odd(index: number): number {
    this.#ran();
    if (index % 2 === 1) throw new Error(`member ${index}`);
    return index;
  }

  @Task()
  size(values: JsonValue[]): number {
    this.#ran();
    return values.length;
  }

  @Task()
  same(values: JsonValue): JsonValue {
    return values;
  }

  @Task()
  stamped(_index: number): JsonValue {
    return currentTask().headers;
  }

  @Task()
  failed(failure: TaskFailure): void {
    this.failures.push(failure);
  }

  /** What its header came to, read page by page: with the failures in between, twice over, and after a retry. */
  @Task()
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 0 } })
  async read(outcomes: Outcomes<number>, label: string): Promise<JsonValue> {
    const indexes: number[] = [];
    for await (const { index } of outcomes) indexes.push(index);
    if (currentTask().retries === 0) throw new Error('once more');
    let sum = 0;
    for await (const value of outcomes.values()) sum += value;
    const failed: number[] = [];
    for await (const { index, failure } of outcomes.failures()) {
      if (failure.error.message !== `member ${index}`) throw new Error(failure.error.message);
      failed.push(index);
    }
    const inOrder = indexes.length === outcomes.size && indexes.every((index, at) => index === at);
    return { label, size: outcomes.size, inOrder, sum, failed: failed.length };
  }

  /** Holds members until the answer is called. */
  close(): () => void {
    let open = (): void => undefined;
    this.door = new Promise((resolve) => (open = resolve));
    return open;
  }

  runsIn(id: string): string[] {
    return [...this.runs.keys()].filter((run) => run.startsWith(`${id}.`));
  }

  ranOtherThanOnce(id: string): (readonly [string, number])[] {
    return [...this.runs].filter(([run, runs]) => run.startsWith(`${id}.`) && runs !== 1);
  }

  failuresOf(id: string): TaskFailure[] {
    return this.failures.filter(({ request }) => request.id === id);
  }

  #ran(): void {
    const { id } = currentTask();
    this.runs.set(id, (this.runs.get(id) ?? 0) + 1);
  }
}

let app: StartedApp;
let workflows: WorkflowService;
let tasks: TasksOf<Tasks>;
let service: Tasks;

beforeAll(async () => {
  app = await startApp([Tasks], { queues: { default: { concurrency: 100 }, other: {} } });
  workflows = app.workflows;
  tasks = workflows.tasks(Tasks);
  service = app.module.get(Tasks);
});
afterAll(() => app.close());
afterEach(() => {
  service.door = Promise.resolve();
});

type Member = Signature<[], number>;

/** What was asked of a source, and whether it was told that no more is wanted. */
class Source {
  read = 0;
  closed = 0;

  constructor(
    private readonly count: number,
    private readonly make: (index: number) => Member | Promise<Member> = (index) => tasks.member.s(index),
  ) {}

  async *[Symbol.asyncIterator](): AsyncGenerator<Member> {
    try {
      for (let index = 0; index < this.count; index++) {
        const member = await this.make(index);
        this.read++;
        yield member;
      }
    } finally {
      this.closed++;
    }
  }
}

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const sentinel = (id: string): string => `{${app.prefix}:0}:_canvas:${id}.sentinel`;

describe('a source', () => {
  it('becomes a chord whose body gets all values in its order; the handle says how far it is', async () => {
    const source = new Source(1_234);
    const chord = await workflows.chord(source, tasks.same.s()).delay();

    expect(await chord.sealed()).toBe(1_234);
    expect(await chord.get()).toEqual(range(1_234));
    expect(await chord.describe()).toMatchObject({
      state: 'SUCCESS',
      dispatch: { dispatched: 1_234, state: 'sealed', total: 1_234 },
      counts: { size: 1_234, succeeded: 1_234, pending: 0 },
    });
    expect(service.ranOtherThanOnce(chord.id)).toEqual([]);
    expect(source.closed).toBe(1);
  });

  it('becomes a group; an empty one gives an empty list', async () => {
    const group = await workflows.group(new Source(3)).delay();
    expect(await group.get()).toEqual([0, 1, 2]);
    expect(await group.children()).toHaveLength(3);
    const empty = await workflows.chord(new Source(0), tasks.size.s()).delay();
    expect(await empty.get()).toBe(0);
  });

  it('is read while its members run: the first one has ended before the second one is known', async () => {
    let next = (): void => undefined;
    const known = new Promise<void>((resolve) => (next = resolve));
    const source = new Source(2, async (index) => {
      if (index === 1) await known;
      return tasks.member.s(index);
    });
    const group = await workflows.group(source).delay();

    await until(
      () => group.describe(),
      ({ counts }) => counts?.succeeded === 1,
    );
    expect(await group.dispatch()).toEqual({ dispatched: 1, state: 'open' });
    expect(await group.state()).toBe('STARTED');
    next();
    expect(await group.get()).toEqual([0, 1]);
  });

  it('gives members of any kind, with failures, a recovery, stamps, options and arguments of the call', async () => {
    const odd = new Source(700, (index) => tasks.odd.s(index));
    const recovered = await workflows.chord(odd, tasks.size.s(), { recovery: CallbackWithSuccesses }).delay();
    expect(await recovered.get()).toBe(350);
    expect((await recovered.describe()).recovered).toMatchObject({ failed: 350, size: 700 });

    const nested = new Source(
      3,
      (index) => workflows.group([tasks.member.s(index), tasks.member.s(9)]) as unknown as Member,
    );
    expect(await (await workflows.group(nested).delay()).get()).toEqual([
      [0, 9],
      [1, 9],
      [2, 9],
    ]);

    const partial = (async function* () {
      yield tasks.stamped.s();
      yield tasks.stamped.s();
    })();
    const stamped = workflows.group(partial).stamp({ tenant: 'a' }).set({ queue: 'default' });
    expect(await (await stamped.delay(7)).get()).toEqual([{ tenant: 'a' }, { tenant: 'a' }]);
    await expect(stamped.delay(7)).rejects.toMatchObject({ code: 'INVALID_CANVAS', path: 'source' });
  });

  it('is not read on while its window is full', async () => {
    const open = service.close();
    const source = new Source(1_000);
    const group = await workflows.group(source, { window: 40 }).delay();
    await until(
      () => group.dispatch(),
      (dispatch) => dispatch?.dispatched === 40,
    );
    await delay(300);

    expect(await group.dispatch()).toMatchObject({ dispatched: 40, state: 'open' });
    expect(source.read).toBeLessThanOrEqual(80);
    open();
    expect(await group.sealed()).toBe(1_000);
    expect(await group.get()).toEqual(range(1_000));
  });

  it('that throws fails its canvas with its error, which is thrown to who waits for the seal', async () => {
    const source = new Source(900, (index) => {
      if (index === 600) throw new RangeError('the file ends here');
      return tasks.member.s(index);
    });
    const chord = await workflows.chord(source, tasks.size.s()).linkError(tasks.failed.s()).delay();

    const error = await chord.sealed().catch((thrown: unknown) => thrown as DispatchIncompleteError);
    expect(error).toMatchObject({
      code: 'DISPATCH_INCOMPLETE',
      cause: { name: 'RangeError', message: 'the file ends here' },
    });
    const failure = (await chord.get({ propagate: false })) as unknown as Error;
    await app.quiet();
    expect(failure).toMatchObject({ code: 'DISPATCH_INCOMPLETE' });
    expect(failure.cause).toBeInstanceOf(RangeError);
    expect(await chord.dispatch()).toEqual({ dispatched: 600, state: 'failed' });
    expect(service.failuresOf(chord.id)).toMatchObject([
      {
        error: {
          message: expect.stringContaining('after 600 had been published: the file ends here') as string,
        },
      },
    ]);
    expect(service.runsIn(chord.id)).toHaveLength(600);
    // From elsewhere, where nobody has seen the source.
    await expect(workflows.result(chord.id).sealed()).rejects.toMatchObject({ code: 'DISPATCH_INCOMPLETE' });
    await expect(
      workflows.chord(new Source(900), tasks.size.s()).applyAsync([], { taskId: chord.id }),
    ).resolves.toBeDefined();
  });

  it('that gives something else than a canvas fails the same way, and says what and where', async () => {
    const group = await workflows
      .group(
        (async function* () {
          yield tasks.member.s(1);
          yield { kind: 'nonsense' } as never;
        })(),
      )
      .delay();
    await expect(group.sealed()).rejects.toMatchObject({ cause: { code: 'INVALID_CANVAS' } });
    expect(await group.get({ propagate: false }).then(() => group.state())).toBe('FAILURE');
  });

  it('is no data: it cannot be a part of a canvas, nor JSON', () => {
    const streamed = workflows.group(new Source(1));
    expect(() => JSON.stringify(streamed)).toThrow(/make a chord of each/);
    expect(() => workflows.chain(streamed as never, tasks.size.s())).toThrow(
      /cannot be a part of another canvas/,
    );
    expect(() => workflows.group(new Source(1), { window: 0 })).toThrow(/window: expected a whole number/);
  });
});

describe('a body that takes Outcomes', () => {
  const mixed = (count: number): Member[] =>
    range(count).map((index) => (index % 7 === 1 ? tasks.odd.s(index | 1) : tasks.member.s(index)));

  it.each([
    ['a few', 10],
    ['many', 2_500],
  ])('reads %s members in order, under every recovery', async (_what, count) => {
    const seen = { label: 'x', size: count, inOrder: true, sum: (count * (count - 1)) / 2, failed: 0 };
    const body = tasks.read.s('x');
    const all = await workflows.chord(new Source(count), body).delay();
    const list = await workflows
      .chord(
        range(count).map((index) => tasks.member.s(index)),
        body,
      )
      .delay();
    expect([await all.get(), await list.get()]).toEqual([seen, seen]);

    const odd = range(count).filter((index) => index % 2 === 1);
    const even = { ...seen, sum: seen.sum - odd.reduce((sum, index) => sum + index, 0), failed: odd.length };
    for (const recovery of [CallbackWithSuccesses, CallbackWithOutcomes]) {
      const failing = new Source(count, (index) => tasks.odd.s(index));
      const chord = await workflows.chord(failing, body as never, { recovery }).delay();
      expect(await chord.get()).toEqual(even);
    }
  });

  it('takes a list where it is called by itself, members in several queues', async () => {
    expect(await (await tasks.read.delay([1, 2, 3], 'own')).get()).toMatchObject({ size: 3, sum: 6 });
    const elsewhere = range(1_200).map((index) =>
      index % 3 === 0 ? tasks.member.s(index).set({ queue: 'other' }) : tasks.member.s(index),
    );
    const chord = await workflows.chord(elsewhere, tasks.read.s('queues')).delay();
    expect(await chord.get()).toMatchObject({ size: 1_200, inOrder: true, sum: 719_400, failed: 0 });
  });

  it('a group gives its outcomes page by page to handles as well', async () => {
    const group = await workflows.group(mixed(1_300)).delay();
    const failed: number[] = [];
    let at = 0;
    for await (const member of group.outcomes()) {
      expect(member.index).toBe(at++);
      if (member.status === 'rejected') failed.push(member.index);
    }
    expect(at).toBe(1_300);
    expect(failed).toEqual(range(1_300).filter((index) => index % 7 === 1));
    expect((await group.failure())?.failureCount).toBe(failed.length);
  });
});

describe('a revocation while members are being published', () => {
  it('ends the dispatch, takes back what waits, and runs the errback once', async () => {
    const open = service.close();
    const source = new Source(1_000_000, async (index) => {
      if (index % 100 === 0) await delay(1);
      return tasks.member.s(index);
    });
    const chord = await workflows
      .chord(source, tasks.size.s(), { window: Infinity })
      .linkError(tasks.failed.s())
      .delay();
    await until(
      () => chord.dispatch(),
      (dispatch) => (dispatch?.dispatched ?? 0) > 700,
    );

    expect(await chord.revoke()).toBe(true);
    await until(
      () => source.closed,
      (closed) => closed === 1,
    );
    open();
    await chord.get({ propagate: false });
    await app.quiet();

    expect(await chord.state()).toBe('REVOKED');
    expect(service.failuresOf(chord.id)).toHaveLength(1);
    // Those that were running when it was revoked: as many as fit into the worker's slots.
    expect(service.runsIn(chord.id).length).toBeLessThanOrEqual(100);
    expect(await app.redis.exists(sentinel(chord.id))).toBe(0);
  });
});

describe('a producer that stops half-way', () => {
  it('leaves its canvas open when it is closed; publishing again goes on, and every member runs once', async () => {
    const producer = await startApp([], { prefix: app.prefix, role: 'producer' });
    const taskId = 'closed-half-way';
    let wasAsked = (): void => undefined;
    const asked = new Promise<void>((resolve) => (wasAsked = resolve));
    const slow = new Source(2_000, async (index) => {
      if (index < 800) return tasks.member.s(index);
      wasAsked();
      return new Promise<never>(() => undefined);
    });
    const first = await producer.workflows.chord(slow, tasks.size.s()).applyAsync([], { taskId });
    await asked;
    const sealed = first.sealed().catch((thrown: unknown) => thrown);
    await until(
      () => workflows.result(taskId).dispatch(),
      (dispatch) => dispatch?.dispatched === 800,
    );
    await producer.module.close();
    producer.redis.disconnect();

    expect(await sealed).toMatchObject({
      code: 'DISPATCH_INCOMPLETE',
      message: expect.stringContaining(`{ taskId: '${taskId}' }`) as string,
    });
    expect(await workflows.result(taskId).dispatch()).toEqual({ dispatched: 800, state: 'open' });

    const whole = new Source(2_000);
    const second = await workflows.chord(whole, tasks.size.s()).applyAsync([], { taskId });
    expect(await second.sealed()).toBe(2_000);
    expect(await second.get()).toBe(2_000);
    expect(service.ranOtherThanOnce(taskId)).toEqual([]);
    expect(service.runsIn(taskId)).toHaveLength(2_001);
  });

  it('and lives on is refused from the moment on in which somebody else goes on', async () => {
    const taskId = 'taken-over';
    let goOn = (): void => undefined;
    const held = new Promise<void>((resolve) => (goOn = resolve));
    const slow = new Source(3_000, async (index) => {
      if (index === 600) await held;
      return tasks.member.s(index);
    });
    await workflows.chord(slow, tasks.size.s()).applyAsync([], { taskId });
    await until(
      () => workflows.result(taskId).dispatch(),
      (dispatch) => dispatch?.dispatched === 600,
    );
    const second = await workflows.chord(new Source(3_000), tasks.size.s()).applyAsync([], { taskId });
    goOn();

    expect(await second.sealed()).toBe(3_000);
    expect(await second.get()).toBe(3_000);
    await until(
      () => slow.closed,
      (closed) => closed === 1,
    );
    expect(slow.read).toBeLessThan(3_000);
    expect(service.ranOtherThanOnce(taskId)).toEqual([]);
  });

  it('leaves who goes on with it a whole lease, whatever was left of its own', async () => {
    const taskId = 'taken-over-late';
    let goOn = (): void => undefined;
    const held = new Promise<void>((resolve) => (goOn = resolve));
    const half = (): Source =>
      new Source(700, async (index) => {
        if (index === 600) await held;
        return tasks.member.s(index);
      });
    await workflows.chord(half(), tasks.size.s()).applyAsync([], { taskId });
    await until(
      () => workflows.result(taskId).dispatch(),
      (dispatch) => dispatch?.dispatched === 600,
    );
    const nodes = (await workflows.queues()).find(({ name }) => name === '_canvas');
    const lease = () => nodes?.getJob(`${taskId}.sentinel`);
    await (await lease())?.changeDelay(30_000);

    const second = await workflows.chord(half(), tasks.size.s()).applyAsync([], { taskId });
    expect((await lease())?.delay).toBe(60_000);
    goOn();
    expect(await second.get()).toBe(700);
  });

  it('and does not come back within its lease has failed: nothing more can be added', async () => {
    const taskId = 'abandoned';
    let wasAsked = (): void => undefined;
    const asked = new Promise<void>((resolve) => (wasAsked = resolve));
    const producer = await startApp([], { prefix: app.prefix, role: 'producer' });
    const slow = new Source(700, async (index) => {
      if (index < 550) return tasks.member.s(index);
      wasAsked();
      return new Promise<never>(() => undefined);
    });
    const chord = producer.workflows.chord(slow, tasks.size.s()).linkError(tasks.failed.s());
    await chord.applyAsync([], { taskId });
    await asked;
    await until(
      () => workflows.result(taskId).dispatch(),
      (dispatch) => dispatch?.dispatched === 550,
    );
    await producer.module.close();
    producer.redis.disconnect();
    const nodes = (await workflows.queues()).find(({ name }) => name === '_canvas');
    await (await nodes?.getJob(`${taskId}.sentinel`))?.promote(); // the lease of a minute runs out

    const canvas = workflows.result(taskId);
    const error = (await canvas.get({ propagate: false })) as unknown as Error;
    await app.quiet();
    expect(error).toMatchObject({
      code: 'DISPATCH_INCOMPLETE',
      message: expect.stringContaining('after it had published 550 members') as string,
    });
    expect(await canvas.dispatch()).toEqual({ dispatched: 550, state: 'cut' });
    expect(service.failuresOf(taskId)).toHaveLength(1);
    expect(service.runsIn(taskId)).toHaveLength(550);
    const again = await workflows.chord(new Source(700), tasks.size.s()).applyAsync([], { taskId });
    await expect(again.sealed()).rejects.toThrow(/has ended.*Publish it under another id/);
  });

  it('is killed, again and again, and published again: every member has run once', async () => {
    let state = SEED >>> 0;
    const random = (): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
    const kills: Record<string, number> = {};
    // The narrow one is a single transaction: it is there or it is not.
    const counts = { stream: 4_000, list: 4_000, narrow: 300 };
    for (const from of ['stream', 'list', 'narrow'] as const) {
      const count = counts[from];
      const taskId = `killed-${from}`;
      const options = {
        url: redisUrl(),
        prefix: app.prefix,
        from,
        taskId,
        count,
        member: tasks.member.taskName,
        body: tasks.size.taskName,
      };
      kills[from] = 0;
      for (let isThere = false; !isThere;) {
        const producer = await WorkerProcess.start('wide-producer', options);
        const patience =
          kills[from] < 2
            ? delay(random() * (from === 'narrow' ? 15 : 150), 'kill' as const)
            : producer.ended();
        const end = await Promise.race([producer.ended(), patience]);
        if (end === 'kill') {
          kills[from]++;
          await producer.end('SIGKILL');
          continue;
        }
        expect([end.code, producer.output]).toEqual([0, '']);
        isThere = true;
      }
      const canvas = workflows.result(taskId);
      expect(await canvas.get({ timeout: '60s' })).toBe(count);
      if (from !== 'narrow')
        expect(await canvas.dispatch()).toMatchObject({ dispatched: count, state: 'sealed' });
    }
    await app.quiet();
    for (const from of ['stream', 'list', 'narrow'] as const) {
      const id = `killed-${from}`;
      expect({ seed: SEED, from, kills, odd: service.ranOtherThanOnce(id) }).toMatchObject({ odd: [] });
      expect(service.runsIn(id)).toHaveLength(counts[from] + 1);
    }
    expect(kills['stream']).toBe(2);
  });
});
