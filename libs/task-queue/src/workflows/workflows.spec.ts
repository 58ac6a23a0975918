import type { CanvasData, GroupData } from '../canvas/canvas-data.js';
import type { CanvasStream } from '../canvas/canvas-stream.js';
import { CallbackWithSuccesses } from '../chords/built-in-recoveries.js';
import { Tolerate } from '../chords/tolerate.js';
import { InvalidCanvasError } from '../errors/publish.errors.js';
import type { TaskFailure } from '../failure/task-failure.js';
import { AsyncResult, type ResultSource } from '../results/async-result.js';
import { GroupResult } from '../results/group-result.js';
import type { AnyCanvas } from './canvas-types.js';
import { createChain } from './chain.js';
import { createChord } from './chord.js';
import { createGroup, Group } from './group.js';
import { createSignature, Signature } from './signature.js';
import { CanvasPublisher } from './port.js';
import { createTaskMakers } from './task-makers.js';

/** A publisher that keeps what it is given. */
class RecordingPublisher extends CanvasPublisher {
  readonly published: CanvasData[] = [];
  override readonly clock = { wallMs: () => 1_000 };

  async publish<R>(canvas: CanvasData): Promise<AsyncResult<R>> {
    this.published.push(canvas);
    return new AsyncResult<R>('id', {} as ResultSource);
  }

  async publishGroup<R>(canvas: GroupData): Promise<GroupResult<R>> {
    this.published.push(canvas);
    return new GroupResult<R>('id', {} as ResultSource);
  }

  async publishStream<R>({ canvas }: CanvasStream): Promise<AsyncResult<R>> {
    return this.publish(canvas);
  }

  async publishGroupStream<R>({ canvas }: CanvasStream): Promise<GroupResult<R>> {
    return this.publishGroup(canvas as GroupData);
  }
}

interface MathTasks {
  add(a: number, b: number): number;
  double(value: number): number;
  sum(values: number[]): number;
  log(text: string): void;
  report(failure: TaskFailure): void;
}

const publisher = new RecordingPublisher();
const tasks = createTaskMakers<MathTasks>(
  new Map(['add', 'double', 'sum', 'log', 'report'].map((name) => [name, { name: `Math.${name}` }])),
  publisher,
  'MathTasks',
);
const published = (): CanvasData | undefined => publisher.published.at(-1);
const task = (name: string, ...args: unknown[]): object => ({ kind: 'task', task: `Math.${name}`, args });
const immutable = (name: string, ...args: unknown[]): object => ({ ...task(name, ...args), immutable: true });

