/**
 * Damage of every kind, done to the keys as an operator, an eviction or another program would: `explain` names it,
 * `reconcile` heals it, and exactly one of body and errback runs, once.
 */
import { Injectable } from '@nestjs/common';
import {
  type AsyncResult,
  CallbackWithSuccesses,
  type MendableKind,
  OnTaskEvent,
  Task,
  TaskContext,
  type TaskEvent,
  type TaskFailure,
} from 'nestjs-task-queue';
import { AppFixture, Runs, type TestApp, uniquePrefix, until } from '../support/app-fixture.js';
import { Probe } from '../support/canvas-runner.js';

@Injectable()
class Damaged {
  constructor(
    private readonly probe: Probe,
    private readonly runs: Runs,
  ) {}

  @Task()
  member(n: number): number {
    return n;
  }

  @Task()
  async gate(door: string): Promise<string> {
    this.runs.record(`at ${door}`);
    await this.probe.pass(door);
    return door;
  }

  @Task()
  breaks(): void {
    throw new TypeError('broken');
  }

  /** Fails in the first generation. */
  @Task()
  async relapses(door: string, task: TaskContext): Promise<string> {
    if (task.redriven === undefined) throw new TypeError('sick');
    return this.gate(door);
  }

  @Task({ queue: 'later' })
  body(values: readonly unknown[], name: string): number {
    this.runs.record(`body ${name}`, values);
    return values.length;
  }

  @Task({ queue: 'later' })
  errback(failure: TaskFailure, name: string): void {
    this.runs.record(`errback ${name}`, failure);
  }

  @Task()
  replaces(door: string, task: TaskContext): never {
    return task.replace(tasks().gate.s(door)) as never;
  }

  @OnTaskEvent('mended')
  mended(event: TaskEvent): void {
    this.runs.record('mended', event);
  }
}

const fixture = new AppFixture();
const { redis } = fixture;
const prefix = uniquePrefix('reconcile');
const TUNING = { lockDuration: 1_000, stalledInterval: 100, drainTimeout: 0, maxTimesLost: 50 };
let app: TestApp;
let producer: TestApp;
let names = 0;
const tasks = () => app.workflows.tasks(Damaged);

function boot(of: string, reconcileInterval: number | false): Promise<TestApp> {
  return fixture.boot({
    prefix: of,
    providers: [Damaged, Probe],
    options: { worker: { ...TUNING, reconcileInterval } },
  });
}

beforeAll(async () => {
  app = await boot(prefix, false);
  producer = await fixture.boot({ prefix, options: { role: 'producer' } });
});
afterAll(async () => {
  await fixture.closeAll();
  await fixture.end();
}, 120_000);

const key = (queue: string, id: string): string => `{${prefix}:0}:${queue}:${id}`;
const node = (id: string): string => key('_canvas', id);

/** Published in a queue that is paused, so that the damage is done before anything runs. */
async function whilePaused<T>(queue: string, work: () => Promise<T>): Promise<T> {
  const found = (await app.workflows.queues()).find(({ name }) => name === queue);
  await found?.pause();
  try {
    return await work();
  } finally {
    await found?.resume();
  }
}

/** A chord whose body and errback note that they ran. */
async function chord(
  header: (name: string) => readonly object[],
  options: object = {},
): Promise<{ readonly name: string; readonly id: string; readonly handle: AsyncResult<number> }> {
  const name = `n${names++}`;
  const canvas = app.workflows
    .chord(header(name) as never, tasks().body.s(name) as never, options)
    .linkError(tasks().errback.s(name) as never);
  const handle = await (canvas as never as { applyAsync(): Promise<AsyncResult<number>> }).applyAsync();
  return { name, id: handle.id, handle };
}

const three = () => [1, 2, 3].map((n) => tasks().member.s(n));
const gates = (name: string) => [1, 2, 3].map(() => tasks().gate.s(name));

