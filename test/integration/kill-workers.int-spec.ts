/**
 * Workers that are killed in the middle of everything: nothing is lost, nothing hangs, and exactly one of body
 * and errback is released, once. The workers are processes; what they did is counted in Redis.
 */
import {
  CallbackWithOutcomes,
  CallbackWithSuccesses,
  ChordError,
  ErrbackOnly,
  type AsyncResult,
  type WorkerTuning,
} from 'nestjs-task-queue';
import {
  type AppFixture,
  redisUrl,
  type TestApp,
  uniquePrefix,
  until,
  useApps,
} from '../support/app-fixture.js';
import { generator, inParallel, Killer } from '../support/killer.js';
import { WorkerProcess } from '../support/worker-process.js';
import { CountingTasks, type EndNote, type MemberEnd } from '../support/workers/counting-tasks.js';

/** At least so many of both; a fast machine needs more chords to be killed so often. */
const CHORDS = 220;
const KILLS = 8;
const MEMBERS = 20;
const WORKERS = 3;
/** Chords that are under way at a time, so that every kill hits some of them at every stage. */
const UNDER_WAY = 30;
const PUBLISHING_MS = 150_000;
/** A whole run, with all waiting for locks to run out. */
const WITHIN_MS = 180_000;

const RECOVERIES = { ErrbackOnly, CallbackWithSuccesses, CallbackWithOutcomes } as const;
type RecoveryName = keyof typeof RECOVERIES;

interface Planned {
  readonly name: string;
  readonly recovery: RecoveryName;
  readonly ends: readonly MemberEnd[];
  readonly ms: readonly number[];
}

interface Sum {
  readonly chord: string;
  readonly sum: number;
}

interface Ended {
  readonly plan: Planned;
  readonly handle: AsyncResult<Sum>;
  readonly value?: Sum;
  readonly error?: unknown;
}

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const random = generator(seed);
const fixture = useApps();

