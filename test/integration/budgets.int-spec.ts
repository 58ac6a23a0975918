/**
 * Headers that are closed before their end, where it is hard: a breach meets the last member, another breach, a change of
 * the budget, the deadline; and workers are killed in the middle of it. Exactly one of body and errback is released, once.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import {
  type AsyncResult,
  type Budget,
  CallbackWithOutcomes,
  ChordError,
  type ChordOptions,
  type JsonValue,
  Task,
  type TaskFailure,
  Tolerate,
} from 'nestjs-task-queue';
import { redisUrl, Runs, type TestApp, uniquePrefix, until, useApps } from '../support/app-fixture.js';
import { NOTE_OUTCOME } from '../../libs/task-queue/src/broker/scripts/headers.js';
import { commandsDuring } from '../support/command-log.js';
import { generator, inParallel, Killer } from '../support/killer.js';
import { WorkerProcess } from '../support/worker-process.js';
import { CountingTasks, type EndNote, type MemberEnd } from '../support/workers/counting-tasks.js';

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const random = generator(seed);
const fixture = useApps();
const ROUNDS = 40;

@Injectable()
class RaceTasks {
  constructor(private readonly runs: Runs) {}

  @Task()
  async member(end: 'value' | 'error', ms: number): Promise<string> {
    await delay(ms);
    if (end === 'error') throw new Error('one too many');
    return end;
  }

  @Task({ queue: 'ends' })
  body(values: JsonValue[], round: string): number {
    this.runs.record(`body ${round}`);
    return values.length;
  }

  @Task({ queue: 'ends' })
  errback(_: TaskFailure, round: string): void {
    this.runs.record(`errback ${round}`);
  }
}

/** How often jobs of these ids were released, as the broker saw it: also those that never ran. */
async function releasesOf(prefix: string): Promise<Map<string, number>> {
  const added = new Map<string, number>();
  for (const [, fields] of await fixture.redis.xrange(`{${prefix}:0}:ends:events`, '-', '+')) {
    const event = new Map(
      fields.flatMap((field, at) => (at % 2 === 0 ? [[field, fields[at + 1] ?? '']] : [])),
    );
    const id = event.get('jobId') ?? '';
    if (event.get('event') === 'added') added.set(id, (added.get(id) ?? 0) + 1);
  }
  return added;
}

async function unfinished(prefix: string): Promise<number> {
  return Object.values(await fixture.unfinished(prefix)).flat().length;
}

