/**
 * Redrives of more than one transaction can carry: what is put back chunk by chunk, by whom, and what becomes of it when
 * nobody goes on.
 */
import { Injectable } from '@nestjs/common';
import {
  type AsyncResult,
  type JsonValue,
  type Outcomes,
  Task,
  TaskContext,
  type TaskFailure,
  Tolerate,
} from 'nestjs-task-queue';
import type { Backend } from '../../libs/task-queue/src/backend/backend.js';
import type { RedisBackend } from '../../libs/task-queue/src/broker/redis-backend.js';
import { TaskQueueEngine } from '../../libs/task-queue/src/engine/task-queue-engine.js';
import { mulberry32 } from '../support/reference/random.js';
import { redisUrl, type TestApp, until, useApps } from '../support/app-fixture.js';
import { WorkerProcess } from '../support/worker-process.js';

const WITHIN_MS = 180_000;
/** More than one transaction takes. */
const WIDE = 1_160;
const SEED = 20_261_121;

/** What ran, and what fails at the time. */
class Ward {
  readonly runs = new Map<string, number>();
  readonly ends: string[] = [];
  isSick: (index: number) => boolean = () => false;
  /** What members wait for, in the first generation. */
  door: (index: number) => Promise<unknown> | undefined = () => undefined;

  /** How many members ran so often. */
  tally(): Record<string, number> {
    const tally: Record<string, number> = {};
    for (const times of this.runs.values()) tally[times] = (tally[times] ?? 0) + 1;
    return tally;
  }
}

/** What members wait behind. */
class Door {
  open!: () => void;
  readonly opened = new Promise<void>((resolve) => (this.open = resolve));
}

@Injectable()
class WideTasks {
  constructor(private readonly ward: Ward) {}

  @Task()
  async member(index: number, task: TaskContext): Promise<number> {
    this.ward.runs.set(task.id, (this.ward.runs.get(task.id) ?? 0) + 1);
    if (task.redriven === undefined) await this.ward.door(index);
    if (this.ward.isSick(index)) throw new RangeError('ill');
    return index;
  }

  @Task()
  async sum(members: Outcomes<number>, task: TaskContext): Promise<number> {
    let sum = 0;
    for await (const value of members.values()) sum += value;
    this.ward.ends.push(`body g${task.redriven?.generation ?? 0} ${task.redriven?.changed.length ?? 0}`);
    return sum;
  }

  @Task()
  errback({ request }: TaskFailure): void {
    this.ward.ends.push(`errback g${request.generation ?? 0}`);
  }
}

const fixture = useApps();
const redrivers: WorkerProcess[] = [];
afterEach(() => Promise.all(redrivers.splice(0).map((one) => one.end())));

async function boot(): Promise<{ app: TestApp; ward: Ward }> {
  const ward = new Ward();
  const app = await fixture.boot({
    providers: [WideTasks, { provide: Ward, useValue: ward }],
    options: { queues: { default: { concurrency: 50 } } },
  });
  return { app, ward };
}

const tasksOf = ({ workflows }: TestApp) => workflows.tasks(WideTasks);
const members = (app: TestApp, count: number) =>
  Array.from({ length: count }, (_, index) => tasksOf(app).member.s(index));

/** A chord that has failed, and whose errback has run. */
async function failed(
  { app, ward }: { app: TestApp; ward: Ward },
  size: number,
  isSick: (index: number) => boolean,
  options: { recovery?: ReturnType<typeof Tolerate> } = {},
): Promise<AsyncResult<number>> {
  ward.isSick = isSick;
  const { errback, sum } = tasksOf(app);
  const chord = app.workflows.chord(members(app, size), sum.s(), options);
  const handle = (await chord.linkError(errback.s() as never).applyAsync()) as AsyncResult<number>;
  await ended(handle);
  await until(() => ward.ends.length === 1, 'its errback has run');
  return handle;
}

async function ended(handle: AsyncResult<number>): Promise<void> {
  await handle.get({ timeout: WITHIN_MS, propagate: false });
}

const sumTo = (size: number): number => (size * (size - 1)) / 2;

async function redriver(app: TestApp, id: string, options: object): Promise<WorkerProcess> {
  const { prefix } = app;
  const one = await WorkerProcess.start('redriver', { url: redisUrl(), prefix, id, ...options });
  redrivers.push(one);
  return one;
}

/** Has a redriver killed before or after a command of its own. */
async function killed(app: TestApp, id: string, after: number, dieAt: object): Promise<void> {
  const go = `go:${app.prefix}:${after}`;
  const dying = await redriver(app, id, { after, go, dieAt });
  await fixture.redis.set(go, 1, 'EX', 600);
  expect(await dying.ended()).toMatchObject({ signal: 'SIGKILL' });
}