describe('workers that are killed', () => {
  const workers: WorkerProcess[] = [];
  let over: AbortController;
  let killer: Killer | undefined;
  beforeEach(() => {
    over = new AbortController();
  });
  afterEach(async () => {
    over.abort();
    await killer?.stop();
    await Promise.all(workers.splice(0).map((worker) => worker.end()));
  });

  it(
    `chords of ${MEMBERS} under kill -9: all terminal, all counts right, one release each`,
    async () => {
      const prefix = uniquePrefix('kill');
      fixture.adopt(prefix);
      const app = await fixture.boot({ prefix, options: { role: 'producer' } });
      const start = (): Promise<WorkerProcess> => startWorker(prefix, workers);
      await Promise.all(Array.from({ length: WORKERS }, start));
      killer = new Killer(workers, start, random);

      const begin = Date.now();
      const more = (): boolean => (killer?.kills ?? KILLS) < KILLS && Date.now() - begin < PUBLISHING_MS;
      const ended = await inParallel(UNDER_WAY, (index) =>
        index < CHORDS || more() ? runChord(app, plan(index), over.signal) : undefined,
      );
      await killer.stop();
      const seconds = (Date.now() - begin) / 1000;
      await until(async () => (await unfinishedOf(fixture, prefix)).length === 0, 'nothing unfinished');

      const counts = new Counted(fixture, prefix);
      await report(counts, ended, killer.kills, seconds);
      expect(killer.kills).toBeGreaterThanOrEqual(KILLS);
      expect(await wrongEnds(ended, counts)).toEqual([]);
      expect(await wrongReleases(ended, prefix)).toEqual([]);
      expect(await wrongRuns(ended, counts, killer.kills)).toEqual([]);
    },
    WITHIN_MS + 20_000,
  );

  it(
    'members that members add under kill -9: each is there once, and the body gets all of them',
    async () => {
      const prefix = uniquePrefix('adding');
      fixture.adopt(prefix);
      const app = await fixture.boot({ prefix, options: { role: 'producer' } });
      const start = (): Promise<WorkerProcess> => startWorker(prefix, workers);
      await Promise.all(Array.from({ length: 2 }, start));
      killer = new Killer(workers, start, random);

      const tasks = app.workflows.tasks(CountingTasks);
      const ADDERS = [0, 1, 2];
      const addedBy = (index: number): number[] =>
        Array.from({ length: 4 }, (_, at) => 100 * (index + 1) + at);
      const run = async (name: string) => {
        const ms = 5 + Math.floor(random() * 40);
        const header = ADDERS.map((index) => tasks.adding.s(name, index, addedBy(index), ms));
        const chord = app.workflows.chord(header, tasks.body.s(name) as never);
        const handle = (await chord.applyAsync()) as AsyncResult<Sum>;
        return { name, handle, value: await handle.get({ timeout: WITHIN_MS, signal: over.signal }) };
      };
      const begin = Date.now();
      const more = (): boolean => (killer?.kills ?? 4) < 4 && Date.now() - begin < PUBLISHING_MS;
      const ended = await inParallel(10, (index) => (index < 20 || more() ? run(`a${index}`) : undefined));
      await killer.stop();
      await until(async () => (await unfinishedOf(fixture, prefix)).length === 0, 'nothing unfinished');

      expect(killer.kills).toBeGreaterThanOrEqual(4);
      const counts = new Counted(fixture, prefix);
      const runs = await counts.runs();
      const all = [...ADDERS, ...ADDERS.flatMap(addedBy)];
      for (const { name, handle, value } of ended) {
        expect(value.sum).toBe(all.reduce((sum, one) => sum + one, 0));
        const [note] = await counts.notes(name);
        const values = (note?.values ?? []).map(([, one]) => Number(one));
        expect(values.slice(0, ADDERS.length)).toEqual(ADDERS);
        expect([...values].sort((one, other) => one - other)).toEqual(all);
        for (const index of ADDERS) {
          const own = addedBy(index);
          expect(values.filter((one) => own.includes(one))).toEqual(own);
        }
        expect((await app.workflows.groupResult(handle.id).counts()).size).toBe(all.length);
        const ran = [...runs.keys()].filter((job) => job.startsWith(`member ${handle.id}.`));
        expect(ran.length).toBe(all.length - ADDERS.length);
      }
    },
    WITHIN_MS + 20_000,
  );

  it('an attempt that was frozen and taken over is not heard, and counts as no retry', async () => {
    const prefix = uniquePrefix('frozen');
    fixture.adopt(prefix);
    const app = await fixture.boot({ prefix, options: { role: 'producer' } });
    const tasks = app.workflows.tasks(CountingTasks);
    const tuning = { lockDuration: 500, stalledInterval: 250 };
    const runs = async (): Promise<number> => Number(await fixture.redis.get(`count:${prefix}:outlived:x`));

    const frozen = await startWorker(prefix, workers, tuning);
    const chord = app.workflows
      .chord([tasks.outlived.s('x')], tasks.body.s('x'))
      .linkError(tasks.errback.s('x'));
    const handle = await chord.applyAsync();
    await until(async () => (await runs()) === 1, 'the first attempt runs');
    frozen.freeze();
    const second = await startWorker(prefix, workers, tuning);
    await until(async () => (await runs()) === 2, 'the second attempt runs');
    frozen.thaw();
    await until(() => /superseded attempt/.test(frozen.output), 'the first attempt has ended unheard');
    await second.end('SIGKILL');

    // The body adds up what the members returned: the retries that the third attempt was told of.
    expect(await handle.get({ timeout: 60_000 })).toEqual({ chord: 'x', sum: 0 });
    await until(async () => (await unfinishedOf(fixture, prefix)).length === 0, 'nothing unfinished');
    const counts = new Counted(fixture, prefix);
    expect([await runs(), await counts.of('body', 'x'), await counts.of('errback', 'x')]).toEqual([3, 1, 0]);
  });

  it('an attempt that a task asked for is counted once, and keeps its arguments, although its worker dies', async () => {
    const prefix = uniquePrefix('asking');
    const app = await fixture.boot({ prefix, options: { role: 'producer' } });
    const tuning = { lockDuration: 500, stalledInterval: 250 };
    const first = await startWorker(prefix, workers, tuning);
    const handle = await app.workflows.tasks(CountingTasks).asking.applyAsync(['y', 0], { maxRetries: 2 });
    await until(
      async () => (await fixture.redis.get(`count:${prefix}:asking:y`)) === '2',
      'the attempt that was asked for runs',
    );
    await first.end('SIGKILL');
    await startWorker(prefix, workers, tuning);

    // Four attempts: one was lost, and two of the three others were retries.
    expect(await handle.get({ timeout: 30_000 })).toEqual({
      step: 2,
      attempt: 4,
      retries: 2,
      maxRetries: 2,
      isLastAttempt: true,
    });
  });
});