async function explained(id: string, kind: MendableKind, of: string): Promise<void> {
  let text = '';
  await until(async () => {
    const explanation = await producer.workflows.explain(id);
    ({ text } = explanation);
    return explanation.obstacles.some(
      (obstacle) => obstacle.kind === kind && obstacle.id === of && obstacle.mendable,
    );
  }, `${kind} ${of}`).catch((error: unknown) => {
    throw new Error(`${String(error)}; it says:\n${text}`);
  });
}

/** Reconciles until this is healed, from a process without workers; once more heals nothing. */
async function mended(id: string, kind: MendableKind, of: string): Promise<void> {
  await explained(id, kind, of);
  const { mended: done } = await producer.workflows.reconcile(id);
  expect(done.map((one) => `${one.kind} ${one.id}`)).toEqual([`${kind} ${of}`]);
  expect((await producer.workflows.reconcile(id)).mended).toEqual([]);
}

/** Waits for the end of a chord, and for exactly one of body and errback. */
async function ended(
  { name, handle }: { readonly name: string; readonly handle: AsyncResult<number> },
  by: 'body' | 'errback',
): Promise<unknown> {
  await handle.get({ propagate: false });
  await app.runs.reached(`${by} ${name}`, 1, 60_000);
  expect(app.runs.count(`body ${name}`) + app.runs.count(`errback ${name}`)).toBe(1);
  return app.runs.of(`${by} ${name}`)[0];
}

/** Reconciles again and again, all that waits and one canvas. @returns with `stop`, what was healed */
function steadily(id: string): { stop(): Promise<unknown[]> } {
  let isOver = false;
  const run = async (): Promise<unknown[]> => {
    const healed: unknown[] = [];
    while (!isOver) {
      const reports = await Promise.all([
        producer.workflows.reconcile(id),
        producer.workflows.reconcile({ olderThan: 0 }),
      ]);
      for (const { mended: done } of reports) healed.push(...done);
    }
    return healed;
  };
  const running = run();
  running.catch(() => undefined); // heard of when it is stopped
  return {
    stop: () => {
      isOver = true;
      return running;
    },
  };
}

