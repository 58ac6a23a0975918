/** Why something has not ended: every reason that a running system can have, told from a process without workers. */
import { hostname } from 'node:os';
import { Injectable } from '@nestjs/common';
import {
  Breaker,
  CallbackWithSuccesses,
  type Explanation,
  InvalidOptionsError,
  type Obstacle,
  type ObstacleKind,
  Retry,
  Task,
  TaskContext,
  Tolerate,
  type WorkflowService,
} from 'nestjs-task-queue';
import {
  type AppFixture,
  AppFixture as Fixture,
  type TestApp,
  uniquePrefix,
  until,
} from '../support/app-fixture.js';
import { Probe } from '../support/canvas-runner.js';

const SLOW = { type: 'fixed', delay: '1h' } as const;

@Injectable()
class ExplainedTasks {
  constructor(private readonly probe: Probe) {}

  @Task()
  async gate(door: string): Promise<string> {
    await this.probe.pass(door);
    return door;
  }

  @Task({ queue: 'single' })
  async single(door: string): Promise<string> {
    await this.probe.pass(door);
    return door;
  }

  @Task()
  @Retry({ maxRetries: 4, backoff: SLOW })
  fails(): void {
    throw new RangeError('not yet');
  }

  @Task({ rateLimit: { limit: 1, per: '1h' } })
  rare(n: number): number {
    return n;
  }

  @Task()
  add(values: readonly unknown[]): number {
    return values.length;
  }

  @Task()
  async replaced(door: string, task: TaskContext): Promise<never> {
    return task.replace(workflowsOf().tasks(ExplainedTasks).gate.s(door)) as never;
  }

  @Task()
  breaks(): void {
    throw new TypeError('broken for good');
  }

  @Task()
  @Breaker('explained')
  guarded(n: number): number {
    return n;
  }
}

let workflowsOf: () => WorkflowService;
const fixture: AppFixture = new Fixture();
let worker: TestApp;
let producer: TestApp;
const prefix = uniquePrefix('explain');

beforeAll(async () => {
  const queues = { single: { concurrency: 1 }, paused: {}, ours: {} };
  worker = await fixture.boot({
    prefix,
    providers: [ExplainedTasks, Probe],
    options: { queues, worker: { lockDuration: '60s', stalledInterval: '30s', drainTimeout: 0 } },
  });
  producer = await fixture.boot({ prefix, options: { role: 'producer' } });
  workflowsOf = () => worker.workflows;
});
afterAll(async () => {
  for (const door of doors) worker.get(Probe).open(door);
  await fixture.closeAll();
  await fixture.end();
}, 120_000);

const doors = new Set<string>();
function door(): string {
  const name = `door ${doors.size}`;
  doors.add(name);
  return name;
}
const tasks = () => producer.workflows.tasks(ExplainedTasks);