/** What one chord came to, against what it must have come to. */
async function wrongEnds(ended: readonly Ended[], counts: Counted): Promise<string[]> {
  const wrong: string[] = [];
  for (const { plan: planned, value, error, handle } of ended) {
    const failing = failingOf(planned);
    const succeeding = planned.ends.flatMap((_, index) => (failing.includes(index) ? [] : [index]));
    const say = (what: string): void => void wrong.push(`${planned.name} (${planned.recovery}): ${what}`);
    const expectsBody = failing.length === 0 || planned.recovery !== 'ErrbackOnly';
    const sum = succeeding.reduce((total, index) => total + index, 0);
    if (expectsBody) {
      if (value?.sum !== sum) say(`expected the sum ${sum}, got ${JSON.stringify(value)} ${String(error)}`);
      const { recovered } = await handle.describe();
      if ((recovered?.failed ?? 0) !== failing.length) say(`recovered: ${JSON.stringify(recovered)}`);
    } else if (!(error instanceof ChordError)) {
      say(`expected a ChordError, got ${JSON.stringify(value)} ${String(error)}`);
    } else {
      if (
        !same(
          error.failures.map(({ index }) => index),
          failing,
        )
      )
        say('failures of get() differ');
      if (
        !same(
          error.values.map(({ index }) => index),
          succeeding,
        )
      )
        say('values of get() differ');
    }
    const notes = await counts.notes(planned.name);
    if (notes.length === 0) say('neither body nor errback ran');
    for (const note of notes) {
      if ((note.kind === 'body') !== expectsBody) say(`${note.kind} ran`);
      const withFailures = note.kind === 'errback' || planned.recovery === 'CallbackWithOutcomes';
      if (
        !same(
          note.values.map(([index]) => index),
          succeeding,
        )
      )
        say(`${note.kind} got wrong values`);
      if (
        withFailures &&
        !same(
          note.failures.map(([index]) => index),
          failing,
        )
      )
        say('wrong failures');
      for (const [index, message] of note.failures) {
        if (!message.endsWith(` ${index}`)) say(`failure ${index} carries "${message}"`);
      }
    }
  }
  return wrong;
}

/** Releases as the broker saw them: a job is added when it is released, also when it never runs. */
async function wrongReleases(ended: readonly Ended[], prefix: string): Promise<string[]> {
  const added = new Map<string, number>();
  const events = await fixture.redis.xrange(`{${prefix}:0}:ends:events`, '-', '+');
  for (const [, fields] of events) {
    const event = new Map(fields.flatMap((field, at) => (at % 2 === 0 ? [[field, fields[at + 1]]] : [])));
    if (event.get('event') !== 'added') continue;
    const id = event.get('jobId') ?? '';
    added.set(id, (added.get(id) ?? 0) + 1);
  }
  return ended.flatMap(({ plan: planned, handle: { id } }) => {
    const body = added.get(`${id}.body`) ?? 0;
    const errback = added.get(`${id}.errback.0`) ?? 0;
    return body + errback === 1 ? [] : [`${planned.name}: body released ${body}×, errback ${errback}×`];
  });
}

/** Every run belongs to an activation of its own, and there are more than one only after a kill. */
async function wrongRuns(ended: readonly Ended[], counts: Counted, kills: number): Promise<string[]> {
  const twice = Object.entries(await counts.activations()).filter(([, times]) => times !== '1');
  const wrong = twice.map(([activation, times]) => `${activation} ran ${times}×`);
  const runs = await counts.runs();
  for (const { plan: planned, handle } of ended) {
    planned.ends.forEach((end, index) => {
      const least = end === 'value' || end === 'final' ? 1 : 2;
      const ran = runs.get(`member ${handle.id}.${index}`) ?? 0;
      if (ran < least) wrong.push(`${planned.name}: member ${index} (${end}) ran ${ran}×`);
      if (ran > least + kills) wrong.push(`${planned.name}: member ${index} ran ${ran}×`);
    });
    const ends = (await counts.of('body', planned.name)) + (await counts.of('errback', planned.name));
    if (ends < 1 || ends > 1 + kills) wrong.push(`${planned.name}: ${ends} runs of body and errback`);
  }
  return wrong;
}

