import { Injectable } from '@nestjs/common';
import {
  CallbackWithSuccesses,
  IgnoreResult,
  InvalidCanvasError,
  type JsonValue,
  RejectTask,
  Retry,
  Task,
  type TaskFailure,
  type TaskMoment,
} from 'nestjs-task-queue';
import { Runs, type TestApp, until, useApps } from '../support/app-fixture.js';

/** Canvases that Celery is known for, by their rows in docs/celery-compatibility.md. */

type Handle = { get(): Promise<unknown>; id: string };
type Canvas = { delay(): Promise<Handle>; linkError(errback: never): Canvas; link(callback: never): Canvas };
type Make = (s: Shapes) => Canvas;

@Injectable()
class RowTasks {
  constructor(private readonly runs: Runs) {}

  @Task()
  add(a: number, b = 0): number {
    return a + b;
  }
  @Task()
  same(value: JsonValue): JsonValue {
    this.runs.record('same', value);
    return value;
  }
  @Task()
  sum(values: number[]): number {
    return values.reduce((total, value) => total + value, 0);
  }
  @Task()
  fail(tag: JsonValue): never {
    throw new Error(`no ${JSON.stringify(tag)}`);
  }
  @Task()
  ignored(): never {
    throw new IgnoreResult();
  }
  @Task()
  rejected(): never {
    throw new RejectTask('unwanted');
  }
  @Task()
  @Retry({ maxRetries: 2, backoff: { type: 'fixed', delay: 1 } })
  again(): never {
    throw new Error('and again');
  }
  @Task({ timeLimit: 50 })
  async stuck(): Promise<void> {
    await new Promise(() => undefined);
  }
  @Task()
  note(value: unknown, as: string): void {
    this.runs.record(as, value);
  }
}

const fixture = useApps();
let app: TestApp;
beforeEach(async () => {
  app = await fixture.boot({ providers: [RowTasks] });
});

/** The makers without their types: these shapes are also those that the compiler would refuse. */
function shapes(): Shapes {
  const { workflows } = app;
  const makers = workflows.tasks(RowTasks) as unknown as Record<string, { s: Maker; si: Maker }>;
  const maker = (name: string): Maker => makers[name]!.s;
  return {
    add: maker('add'),
    same: maker('same'),
    sum: maker('sum'),
    fail: maker('fail'),
    ignored: maker('ignored'),
    note: maker('note'),
    still: makers['add']!.si,
    expired: () =>
      workflows.tasks(RowTasks).add.si(1).set({ countdown: 50, expires: 1 }) as unknown as Canvas,
    unknown: () => workflows.signature('nobody') as unknown as Canvas,
    chain: (...steps) => workflows.chain(...(steps as never)) as unknown as Canvas,
    group: (...members) => workflows.group(members as never) as unknown as Canvas,
    chord: (header, body) => workflows.chord(header as never, body as never) as unknown as Canvas,
  };
}
type Maker = (...args: unknown[]) => Canvas;
interface Shapes extends Record<'add' | 'same' | 'sum' | 'fail' | 'ignored' | 'note' | 'still', Maker> {
  readonly expired: () => Canvas;
  readonly unknown: () => Canvas;
  readonly chain: (...steps: Canvas[]) => Canvas;
  readonly group: (...members: Canvas[]) => Canvas;
  readonly chord: (header: Canvas | Canvas[], body: Canvas) => Canvas;
}

const quiet = () =>
  until(async () => Object.keys(await fixture.unfinished(app.prefix)).length === 0, 'nothing unfinished');

