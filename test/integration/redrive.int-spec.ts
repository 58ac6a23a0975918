/**
 * New generations of canvases while those who ask for them and those who run them are killed. What ran is counted in
 * Redis; what holds whatever happens stands in test/conformance/redrive-cases.ts.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import {
  type AsyncResult,
  OnFailure,
  type RedriveOutcome,
  Retry,
  Task,
  TaskContext,
  type TaskFailure,
} from 'nestjs-task-queue';
import type { FlowPublisher } from '../../libs/task-queue/src/broker/flow-publisher.js';
import { TaskQueueEngine } from '../../libs/task-queue/src/engine/task-queue-engine.js';
import { inTurns } from '../support/canvas-runner.js';
import { redisUrl, Runs, type TestApp, uniquePrefix, until, useApps } from '../support/app-fixture.js';
import { WorkerProcess } from '../support/worker-process.js';
import { CountingTasks, type EndNote, type MemberEnd } from '../support/workers/counting-tasks.js';

const WITHIN_MS = 180_000;
const MEMBERS = 6;

const workers: WorkerProcess[] = [];
// Before the fixture looks whether anybody is still connected.
afterEach(() => Promise.all(workers.splice(0).map((worker) => worker.end())));
const fixture = useApps();

async function start(script: string, options: object): Promise<WorkerProcess> {
  const worker = await WorkerProcess.start(script, { url: redisUrl(), ...options });
  workers.push(worker);
  return worker;
}

function startWorker(prefix: string): Promise<WorkerProcess> {
  return start('counting-worker', {
    prefix,
    options: {
      queues: { members: { concurrency: 10 }, ends: { concurrency: 5 } },
      worker: { lockDuration: '2s', stalledInterval: '1s', maxTimesLost: 90 },
    },
  });
}

/** Chords of which some members fail until they are redriven. */
class Chords {
  readonly handles: AsyncResult[] = [];

  constructor(
    private readonly app: TestApp,
    private readonly prefix: string,
  ) {}

  static nameOf(at: number): string {
    return `r${at}`;
  }

  /** Publishes so many more, and waits until they have failed. */
  async fail(count: number): Promise<void> {
    const tasks = this.app.workflows.tasks(CountingTasks);
    for (let more = 0; more < count; more++) {
      const at = this.handles.length;
      const name = Chords.nameOf(at);
      const header = Array.from({ length: MEMBERS }, (_, index) => {
        const end: MemberEnd = index % 3 === 0 ? 'mended' : 'value';
        return tasks.member.s(name, index, end, 5 + ((at * 7 + index * 11) % 40));
      });
      const chord = this.app.workflows.chord(header, tasks.body.s(name) as never);
      this.handles.push((await chord.linkError(tasks.errback.s(name)).applyAsync()) as AsyncResult);
    }
    await Promise.all(this.handles.map((handle) => handle.get({ timeout: WITHIN_MS, propagate: false })));
    // An errback is released before its chord has ended, and runs after.
    await until(async () => {
      const ran = await Promise.all(this.handles.map((_, at) => this.notes(at)));
      return ran.every(({ length }) => length > 0);
    }, 'every errback has run');
  }

  async notes(at: number): Promise<EndNote[]> {
    const notes = await fixture.redis.lrange(`count:${this.prefix}:ends:${Chords.nameOf(at)}`, 0, -1);
    return notes.map((note) => JSON.parse(note) as EndNote);
  }

  /** How often each member ran, by its id. */
  runs(): Promise<Record<string, string>> {
    return fixture.redis.hgetall(`count:${this.prefix}:runs`);
  }

  /** How often each job of bodies and errbacks was added, by its id. */
  async releases(): Promise<Map<string, number>> {
    const added = new Map<string, number>();
    for (const [, fields] of await fixture.redis.xrange(`{${this.prefix}:0}:ends:events`, '-', '+')) {
      const event = new Map(fields.flatMap((field, at) => (at % 2 === 0 ? [[field, fields[at + 1]]] : [])));
      const id = event.get('jobId') ?? '';
      if (event.get('event') === 'added') added.set(id, (added.get(id) ?? 0) + 1);
    }
    return added;
  }
}