async function report(
  counts: Counted,
  ended: readonly Ended[],
  kills: number,
  seconds: number,
): Promise<void> {
  const runs = [...(await counts.runs())];
  const members = runs.filter(([job]) => job.startsWith('member '));
  const ends = runs.filter(([job]) => !job.startsWith('member '));
  const total = (of: readonly (readonly [string, number])[]): number => of.reduce((sum, [, n]) => sum + n, 0);
  const needed = ended
    .flatMap(({ plan: planned }) => planned.ends)
    .reduce((sum, end) => sum + (end === 'value' || end === 'final' ? 1 : 2), 0);
  process.stdout.write(
    `kill-workers: seed ${seed}, ${seconds.toFixed(1)} s, ${kills} kills, ${ended.length} chords; ` +
      `members ran ${total(members)} times where ${needed} were needed; ` +
      `${ends.length} bodies and errbacks ran ${total(ends)} times\n`,
  );
}

/** What the handlers counted. */
class Counted {
  constructor(
    private readonly apps: AppFixture,
    private readonly prefix: string,
  ) {}

  async of(kind: 'body' | 'errback', chord: string): Promise<number> {
    return Number(await this.apps.redis.get(this.#key(`${kind}:${chord}`)));
  }

  async runs(): Promise<Map<string, number>> {
    const runs = await this.apps.redis.hgetall(this.#key('runs'));
    return new Map(Object.entries(runs).map(([job, times]) => [job, Number(times)]));
  }

  activations(): Promise<Record<string, string>> {
    return this.apps.redis.hgetall(this.#key('activations'));
  }

  async notes(chord: string): Promise<EndNote[]> {
    const notes = await this.apps.redis.lrange(this.#key(`ends:${chord}`), 0, -1);
    return notes.map((note) => JSON.parse(note) as EndNote);
  }

  #key(name: string): string {
    return `count:${this.prefix}:${name}`;
  }
}

async function startWorker(
  prefix: string,
  workers: WorkerProcess[],
  tuning: WorkerTuning = { lockDuration: '2s', stalledInterval: '1s' },
): Promise<WorkerProcess> {
  const worker = await WorkerProcess.start('counting-worker', {
    url: redisUrl(),
    prefix,
    options: {
      queues: { members: { concurrency: 15 }, ends: { concurrency: 5 } },
      worker: { ...tuning, maxTimesLost: 90 },
    },
  });
  workers.push(worker);
  return worker;
}

function plan(index: number): Planned {
  const names = Object.keys(RECOVERIES) as RecoveryName[];
  const healthy = random() < 0.3;
  return {
    name: `c${index}`,
    recovery: names[Math.floor(random() * names.length)] ?? 'ErrbackOnly',
    ends: Array.from({ length: MEMBERS }, () => {
      const dice = random();
      if (dice < 0.08) return 'flaky';
      if (healthy || dice < 0.85) return 'value';
      return dice < 0.95 ? 'final' : 'error';
    }),
    ms: Array.from({ length: MEMBERS }, () => Math.floor(random() * 60)),
  };
}

function failingOf({ ends }: Planned): number[] {
  return ends.flatMap((end, index) => (end === 'final' || end === 'error' ? [index] : []));
}

async function runChord(app: TestApp, planned: Planned, signal: AbortSignal): Promise<Ended> {
  signal.throwIfAborted();
  const { workflows } = app;
  const tasks = workflows.tasks(CountingTasks);
  const header = planned.ends.map((end, index) =>
    tasks.member.s(planned.name, index, end, planned.ms[index] ?? 0),
  );
  // What the body gets depends on the recovery, which only the plan knows: the untyped form says nothing of it.
  const body = workflows.signature<Sum, [unknown]>(tasks.body.taskName, [planned.name], { queue: 'ends' });
  const chord = workflows
    .chord(header, body, { recovery: RECOVERIES[planned.recovery] })
    .linkError(tasks.errback.s(planned.name));
  const handle = await chord.applyAsync();
  try {
    return { plan: planned, handle, value: await handle.get({ timeout: WITHIN_MS, signal }) };
  } catch (error) {
    return { plan: planned, handle, error };
  }
}

async function unfinishedOf(apps: AppFixture, prefix: string): Promise<string[]> {
  return Object.values(await apps.unfinished(prefix)).flat();
}

function same(found: readonly number[], expected: readonly number[]): boolean {
  return JSON.stringify(found) === JSON.stringify(expected);
}
