/**
 * Outcomes that come late while the workers that hear of them are killed: what follows them is released once. What holds
 * whatever happens stands in test/conformance/late-cases.ts.
 */
import { type AsyncResult, CallbackWithOutcomes, type ChordOptions } from 'nestjs-task-queue';
import { inTurns } from '../support/canvas-runner.js';
import { redisUrl, type TestApp, uniquePrefix, until, useApps } from '../support/app-fixture.js';
import { WorkerProcess } from '../support/worker-process.js';
import { COUNTS, CountingTasks, type EndNote } from '../support/workers/counting-tasks.js';

const WITHIN_MS = 180_000;
const workers: WorkerProcess[] = [];
afterEach(() => Promise.all(workers.splice(0).map((worker) => worker.end())));
const fixture = useApps();

const OPTIONS = {
  queues: { members: { concurrency: 10 }, ends: { concurrency: 5 } },
  worker: { lockDuration: '1s', stalledInterval: '500ms', maxTimesLost: 90 },
} as const;

function boot(prefix: string, role: 'producer' | 'both'): Promise<TestApp> {
  fixture.adopt(prefix);
  const counts = { provide: COUNTS, useValue: { redis: fixture.redis, prefix } };
  return fixture.boot({ prefix, providers: [counts, CountingTasks], options: { role, ...OPTIONS } } as never);
}

async function startWorker(prefix: string, dieAt: number): Promise<WorkerProcess> {
  const worker = await WorkerProcess.start('counting-worker', {
    url: redisUrl(),
    prefix,
    options: OPTIONS,
    dieAt,
  });
  workers.push(worker);
  return worker;
}

const EVERY = Number(process.env.EVERY ?? 8);
const SIZE = 4;
/** Two of them end after the deadline. */
async function publish(app: TestApp, late: 'amend' | 'callback'): Promise<AsyncResult> {
  const { member, body, errback, late: hear } = app.workflows.tasks(CountingTasks);
  const header = Array.from({ length: SIZE }, (_, index) =>
    member.s('x', index, 'value', index < 2 ? 5 : 500 + index * 20),
  );
  const queue = { queue: 'ends' } as const;
  const options = {
    deadline: 150,
    late: late === 'amend' ? late : { callback: hear.s('x') },
  };
  const chord = app.workflows.chord(
    header,
    app.workflows.signature(body.taskName, ['x'], queue) as never,
    options as ChordOptions as never,
  ) as unknown as { linkError(errback: object): { applyAsync(): Promise<AsyncResult> } };
  return chord.linkError(errback.s('x')).applyAsync();
}

async function notesOf(prefix: string): Promise<EndNote[]> {
  const notes = await fixture.redis.lrange(`count:${prefix}:ends:x`, 0, -1);
  return notes.map((note) => JSON.parse(note) as EndNote);
}

/** How often jobs of these ids were added. */
async function releases(prefix: string, canvas: string): Promise<Record<string, number>> {
  const added: Record<string, number> = {};
  for (const [, fields] of await fixture.redis.xrange(`{${prefix}:0}:ends:events`, '-', '+')) {
    const event = new Map(
      fields.flatMap((field, at) => (at % 2 === 0 ? [[field, fields[at + 1] ?? '']] : [])),
    );
    const path = (event.get('jobId') ?? '').slice(canvas.length + 1);
    if (event.get('event') === 'added') added[path] = (added[path] ?? 0) + 1;
  }
  return added;
}

/** Nothing is left to do; list by list is looked at, and a job may go from one to another meanwhile. */
async function quiet(prefix: string): Promise<void> {
  let quietFor = 0;
  await until(async () => {
    const left = Object.values(await fixture.unfinished(prefix)).flat();
    quietFor = left.length === 0 ? quietFor + 1 : 0;
    return quietFor > 10;
  }, 'nothing is left');
}

