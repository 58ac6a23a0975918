import { Injectable } from '@nestjs/common';
import {
  Ctx,
  currentTask,
  InvalidCanvasError,
  OnFailure,
  OnSuccess,
  Retry,
  SoftTimeLimitExceededError,
  Task,
  type TaskContext,
  type TaskFailure,
  type TaskSuccess,
} from 'nestjs-task-queue';
import { Runs, type TestApp, until, useApps } from '../support/app-fixture.js';

/** One job for many items: map, starmap, chunks. */

const FLAKY = { maxRetries: 2, backoff: { type: 'fixed', delay: 1 } } as const;

@Injectable()
class ItemTasks {
  #failuresLeft = 0;

  constructor(private readonly runs: Runs) {}

  failNext(times: number): void {
    this.#failuresLeft = times;
  }

  @Task()
  add(a: number, b: number, @Ctx() task: TaskContext): number {
    this.runs.record('add', { id: task.id, item: task.item, args: task.args });
    return a + b;
  }

  @Task()
  sum(values: number[]): number {
    this.runs.record('sum', values);
    return values.reduce((total, value) => total + value, 0);
  }

  @Task()
  double(value: number, by = 2): number {
    return value * by;
  }

  @Task()
  lengths(lists: number[][]): number[] {
    return lists.map((list) => list.length);
  }

  @Task()
  broken(value: number): number {
    this.runs.record('broken', value);
    if (value === 2) throw new RangeError(`no ${value}`);
    return value;
  }

  @Task()
  @Retry(FLAKY)
  flaky(value: number): number {
    this.runs.record('flaky', { value, retries: currentTask().retries });
    if (value === 3 && this.#failuresLeft > 0) {
      this.#failuresLeft--;
      throw new Error('not yet');
    }
    return value * 10;
  }

  @Task()
  strange(value: number): unknown {
    return value === 1 ? 10n : value;
  }

  /** Ignores its signal, and ends a little after it was aborted. */
  @Task({ softTimeLimit: '50ms' })
  async unhurried(value: number, @Ctx() task: TaskContext): Promise<number> {
    this.runs.record('unhurried', value);
    if (!task.signal.aborted) {
      await new Promise((resolve) => task.signal.addEventListener('abort', resolve, { once: true }));
    }
    return value;
  }

  /** Waits for nothing: only who lets others have their turn hears of the limit. */
  @Task({ timeLimit: '50ms' })
  busy(value: number): number {
    this.runs.record('busy');
    const until = performance.now() + 5;
    while (performance.now() < until);
    return value;
  }

  @OnFailure('broken')
  failed(failure: TaskFailure): void {
    this.runs.record('failed', failure.request);
  }

  @OnSuccess('double')
  succeeded(success: TaskSuccess): void {
    this.runs.record('succeeded', { args: success.args, value: success.value });
  }

  @Task()
  note(failure: TaskFailure): void {
    this.runs.record('noted', failure.request);
  }
}