/** An explanation in which all of these kinds are there, as soon as that is so. */
async function explained(id: string, ...kinds: ObstacleKind[]): Promise<Explanation> {
  let last: Explanation | undefined;
  await until(
    async () => {
      last = await producer.workflows.explain(id);
      return kinds.every((kind) => last?.obstacles.some((obstacle) => obstacle.kind === kind));
    },
    `${kinds.join(', ')} in the explanation of ${id}`,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}; it says:\n${String(last)}`);
  });
  return last as Explanation;
}

function only<Kind extends ObstacleKind>(
  explanation: Explanation,
  kind: Kind,
): Extract<Obstacle, { kind: Kind }> {
  const found = explanation.obstacles.filter((obstacle) => obstacle.kind === kind);
  expect(found).toHaveLength(1);
  return found[0] as Extract<Obstacle, { kind: Kind }>;
}

describe('explain', () => {
  it('says who runs a task since when, and how many others one waits behind at which priority', async () => {
    const held = door();
    const running = await tasks().single.applyAsync([held]);
    await until(
      async () =>
        (await explained(running.id, 'running')).obstacles.some(
          (one) => 'isWorkerAlive' in one && one.isWorkerAlive,
        ),
      'its worker shows that it is alive',
    );
    const run = only(await explained(running.id, 'running'), 'running');
    expect(run).toMatchObject({
      worker: `${hostname()}:${process.pid}`,
      isWorkerAlive: true,
      attempt: 1,
      queue: 'single',
      mendable: false,
    });
    expect(run.lockMs).toBeGreaterThan(0);
    expect(Date.parse(run.since ?? '')).toBeLessThanOrEqual(Date.now());
    expect(run.text).toContain(`is run by ${hostname()}:${process.pid} since`);

    const next = await tasks().single.applyAsync([held]);
    const last = await tasks().single.applyAsync([held]);
    const less = await tasks().single.applyAsync([held], { priority: 3 });
    expect(only(await explained(next.id, 'waiting'), 'waiting')).toMatchObject({ ahead: 0, priority: 0 });
    expect(only(await explained(last.id, 'waiting'), 'waiting')).toMatchObject({ ahead: 1, priority: 0 });
    const behind = await explained(less.id, 'waiting');
    expect(only(behind, 'waiting')).toMatchObject({ ahead: 2, priority: 3 });
    expect(String(behind)).toContain('waits in line at priority 3 behind 2 others.');

    const stranger = await producer.workflows.signature('Strange.task', [], { queue: 'single' }).applyAsync();
    const unknown = only(await explained(stranger.id, 'task-unknown'), 'task-unknown');
    expect(unknown).toMatchObject({ name: 'Strange.task', workers: 1 });
    await stranger.revoke();
    worker.get(Probe).open(held);
    await Promise.all([running, next, last, less].map((task) => task.get()));
  });

  it('says that a queue is paused, or that nobody takes from it', async () => {
    const paused = (await producer.workflows.queues()).find(({ name }) => name === 'default');
    await paused?.pause();
    const id = (await tasks().gate.applyAsync([door()])).id;
    const explanation = await explained(id, 'queue-paused');
    expect(explanation.obstacles).toHaveLength(1);
    expect(explanation.text).toMatch(/its queue is paused\. Resume the queue default\./);
    await paused?.resume();
    await explained(id, 'running');

    const nobody = await producer.workflows.signature('Some.task', [], { queue: 'nobody' }).applyAsync();
    expect(only(await explained(nobody.id, 'no-worker'), 'no-worker')).toMatchObject({ queue: 'nobody' });
  });

  it('says what a task waits for whose time has not come', async () => {
    const delayed = await tasks().gate.applyAsync([door()], { countdown: '1h' });
    const { until: due } = only(await explained(delayed.id, 'delayed'), 'delayed');
    expect(Date.parse(due)).toBeGreaterThan(Date.now() + 3_500_000);

    const failing = await tasks().fails.applyAsync([]);
    // Only an application that has the task knows its policy.
    expect(only(await explained(failing.id, 'retrying'), 'retrying')).toMatchObject({
      retry: 1,
      error: { name: 'RangeError', message: 'not yet' },
    });
    const there = await worker.workflows.explain(failing.id);
    expect(only(there, 'retrying')).toMatchObject({ retry: 1, of: 4 });
    expect(there.text).toMatch(/waits for its retry 1 of 4 at .* after RangeError: not yet\./);

    const first = await tasks().rare.applyAsync([1]);
    await first.get();
    const second = await tasks().rare.applyAsync([2]);
    const limited = only(await explained(second.id, 'rate-limited'), 'rate-limited');
    expect(Date.parse(limited.until)).toBeGreaterThan(Date.now() + 3_000_000);
  });

  it('walks a canvas down to what is pending, and says of a step that is yet to come what it waits for', async () => {
    const held = door();
    const { workflows } = producer;
    const open = workflows.chord(
      [tasks().gate.s(held), workflows.group([tasks().fails.s(), tasks().add.s([])])],
      tasks().add.s(),
    );
    const { id } = await open.applyAsync();
    await producer.workflows.result(`${id}.1.1`).get();
    const explanation = await explained(id, 'retrying', 'running');
    const found = explanation.obstacles.map(({ kind, position }) => `${kind} ${position}`.trim());
    expect(found).toEqual(['waiting-for-children', 'running 0', 'waiting-for-children 1', 'retrying 1.0']);
    expect(explanation).toMatchObject({ name: 'chord', rest: 0 });
    expect(explanation.obstacles[0]).toMatchObject({ pending: 2, shown: 2, succeeded: 0, failed: 0 });
    expect(explanation.obstacles[2]).toMatchObject({ pending: 1, succeeded: 1 });

    const body = await explained(`${id}.body`, 'not-published');
    expect(body.obstacles[0]).toMatchObject({ kind: 'not-published', by: id });
    expect(body.obstacles).toHaveLength(5);
    worker.get(Probe).open(held);
  });

  it('looks at as many members as it is told, counts the others, and goes on page by page', async () => {
    const paused = (await producer.workflows.queues()).find(({ name }) => name === 'single');
    await paused?.pause();
    const held = door();
    const members = Array.from({ length: 250 }, () => tasks().single.s(held));
    const { id } = await producer.workflows.group(members).applyAsync();
    const seen = new Set<string>();
    let cursor: string | undefined;
    let pages = 0;
    do {
      const page: Explanation = await producer.workflows.explain(id, {
        limit: 40,
        ...(cursor ? { cursor } : {}),
      });
      const paused = page.obstacles.filter(({ kind }) => kind === 'queue-paused');
      expect(paused.length + page.rest).toBe(250);
      for (const obstacle of paused) seen.add(obstacle.id);
      cursor = page.cursor;
      pages++;
    } while (cursor !== undefined);
    expect(seen.size).toBe(250);
    expect(pages).toBeGreaterThan(2);
    worker.get(Probe).open(held);
    await paused?.resume();
    await producer.workflows.groupResult(id).get();
    await expect(producer.workflows.explain(id, { limit: 0 })).rejects.toThrow(InvalidOptionsError);
    await expect(producer.workflows.explain(id, { cursor: 'x' })).rejects.toThrow(InvalidOptionsError);
  });

  it('says that the members of a header are still being published', async () => {
    const held = door();
    async function* some() {
      yield tasks().gate.s(held);
      await worker.get(Probe).pass(held);
    }
    const group = producer.workflows.group(some);
    const { id } = await group.applyAsync();
    const obstacle = only(await explained(id, 'dispatching', 'running'), 'dispatching');
    expect(obstacle.dispatched).toBe(1);
    expect(Date.parse(obstacle.leaseUntil ?? '')).toBeGreaterThan(Date.now());
    worker.get(Probe).open(held);
    await producer.workflows.result(id).get();
  });

  it('says that a canvas has taken the place of a task', async () => {
    const held = door();
    const task = await tasks().replaced.applyAsync([held]);
    const explanation = await explained(task.id, 'replaced', 'running');
    expect(explanation.obstacles[0]).toMatchObject({ kind: 'replaced', by: `${task.id}.replacement.0` });
    worker.get(Probe).open(held);
    await task.get();
  });

  it('says that a chord is parked since when and why, and what lets it go on', async () => {
    const held = door();
    const recovery = Tolerate({ count: 0, onBreach: 'park' });
    const chord = producer.workflows.chord([tasks().breaks.s(), tasks().gate.s(held)], tasks().add.s(), {
      recovery,
    });
    const handle = await chord.applyAsync();
    const parked = only(await explained(handle.id, 'budget-breached', 'running'), 'budget-breached');
    expect(parked).toMatchObject({ id: handle.id, name: 'chord', mendable: false });
    expect(parked.why).toMatch(/1 member failed, and 0 may/);
    expect(Date.parse(parked.since)).toBeLessThanOrEqual(Date.now());
    expect(parked.text).toContain(`is parked since ${parked.since}: 1 member failed, and 0 may`);
    expect(parked.remedy).toMatch(/setBudget\(id, …\) lets it go on; .*revoke\(\) ends it/);
    // It waits on when its members have ended, and nobody takes that for damage.
    worker.get(Probe).open(held);
    await producer.workflows.result(`${handle.id}.1`).get();
    await until(async () => {
      const { obstacles } = await producer.workflows.explain(handle.id);
      return obstacles.length === 1 && obstacles[0]?.kind === 'budget-breached';
    }, 'only the decision is missing');
    expect((await producer.workflows.reconcile(handle.id)).mended).toEqual([]);
    expect((await producer.workflows.explain(handle.id)).obstacles).toHaveLength(1);
    // What the remedy says helps.
    await producer.workflows.setBudget(handle.id, { count: 1 });
    expect(await handle.get()).toBe(1);
    expect((await producer.workflows.explain(handle.id)).obstacles).toEqual([]);
  });

  it('says which breaker keeps a task from its resource until when, and what closes it', async () => {
    const { breakers } = producer.workflows;
    await breakers.trip('explained', { for: '1h' });
    const task = await tasks().guarded.applyAsync([1]);
    const behind = only(await explained(task.id, 'breaker-open'), 'breaker-open');
    expect(behind).toMatchObject({ breaker: 'explained', name: 'ExplainedTasks.guarded', mendable: false });
    expect(Date.parse(behind.until)).toBeGreaterThan(Date.now());
    expect(behind.text).toContain('is kept from its resource by the breaker explained');
    expect(behind.remedy).toContain("workflows.breakers.reset('explained')");
    await task.revoke();
    await breakers.reset('explained');
  });

  it('says that a lock is gone', async () => {
    const held = door();
    const task = await tasks().gate.applyAsync([held]);
    await explained(task.id, 'running');
    await fixture.redis.del(`{${prefix}:0}:default:${task.id}:lock`);
    expect(only(await explained(task.id, 'stalled'), 'stalled')).toMatchObject({
      worker: `${hostname()}:${process.pid}`,
      attempt: 1,
    });
    worker.get(Probe).open(held);
  });

  it('says of what has ended how, and of what nobody knows that', async () => {
    const done = await tasks().add.applyAsync([[1, 2]]);
    await done.get();
    const ended = await producer.workflows.explain(done.id);
    expect(ended).toMatchObject({ state: 'SUCCESS', obstacles: [], rest: 0 });
    expect(ended.text).toMatch(/^ExplainedTasks\.add \S+ has ended as SUCCESS at \S+Z\.$/);

    const chord = await producer.workflows
      .chord([tasks().add.s([]), tasks().breaks.s()], tasks().add.s(), { recovery: CallbackWithSuccesses })
      .applyAsync();
    await chord.get();
    expect(String(await producer.workflows.explain(chord.id))).toContain(
      'recovered by CallbackWithSuccesses although 1 of 2 members failed',
    );
    expect(String(await producer.workflows.explain(`${chord.id}.1`))).toContain('TypeError: broken for good');
    expect(String(await producer.workflows.explain(`${chord.id}.0`))).toContain('has ended as SUCCESS');

    const unknown = await producer.workflows.explain('0~nobody');
    expect(unknown).toMatchObject({ state: 'UNKNOWN', obstacles: [{ kind: 'unknown' }] });
  });
});