describe.each(['amend', 'callback'] as const)('late members under %s', (late) => {
  /** Runs one to its end, whose first worker dies before a command. @returns how many commands that one had sent */
  async function round(dieAt: number): Promise<number> {
    const prefix = uniquePrefix('late');
    const app = await boot(prefix, 'producer');
    const dying = await startWorker(prefix, dieAt);
    const { id } = await publish(app, late);
    if (dieAt === 0) {
      await until(
        async () => Object.keys(await releases(prefix, id)).length === 2,
        'both have been released',
      );
      await quiet(prefix);
      await dying.end('SIGTERM');
    } else {
      await dying.ended();
    }
    const after = await boot(prefix, 'both');
    const handle = after.workflows.result(id);
    await handle.get({ propagate: false, timeout: WITHIN_MS });
    await quiet(prefix);
    const { generation = 0 } = await handle.describe();
    const released = await releases(prefix, id);
    const told = (await notesOf(prefix)).map(({ values }) => values.length);
    // Where the worker died so early that the late ones were not late, all are there in time.
    const wasLate = (told[0] ?? 0) < SIZE;
    expect({ dieAt, released, generation }).toEqual({
      dieAt,
      released: !wasLate
        ? { body: 1 }
        : late === 'amend'
          ? { body: 1, 'body-1': 1 }
          : { body: 1, 'late.0': 1 },
      generation: wasLate && late === 'amend' ? 1 : 0,
    });
    if (late === 'amend') expect(await handle.get()).toMatchObject({ sum: 6 });
    const heard = new Set(await fixture.redis.lrange(`count:${prefix}:heard:x`, 0, -1));
    // A worker that died with a late member lost nothing of it: it ran again.
    expect([...heard]).toEqual(late === 'callback' && wasLate ? ['[2,3]'] : []);
    await Promise.all([app.close(), after.close()]);
    return Number(/commands (\d+)/.exec(dying.output)?.[1]);
  }

  it(
    'release what follows them once, before whichever command their worker is killed',
    async () => {
      const commands = await round(0);
      expect(commands).toBeGreaterThan(10);
      // In turns over the runs: each boundary is met in one of so many.
      const first = Math.floor(Math.random() * EVERY);
      const points = Array.from({ length: commands }, (_, at) => at + 1).filter((at) => at % EVERY === first);
      await inTurns(points, 2, async (at) => void (await round(at)));
      process.stdout.write(
        `late: ${late}, killed before ${points.length} of ${commands} commands, from ${first} on\n`,
      );
    },
    WITHIN_MS * Math.ceil(8 / EVERY),
  );
});

describe('a chord that its late member has amended', () => {
  it(
    'and that several processes redrive at once after the generation before begins one generation',
    async () => {
      const prefix = uniquePrefix('amended');
      const app = await boot(prefix, 'both');
      const { member, body } = app.workflows.tasks(CountingTasks);
      const chord = app.workflows.chord(
        [member.s('x', 0, 'value', 600), member.s('x', 1, 'mended', 5)],
        app.workflows.signature(body.taskName, ['x'], { queue: 'ends' }) as never,
        { deadline: 150, late: 'amend', recovery: CallbackWithOutcomes } as never,
      ) as unknown as { applyAsync(): Promise<AsyncResult> };
      const handle = await chord.applyAsync();
      const { id } = handle;
      await until(async () => (await handle.describe()).generation === 1, 'it is amended');
      expect(await handle.get()).toMatchObject({ sum: 0 });
      const asking = await Promise.all(
        [0, 1, 2].map(() => WorkerProcess.start('redriver', { url: redisUrl(), prefix, id })),
      );
      workers.push(...asking);
      await fixture.redis.set(`go:${prefix}`, 1, 'EX', 600);
      await Promise.all(asking.map((one) => one.ended()));
      const outcomes = asking.map(
        ({ output }) => JSON.parse(output) as { generation: number; begun: boolean },
      );
      expect(outcomes.map(({ generation }) => generation)).toEqual([2, 2, 2]);
      expect(outcomes.filter(({ begun }) => begun)).toHaveLength(1);
      expect(await handle.get()).toMatchObject({ sum: 1 });
      await quiet(prefix);
      expect(await releases(prefix, id)).toEqual({ body: 1, 'body-1': 1, 'body-2': 1 });
      expect((await notesOf(prefix)).map(({ values }) => values.length)).toEqual([0, 1, 2]);
    },
    WITHIN_MS,
  );
});
