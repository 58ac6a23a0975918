/**
 * What stands beside a node and is nobody's child, the timer of a deadline and who waits for late members: `explain` says how it
 * stands, `reconcile` puts it back where it was lost, and the deadline passes, the late callback runs, once.
 */
import { Injectable } from '@nestjs/common';
import { type AsyncResult, CallbackWithOutcomes, Task, TaskContext, Tolerate } from 'nestjs-task-queue';
import { AppFixture, Runs, type TestApp, uniquePrefix, until } from '../support/app-fixture.js';
import { Probe } from '../support/canvas-runner.js';

@Injectable()
class Attended {
  constructor(
    private readonly probe: Probe,
    private readonly runs: Runs,
  ) {}

  @Task()
  echo(value: unknown): unknown {
    return value;
  }

  @Task()
  async gate(door: string): Promise<string> {
    this.runs.record(`at ${door}`);
    await this.probe.pass(door);
    return door;
  }

  @Task()
  async failsBehind(door: string): Promise<never> {
    this.runs.record(`at ${door}`);
    await this.probe.pass(door);
    throw new RangeError(`behind ${door}`);
  }

  /** Fails in the first generation. */
  @Task()
  async relapses(door: string, task: TaskContext): Promise<string> {
    if (task.redriven === undefined) throw new TypeError('sick');
    return this.gate(door);
  }

  @Task()
  note(payload: unknown, name: string): unknown {
    this.runs.record(name, payload);
    return payload;
  }
}

const fixture = new AppFixture();
const { redis } = fixture;
const prefix = uniquePrefix('attended');
let app: TestApp;
let producer: TestApp;
let names = 0;
const doors = new Set<string>();
const tasks = () => app.workflows.tasks(Attended);
const canvasKey = (id: string): string => `{${prefix}:0}:_canvas:${id}`;

beforeAll(async () => {
  const tuning = { lockDuration: 1_000, stalledInterval: 100, drainTimeout: 0, maxTimesLost: 50 };
  const options = { worker: { ...tuning, reconcileInterval: false as const } };
  app = await fixture.boot({ prefix, providers: [Attended, Probe], options });
  producer = await fixture.boot({ prefix, options: { role: 'producer' } });
});
// Whoever waits behind one would keep a slot of the worker.
afterEach(() => doors.forEach(open));
afterAll(async () => {
  await fixture.closeAll();
  await fixture.end();
}, 120_000);

function door(): string {
  const name = `door ${names++}`;
  doors.add(name);
  return name;
}
const open = (name: string): void => app.get(Probe).open(name);

/** A chord whose body, errback and late callback note that they ran. */
async function chord(header: readonly object[], options: object): Promise<AsyncResult<unknown>> {
  const canvas = app.workflows
    .chord(header as never, tasks().note.s('body') as never, options)
    .linkError(tasks().note.s('errback') as never);
  return (canvas as never as { applyAsync(): Promise<AsyncResult<unknown>> }).applyAsync();
}
const late = (name: string) => ({ callback: tasks().note.s(name) });

async function kindsOf(id: string): Promise<string[]> {
  const { obstacles } = await producer.workflows.explain(id);
  return obstacles.map(({ kind, position }) => `${kind} ${position}`.trim());
}

async function mendedBy(scope: string | { readonly olderThan: number }): Promise<string[]> {
  const { mended } = await producer.workflows.reconcile(scope as never);
  return mended.map(({ kind, position }) => `${kind} ${position}`.trim());
}

/** Takes a job out of the lists of its queue, and perhaps away. */
async function lose(id: string, what: 'job' | 'job and lists' | 'place'): Promise<void> {
  const key = canvasKey(id);
  const work = redis.multi();
  if (what !== 'place') work.del(key, `${key}:lock`);
  if (what === 'job and lists') work.del(`${key}:dependencies`, `${key}:processed`, `${key}:failed`);
  if (what !== 'job') work.zrem(canvasKey('delayed'), id).zrem(canvasKey('waiting-children'), id);
  await work.exec();
}

const ends = async (id: string, index: number): Promise<void> => {
  const done = ['SUCCESS', 'FAILURE'];
  await until(
    async () => done.includes(await app.workflows.result(`${id}.${index}`).state()),
    'the member has ended',
  );
};