describe('values', () => {
  it.each<[row: string, make: Make, value: unknown]>([
    ['B026 a chain of partials', ({ chain, add }) => chain(add(2, 2), add(4), add(8)), 16],
    ['B027 an immutable step', ({ chain, add, still }) => chain(add(1, 1), still(5, 5), add(1)), 11],
    ['B029 a chain of one', ({ chain, add }) => chain(add(2, 2)), 4],
    ['B036 a step that is ignored', ({ chain, ignored, same }) => chain(ignored(), same()), null],
    ['B040 a group at the end', ({ chain, add, group }) => chain(add(1), group(add(1), add(2))), [2, 3]],
    ['B041 a lone group in a chain', ({ chain, add, group }) => chain(group(add(42), add(42))), [42, 42]],
    ['B046 an empty group at the end', ({ chain, add, group }) => chain(add(1), group()), []],
    ['B048 header order', ({ chord, add, sum }) => chord([add(2, 2), add(4, 4)], sum()), 12],
    [
      'B082 a group after a group',
      ({ chain, group, add, sum, still }) =>
        chain(still(1, 0), group(add(1), add(1)), group(sum(), sum()), sum()),
      8,
    ],
    [
      'B082 a group that meets two',
      ({ chain, group, same, sum }) => chain(group(same(1), same(2)), group(same(), sum())),
      [[1, 2], 3],
    ],
    [
      'B083 chords one after the other',
      ({ chain, chord, add, sum }) =>
        chain(chord([add(1), add(2)], sum()), chord([add(1), add(2)], sum()), chord([add(1), add(1)], sum())),
      20,
    ],
    [
      'B084 a chord as a member',
      ({ chord, same, add }) => chord([chord([add(1), add(2)], same()), add(3)], same()),
      [[1, 2], 3],
    ],
    [
      'B084 a chain as a member, also one that ends in a group',
      ({ chord, chain, add, group, same }) =>
        chord([chain(add(1, 1), add(10)), chain(same(1), group(add(1), add(2))), add(5, 5)], same()),
      [12, [2, 3], 10],
    ],
    [
      'B085 a group as a member',
      ({ chord, group, add, same }) => chord([group(add(1), add(2))], same()),
      [[1, 2]],
    ],
    [
      'B086 groups in groups, in order',
      ({ chord, group, same }) =>
        chord([same('a'), group(same('b'), same('c'), group(same('d'), same('e'))), same('f')], same()),
      ['a', ['b', 'c', ['d', 'e']], 'f'],
    ],
    [
      'B087 a chain that ends in a group, in a group',
      ({ group, same, chain }) => group(same('x'), chain(same('y'), group(same(), same()))),
      ['x', ['y', 'y']],
    ],
    [
      'B088 a member that ends in a group',
      ({ group, chain, add }) => group(chain(add(1, 2), group(add(1), add(2)))),
      [[4, 5]],
    ],
    [
      'B088 a chain as the body of a member',
      ({ group, chord, chain, same }) => group(chord([same(42)], chain(same()))),
      [[42]],
    ],
    [
      'B102 an empty group in a header',
      ({ chord, group, add, same }) => chord([group(), add(1)], same()),
      [[], 1],
    ],
  ])('%s', async (_row, make, value) => {
    await expect((await make(shapes()).delay()).get()).resolves.toEqual(value);
    await quiet();
  });

  it('B028 late arguments go to the first step only; B016 to every member; B054 never to a body', async () => {
    const { add, chain, group, chord, same } = shapes();
    const given = async (canvas: Canvas) =>
      (await (canvas as unknown as { delay(value: number): Promise<Handle> }).delay(10)).get();
    await expect(given(chain(add(1), add(2)))).resolves.toBe(13);
    await expect(given(group(add(1), add(2)))).resolves.toEqual([11, 12]);
    await expect(given(chord([add(1), add(2)], same()))).resolves.toEqual([11, 12]);
  });
});