const ALL = Array.from({ length: MEMBERS }, (_, index) => index);
const SUM = ALL.reduce((sum, index) => sum + index, 0);
const MENDED = ALL.filter((index) => index % 3 === 0);

async function booted(name: string): Promise<{ prefix: string; app: TestApp; chords: Chords }> {
  const prefix = uniquePrefix(name);
  fixture.adopt(prefix);
  const app = await fixture.boot({ prefix, options: { role: 'producer' } });
  return { prefix, app, chords: new Chords(app, prefix) };
}

/** Every chord has the value of all members, one body and one errback were released, and only failed members ran again. */
async function expectRedrivenOnce(chords: Chords, mayRunAgain: boolean): Promise<void> {
  await Promise.all(chords.handles.map((handle) => handle.get({ timeout: WITHIN_MS })));
  const releases = await chords.releases();
  const runs = await chords.runs();
  for (const [at, handle] of chords.handles.entries()) {
    expect(await handle.get()).toMatchObject({ sum: SUM });
    expect(await handle.describe()).toMatchObject({ generation: 1, history: [{ generation: 0, rerun: 2 }] });
    expect(releases.get(`${handle.id}.body`)).toBe(1);
    expect(releases.get(`${handle.id}.errback.0`)).toBe(1);
    expect(releases.has(`${handle.id}.g1.errback.0`)).toBe(false);
    const bodies = (await chords.notes(at)).filter(({ kind }) => kind === 'body');
    expect(bodies.length).toBeGreaterThanOrEqual(1);
    for (const { values } of bodies) expect(values.map(([index]) => index)).toEqual(ALL);
    for (const index of ALL) {
      const ran = Number(runs[`member ${handle.id}.${index}`]);
      const needed = MENDED.includes(index) ? 2 : 1;
      if (mayRunAgain) expect(ran).toBeGreaterThanOrEqual(needed);
      else expect(ran).toBe(needed);
    }
  }
}

describe('a redrive whose caller is killed', () => {
  it(
    'before, or right after, any command of its transaction begins one generation or none, and can be repeated',
    async () => {
      const { prefix, app, chords } = await booted('redriver');
      await startWorker(prefix);
      await chords.fail(2);
      await fixture.redis.set(`go:${prefix}`, 1, 'EX', 600);
      // One that lives tells which commands the transaction is, once Redis knows all scripts.
      const outputs: string[] = [];
      for (const { id } of chords.handles) {
        const alive = await start('redriver', { prefix, id });
        await alive.ended();
        outputs.push(alive.output);
      }
      const { begun, commands } = JSON.parse(outputs.at(-1) ?? '') as { begun: boolean; commands: string[] };
      expect(begun).toBe(true);
      expect(commands).toEqual(expect.arrayContaining(['watch', 'multi', 'eval', 'exec']));
      const last = commands.indexOf('exec') + 1;

      const points = Array.from({ length: last }, (_, at) => ({ command: at + 1, isSent: false }));
      points.push({ command: last, isSent: true });
      await chords.fail(points.length);
      const begunBy: boolean[] = [];
      await inTurns([...points.entries()], 3, async ([at, dieAt]) => {
        const id = chords.handles[at + outputs.length]?.id ?? '';
        const dying = await start('redriver', { prefix, id, dieAt });
        expect(await dying.ended()).toMatchObject({ signal: 'SIGKILL' });
        begunBy[at] = !(await app.workflows.redrive(id, { after: 0 })).begun;
      });
      // Nothing is begun before the EXEC has got there.
      expect(begunBy.slice(0, last)).toEqual(Array.from({ length: last }, () => false));
      expect(begunBy[last]).toBe(true);
      await expectRedrivenOnce(chords, false);
    },
    WITHIN_MS + 20_000,
  );

  it(
    'or that is asked for by several processes at once begins one generation',
    async () => {
      const { prefix, chords } = await booted('redrivers');
      await startWorker(prefix);
      await chords.fail(1);
      const id = chords.handles[0]?.id;
      const asking = await Promise.all([0, 1, 2].map(() => start('redriver', { prefix, id })));
      await fixture.redis.set(`go:${prefix}`, 1, 'EX', 600);
      await Promise.all(asking.map((one) => one.ended()));
      const outcomes = asking.map(
        ({ output }) => JSON.parse(output) as { generation: number; begun: boolean },
      );
      expect(outcomes.map(({ generation }) => generation)).toEqual([1, 1, 1]);
      expect(outcomes.filter(({ begun }) => begun)).toHaveLength(1);
      await expectRedrivenOnce(chords, false);
    },
    WITHIN_MS,
  );
});