/** What a redrive leaves behind while it is under way. */
async function traces({ prefix }: TestApp): Promise<string[]> {
  const keys = await fixture.keys(prefix);
  return keys.filter((key) => /:again$|\.sentinel$/.test(key));
}

/** Nothing is left of it when it is forgotten; its errback is a canvas of its own. */
async function expectForgotten(app: TestApp, handle: AsyncResult<number>): Promise<void> {
  await handle.forget();
  const kept = (await fixture.keys(app.prefix)).filter(
    (key) => key.includes(handle.id) && !key.endsWith('.errback.0'),
  );
  expect(kept).toEqual([]);
}

async function obstacles(app: TestApp, id: string): Promise<Map<string, object>> {
  const explanation = await app.workflows.explain(id);
  return new Map(explanation.obstacles.map((obstacle) => [obstacle.kind, obstacle]));
}

/** What a redrive that nobody goes on with has put back by then ends. */
async function rested(app: TestApp, id: string): Promise<void> {
  await until(async () => {
    const kinds = await obstacles(app, id);
    return kinds.has('redriving') && !kinds.has('waiting-for-children');
  }, 'what was put back has ended');
}

/** The lease of a header that is held back runs out. */
async function runOut(app: TestApp, node: string): Promise<void> {
  const { backend } = app.get(TaskQueueEngine);
  const [nodes] = await (backend as RedisBackend).queues(['_canvas']);
  await (await nodes?.getJob(`${node}.sentinel`))?.promote();
}

/** Keeps whoever next gives up what has been set aside from doing so. */
function holdSentinel({ refills }: Backend): { taken: Promise<unknown>; letOn: () => Promise<void> } {
  const right = refills.giveUp.bind(refills);
  let letOn = async (): Promise<void> => undefined;
  const taken = new Promise((tell) => {
    const giveUp = jest.spyOn(refills, 'giveUp').mockImplementationOnce((node, generation) => {
      tell(node);
      return new Promise((resolve, reject) => {
        letOn = async () => {
          giveUp.mockRestore();
          const over = right(node, generation);
          over.then(resolve, reject);
          await over;
        };
      });
    });
  });
  return { taken, letOn: () => letOn() };
}