describe('failures', () => {
  it.each<[row: string, make: Make, message: string]>([
    [
      'B038 a step that has expired',
      ({ chain, expired, add }) => chain(expired(), add()),
      'not started before',
    ],
    [
      'B039 a step that nobody knows',
      ({ chain, add, unknown }) => chain(add(1, 1), unknown(), add()),
      '"nobody"',
    ],
    [
      'B042 a step before a group',
      ({ chain, fail, group, add }) => chain(fail(1), group(add(1), add(2))),
      'no 1',
    ],
    [
      'B043 a member of the last group',
      ({ chain, add, group, fail }) => chain(add(1), group(add(1), fail())),
      'no 1',
    ],
    [
      'B089 a chord in a chord',
      ({ chord, add, fail, sum }) => chord([add(1), chord([add(1), fail(2)], sum())], sum()),
      'no 2',
    ],
    [
      'B091 a chain in a header',
      ({ chord, chain, add, fail, sum }) => chord([add(1), chain(fail(3), add(1))], sum()),
      'no 3',
    ],
    [
      'B092 a group inside a chain in a header',
      ({ chord, chain, add, group, fail, sum }) =>
        chord([add(1), chain(add(1), group(add(1), fail()), sum())], sum()),
      'no 1',
    ],
    [
      'B092 a step before a group at the end of a member',
      ({ chord, chain, add, group, fail, sum }) =>
        chord([add(1), chain(fail(4), group(add(1), add(2)))], sum()),
      'no 4',
    ],
    [
      'B093 a member that ends in a failing group',
      ({ chord, chain, add, group, fail, sum }) =>
        chord([add(1), chain(add(1), group(add(1), fail()))], sum()),
      'no 1',
    ],
    [
      'B096 a body that is a chord',
      ({ chord, fail, add, sum }) => chord([fail(5)], chord([add(), add()], sum())),
      'no 5',
    ],
    [
      'B097 two groups in a row',
      ({ chain, group, add, fail, sum }) => chain(group(add(1), fail(6)), group(add(), add()), sum()),
      'no 6',
    ],
    [
      'B098 two chords in a row',
      ({ chain, chord, add, fail, sum }) =>
        chain(add(1), chord([add(1), fail()], sum()), chord([add(1)], sum()), add(1)),
      'no 1',
    ],
    [
      'B099 the first step, with a group behind it',
      ({ chain, fail, group, add, sum }) => chain(fail(7), group(add(1), add(2)), sum()),
      'no 7',
    ],
    [
      'B100 members of a body that is a group',
      ({ chord, add, group, fail }) => chord([add(1)], group(fail(), fail(), add())),
      'no [1]',
    ],
  ])('%s: everything ends, and the errback runs once', async (_row, make, message) => {
    const { note } = shapes();
    const canvas = make(shapes())
      .linkError(note('errback') as never)
      .link(note('link') as never);
    const handle = await canvas.delay();
    await expect(handle.get()).rejects.toThrow(message);
    await app.runs.reached('errback');
    await quiet();
    expect([app.runs.count('errback'), app.runs.count('link')]).toEqual([1, 0]);
    expect(causes(app.runs.of<TaskFailure>('errback')[0]!)).toContain(message);
  });

  it('B095 the members of a body that never ran fail as upstream', async () => {
    const { chord, fail, add, group } = shapes();
    const handle = await chord([fail(1)], group(add(), add())).delay();
    await expect(handle.get()).rejects.toThrow('no 1');
    const body = app.workflows.result(`${handle.id}.body`);
    await expect(body.failure()).resolves.toMatchObject({ error: { code: 'UPSTREAM_FAILED' } });
    await expect(app.workflows.result(`${handle.id}.body.1`).state()).resolves.toBe('FAILURE');
  });

  it('B051, B102 a chord without a body and a chain without steps are refused when they are made', () => {
    const { chord, chain, add } = shapes();
    expect(() => chord([add(1)], undefined as never)).toThrow(InvalidCanvasError);
    expect(() => chain()).toThrow(InvalidCanvasError);
  });
});

describe('callbacks', () => {
  it.each<[row: string, make: Make, value: unknown]>([
    ['B019 of a group: once, after all members', ({ group, add }) => group(add(1), add(2)), [1, 2]],
    ['B033 of a chain: once, after the last step', ({ chain, add }) => chain(add(1, 1), add(2)), 4],
    [
      'B044 of a chain that ends in a group: once',
      ({ chain, add, group }) => chain(add(1), group(add(1), add(2))),
      [2, 3],
    ],
    [
      'B057 of a chord: once, with the value of its body',
      ({ chord, add, sum }) => chord([add(1), add(2)], sum()),
      3,
    ],
  ])('%s', async (_row, make, value) => {
    const { note } = shapes();
    await (
      await make(shapes())
        .link(note('link') as never)
        .delay()
    ).get();
    await app.runs.reached('link');
    await quiet();
    expect(app.runs.of('link')).toEqual([value]);
  });

  it('B018, B045, B056 given with the call, on every shape', async () => {
    const { group, chain, chord, add, sum, note } = shapes();
    const all = [group(add(1)), chain(add(1), group(add(1), add(1)), sum()), chord([add(1)], sum())];
    for (const canvas of all) {
      const callable = canvas as unknown as { applyAsync(args: [], options: object): Promise<Handle> };
      await (await callable.applyAsync([], { link: note('link'), linkError: note('errback') })).get();
    }
    await app.runs.reached('link', 3);
    await quiet();
    expect([app.runs.of('link'), app.runs.count('errback')]).toEqual([[[1], 4, 1], 0]);
  });

  it('B108, B109, B110 several of one task, also canvases, get its value; one that fails changes nothing', async () => {
    const { add, fail, group, chain, chord, same, note } = shapes();
    const canvas = add(2, 2)
      .link(chain(add(8), note('chain')) as never)
      .link(group(note('member'), note('member too')) as never)
      .link(chord([same(), same()], note('chord')) as never)
      .link(fail() as never);
    const handle = await canvas.delay();
    await expect(handle.get()).resolves.toBe(4);
    for (const [as, value] of [
      ['chain', 12],
      ['member', 4],
      ['member too', 4],
      ['chord', [4, 4]],
    ] as const) {
      await app.runs.reached(as);
      expect(app.runs.of(as)).toEqual([value]);
    }
    await quiet();
    await expect(app.workflows.result(`${handle.id}.link.3`).state()).resolves.toBe('FAILURE');
    await expect(app.workflows.result(handle.id).state()).resolves.toBe('SUCCESS');
  });

  it('B117, B123 errbacks of every kind get the failure, one that fails keeps no other from running', async () => {
    const { fail, group, chain, same, note } = shapes();
    const canvas = fail(1)
      .linkError(fail() as never)
      .linkError(chain(same(), note('chain')) as never)
      .linkError(group(note('member')) as never);
    await canvas.delay();
    await app.runs.reached('chain');
    await app.runs.reached('member');
    await quiet();
    for (const as of ['chain', 'member']) {
      expect(app.runs.of<TaskFailure>(as)).toMatchObject([{ error: { message: 'no 1' } }]);
    }
  });
});