describe('the timer of a deadline', () => {
  const waiting = async (deadline: number) => {
    const held = door();
    const handle = await chord([tasks().gate.s(held), tasks().echo.s(1)], { deadline });
    await app.runs.reached(`at ${held}`);
    await ends(handle.id, 1);
    return { held, handle };
  };

  it('is explained: when it comes up, and that its queue is paused', async () => {
    const { handle } = await waiting(1_500);
    const [, timer] = (await producer.workflows.explain(handle.id)).obstacles;
    expect(timer).toMatchObject({ kind: 'delayed', name: 'deadline', position: 'deadline', mendable: false });
    expect(timer?.text).toMatch(/^deadline \S+\.deadline comes up at \S+Z at the earliest, in .*\.$/);
    const queue = (await app.workflows.queues()).find(({ name }) => name === '_canvas');
    await queue?.pause();
    await until(async () => (await kindsOf(handle.id)).includes('queue-paused deadline'), 'it is held up');
    await queue?.resume();
    expect(await handle.get()).toEqual([1]);
    expect(await kindsOf(handle.id)).toEqual([]);
  });

  it.each([
    ['has vanished with its place in the queue', 'job and lists', 'vanished'],
    ['has vanished', 'job', 'vanished'],
    ['is in no list', 'place', 'stranded'],
  ] as const)('that %s is put back, and passes when it would have', async (_about, what, kind) => {
    const { handle } = await waiting(600_000);
    const timer = `${handle.id}.deadline`;
    await lose(timer, what);
    expect(await kindsOf(handle.id)).toEqual(['waiting-for-children', `${kind} deadline`, 'running 0']);
    const { mendable, text } = (await producer.workflows.explain(handle.id)).obstacles[1] ?? {};
    expect(mendable).toBe(true);
    expect(text).toContain(`deadline ${timer}`);
    expect(await mendedBy(handle.id)).toEqual([`${kind} deadline`]);
    expect(await mendedBy(handle.id)).toEqual([]);
    // It has the time that is left.
    await until(async () => (await redis.zscore(canvasKey('delayed'), timer)) !== null, 'it waits again');
    expect(await kindsOf(handle.id)).toEqual(['waiting-for-children', 'delayed deadline', 'running 0']);
    await app.workflows.result(handle.id).revoke();
  });

  it('that was lost until it was over passes at once, also by a look at all that waits', async () => {
    for (const scope of ['its canvas', 'itself', 'all'] as const) {
      const { handle } = await waiting(400);
      await lose(`${handle.id}.deadline`, 'job and lists');
      await new Promise((resolve) => setTimeout(resolve, 600));
      expect(await handle.state()).toBe('STARTED');
      const asked =
        scope === 'all' ? { olderThan: 1 } : scope === 'itself' ? `${handle.id}.deadline` : handle.id;
      expect(await mendedBy(asked)).toContain('vanished deadline');
      expect(await handle.get()).toEqual([1]);
      expect(await mendedBy(handle.id)).toEqual([]);
    }
  });

  it('that a worker took after its data had been evicted is put back', async () => {
    const { handle } = await waiting(500);
    const timer = `${handle.id}.deadline`;
    await redis.del(canvasKey(timer));
    await until(
      async () => (await redis.zscore(canvasKey('failed'), timer)) !== null,
      'its queue has failed it',
    );
    expect(await kindsOf(handle.id)).toContain('unheard deadline');
    expect(await mendedBy(handle.id)).toEqual(['unheard deadline']);
    expect(await handle.get()).toEqual([1]);
  });

  it('comes back once, however many put it back, and not to a chord that has ended', async () => {
    const { held, handle } = await waiting(600_000);
    await lose(`${handle.id}.deadline`, 'job and lists');
    const all = await Promise.all(
      Array.from({ length: 8 }, (_, at) => mendedBy(at % 2 === 0 ? handle.id : { olderThan: 1 })),
    );
    expect(all.flat()).toEqual(['vanished deadline']);
    open(held);
    expect(await handle.get()).toEqual([held, 1]);
    await until(async () => (await redis.exists(canvasKey(`${handle.id}.deadline`))) === 0, 'it is gone');
    expect(await mendedBy(handle.id)).toEqual([]);
    expect(await mendedBy(`${handle.id}.deadline`)).toEqual([]);
    expect(await redis.exists(canvasKey(`${handle.id}.deadline`))).toBe(0);
  });

  it('that was lost in a later generation is that of this one', async () => {
    const held = door();
    const handle = await chord([tasks().relapses.s(held), tasks().echo.s(1)], { deadline: 600_000 });
    await handle.get({ propagate: false });
    await producer.workflows.redrive(handle.id);
    await app.runs.reached(`at ${held}`);
    const timer = `${handle.id}.deadline-1`;
    await lose(timer, 'job and lists');
    expect(await mendedBy(handle.id)).toEqual(['vanished deadline-1']);
    await until(async () => (await redis.zscore(canvasKey('delayed'), timer)) !== null, 'it waits again');
    open(held);
    expect(await handle.get()).toEqual([held, 1]);
  });
});