describe('signatures', () => {
  it('are plain data, equal when they say the same', () => {
    const signature = tasks.add.s(1, 2);
    expect(JSON.parse(JSON.stringify(signature))).toEqual(task('add', 1, 2));
    expect(Object.keys(signature)).toEqual([]);
    expect('~types' in signature).toBe(false);
    expect(signature.task).toBe('Math.add');
    expect(signature.equals(tasks.add.s(1, 2))).toBe(true);
    expect(signature.equals(tasks.add.si(1, 2))).toBe(false);
    expect(signature.equals(signature.toJSON())).toBe(true);
  });

  it('change by making new ones', () => {
    const first = tasks.double.s();
    const changed: AnyCanvas[] = [
      first.set({ countdown: '5s', link: tasks.double.s() }),
      first.link(tasks.double.s()),
      first.linkError(tasks.report.s()),
      first.stamp({ tenant: 't1' }),
    ];
    expect(first.toJSON()).toEqual(task('double'));
    expect(changed.map((signature) => signature.toJSON())).toEqual([
      { ...task('double'), options: { countdownMs: 5_000 }, links: [task('double')] },
      { ...task('double'), links: [task('double')] },
      { ...task('double'), errbacks: [task('report')] },
      { ...task('double'), options: { headers: { tenant: 't1' } } },
    ]);
    for (const signature of changed) expect(signature).toBeInstanceOf(Signature);
    expect(Object.isFrozen(first.toJSON().args)).toBe(true);
  });

  it('put late arguments in front of the stored ones (B002)', async () => {
    await tasks.add.s(10).delay(30);
    expect(published()).toEqual(task('add', 30, 10));
    await tasks.add.s(10).applyAsync([30]);
    expect(published()).toEqual(task('add', 30, 10));
  });

  it('drop them when they are immutable (B005)', async () => {
    const signature = tasks.add.s(2, 2).immutable();
    await (signature as unknown as Signature<[number], number>).delay(4);
    expect(published()).toEqual(immutable('add', 2, 2));
    expect(signature.equals(tasks.add.si(2, 2))).toBe(true);
  });

  it('take options and callbacks of one call', async () => {
    const signature = tasks.add.s(1, 2).set({ queue: 'slow', expires: '1s' });
    await signature.applyAsync([], {
      queue: 'fast',
      taskId: 'a1',
      link: tasks.double.s(),
      linkError: [tasks.report.s()],
    });
    expect(published()).toEqual({
      ...task('add', 1, 2),
      options: { queue: 'fast', expires: 2_000, taskId: 'a1' },
      links: [task('double')],
      errbacks: [task('report')],
    });
    expect(signature.toJSON().options).toEqual({ queue: 'slow', expiresInMs: 1_000 });
  });

  it('reject when an option cannot be read, and publish nothing', async () => {
    const before = publisher.published.length;
    const call = tasks.add.s(1, 2).applyAsync([], { countdown: -1 });
    await expect(call).rejects.toThrow('Canvas at options.countdown: expected milliseconds of 0 or more');
    await expect(tasks.double.applyAsync([1], { countdown: 'x' })).rejects.toThrow(InvalidCanvasError);
    expect(publisher.published).toHaveLength(before);
  });

  it('can name a task of another program', async () => {
    await createSignature(publisher, { kind: 'task', task: 'other.count', args: [1] }).delay(2);
    expect(published()).toEqual({ kind: 'task', task: 'other.count', args: [2, 1] });
  });
});