describe('a header that is closed', () => {
  let app: TestApp;
  beforeEach(async () => {
    app = await fixture.boot({
      providers: [RaceTasks],
      options: { queues: { default: { concurrency: 50 } } },
    });
  });

  type Member = readonly [end: 'value' | 'error', ms: number];

  async function race(round: string, members: readonly Member[], options: ChordOptions) {
    const tasks = app.workflows.tasks(RaceTasks);
    const chord = app.workflows
      .chord(
        members.map(([end, ms]) => tasks.member.s(end, ms)),
        tasks.body.s(round) as never,
        options as never,
      )
      .linkError(tasks.errback.s(round));
    return (await chord.applyAsync()) as AsyncResult<number>;
  }

  /** What followed each round: one thing, released once. */
  async function followed(handles: readonly AsyncResult<number>[]): Promise<string[]> {
    await until(async () => (await unfinished(app.prefix)) === 0, 'nothing unfinished');
    const released = await releasesOf(app.prefix);
    return handles.map(({ id }, round) => {
      const body = released.get(`${id}.body`) ?? 0;
      const errback = released.get(`${id}.errback.0`) ?? 0;
      const ran = ['body', 'errback'].flatMap((what) =>
        Array.from({ length: app.runs.count(`${what} ${round}`) }, () => what),
      );
      return `${body}+${errback} ${ran.join()}`;
    });
  }

  /** The same moment, give or take what makes races. */
  const soon = (): number => 20 + Math.floor(random() * 4);

  it.each<[string, (ms: () => number) => Member[], ChordOptions, string[]]>([
    [
      'a breach meets the end of the last member',
      (ms) => [
        ['value', ms()],
        ['value', ms()],
        ['error', ms()],
      ],
      { failFast: true },
      ['0+1 errback'],
    ],
    [
      'two members breach it at once',
      (ms) => [
        ['error', ms()],
        ['error', ms()],
        ['value', 60],
      ],
      { failFast: true },
      ['0+1 errback'],
    ],
    [
      'a breach that lets the body run meets the end of the last member',
      (ms) => [
        ['value', ms()],
        ['error', ms()],
        ['error', ms()],
      ],
      { recovery: Tolerate({ count: 1, onBreach: 'callback', rest: 'terminate' }) },
      ['1+0 body'],
    ],
    [
      'its deadline passes while the last member ends',
      (ms) => [
        ['value', ms()],
        ['value', ms()],
        ['value', ms()],
      ],
      { deadline: 22 },
      ['1+0 body'],
    ],
    [
      'its deadline passes while it is breached',
      (ms) => [
        ['value', ms()],
        ['error', ms()],
        ['value', 60],
      ],
      { deadline: 22, recovery: Tolerate({ count: 0, recovery: CallbackWithOutcomes }) },
      ['1+0 body', '0+1 errback'],
    ],
  ])('releases one thing, once, when %s', async (_, members, options, allowed) => {
    const handles = await inParallel(10, (round) =>
      round < ROUNDS
        ? race(String(round), members(soon), options).then(async (handle) => {
            await handle.get({ propagate: false });
            return handle;
          })
        : undefined,
    );
    const wrong = (await followed(handles)).filter((one) => !allowed.includes(one));
    expect({ seed, wrong }).toEqual({ seed, wrong: [] });
  });

  it('goes by the budget that somebody was told is in force', async () => {
    const changed: boolean[] = [];
    const handles = await inParallel(10, (round) =>
      round < ROUNDS
        ? race(
            String(round),
            [
              ['error', soon()],
              ['value', 40],
            ],
            { failFast: true },
          ).then(async (handle) => {
            await delay(random() * 40);
            changed[round] = await app.workflows.setBudget(handle.id, { count: 1, onBreach: 'errback' });
            await handle.get({ propagate: false });
            return handle;
          })
        : undefined,
    );
    const ends = await followed(handles);
    // The recovery within the budget is the default, under which a failure that is within it is still one.
    expect({ seed, wrong: ends.filter((end) => end !== '0+1 errback') }).toEqual({ seed, wrong: [] });
    const why = await Promise.all(
      handles.map(async (handle) => (await handle.failure())?.error.message ?? ''),
    );
    const wrong = why.filter((message, round) => changed[round] === /header was closed/.test(message));
    expect({ seed, wrong }).toEqual({ seed, wrong: [] });
  });

  it('ends when it is revoked in the moment in which it is parked', async () => {
    const recovery = Tolerate({ count: 0, onBreach: 'park' });
    const handles = await inParallel(10, (round) =>
      round < ROUNDS
        ? race(
            String(round),
            [
              ['error', soon()],
              ['value', soon()],
            ],
            { recovery },
          ).then(async (handle) => {
            await delay(20 + random() * 20);
            await handle.revoke();
            await handle.get({ propagate: false });
            return handle;
          })
        : undefined,
    );
    const wrong = (await followed(handles)).filter((one) => one !== '0+1 errback');
    expect({ seed, wrong }).toEqual({ seed, wrong: [] });
  });

  it('leaves no key behind when its results are forgotten', async () => {
    const late: Member = ['value', 150];
    const { workflows } = app;
    const tasks = workflows.tasks(RaceTasks);
    const nested = workflows.chain(tasks.member.s('value', 150), tasks.member.si('value', 1));
    const handle = await race('x', [late, ['error', 1]], { recovery: Tolerate({ count: 0, rest: 'leave' }) });
    const outer = await workflows
      .group([nested, tasks.member.s('error', 1)], { failFast: true })
      .applyAsync();
    await handle.get({ propagate: false });
    await outer.get({ propagate: false });
    await until(async () => (await unfinished(app.prefix)) === 0, 'the stragglers have ended');
    const heard = await race(
      'y',
      [
        ['value', 1_500],
        ['value', 1],
      ],
      { deadline: 100, late: 'amend' },
    );
    await heard.get();
    await handle.forget();
    await outer.forget();
    await heard.forget();
    await until(async () => (await unfinished(app.prefix)) === 0, 'who comes late has ended');
    const left = async () => fixture.redis.keys(`{${app.prefix}:0}:*`);
    const keys = await left();
    expect(keys.filter((key) => key.includes(handle.id) && !key.includes('errback'))).toEqual([]);
    expect(keys.filter((key) => key.includes(outer.id))).toEqual([]);
    // A member was on its way still: the rest goes when somebody looks again.
    await until(async () => !(await left()).some((key) => key.includes(heard.id)), 'the last key has gone');
  });
});