describe('reconcile', () => {
  it('has a node count a member as removed whose job has vanished', async () => {
    const failing = await whilePaused('default', async () => {
      const one = await chord(three);
      await redis.del(key('default', `${one.id}.1`));
      await redis.lrem(key('default', 'wait'), 0, `${one.id}.1`);
      await mended(one.id, 'vanished', `${one.id}.1`);
      return one;
    });
    expect(await ended(failing, 'errback')).toMatchObject({ error: { code: 'CHORD_FAILED' } });

    const recovered = await whilePaused('default', async () => {
      const one = await chord(three, { recovery: CallbackWithSuccesses });
      await redis.del(key('default', `${one.id}.0`));
      await redis.lrem(key('default', 'wait'), 0, `${one.id}.0`);
      await mended(`${one.id}.0`, 'vanished', `${one.id}.0`);
      return one;
    });
    expect(await ended(recovered, 'body')).toEqual([2, 3]);
  });

  it('tells a node of a member that a worker took after its data had been evicted', async () => {
    const one = await whilePaused('default', async () => {
      const published = await chord(three);
      await redis.del(key('default', `${published.id}.2`));
      return published;
    });
    await until(
      async () => (await redis.zscore(key('default', 'failed'), `${one.id}.2`)) !== null,
      'it has failed',
    );
    await mended(one.id, 'unheard', `${one.id}.2`);
    await ended(one, 'errback');
  });

  it('puts a member back that is in none of the lists of its queue', async () => {
    const one = await whilePaused('default', async () => {
      const published = await chord(three);
      await redis.lrem(key('default', 'wait'), 0, `${published.id}.1`);
      return published;
    });
    await mended(one.id, 'stranded', `${one.id}.1`);
    expect(await ended(one, 'body')).toEqual([1, 2, 3]);
  });

  it('tells a node of members that ended without its having heard', async () => {
    const one = await chord((name) => [
      tasks().gate.s(name),
      tasks().breaks.s(),
      app.workflows.group([tasks().member.s(7)]),
    ]);
    const [failed, group] = [key('default', `${one.id}.1`), node(`${one.id}.2`)];
    await until(
      async () =>
        (await redis.hexists(`${node(one.id)}:failed`, failed)) === 1 &&
        (await redis.hexists(`${node(one.id)}:processed`, group)) === 1,
      'both have ended',
    );
    await redis
      .multi()
      .hdel(`${node(one.id)}:failed`, failed)
      .hdel(`${node(one.id)}:processed`, group)
      .sadd(`${node(one.id)}:dependencies`, failed, group)
      .exec();
    await explained(one.id, 'unheard', `${one.id}.1`);
    const { mended: done } = await producer.workflows.reconcile(one.id);
    expect(done.map(({ kind, id }) => `${kind} ${id}`).sort()).toEqual([
      `unheard ${one.id}.1`,
      `unheard ${one.id}.2`,
    ]);
    app.get(Probe).open(one.name);
    const failure = (await ended(one, 'errback')) as TaskFailure;
    expect(failure.failureCount).toBe(1);
    expect(await app.workflows.result(`${one.id}.2`).get()).toEqual([7]);
  });

  it('has a node wait again for members that it has lost sight of, as long as they are there', async () => {
    const one = await chord(gates);
    await app.runs.reached(`at ${one.name}`, 3);
    await redis.del(`${node(one.id)}:dependencies`);
    await mended(one.id, 'unreleased', one.id);
    app.get(Probe).open(one.name);
    expect(await ended(one, 'body')).toEqual([one.name, one.name, one.name]);
  });

  it('releases a node whose members ended after it had lost sight of them', async () => {
    const one = await chord(gates);
    await app.runs.reached(`at ${one.name}`, 3);
    await redis.del(`${node(one.id)}:dependencies`);
    app.get(Probe).open(one.name);
    await until(
      async () => (await redis.exists(...[0, 1, 2].map((n) => key('default', `${one.id}.${n}`)))) === 0,
      'they have ended',
    );
    await mended(one.id, 'unreleased', one.id);
    await ended(one, 'errback');
  });

  it('has a node settle that its queue has failed because of a flag on a child', async () => {
    const one = await chord(gates);
    await app.runs.reached(`at ${one.name}`, 3);
    // What BullMQ does for failParentOnFailure.
    await redis
      .multi()
      .hset(node(one.id), 'defa', 'child x failed')
      .zrem(node('waiting-children'), one.id)
      .rpush(node('wait'), one.id)
      .zadd(node('marker'), 0, '0')
      .exec();
    await until(async () => (await redis.zscore(node('failed'), one.id)) !== null, 'its queue has failed it');
    expect(app.runs.count(`errback ${one.name}`)).toBe(0);
    await mended(one.id, 'unsettled', one.id);
    expect(await ended(one, 'errback')).toMatchObject({ error: { message: 'child x failed' } });
    app.get(Probe).open(one.name);
    await until(async () => (await redis.zscore(`{${prefix}:0}:_expiry`, one.id)) !== null, 'it expires');
  });

  it('puts a node back that is in none of its lists, before and after its outcome is stored', async () => {
    const one = await chord(gates);
    await app.runs.reached(`at ${one.name}`, 3);
    await redis.zrem(node('waiting-children'), one.id);
    app.get(Probe).open(one.name);
    await mended(one.id, 'stranded', one.id);
    expect(await ended(one, 'body')).toHaveLength(3);

    // Cut off between the record of its failure and its errbacks, and then lost from the list of those that run.
    const settled = await chord(gates);
    await app.runs.reached(`at ${settled.name}`, 3);
    const failure = {
      request: { id: settled.id, name: 'chord', args: [] },
      error: { name: 'ChordError', message: 'x' },
      reason: 'error',
      at: new Date().toISOString(),
    };
    await redis
      .multi()
      .hset(`{${prefix}:0}:_record:${settled.id}`, `f:${settled.id}`, JSON.stringify(failure))
      .zrem(node('waiting-children'), settled.id)
      .exec();
    await mended(settled.id, 'stranded', settled.id);
    await ended(settled, 'errback');
    app.get(Probe).open(settled.name);
  });

  it('fails a chord whose body has vanished', async () => {
    const one = await whilePaused('later', async () => {
      const published = await chord(three);
      const body = `${published.id}.body`;
      await until(async () => (await redis.lrem(key('later', 'wait'), 0, body)) === 1, 'the body is there');
      await redis.del(key('later', body));
      await mended(published.id, 'vanished', body);
      return published;
    });
    await ended(one, 'errback');
  });

  it('gives a dispatch its lease back, and lets one go on that was sealed without it', async () => {
    const name = `n${names++}`;
    const source = () =>
      (async function* () {
        yield tasks().member.s(1);
        await app.get(Probe).pass(name);
        yield tasks().member.s(2);
      })();
    const first = await app.workflows.group(source).applyAsync();
    await until(async () => (await redis.hget(node(first.id), 'tq:dispatched')) === '1', 'a member is there');
    const sentinel = (id: string) => `${id}.sentinel`;
    const evict = async (id: string): Promise<void> => {
      await redis.del(node(sentinel(id)));
      await redis.zrem(node('delayed'), sentinel(id));
    };
    await evict(first.id);
    await mended(first.id, 'vanished', sentinel(first.id));
    expect(await redis.zscore(node('delayed'), sentinel(first.id))).not.toBeNull();
    const second = await app.workflows.group(source).applyAsync();
    await evict(second.id);
    app.get(Probe).open(name);
    expect(await first.get()).toEqual([1, 2]);
    await until(
      async () => (await redis.scard(`${node(second.id)}:dependencies`)) === 1,
      'only the lease is left',
    );
    await until(async () => (await redis.hget(node(second.id), 'tq:end')) === 'sealed', 'it is sealed');
    await mended(second.id, 'vanished', sentinel(second.id));
    expect(await second.get()).toEqual([1, 2]);
  });

  it('goes through all that waits: tasks whose replacement has vanished, and what is left of canvases that have', async () => {
    const name = `n${names++}`;
    const task = await tasks().replaces.applyAsync([name]);
    await app.runs.reached(`at ${name}`);
    const gone = await chord(gates);
    await app.runs.reached(`at ${gone.name}`, 3);
    const id = `${task.id}.replacement.0`;
    await redis.del(key('default', id), `${key('default', id)}:lock`);
    await redis.lrem(key('default', 'active'), 0, id);
    await redis.del(node(gone.id));
    const { mended: done, examined } = await producer.workflows.reconcile({ olderThan: 0 });
    expect(done.map((one) => `${one.kind} ${one.id}`).sort()).toEqual(
      [`vanished ${gone.id}`, `vanished ${id}`].sort(),
    );
    expect(examined).toBeGreaterThan(1);
    await expect(task.get()).rejects.toMatchObject({ code: 'TASK_REMOVED' });
    expect((await producer.workflows.reconcile({ olderThan: 0 })).mended).toEqual([]);
    app.get(Probe).open(name);
    app.get(Probe).open(gone.name);
  });

  it('heals once, however many do it at the same time', async () => {
    const all = await whilePaused('default', async () => {
      const published = await Promise.all(Array.from({ length: 12 }, () => chord(three)));
      for (const { id } of published) {
        await redis.del(key('default', `${id}.1`), key('default', `${id}.2`));
        await redis.lrem(key('default', 'wait'), 0, `${id}.1`);
        await redis.lrem(key('default', 'wait'), 0, `${id}.2`);
      }
      return published;
    });
    await Promise.all(all.map(({ id }) => app.workflows.result(`${id}.0`).get()));
    const reports = await Promise.all(
      [app, producer, app, producer].flatMap(({ workflows }) => [
        workflows.reconcile({ olderThan: 0 }),
        ...all.map(({ id }) => workflows.reconcile(id)),
      ]),
    );
    const healed = reports.flatMap((report) => report.mended);
    const members = healed.filter(({ kind }) => kind !== 'unreleased').map(({ id }) => id);
    expect(members.sort()).toEqual(all.flatMap(({ id }) => [`${id}.1`, `${id}.2`]).sort());
    // One may find a chord that another has told of its members, and let it go first.
    const released = healed.filter(({ kind }) => kind === 'unreleased').map(({ id }) => id);
    expect(new Set(released).size).toBe(released.length);
    await Promise.all(all.map((one) => ended(one, 'errback')));
    for (const { name } of all) expect(app.runs.count(`errback ${name}`)).toBe(1);
  });

  it('is done to the end by somebody else where it was cut off', async () => {
    const one = await whilePaused('default', async () => {
      const published = await chord(three);
      const jobs = [0, 1, 2].map((n) => `${published.id}.${n}`);
      await redis.del(...jobs.map((id) => key('default', id)));
      await redis.ltrim(key('default', 'wait'), 1, 0);
      return published;
    });
    // It dies when it has told the node of all its members, and has begun to release it.
    const { publisher } = (producer.workflows as never as { engine: { publisher: object } }).engine;
    const producers = (publisher as { producers: { queue(...args: unknown[]): object } }).producers;
    const original = producers.queue.bind(producers);
    const cut = jest.spyOn(producers, 'queue').mockImplementation((...args) => {
      if (args[2] === undefined) throw new Error('cut off');
      return original(...args);
    });
    await expect(producer.workflows.reconcile(one.id)).rejects.toThrow('cut off');
    cut.mockRestore();
    expect(await redis.smembers(`${node(one.id)}:dependencies`)).toEqual([node(`${one.id}.sentinel`)]);
    expect(app.runs.count(`errback ${one.name}`)).toBe(0);
    // The sentinel's time comes.
    const canvases = (await producer.workflows.queues()).find(({ name }) => name === '_canvas');
    await (await canvases?.getJob(`${one.id}.sentinel`))?.promote();
    expect(((await ended(one, 'errback')) as TaskFailure).failureCount).toBe(3);
    expect(await one.handle.describe()).toMatchObject({
      counts: { size: 3, succeeded: 0, failed: 3, pending: 0 },
    });
    expect((await producer.workflows.reconcile(one.id)).mended).toEqual([]);
  });

  it('disturbs no redrive: before, while and after its members are run again, everything is as it should be', async () => {
    const one = await chord((name) => [tasks().member.s(1), tasks().relapses.s(name)]);
    await one.handle.get({ propagate: false });
    const busy = steadily(one.id);
    const { begun, result } = await producer.workflows.redrive(one.id);
    expect(begun).toBe(true);
    await app.runs.reached(`at ${one.name}`);
    const { obstacles } = await producer.workflows.explain(one.id);
    expect(obstacles.map(({ kind, position }) => `${kind} ${position}`.trim())).toEqual([
      'waiting-for-children',
      'running 1',
    ]);
    expect(obstacles[0]).toMatchObject({ pending: 1, succeeded: 1, failed: 0 });
    app.get(Probe).open(one.name);
    expect(await result.get()).toBe(2);
    expect(await busy.stop()).toEqual([]);
    expect(app.runs.of(`body ${one.name}`)).toEqual([[1, one.name]]);
    expect(app.runs.count(`errback ${one.name}`)).toBe(1);
    expect((await producer.workflows.explain(one.id)).obstacles).toEqual([]);
  });

  it('heals a member of a later generation as one of the first', async () => {
    const one = await chord((name) => [tasks().member.s(1), tasks().relapses.s(name)]);
    await one.handle.get({ propagate: false });
    const found = await whilePaused('default', async () => {
      await producer.workflows.redrive(one.id);
      await redis.lrem(key('default', 'wait'), 0, `${one.id}.1`);
      await mended(one.id, 'stranded', `${one.id}.1`);
      return one;
    });
    app.get(Probe).open(found.name);
    expect(await one.handle.get()).toBe(2);
    expect(app.runs.count(`body ${one.name}`)).toBe(1);
  });

  it('disturbs no deadline, and takes nobody for lost who was left behind by it', async () => {
    const one = await chord((name) => [tasks().member.s(1), tasks().gate.s(name)], { deadline: 1_500 });
    const busy = steadily(one.id);
    await app.runs.reached(`at ${one.name}`);
    const before = await producer.workflows.explain(one.id);
    expect(before.obstacles.filter(({ mendable }) => mendable)).toEqual([]);
    expect(await one.handle.get()).toBe(1);
    const after = await producer.workflows.explain(one.id);
    expect(after).toMatchObject({ state: 'SUCCESS', obstacles: [] });
    app.get(Probe).open(one.name);
    await until(
      async () => (await redis.exists(key('default', `${one.id}.1`))) === 0,
      'whoever was left behind has ended',
    );
    expect(await busy.stop()).toEqual([]);
    expect(app.runs.of(`body ${one.name}`)).toEqual([[1]]);
    expect(app.runs.count(`errback ${one.name}`)).toBe(0);
  });

  it('begins a deadline that counts from outcomes with a member that has vanished', async () => {
    const one = await chord((name) => [tasks().member.s(1).set({ countdown: '1h' }), tasks().gate.s(name)], {
      deadline: { after: 300, from: 'first-outcome' },
      recovery: CallbackWithSuccesses,
    });
    await app.runs.reached(`at ${one.name}`);
    await redis.del(key('default', `${one.id}.0`));
    await redis.zrem(key('default', 'delayed'), `${one.id}.0`);
    await mended(one.id, 'vanished', `${one.id}.0`);
    expect(await ended(one, 'body')).toEqual([]);
    app.get(Probe).open(one.name);
  });

  it('finds nothing wrong with what is as it should be', async () => {
    const one = await chord(gates);
    await app.runs.reached(`at ${one.name}`, 3);
    const more = await chord((name) => [
      app.workflows.chain(tasks().gate.s(name), tasks().gate.si(name)),
      ...gates(name),
    ]);
    expect((await producer.workflows.reconcile({ olderThan: 0 })).mended).toEqual([]);
    expect((await producer.workflows.reconcile(more.id)).mended).toEqual([]);
    expect((await producer.workflows.reconcile('0~nobody')).mended).toEqual([]);
    for (const { name } of [one, more]) app.get(Probe).open(name);
    await ended(one, 'body');
    await ended(more, 'body');
    expect((await producer.workflows.reconcile(one.id)).mended).toEqual([]);
  });
});