describe('who waits for late members', () => {
  /** Closed by a deadline, with one member that goes on behind each door. */
  const closed = async (...header: readonly object[]) => {
    const name = `late ${names++}`;
    const handle = await chord([tasks().echo.s(1), ...header], { deadline: 300, late: late(name) });
    expect(await handle.get()).toEqual([1]);
    await until(
      async () => (await redis.zscore(canvasKey('waiting-children'), `${handle.id}.late`)) !== null,
      'it waits',
    );
    return { handle, name, id: handle.id };
  };
  const heard = (index: number, door: string) =>
    expect.objectContaining({ index, status: 'fulfilled', value: door }) as unknown;

  it.each([
    ['has vanished', 'job', 'vanished'],
    ['has vanished with all that it knew', 'job and lists', 'vanished'],
    ['is in no list', 'place', 'stranded'],
  ] as const)('that %s is put back, and the callback runs once', async (_about, what, kind) => {
    const [one, two] = [door(), door()];
    const { name, id } = await closed(tasks().gate.s(one), tasks().gate.s(two));
    expect(await kindsOf(id)).toEqual([]);
    await lose(`${id}.late`, what);
    expect(await kindsOf(id)).toEqual([`${kind} late`]);
    const { text } = await producer.workflows.explain(id);
    expect(text).toMatch(/^chord \S+ has ended as SUCCESS .*\n- late \S+\.late .*\. workflows\.reconcile/);
    expect(await mendedBy(id)).toEqual([`${kind} late`]);
    expect(await mendedBy(id)).toEqual([]);
    open(one);
    await ends(id, 1);
    expect(app.runs.count(name)).toBe(0); // the other one goes on
    open(two);
    await app.runs.reached(name);
    expect(app.runs.of(name)).toEqual([{ chordId: id, outcomes: [heard(1, one), heard(2, two)] }]);
    await until(async () => (await redis.exists(canvasKey(`${id}.late`))) === 0, 'it is done');
    expect(await mendedBy(id)).toEqual([]);
    expect(await kindsOf(id)).toEqual([]);
    expect(app.runs.count(name)).toBe(1);
  });

  it('is found by a look at all that waits, and by a redrive that waits for it', async () => {
    const one = door();
    const { name, id } = await closed(tasks().gate.s(one));
    await lose(`${id}.late`, 'job');
    await expect(producer.workflows.redrive(id)).rejects.toMatchObject({ reason: 'running' });
    expect(await mendedBy({ olderThan: 1 })).toContain('vanished late');
    open(one);
    await app.runs.reached(name);
  });

  it('knows what members came to that ended before it was put back', async () => {
    const [one, two] = [door(), door()];
    const { name, id } = await closed(tasks().gate.s(one), tasks().failsBehind.s(two));
    // Its data alone: BullMQ stores on what they come to.
    await lose(`${id}.late`, 'job');
    open(one);
    open(two);
    await Promise.all([ends(id, 1), ends(id, 2)]);
    expect(await mendedBy(id)).toEqual(['vanished late']);
    await app.runs.reached(name);
    const failed = expect.objectContaining({ index: 2, status: 'rejected' }) as unknown;
    expect(app.runs.of(name)).toEqual([{ chordId: id, outcomes: [heard(1, one), failed] }]);
  });

  it('hears of failures that its queue knows of when nothing else is left', async () => {
    const one = door();
    const { name, id } = await closed(tasks().failsBehind.s(one));
    await lose(`${id}.late`, 'job and lists');
    open(one);
    await until(
      async () => (await redis.zscore(`{${prefix}:0}:default:failed`, `${id}.1`)) !== null,
      'it has failed',
    );
    expect(await mendedBy(id)).toEqual(['vanished late']);
    await app.runs.reached(name);
    expect(app.runs.of(name)).toMatchObject([{ outcomes: [{ index: 1, status: 'rejected' }] }]);
  });

  it('does not come back to a canvas that was forgotten, nor to a header that a budget left without late members', async () => {
    const one = door();
    const { handle, id } = await closed(tasks().gate.s(one));
    await handle.forget();
    expect(await redis.exists(canvasKey(`${id}.late`))).toBe(0);
    expect(await mendedBy(id)).toEqual([]);
    expect(await kindsOf(id)).toEqual([]);
    open(one);

    const breached = await chord([tasks().echo.s(1), tasks().failsBehind.s(one)], {
      recovery: Tolerate({ count: 0 }),
      late: late('nobody'),
    });
    await breached.get({ propagate: false });
    expect(await mendedBy(breached.id)).toEqual([]);
  });

  it('is put back beside a chord whose body goes on', async () => {
    const [one, body, name] = [door(), door(), `late ${names++}`];
    const canvas = app.workflows.chord(
      [tasks().gate.s(one), tasks().echo.s(1)] as never,
      tasks().gate.si(body) as never,
      { deadline: 300, late: late(name), recovery: CallbackWithOutcomes } as never,
    );
    const handle = await canvas.applyAsync([] as never);
    const { id } = handle;
    await app.runs.reached(`at ${body}`);
    await lose(`${id}.late`, 'job');
    expect(await kindsOf(id)).toEqual(['waiting-for-children', 'vanished late', 'running body']);
    expect(await mendedBy(id)).toEqual(['vanished late']);
    open(body);
    open(one);
    await handle.get();
    await app.runs.reached(name);
  });
});