describe('a plain chord', () => {
  it('is told of failures by its last member alone, and asks for nothing more', async () => {
    const app = await fixture.boot({ providers: [RaceTasks], options: {} });
    const tasks = app.workflows.tasks(RaceTasks);
    const header = [tasks.member.s('error', 1), tasks.member.s('error', 1), tasks.member.s('value', 50)];
    const handle = await app.workflows.chord(header, tasks.body.s('x')).applyAsync();
    await handle.get({ propagate: false });
    const events = await fixture.redis.xrange(`{${app.prefix}:0}:_canvas:events`, '-', '+');
    const activations = events.filter(([, fields]) => fields[1] === 'active' && fields.includes(handle.id));
    expect(activations.length).toBe(1);
  });
});

describe('what budgets and deadlines cost', () => {
  let app: TestApp;
  beforeEach(async () => {
    app = await fixture.boot({ providers: [RaceTasks], options: {} });
  });

  async function chordOf(
    header: readonly ['value' | 'error', number][],
    options: ChordOptions,
  ): Promise<string> {
    const tasks = app.workflows.tasks(RaceTasks);
    const members = header.map(([end, ms]) => tasks.member.s(end, ms));
    const chord = app.workflows.chord(members, tasks.body.s('x') as never, options as never);
    const handle = (await chord.applyAsync()) as unknown as AsyncResult;
    await handle.get({ propagate: false });
    return handle.id;
  }

  /** How often the node of a chord was made active before its body was added. */
  async function looks(id: string): Promise<number> {
    const events = await fixture.redis.xrange(`{${app.prefix}:0}:_canvas:events`, '-', '+');
    const own = events.filter(([, fields]) => fields.includes(id));
    return own.filter(([, fields]) => fields[1] === 'active').length;
  }

  it('a node with a budget is made active as often as one without, where no member fails', async () => {
    const header: ['value', number][] = [1, 30, 60].map((ms) => ['value', ms]);
    const plain = await looks(await chordOf(header, {}));
    expect(await looks(await chordOf(header, { recovery: Tolerate({ count: 1 }) }))).toBe(plain);
  });

  it('and once more for a failure that breaches nothing', async () => {
    const header: ['value' | 'error', number][] = [
      ['error', 1],
      ['value', 400],
    ];
    const recovery = Tolerate({ count: 1 });
    const plain = await looks(await chordOf([header[1] ?? ['value', 1]], { recovery }));
    expect(await looks(await chordOf(header, { recovery }))).toBe(plain + 1);
  });

  it.each<[ChordOptions['deadline'], number]>([
    [{ after: '1m', from: 'first-outcome' }, 3],
    [{ after: '1m', from: 'last-outcome' }, 3],
    ['1m', 0],
    [{ after: '1m', from: 'seal' }, 0],
  ])('members under the deadline %j note their ends with so many commands: %i', async (deadline, notes) => {
    const header: ['value', number][] = [1, 2, 3].map((ms) => ['value', ms]);
    const commands = await commandsDuring(fixture.redis, () => chordOf(header, { deadline } as ChordOptions));
    const noting = commands.filter(({ args, source }) => source !== 'lua' && args[1] === NOTE_OUTCOME.sha);
    expect(noting).toHaveLength(notes);
  });

  it('a deadline never passes early', async () => {
    const begin = Date.now();
    await chordOf([['value', 3_000]], { deadline: 700 });
    expect(Date.now() - begin).toBeGreaterThanOrEqual(700);
  });
});