describe('a redrive that is overtaken', () => {
  it('by another one while it reads what failed says that the generation has begun', async () => {
    const { prefix, app, chords } = await booted('overtaken');
    await startWorker(prefix);
    await chords.fail(1);
    const { id } = chords.handles[0] as AsyncResult;
    const { jobs } = app.get(TaskQueueEngine).backend;
    const readFailed = jobs.readFailed.bind(jobs);
    let first: Promise<RedriveOutcome> | undefined;
    jest.spyOn(jobs, 'readFailed').mockImplementationOnce(async (refs) => {
      await (first = app.workflows.redrive(id));
      return readFailed(refs);
    });
    expect(await app.workflows.redrive(id)).toMatchObject({ generation: 1, begun: false, rerun: [] });
    expect(await first).toMatchObject({ generation: 1, begun: true });
    await expectRedrivenOnce(chords, false);
  });
});

describe('a hook that runs when its canvas has been redriven', () => {
  @Injectable()
  class PassingTasks {
    constructor(private readonly runs: Runs) {}

    /** Fails in the first generation, if it is told to. */
    @Task({ name: 'passes' })
    passes(name: string, isIll: boolean, task: TaskContext): string {
      if (isIll && task.redriven === undefined) throw new RangeError(name);
      return name;
    }

    @OnFailure('passes')
    failed({ request, error }: TaskFailure): void {
      this.runs.record(`${error.message} g${request.generation ?? 0}`);
    }
  }

  it('is called with the failure that it is for, although the task has a value by now', async () => {
    const { workflows, runs, app } = await fixture.boot({ providers: [PassingTasks], options: {} });
    const { passes } = workflows.tasks(PassingTasks);
    const handle = await workflows.group([passes.s('a', true), passes.s('b', false)]).applyAsync();
    await handle.get({ propagate: false });
    const failure = (await workflows.result(`${handle.id}.0`).failure()) as TaskFailure;
    await until(() => runs.count('a g0') === 1, 'its hook has run');
    await workflows.redrive(handle.id);
    expect(await handle.get()).toEqual(['a', 'b']);
    // Delivered anew, as after a crash; and one of an attempt that ended otherwise after all.
    const { hooks } = app.get(TaskQueueEngine);
    const hook = { v: 1, hook: 'failure', task: 'passes', failure } as const;
    await hooks.run({ ...hook, taskId: `${handle.id}.0` });
    await hooks.run({ ...hook, taskId: `${handle.id}.1` });
    expect(runs.all.map(({ what }) => what)).toEqual(['a g0', 'a g0']);
  });
});