describe('a wide redrive', () => {
  it(
    'of 3,000 of 3,600 members runs these once more, and the body over all',
    async () => {
      const stage = await boot();
      const { app, ward } = stage;
      const handle = await failed(stage, 3_600, (index) => index % 6 !== 0);
      ward.isSick = () => false;
      const { rerun, ...outcome } = await app.workflows.redrive(handle.id);
      expect(outcome).toMatchObject({ generation: 1, begun: true, left: [] });
      expect(rerun).toHaveLength(3_000);
      expect(await handle.get({ timeout: WITHIN_MS })).toBe(sumTo(3_600));
      expect(ward.tally()).toEqual({ 1: 600, 2: 3_000 });
      expect(ward.ends).toEqual(['errback g0', 'body g1 3000']);
      expect(await handle.describe()).toMatchObject({
        state: 'SUCCESS',
        generation: 1,
        counts: { size: 3_600, succeeded: 3_600, failed: 0, pending: 0 },
        history: [{ generation: 0, rerun: 3_000 }],
      });
      expect(await traces(app)).toEqual([]);
      await expectForgotten(app, handle);
    },
    WITHIN_MS,
  );

  it(
    'of nested canvases puts back what is narrow with what is above it, and may be followed by a narrow one',
    async () => {
      const { app, ward } = await boot();
      const { workflows } = app;
      const { member, sum } = tasksOf(app);
      const sums = (size: number) => workflows.chord(members(app, size), sum.s());
      const list = workflows.group(Array.from({ length: 600 }, (_, index) => member.si(index)));
      const canvas = workflows.group([
        sums(900),
        workflows.chain(member.s(1) as never, list as never),
        workflows.group(Array.from({ length: 40 }, () => sums(20))),
        sums(10),
        member.s(7),
      ] as never);
      ward.isSick = (index) => index % 10 !== 1;
      const untyped = canvas as unknown as { applyAsync(): Promise<AsyncResult<JsonValue>> };
      const handle = await untyped.applyAsync();
      await handle.get({ timeout: WITHIN_MS, propagate: false });
      ward.isSick = (index) => index === 7;
      const { rerun } = await workflows.redrive(handle.id);
      expect(rerun).toHaveLength(810 + 540 + 40 * 18 + 9 + 1);
      await handle.get({ timeout: WITHIN_MS, propagate: false });
      ward.isSick = () => false;
      expect((await workflows.redrive(handle.id)).rerun).toHaveLength(1 + 1 + 40 + 1 + 1);
      expect(await handle.get({ timeout: WITHIN_MS })).toEqual([
        sumTo(900),
        Array.from({ length: 600 }, (_, index) => index),
        Array.from({ length: 40 }, () => sumTo(20)),
        sumTo(10),
        7,
      ]);
      const bodies = ward.ends.filter((end) => end.startsWith('body'));
      expect(bodies.sort()).toEqual(
        ['body g2 1', 'body g2 1', ...Array.from({ length: 40 }, () => 'body g2 1')].sort(),
      );
      expect(await traces(app)).toEqual([]);
    },
    WITHIN_MS,
  );

  it(
    'of a header with a budget tells it of each failure, and counts none of the generation before',
    async () => {
      const { app, ward } = await boot();
      const { sum } = tasksOf(app);
      const size = WIDE + 200;
      const recovery = Tolerate({ count: WIDE });
      ward.isSick = (index) => index < WIDE;
      const chord = app.workflows.chord(members(app, size), sum.s(), { recovery });
      const handle = (await chord.applyAsync()) as AsyncResult<number>;
      await ended(handle);
      ward.isSick = (index) => index % 20 === 0;
      await app.workflows.redrive(handle.id);
      await ended(handle);
      expect(await handle.describe()).toMatchObject({
        state: 'SUCCESS',
        recovered: { failed: WIDE / 20 },
        counts: { size, succeeded: size - WIDE / 20, failed: WIDE / 20 },
      });
      expect(ward.ends).toEqual(['body g0 0', `body g1 ${WIDE}`]);
    },
    WITHIN_MS,
  );

  it(
    'that is asked for several times at once begins one generation, and puts each member back once',
    async () => {
      const stage = await boot();
      const { app, ward } = stage;
      const { id } = await failed(stage, WIDE, () => true);
      ward.isSick = () => false;
      const go = `go:${app.prefix}`;
      const asking = await Promise.all([0, 1].map(() => redriver(app, id, { after: 0, go })));
      await fixture.redis.set(go, 1, 'EX', 600);
      const calls = Promise.all([0, 1].map(() => app.workflows.redrive(id, { after: 0 })));
      await Promise.all(asking.map((one) => one.ended()));
      const outcomes = [
        ...(await calls),
        ...asking.map(({ output }) => JSON.parse(output) as { generation: number; begun: boolean }),
      ];
      expect(outcomes.map(({ generation }) => generation)).toEqual([1, 1, 1, 1]);
      expect(outcomes.filter(({ begun }) => begun)).toHaveLength(1);
      expect(await app.workflows.result<number>(id).get({ timeout: WITHIN_MS })).toBe(sumTo(WIDE));
      expect(ward.tally()).toEqual({ 2: WIDE });
      expect(ward.ends).toEqual(['errback g0', `body g1 ${WIDE}`]);
      expect(await traces(app)).toEqual([]);
    },
    WITHIN_MS,
  );

  it(
    'whose caller is killed at any command goes on when it is asked for again: nothing runs twice',
    async () => {
      const stage = await boot();
      const { app, ward } = stage;
      const handle = await failed(stage, WIDE, () => true);
      const { id } = handle;
      let generation = 0;
      const settled = async (): Promise<void> => {
        generation += 1;
        await ended(handle);
        await until(() => ward.ends.length > generation, 'its errback has run');
        expect(ward.tally()).toEqual({ [generation + 1]: WIDE });
        expect(ward.ends.at(-1)).toBe(`errback g${generation}`);
      };
      // One that lives tells which commands there are.
      const go = `go:${app.prefix}`;
      const alive = await redriver(app, id, { go });
      await fixture.redis.set(go, 1, 'EX', 600);
      await alive.ended();
      const { commands } = JSON.parse(alive.output) as { commands: string[] };
      await settled();
      const execs = commands.flatMap((name, at) => (name === 'exec' ? [at + 1] : []));
      // The first step, a chunk for each 500, and the end.
      expect(execs.length).toBeGreaterThanOrEqual(1 + Math.ceil(WIDE / 500) + 1);
      const random = mulberry32(SEED);
      const points = [
        { command: execs[0], isSent: false },
        { command: execs[0], isSent: true },
        { command: execs[2], isSent: true },
        { command: execs.at(-1), isSent: false },
        { command: execs.at(-1), isSent: true },
        ...Array.from({ length: 1 }, () => ({
          command: 1 + Math.floor(random() * commands.length),
          isSent: random() < 0.5,
        })),
      ];
      for (const [at, dieAt] of points.entries()) {
        await killed(app, id, generation, dieAt);
        const { generation: begun } = await app.workflows.redrive(id, { after: generation });
        expect([at, begun]).toEqual([at, generation + 1]);
        await settled();
        expect([at, await traces(app)]).toEqual([at, []]);
      }
      ward.isSick = () => false;
      await app.workflows.redrive(id);
      expect(await handle.get({ timeout: WITHIN_MS })).toBe(sumTo(WIDE));
      expect(ward.ends.at(-1)).toBe(`body g${generation + 1} ${WIDE}`);
    },
    WITHIN_MS,
  );

  it(
    'is not ended by somebody who still looks at the generation before',
    async () => {
      const stage = await boot();
      const { app, ward } = stage;
      const { backend } = app.get(TaskQueueEngine);
      const handle = await failed(stage, WIDE, () => true);
      const { id } = handle;
      ward.isSick = () => false;
      await killed(app, id, 0, { command: 800, isSent: true });
      await backend.refills.giveUp(id, 0);
      await backend.publisher.letGo(id, 0);
      expect(await traces(app)).toHaveLength(2);
      expect(await backend.refills.unfinished(id)).toEqual([id]);
      const { generation } = await app.workflows.redrive(id, { after: 0 });
      expect(generation).toBe(1);
      expect(await handle.get({ timeout: WITHIN_MS })).toBe(sumTo(WIDE));
      expect(ward.tally()).toEqual({ 2: WIDE });
      expect(ward.ends).toEqual(['errback g0', `body g1 ${WIDE}`]);
    },
    WITHIN_MS,
  );

  it(
    'is not ended by a worker that still has the sentinel of the generation before',
    async () => {
      const stage = await boot();
      const { app, ward } = stage;
      const { backend, worker } = app.get(TaskQueueEngine);
      const handle = await failed(stage, WIDE, () => true, { recovery: Tolerate({ count: WIDE - 1 }) });
      const { id } = handle;
      await killed(app, id, 0, { command: 800, isSent: true });
      await rested(app, id);
      const { taken, letOn } = holdSentinel(backend);
      await runOut(app, id);
      expect(await taken).toBe(id);
      // Nobody waits for it: the header is closed.
      await app.workflows.setBudget(id, { count: 100 });
      await ended(handle);
      ward.isSick = () => false;
      const { generation } = await handle.describe();
      await killed(app, id, 1, { command: 800, isSent: true });
      await letOn();
      await until(() => worker.loops.every(({ running }) => running === 0), 'it has ended');
      expect(generation).toBe(1);
      expect(await traces(app)).toHaveLength(2);
      expect(await backend.refills.unfinished(id)).toEqual([id]);
      expect((await app.workflows.redrive(id, { after: 1 })).generation).toBe(2);
      expect(await handle.get({ timeout: WITHIN_MS })).toBe(sumTo(WIDE));
      expect(ward.ends).toEqual(['errback g0', 'errback g1', `body g2 ${WIDE}`]);
      expect(await traces(app)).toEqual([]);
    },
    WITHIN_MS,
  );

  it(
    'with which nobody goes on ends with what was put back; the others stay failed, and it can be redriven',
    async () => {
      const stage = await boot();
      const { app, ward } = stage;
      const handle = await failed(stage, WIDE, () => true);
      const { id } = handle;
      ward.isSick = () => false;
      await killed(app, id, 0, { command: 800, isSent: true });
      // Between its chunks: what came back runs, the others wait.
      await until(() => (ward.tally()[2] ?? 0) >= 400, 'what was put back has run');
      expect(await handle.describe()).toMatchObject({ state: 'STARTED', generation: 1 });
      await runOut(app, id);
      await ended(handle);
      await until(() => ward.ends.length === 2, 'its errback has run');
      const mended = ward.tally()[2] ?? 0;
      expect(mended).toBeLessThan(WIDE);
      expect(ward.ends).toEqual(['errback g0', 'errback g1']);
      expect(await handle.describe()).toMatchObject({
        state: 'FAILURE',
        counts: { size: WIDE, succeeded: mended, failed: WIDE - mended, pending: 0 },
      });
      expect(await traces(app)).toEqual([]);
      const { generation, rerun } = await app.workflows.redrive(id);
      expect({ generation, count: rerun.length }).toEqual({ generation: 2, count: WIDE - mended });
      expect(await handle.get({ timeout: WITHIN_MS })).toBe(sumTo(WIDE));
      expect(ward.tally()).toEqual({ 2: WIDE });
      expect(ward.ends.at(-1)).toBe(`body g2 ${WIDE - mended}`);
    },
    WITHIN_MS,
  );

  it(
    'whose header is closed half-way by its budget: what has not been put back stays failed',
    async () => {
      const stage = await boot();
      const { app, ward } = stage;
      const handle = await failed(stage, WIDE, () => true, { recovery: Tolerate({ count: WIDE - 1 }) });
      const { id } = handle;
      // It was breached by the last of them: nothing was pending.
      await killed(app, id, 0, { command: 800, isSent: true });
      await rested(app, id);
      const { counts } = await handle.describe();
      const { failed: again } = counts ?? { failed: 0 };
      expect(again).toBeGreaterThan(0);
      expect((await obstacles(app, id)).get('redriving')).toMatchObject({ remaining: WIDE - again });
      expect(await handle.state()).toBe('STARTED');
      await app.workflows.setBudget(id, { count: 100 });
      await ended(handle);
      await until(() => ward.ends.length === 2, 'its errback has run');
      expect(ward.ends).toEqual(['errback g0', 'errback g1']);
      expect(await handle.describe()).toMatchObject({
        state: 'FAILURE',
        counts: { failed: WIDE, pending: 0 },
      });
      expect(ward.tally()).toEqual({ 1: WIDE - again, 2: again });
      expect(await traces(app)).toEqual([]);
      // What is set aside is no failure by the new budget.
      ward.isSick = () => false;
      expect((await app.workflows.redrive(id)).rerun).toHaveLength(WIDE);
      expect(await handle.get({ timeout: WITHIN_MS })).toBe(sumTo(WIDE));
      expect(ward.ends.at(-1)).toBe(`body g2 ${WIDE}`);
    },
    WITHIN_MS,
  );

  it(
    'of a header that was closed early puts back what was cancelled, and takes what came late',
    async () => {
      const stage = await boot();
      const { app, ward } = stage;
      const [publish, end] = [new Door(), new Door()];
      ward.door = (index) => (index === 0 ? publish : end).opened;
      ward.isSick = (index) => index === 0;
      const { errback, sum } = tasksOf(app);
      const chord = app.workflows.chord(members(app, 2 * WIDE), sum.s(), { failFast: true });
      const handle = (await chord.linkError(errback.s() as never).applyAsync()) as AsyncResult<number>;
      // All of its members are there: 50 of them run, and the others wait.
      publish.open();
      await ended(handle);
      await expect(app.workflows.redrive(handle.id)).rejects.toMatchObject({ reason: 'running' });
      // One more may have begun in the place of the one that failed.
      const begun = ward.runs.size;
      expect(begun).toBeLessThan(60);
      end.open();
      const waiter = `${handle.id}.late`;
      await until(
        async () => (await fixture.keys(app.prefix)).every((key) => !key.endsWith(waiter)),
        'those that went on have ended',
      );
      ward.isSick = () => false;
      const { rerun, left } = await app.workflows.redrive(handle.id);
      expect(left).toEqual([]);
      expect(rerun).toHaveLength(2 * WIDE - begun + 1);
      expect(await handle.get({ timeout: WITHIN_MS })).toBe(sumTo(2 * WIDE));
      // Those who returned late did not run again.
      expect(ward.tally()).toEqual({ 1: 2 * WIDE - 1, 2: 1 });
      expect(ward.ends).toEqual(['errback g0', `body g1 ${2 * WIDE}`]);
      expect(await handle.describe()).toMatchObject({
        counts: { size: 2 * WIDE, succeeded: 2 * WIDE, failed: 0, pending: 0 },
      });
      expect(await traces(app)).toEqual([]);
      await expectForgotten(app, handle);
    },
    WITHIN_MS,
  );

  it(
    'that is revoked half-way puts nothing more back',
    async () => {
      const stage = await boot();
      const { app, ward } = stage;
      const handle = await failed(stage, WIDE, () => true);
      ward.isSick = () => false;
      await killed(app, handle.id, 0, { command: 800, isSent: true });
      await handle.revoke();
      await ended(handle);
      expect(await handle.state()).toBe('REVOKED');
      await until(async () => (await traces(app)).length === 0, 'nothing is set aside any more');
      await expect(app.workflows.redrive(handle.id)).rejects.toMatchObject({ reason: 'revoked' });
    },
    WITHIN_MS,
  );
});