describe('workers that are killed while headers are closed', () => {
  const WITHIN_MS = 150_000;
  const CHORDS = 60;
  const KILLS = 4;
  const workers: WorkerProcess[] = [];
  const over = new AbortController();
  let killer: Killer | undefined;
  afterEach(async () => {
    over.abort();
    await killer?.stop();
    await Promise.all(workers.splice(0).map((worker) => worker.end()));
  });

  interface Planned {
    readonly name: string;
    readonly ends: readonly MemberEnd[];
    readonly budget: Budget;
    readonly deadline: number | undefined;
  }

  function plan(index: number): Planned {
    const count = Math.floor(random() * 3);
    return {
      name: `b${index}`,
      ends: Array.from({ length: 12 }, () =>
        random() < 0.15 ? 'final' : random() < 0.1 ? 'flaky' : 'value',
      ),
      budget: {
        count,
        onBreach: random() < 0.5 ? 'errback' : 'callback',
        rest: (['leave', 'revoke', 'terminate'] as const)[Math.floor(random() * 3)] ?? 'leave',
      },
      deadline: random() < 0.3 ? 20 + Math.floor(random() * 200) : undefined,
    };
  }

  /** What may follow: under a deadline it depends on who is faster. */
  function expected({ ends, budget, deadline }: Planned): readonly ('body' | 'errback')[] {
    if (budget.onBreach === 'callback') return ['body'];
    const isBreached = ends.filter((end) => end === 'final').length > (budget.count ?? 0);
    return isBreached ? (deadline === undefined ? ['errback'] : ['body', 'errback']) : ['body'];
  }

  it(
    'one of body and errback is released, once, and nothing is left waiting',
    async () => {
      const prefix = uniquePrefix('budget');
      fixture.adopt(prefix);
      const app = await fixture.boot({ prefix, options: { role: 'producer' } });
      const start = async (): Promise<WorkerProcess> => {
        const worker = await WorkerProcess.start('counting-worker', {
          url: redisUrl(),
          prefix,
          options: {
            queues: { members: { concurrency: 15 }, ends: { concurrency: 5 } },
            worker: { lockDuration: '2s', stalledInterval: '1s', maxTimesLost: 90 },
          },
        });
        workers.push(worker);
        return worker;
      };
      await Promise.all([start(), start()]);
      killer = new Killer(workers, start, random);
      const tasks = app.workflows.tasks(CountingTasks);
      const run = async (planned: Planned) => {
        const { name, ends, budget, deadline } = planned;
        const header = ends.map((end, index) => tasks.member.s(name, index, end, Math.floor(random() * 60)));
        const body = app.workflows.signature(tasks.body.taskName, [name], { queue: 'ends' });
        const chord = app.workflows.chord(
          header,
          body as never,
          {
            recovery: Tolerate({ ...budget, recovery: CallbackWithOutcomes }),
            ...(deadline === undefined ? {} : { deadline: { after: deadline, rest: 'revoke' } }),
          } as never,
        ) as unknown as { linkError(errback: object): { applyAsync(): Promise<AsyncResult> } };
        const handle = await chord.linkError(tasks.errback.s(name)).applyAsync();
        const end = await handle.get({ timeout: WITHIN_MS, signal: over.signal, propagate: false });
        return { planned, handle, end };
      };
      const begin = Date.now();
      const more = (): boolean => (killer?.kills ?? KILLS) < KILLS && Date.now() - begin < WITHIN_MS / 2;
      const ended = await inParallel(20, (index) =>
        index < CHORDS || more() ? run(plan(index)) : undefined,
      );
      await killer.stop();
      await until(async () => (await unfinished(prefix)) === 0, 'nothing unfinished');

      const released = await releasesOf(prefix);
      const wrong: string[] = [];
      const followed = { body: 0, errback: 0 };
      for (const { planned, handle, end } of ended) {
        const say = (what: string): void =>
          void wrong.push(`${planned.name} ${JSON.stringify(planned)}: ${what}`);
        const body = released.get(`${handle.id}.body`) ?? 0;
        const errback = released.get(`${handle.id}.errback.0`) ?? 0;
        if (body + errback !== 1) say(`released ${body} bodies and ${errback} errbacks`);
        const kind = body === 1 ? 'body' : 'errback';
        followed[kind] += 1;
        if (!expected(planned).includes(kind)) say(`${kind} ran`);
        if ((kind === 'errback') !== end instanceof ChordError) say(`ended with ${JSON.stringify(end)}`);
        const key = `count:${prefix}:ends:${planned.name}`;
        const notes = (await fixture.redis.lrange(key, 0, -1)).map((note) => JSON.parse(note) as EndNote);
        if (notes.length === 0 || notes.some((note) => note.kind !== kind))
          say(`ran: ${JSON.stringify(notes)}`);
        // Each run was told the same, and of every member.
        const told = new Set(notes.map(({ values, failures }) => JSON.stringify([values, failures])));
        if (told.size !== 1) say('runs of one release were told different things');
        const [first] = notes;
        if ((first?.values.length ?? 0) + (first?.failures.length ?? 0) !== planned.ends.length)
          say('members lost');
      }
      process.stdout.write(
        `budgets: seed ${seed}, ${killer.kills} kills, ${ended.length} chords: ` +
          `${followed.body} bodies, ${followed.errback} errbacks\n`,
      );
      expect(killer.kills).toBeGreaterThanOrEqual(KILLS);
      expect({ seed, wrong }).toEqual({ seed, wrong: [] });
    },
    WITHIN_MS + 20_000,
  );
});