describe('composites', () => {
  const chain = createChain(publisher, [tasks.add.s(1), tasks.double.s()]);
  const group = createGroup(publisher, [tasks.add.s(1), tasks.double.s(), tasks.log.si('x')]);
  const chord = createChord(publisher, [tasks.double.s(), tasks.add.s(2)], tasks.sum.s(), {
    recovery: CallbackWithSuccesses,
  });

  it('are plain data', () => {
    expect(chain.toJSON()).toEqual({ kind: 'chain', steps: [task('add', 1), task('double')] });
    expect(group.toJSON()).toEqual({
      kind: 'group',
      members: [task('add', 1), task('double'), immutable('log', 'x')],
    });
    expect(chord.toJSON()).toEqual({
      kind: 'chord',
      header: [task('double'), task('add', 2)],
      body: task('sum'),
      recovery: 'CallbackWithSuccesses',
    });
  });

  it('put late arguments where they belong (B016, B028, B054)', async () => {
    await chain.delay(10);
    expect(published()).toMatchObject({ steps: [task('add', 10, 1), task('double')] });
    await group.delay(10);
    expect(published()).toMatchObject({
      members: [task('add', 10, 1), task('double', 10), immutable('log', 'x')],
    });
    await chord.delay(10);
    expect(published()).toMatchObject({
      header: [task('double', 10), task('add', 10, 2)],
      body: task('sum'),
    });
  });

  it('change by making new ones of the same kind', () => {
    for (const canvas of [chain, group, chord] as AnyCanvas[]) {
      const before = JSON.stringify(canvas);
      const value = canvas as typeof chain;
      const changed = value.set({ queue: 'slow' }).link(tasks.log.si('x')).linkError(tasks.report.s());
      expect(changed.constructor).toBe(value.constructor);
      expect(changed.toJSON()).toEqual({
        ...canvas.toJSON(),
        options: { queue: 'slow' },
        links: [immutable('log', 'x')],
        errbacks: [task('report')],
      });
      expect(JSON.stringify(canvas)).toBe(before);
    }
  });

  it('close their input when they are immutable', () => {
    const closed = createGroup(publisher, [tasks.double.s(1), tasks.double.s(2)]).immutable();
    expect(closed.toJSON().members).toEqual([immutable('double', 1), immutable('double', 2)]);
    expect(
      createChain(publisher, [tasks.double.s(1), tasks.double.s()])
        .immutable()
        .toJSON().steps,
    ).toEqual([immutable('double', 1), task('double')]);
    const closedChord = createChord(publisher, [tasks.double.s(1)], tasks.sum.s())
      .immutable()
      .toJSON();
    expect([closedChord.header, closedChord.body]).toEqual([[immutable('double', 1)], task('sum')]);
  });

  it('publish a group as one, for a handle that knows its members', async () => {
    expect(await group.delay(1)).toBeInstanceOf(GroupResult);
    expect(await chord.delay(1)).not.toBeInstanceOf(GroupResult);
  });

  it('let a group grow by making a new one', () => {
    const one = createGroup(publisher, [tasks.double.s(1)]);
    const two = one.add(tasks.double.s(2));
    expect([one.size, two.size]).toEqual([1, 2]);
    expect(two).toBeInstanceOf(Group);
  });

  it('take a group as the header of a chord', () => {
    const body = createChord(publisher, createGroup(publisher, [tasks.double.s(1)]), tasks.sum.s());
    expect(body.toJSON().header).toEqual([task('double', 1)]);
  });

  it.each([
    [() => createChain(publisher, [] as never), 'a chain needs at least one step'],
    [
      () => createGroup(publisher, [tasks.double as never]),
      'members[0]: expected a signature, chain, group or chord, got a task itself',
    ],
    [() => createChord(publisher, [], undefined as never), 'a chord needs a body'],
    [() => tasks.double.s(1).link(7 as never), 'Canvas at link: expected a signature'],
    [
      () => createChord(publisher, [], tasks.sum.s(), { recovery: (() => class {})() as never }),
      'a strategy is found by the name of its class',
    ],
  ])('refuse what cannot run as soon as it is composed', (make, message) => {
    expect(make).toThrow(message);
  });
});

describe('an option', () => {
  const publisher = new RecordingPublisher();
  const body = createSignature(publisher, { kind: 'task', task: 'sum', args: [] }) as unknown as Signature<
    [number[]],
    number
  >;

  it.each<[object, string]>([
    [{ deadline: '1m' }, 'deadline'],
    [{ late: 'amend' }, 'late'],
    [{ recovery: CallbackWithSuccesses }, 'recovery'],
  ])('that is for chords is refused of a group, with what to do: %j', (options, name) => {
    const make = () => createGroup(publisher, [], options);
    expect(make).toThrow(InvalidCanvasError);
    expect(make).toThrow(new RegExp(`${name}.*chord\\(members, body, options\\)`));
  });

  it.each<[string, object]>([
    ['recovery: expected the class of a strategy, or Tolerate', { recovery: 'CallbackWithSuccesses' }],
    ['recovery: expected the class of a strategy', { recovery: null }],
    [
      'recovery.recovery: expected the class',
      { recovery: Tolerate({ count: 1, recovery: 'ErrbackOnly' as never }) },
    ],
    ['recovery: a budget needs a limit', { recovery: Tolerate(undefined as never) }],
    ['failFast: expected true or false, got "yes"', { failFast: 'yes' }],
    ['deadline: expected a time of at most 10 years', { deadline: '99999d' }],
    ["deadline: expected milliseconds or a duration such as '30s'", { deadline: '0' }],
  ])('that cannot be read is refused, and not passed over: %s', (message, options) => {
    const make = () => createChord(publisher, [], body, options);
    expect(make).toThrow(InvalidCanvasError);
    expect(make).toThrow(message);
  });

  it('that nobody knows is refused', () => {
    expect(() => createGroup(publisher, [], { failfast: true } as object)).toThrow(/failfast.*failFast/);
    expect(() => createChord(publisher, [], body, { deadlin: '1m' } as object)).toThrow(/deadlin.*deadline/);
  });
});