describe('events', () => {
  it('B191 every task ends with one event, whatever its end', async () => {
    const { workflows } = app;
    const tasks = workflows.tasks(RowTasks);
    const ends = {
      succeeds: tasks.add.s(1, 1),
      fails: tasks.fail.s(1),
      'is tried again': tasks.again.s(),
      'is rejected': tasks.rejected.s(),
      'is ignored': tasks.ignored.s(),
      'runs into its hard limit': tasks.stuck.s(),
      expires: tasks.add.s(1).set({ countdown: 50, expires: 1 }),
    };
    const ids = new Map<string, string>();
    for (const [end, call] of Object.entries(ends)) {
      const alone = await (call as unknown as Canvas).delay();
      const member = await (workflows.group([call as never]) as unknown as Canvas).delay();
      ids.set(alone.id, `${end}, alone`).set(`${member.id}.0`, `${end}, in a group`);
      await Promise.allSettled([alone.get(), member.get()]);
    }
    await quiet();
    const stream = await fixture.redis.xrange(`{${app.prefix}:0}:default:events`, '-', '+');
    const seen = new Map([...ids.values()].map((what) => [what, 0]));
    for (const [, flat] of stream) {
      const { event, jobId = '' } = Object.fromEntries(
        flat.flatMap((field, at) => (at % 2 === 0 ? [[field, flat[at + 1]]] : [])),
      ) as Record<string, string>;
      const what = ids.get(jobId);
      if (what !== undefined && (event === 'completed' || event === 'failed')) {
        seen.set(what, (seen.get(what) ?? 0) + 1);
      }
    }
    expect([...seen].filter(([, times]) => times !== 1)).toEqual([]);
    expect(seen.size).toBe(14);
  });

  const momentsOf = async (id: string): Promise<TaskMoment[]> => {
    const moments: TaskMoment[] = [];
    for await (const moment of app.workflows.result(id).watch()) moments.push(moment);
    return moments;
  };

  it('B192 steps and bodies that never run are seen to end', async () => {
    const { chain, chord, fail, add, sum } = shapes();
    const failing = await chain(chord([fail(1), add(1)], sum()), add(1), add(2)).delay();
    for (const part of ['0.body', '1', '2']) {
      expect((await momentsOf(`${failing.id}.${part}`)).at(-1)).toEqual({ state: 'FAILURE' });
    }
    expect((await momentsOf(failing.id)).at(-1)).toMatchObject({ state: 'FAILURE' });
  });

  it('B192 a chord that is recovered says so, to the end of the watch', async () => {
    const tasks = app.workflows.tasks(RowTasks);
    const recovery = CallbackWithSuccesses;
    const chord = app.workflows.chord([tasks.fail.s(1), tasks.add.s(2, 3)], tasks.sum.s() as never, {
      recovery,
    });
    const { id } = await (chord as unknown as Canvas).delay();
    expect((await momentsOf(id)).at(-1)).toEqual({
      state: 'SUCCESS',
      counts: { size: 2, succeeded: 1, failed: 1, pending: 0 },
      recovered: { strategy: 'CallbackWithSuccesses', failed: 1, size: 2 },
    });
  });
});

/** What a failure says, with everything that it says was its cause. */
function causes({ error }: TaskFailure): string {
  const all: string[] = [];
  for (let at: TaskFailure['error'] | undefined = error; at !== undefined; at = at.cause)
    all.push(at.message);
  return all.join('; ');
}