describe('map, starmap and chunks', () => {
  const fixture = useApps();
  let app: TestApp;
  beforeEach(async () => {
    app = await fixture.boot({ providers: [ItemTasks] });
  });
  const tasks = () => app.workflows.tasks(ItemTasks);

  it('runs all items of a map in one job, in their order, and gives the list of their values', async () => {
    const handle = await tasks()
      .sum.map([[1, 2], [], [3, 4]])
      .delay();
    await expect(handle.get()).resolves.toEqual([3, 0, 7]);
    expect(app.runs.of('sum')).toEqual([[1, 2], [], [3, 4]]);
    await expect(handle.describe()).resolves.toMatchObject({ name: 'ItemTasks.sum' });
  });

  it('spreads each item of a starmap; all share the id, and the context names the item', async () => {
    const handle = await tasks()
      .add.starmap([
        [1, 2],
        [3, 4],
      ])
      .delay();
    await expect(handle.get()).resolves.toEqual([3, 7]);
    expect(app.runs.of('add')).toEqual([
      { id: handle.id, item: 0, args: [1, 2] },
      { id: handle.id, item: 1, args: [3, 4] },
    ]);
    await tasks()
      .add.delay(5, 5)
      .then((one) => one.get());
    expect(app.runs.of<{ item?: number }>('add').at(-1)?.item).toBeUndefined();
  });

  it('takes any iterable, and an empty one gives an empty list', async () => {
    const handles = await Promise.all([
      tasks()
        .double.map(new Set([1, 2, 3]))
        .delay(),
      tasks().double.map([]).delay(),
      tasks().add.chunks([], 3).delay(),
    ]);
    await expect(Promise.all(handles.map((handle) => handle.get()))).resolves.toEqual([[2, 4, 6], [], []]);
  });

  it('ignores the value that comes in when it has its items, and maps over it when it has none', async () => {
    const { workflows } = app;
    const own = workflows.chain(tasks().double.s(21), tasks().double.map([1, 2]));
    const incoming = workflows.chain(
      workflows.group([tasks().add.s(1, 1), tasks().add.s(2, 2)]),
      tasks().double.map(),
      tasks().sum.s(),
    );
    await expect(own.delay().then((handle) => handle.get())).resolves.toEqual([2, 4]);
    await expect(incoming.delay().then((handle) => handle.get())).resolves.toBe(12);
    await expect(
      tasks()
        .double.map()
        .delay([4])
        .then((handle) => handle.get()),
    ).resolves.toEqual([8]);
  });

  it('makes a group of chunks, the last one shorter, whose values are lists', async () => {
    const pairs = Array.from({ length: 7 }, (_, at): [number, number] => [at, at]);
    const handle = await tasks().add.chunks(pairs, 3).delay();
    await expect(handle.get()).resolves.toEqual([[0, 2, 4], [6, 8, 10], [12]]);
    await expect(handle.counts()).resolves.toMatchObject({ size: 3, succeeded: 3 });
    const ids = new Set(app.runs.of<{ id: string }>('add').map(({ id }) => id));
    expect(ids).toEqual(new Set([0, 1, 2].map((at) => `${handle.id}.${at}`)));
  });

  it('follows chunks with a body, and lets other members join their group', async () => {
    const { workflows } = app;
    const pairs: [number, number][] = [
      [1, 1],
      [2, 2],
      [3, 3],
    ];
    const chunks = tasks().add.chunks(pairs, 2);
    const total = workflows.chain(chunks, tasks().lengths.s());
    const header = workflows.chord(chunks, tasks().lengths.s());
    const group = chunks.group().add(tasks().double.map([1]));
    const more = workflows.chord(group, tasks().lengths.s());
    await expect(total.delay().then((handle) => handle.get())).resolves.toEqual([2, 1]);
    await expect(header.delay().then((handle) => handle.get())).resolves.toEqual([2, 1]);
    await expect(more.delay().then((handle) => handle.get())).resolves.toEqual([2, 1, 1]);
  });

  it("stops at the first item that fails, and reports that item under the task's own name", async () => {
    const handle = await tasks().broken.map([1, 2, 3]).linkError(tasks().note.s()).delay();
    await expect(handle.get()).rejects.toThrow('no 2');
    await expect(handle.get()).rejects.toBeInstanceOf(RangeError);
    expect(app.runs.of('broken')).toEqual([1, 2]);
    const request = { name: 'ItemTasks.broken', args: [2], item: 1 };
    await expect(handle.failure()).resolves.toMatchObject({ request });
    await app.runs.reached('failed');
    expect(app.runs.of('failed')).toEqual([expect.objectContaining(request)]);
    await app.runs.reached('noted');
    expect(app.runs.of('noted')).toEqual([expect.objectContaining(request)]);
  });

  it('goes on with the item that failed when it is retried', async () => {
    app.get(ItemTasks).failNext(2);
    const handle = await tasks().flaky.map([1, 2, 3, 4]).delay();
    await expect(handle.get()).resolves.toEqual([10, 20, 30, 40]);
    expect(app.runs.of('flaky')).toEqual([
      { value: 1, retries: 0 },
      { value: 2, retries: 0 },
      { value: 3, retries: 0 },
      { value: 3, retries: 1 },
      { value: 3, retries: 2 },
      { value: 4, retries: 2 },
    ]);
  });

  it('has one count of retries and one success hook for the whole list', async () => {
    app.get(ItemTasks).failNext(3);
    const handle = await tasks().flaky.map([3, 4]).delay();
    await expect(handle.get()).rejects.toThrow('not yet');
    expect(app.runs.count('flaky')).toBe(3);
    await tasks().double.map([1, 2]).delay();
    await app.runs.reached('succeeded');
    expect(app.runs.of('succeeded')).toEqual([{ args: [[1, 2]], value: [2, 4] }]);
  });

  it('begins no item after the soft limit, which holds for the whole list', async () => {
    const handle = await tasks().unhurried.map([1, 2, 3]).delay();
    await expect(handle.get()).rejects.toBeInstanceOf(SoftTimeLimitExceededError);
    expect(app.runs.of('unhurried')).toEqual([1]);
  });

  it('lets limits pass between items that wait for nothing', async () => {
    const handle = await tasks()
      .busy.map(Array.from({ length: 2_000 }, (_, at) => at))
      .delay();
    await expect(handle.get()).rejects.toMatchObject({ code: 'TIME_LIMIT_EXCEEDED' });
    expect(app.runs.count('busy')).toBeLessThan(2_000);
  });

  it('names the item whose value cannot be stored, and input that is no list', async () => {
    const strange = await tasks().strange.map([0, 1]).delay();
    await expect(strange.get()).rejects.toThrow('result[1] is');
    const handle = await app.workflows
      .chain(tasks().double.s(1), app.workflows.fromData(tasks().double.map().toJSON()) as never)
      .delay();
    await expect(handle.get()).rejects.toMatchObject({ code: 'INVALID_ARGUMENTS' });
  });

  it('refuses what is no list, and sizes that are none, before anything is published', async () => {
    expect(() => tasks().double.map('12' as never)).toThrow(InvalidCanvasError);
    expect(() => tasks().add.chunks([[1, 2]], 0)).toThrow('whole number of 1 or more, got 0');
    const data = { ...tasks().double.map([1]).toJSON(), args: [1] };
    expect(() => app.workflows.fromData(data)).toThrow('a map takes one list of items');
    const star = { ...tasks().add.starmap([]).toJSON(), args: [[[1, 2], 3]] };
    expect(() => app.workflows.fromData(star)).toThrow('item 1 of a starmap has to be a list of arguments');
  });

  it('survives JSON, with options, stamps and callbacks as every signature', async () => {
    const data = tasks()
      .double.map([1, 2])
      .set({ headers: { tenant: 'a' } })
      .link(tasks().sum.s())
      .toJSON();
    const handle = await app.workflows.fromData(JSON.parse(JSON.stringify(data)) as typeof data).delay();
    await expect(handle.get()).resolves.toEqual([2, 4]);
    await app.runs.reached('sum');
    expect(app.runs.of('sum')).toEqual([[2, 4]]);
  });

  it('keeps what it reached when its worker stops in the middle', async () => {
    @Injectable()
    class Stopped {
      constructor(private readonly runs: Runs) {}
      @Task()
      async gated(value: number, @Ctx() task: TaskContext): Promise<number> {
        this.runs.record('gated', value);
        if (value === 2 && task.attempt === 1) {
          await new Promise((_, reject) =>
            task.signal.addEventListener('abort', () => reject(new Error('stopped'))),
          );
        }
        return value;
      }
    }
    const options = { worker: { drainTimeout: 0 } };
    const first = await fixture.boot({ providers: [Stopped], options });
    const handle = await first.workflows.tasks(Stopped).gated.map([1, 2, 3]).applyAsync([]);
    await first.runs.reached('gated', 2);
    await first.close();
    const second = await fixture.boot({ providers: [Stopped], prefix: first.prefix });
    await until(() => second.runs.count('gated') === 2, 'the rest of the list');
    await expect(second.workflows.result(handle.id).get()).resolves.toEqual([1, 2, 3]);
    expect(second.runs.of('gated')).toEqual([2, 3]);
  });
});
