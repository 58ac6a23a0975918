import { Injectable } from '@nestjs/common';
import {
  CallbackWithSuccesses,
  ChordError,
  currentTask,
  type GroupError,
  type JsonValue,
  type Signature,
  Task,
  type TaskFailure,
  type TasksOf,
  type WorkflowService,
} from 'nestjs-task-queue';
import { startApp, type StartedApp } from '../support/canvas-runner.js';

/** Composites with more members than fit into one transaction: opened, filled in chunks and sealed. */

const WIDTH = 3_000;

@Injectable()
class Tasks {
  readonly runs = new Map<string, number>();
  readonly failures: TaskFailure[] = [];

  @Task()
  member(index: number): number {
    this.#ran();
    if (index % 500 === 250) throw new Error(`member ${index}`);
    return index;
  }

  @Task()
  add(value: number, more: number): number {
    this.#ran();
    return value + more;
  }

  @Task()
  size(values: JsonValue[]): number {
    this.#ran();
    return values.length;
  }

  @Task()
  same(values: JsonValue): JsonValue {
    this.#ran();
    return values;
  }

  @Task()
  failed(failure: TaskFailure): void {
    this.#ran();
    this.failures.push(failure);
  }

  /** How often each id of a canvas ran, where that is not once. */
  ranOtherThanOnce(canvas: { id: string }): (readonly [string, number])[] {
    return [...this.runs].filter(([id, runs]) => id.startsWith(`${canvas.id}.`) && runs !== 1);
  }

  runsIn(canvas: { id: string }): number {
    return [...this.runs.keys()].filter((id) => id.startsWith(`${canvas.id}.`)).length;
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
  app = await startApp([Tasks], { queues: { default: { concurrency: 100 } } });
  workflows = app.workflows;
  tasks = workflows.tasks(Tasks);
  service = app.module.get(Tasks);
});
afterAll(() => app.close());

/** Every 100th member is a group of two, every 100th and first a chain; the rest are tasks. */
const mixed = () =>
  Array.from({ length: WIDTH }, (_, index) => {
    if (index % 100 === 0) return workflows.group([tasks.member.s(index), tasks.member.s(index + 1)]);
    if (index % 100 === 1) return workflows.chain(tasks.member.s(index), tasks.add.s(0));
    return tasks.member.s(index);
  });
const mixedValues = Array.from({ length: WIDTH }, (_, index) =>
  index % 100 === 0 ? [index, index + 1] : index,
);
const failing = Array.from({ length: WIDTH }, (_, index) => index).filter((index) => index % 500 === 250);

it('a chord of 3,000 tasks, groups and chains fails with every failure and every value, in order', async () => {
  const chord = await workflows.chord(mixed(), tasks.size.s()).linkError(tasks.failed.s()).delay();

  const error = (await chord.get({ propagate: false })) as ChordError;
  await app.quiet();

  expect(error).toBeInstanceOf(ChordError);
  expect(error.message).toContain(`${failing.length} of ${WIDTH} members`);
  expect(error.failures.map(({ index, failure }) => [index, failure.error.message])).toEqual(
    failing.map((index) => [index, `member ${index}`]),
  );
  const values = mixedValues.flatMap((value, index) => (failing.includes(index) ? [] : [{ index, value }]));
  expect(error.values).toEqual(values);
  expect(service.failures).toHaveLength(1);
  expect(service.failures[0]?.failures?.map(({ index }) => index)).toEqual(failing);
  expect(service.failures[0]?.values).toEqual(values);
  expect(service.ranOtherThanOnce(chord)).toEqual([]);
  expect(service.runsIn(chord)).toBe(WIDTH + 2 * (WIDTH / 100) + 1);
});

it('a chord of 3,000 that recovers hands every value to its body, in order', async () => {
  const chord = await workflows.chord(mixed(), tasks.same.s(), { recovery: CallbackWithSuccesses }).delay();

  expect(await chord.get()).toEqual(mixedValues.filter((_, index) => !failing.includes(index)));
  expect((await chord.describe()).recovered).toEqual({
    strategy: 'CallbackWithSuccesses',
    failed: failing.length,
    size: WIDTH,
  });
});

it('more failures than a record holds are all there: in the error, for the errback, in the settled outcomes', async () => {
  const members = Array.from({ length: 120 }, () => tasks.member.s(250));
  const group = await workflows.group(members).linkError(tasks.failed.s()).delay();

  const error = (await group.get().catch((thrown: unknown) => thrown)) as ChordError;
  await app.quiet();

  expect(error.failures).toHaveLength(120);
  expect((await group.failure())?.failureCount).toBe(120);
  const [failure] = service.failures.filter(({ request }) => request.id === group.id);
  expect(failure?.failures).toHaveLength(120);
  expect((await group.settled()).filter(({ status }) => status === 'rejected')).toHaveLength(120);
});