describe('workers', () => {
  it('heal by themselves, one of them at a time, and tell of it', async () => {
    const own = uniquePrefix('rounds');
    const first = await boot(own, 150);
    const second = await boot(own, 150);
    const lease = `{${own}:0}:_lock:_reconciler`;
    let leader = '';
    await until(async () => (leader = (await redis.hget(lease, 'owner')) ?? '') !== '', 'one of them leads');

    const damaged = async (): Promise<string> => {
      const gate = `gate ${names++}`;
      const group = await first.workflows
        .group([1, 2].map(() => first.workflows.tasks(Damaged).gate.s(gate)))
        .applyAsync();
      await until(() => first.runs.count(`at ${gate}`) + second.runs.count(`at ${gate}`) === 2, 'both run');
      const member = `{${own}:0}:default:${group.id}.0`;
      await redis.del(member, `${member}:lock`);
      await redis.lrem(`{${own}:0}:default:active`, 0, `${group.id}.0`);
      for (const one of [first, second]) one.get(Probe).open(gate);
      return group.id;
    };
    const id = await damaged();
    await until(() => first.runs.count('mended') + second.runs.count('mended') === 1, 'it is healed');
    const told = [...first.runs.of<TaskEvent>('mended'), ...second.runs.of<TaskEvent>('mended')];
    expect(told).toMatchObject([{ type: 'mended', id: `${id}.0`, workflowId: id, damage: 'vanished' }]);
    expect([...first.log.matching(/was vanished/), ...second.log.matching(/was vanished/)]).toHaveLength(1);
    expect(await redis.hget(lease, 'owner')).toBe(leader);
    await expect(first.workflows.groupResult(id).get()).rejects.toMatchObject({ code: 'GROUP_FAILED' });

    // The one that leads goes, and the other one takes over.
    const leads = first.runs.count('mended') === 1 ? first : second;
    const other = leads === first ? second : first;
    await leads.close();
    await until(
      async () => !['', leader].includes((await redis.hget(lease, 'owner')) ?? ''),
      'the other one leads',
    );
    await other.close();
    expect(await redis.exists(lease)).toBe(0);
  });
});