describe('a redrive after a deployment', () => {
  @Injectable()
  class TheFirst {
    @Task({ name: 'deployed.price', queue: 'before' })
    price(): number {
      throw new RangeError('no prices yet');
    }

    @Task({ name: 'deployed.total' })
    total(prices: number[]): number {
      return prices.length;
    }
  }

  @Injectable()
  class TheSecond {
    @Task({ name: 'deployed.price', queue: 'after' })
    @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 1 } })
    price(article: number, task: TaskContext): number {
      if (task.retries === 0) throw new RangeError('once more');
      return article * 10;
    }

    @Task({ name: 'deployed.total' })
    total(prices: number[]): number {
      return prices.reduce((sum, price) => sum + price, 0);
    }
  }

  it('runs the code that the workers have by then, with its retries, in the queue that it was published to', async () => {
    const first = await fixture.boot({ providers: [TheFirst], options: {} });
    const tasks = first.workflows.tasks(TheFirst);
    const price = (article: number) => first.workflows.signature(tasks.price.taskName, [article]);
    const header = [price(1), price(2)];
    const chord = first.workflows.chord(header as never, tasks.total.s() as never) as unknown as {
      applyAsync(): Promise<AsyncResult>;
    };
    const { id } = await chord.applyAsync();
    await first.workflows.result(id).get({ propagate: false });
    await first.close();
    const { prefix } = first;
    const queues = { before: { concurrency: 1 } };
    const second = await fixture.boot({ prefix, providers: [TheSecond], options: { queues } });
    const { result } = await second.workflows.redrive<number>(id);
    expect(await result.get()).toBe(30);
  });
});

describe('the deadline of a redriven chord', () => {
  @Injectable()
  class Shops {
    @Task({ name: 'shop.price' })
    async price(article: number, task: TaskContext): Promise<number> {
      if (task.redriven === undefined) throw new RangeError('no prices yet');
      await delay(WITHIN_MS, undefined, { signal: task.signal });
      return article;
    }

    @Task({ name: 'shop.total' })
    total(prices: number[]): number {
      return prices.length;
    }
  }

  // In memory a generation begins in one step with its timer.
  it('passes also where it is shorter than it takes to begin the generation', async () => {
    const app = await fixture.boot({ providers: [Shops], options: {} });
    const tasks = app.workflows.tasks(Shops);
    const deadline = { after: '2s', rest: 'terminate' } as const;
    const header = [tasks.price.s(1)] as const;
    const chord = app.workflows.chord(header, tasks.total.s() as never, { deadline });
    const handle = (await chord.applyAsync()) as AsyncResult<number>;
    await expect(handle.get()).rejects.toMatchObject({ code: 'CHORD_FAILED' });

    const { backend } = app.get(TaskQueueEngine);
    const looks = jest.spyOn(backend.headers, 'times');
    const { transactions } = backend.publisher as FlowPublisher;
    const run = transactions.run.bind(transactions);
    jest.spyOn(transactions, 'run').mockImplementation(async (change) => {
      // What begins the generation, after its timer has been set.
      if (change.first !== undefined) {
        await until(() => looks.mock.results.length > 0, 'the timer has come due');
        await Promise.all(looks.mock.results.map(({ value }) => value as Promise<unknown>));
      }
      return run(change);
    });
    await app.workflows.redrive(handle.id);
    expect(await handle.get({ timeout: WITHIN_MS })).toBe(0);
    expect((await handle.describe()).recovered).toMatchObject({ strategy: 'deadline', pending: 1 });
  });
});

describe('a redriven generation whose workers are killed', () => {
  it(
    'comes to its end: all members, one body, no errback',
    async () => {
      const { prefix, app, chords } = await booted('regen');
      await Promise.all([startWorker(prefix), startWorker(prefix)]);
      await chords.fail(25);
      let kills = 0;
      let isOver = false;
      const killing = (async () => {
        while (!isOver) {
          await delay(100 + ((kills * 67) % 300));
          await workers.filter((worker) => worker.alive)[kills % 2]?.end('SIGKILL');
          kills += 1;
          await startWorker(prefix);
        }
      })();
      try {
        await inTurns(chords.handles, 5, async ({ id }) => {
          await app.workflows.redrive(id);
          await delay(50);
        });
        await Promise.all(chords.handles.map((handle) => handle.get({ timeout: WITHIN_MS })));
      } finally {
        isOver = true;
        await killing;
      }
      expect(kills).toBeGreaterThanOrEqual(1);
      await expectRedrivenOnce(chords, true);
    },
    WITHIN_MS + 20_000,
  );
});