it('what is stored about nested failures grows with their number, not with the product of their widths', async () => {
  const width = 12;
  const groups = (depth: number): Signature<[], number> =>
    depth === 0
      ? tasks.member.s(250)
      : (workflows.group(Array.from({ length: width }, () => groups(depth - 1))) as never);
  const canvas = await workflows.group([groups(3)]).delay();

  const error = (await canvas.get({ propagate: false }).then(() => canvas.error())) as GroupError;

  const record = await app.redis.hgetall(`{${app.prefix}:0}:_record:${canvas.id}`);
  const sizes = Object.values(record).map((json) => json.length);
  const leaf = (record[`f:${canvas.id}.0.0.0.0`] ?? '').length;
  expect(sizes).toHaveLength(width ** 3 + width ** 2 + width + 2);
  expect(Math.max(...sizes)).toBeLessThan(leaf * width * 2);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(leaf * width ** 3 * 3);
  // Everything is there all the same, one level after the other.
  const inner = await workflows
    .groupResult(error.failures[0]?.failure.request.id ?? '')
    .get()
    .catch((thrown: unknown) => thrown);
  expect((inner as GroupError).failures).toHaveLength(width);
  expect((inner as GroupError).failures[0]?.failure.failures).toHaveLength(width);
});

it('a wide group in a header, a wide step after a value, and a wide body', async () => {
  const wide = (offset: number) => Array.from({ length: 1_200 }, (_, index) => tasks.add.s(offset + index));
  const values = (start: number, offset: number) =>
    Array.from({ length: 1_200 }, (_, at) => start + offset + at);

  const nested = await workflows
    .chord(
      [workflows.group(Array.from({ length: 1_200 }, () => tasks.member.s(1))), tasks.member.s(7)],
      tasks.same.s(),
    )
    .delay();
  const chain = await workflows.chain(tasks.member.s(1), workflows.group(wide(10)), tasks.same.s()).delay();
  const body = await workflows
    .chord([tasks.member.s(1)], workflows.group(Array.from({ length: 1_200 }, () => tasks.size.s())))
    .delay();

  expect(await nested.get()).toEqual([Array.from({ length: 1_200 }, () => 1), 7]);
  expect(await chain.get()).toEqual(values(1, 10));
  expect(await body.get()).toEqual(Array.from({ length: 1_200 }, () => 1));
  expect(service.ranOtherThanOnce(nested)).toEqual([]);
  expect(service.ranOtherThanOnce(chain)).toEqual([]);
});

it('published again under its own id, also at the same time, every member runs once', async () => {
  const taskId = 'wide-and-twice';
  const chord = workflows.chord(
    Array.from({ length: 1_500 }, () => tasks.member.s(3)),
    tasks.size.s(),
  );

  const [first, second] = await Promise.all([
    chord.applyAsync([], { taskId }),
    chord.applyAsync([], { taskId }),
  ]);
  const third = await chord.applyAsync([], { taskId });

  expect(await Promise.all([first.get(), second.get(), third.get()])).toEqual([1_500, 1_500, 1_500]);
  await app.quiet();
  expect(service.ranOtherThanOnce(first)).toEqual([]);
  expect(service.runsIn(first)).toBe(1_501);
});

it('is the first thing that an application publishes: a canvas under an id of its own, a step of a canvas', async () => {
  const members = Array.from({ length: 1_100 }, () => tasks.member.s(3));
  const producer = await startApp([], { prefix: app.prefix, role: 'producer' });
  const chord = producer.workflows.fromData(workflows.chord(members, tasks.size.s()).toJSON());
  const handle = await chord.applyAsync([], { taskId: 'first-publication' });
  expect(await workflows.result(handle.id).get({ timeout: '60s' })).toBe(1_100);
  await producer.close();

  const elsewhere = await startApp([], { role: 'producer' });
  const steps = workflows.chain(tasks.member.s(3), workflows.group(members).immutable(), tasks.size.s());
  const chain = await elsewhere.workflows.fromData(steps.toJSON()).delay();
  const worker = await startApp([Tasks], { prefix: elsewhere.prefix, role: 'worker' });
  expect(await elsewhere.workflows.result(chain.id).get({ timeout: '60s' })).toBe(1_100);
  await worker.close();
  await elsewhere.close();
});

it('the size that is noted beside a node counts, not the one it was published with', async () => {
  const members = [tasks.add.s(1, 1), tasks.add.s(1, 2).set({ countdown: 500 })];
  const group = await workflows.group(members).delay();
  await app.redis.hset(`{${app.prefix}:0}:_canvas:${group.id}`, 'tq:size', 3);

  expect(await group.counts()).toMatchObject({ size: 3 });
  expect(await group.children()).toHaveLength(3);
  const error = (await group.get({ propagate: false }).then(() => group.error())) as GroupError;
  expect(error.failures.map(({ index, failure }) => [index, failure.reason])).toEqual([[2, 'removed']]);
  expect(error.values).toHaveLength(2);
});

it('is forgotten without a trace', async () => {
  const chord = await workflows.chord(mixed(), tasks.size.s(), { recovery: CallbackWithSuccesses }).delay();
  expect(await chord.get()).toBe(WIDTH - failing.length);

  await chord.forget();

  expect((await app.keys()).filter((key) => key.includes(chord.id))).toEqual([]);
});
