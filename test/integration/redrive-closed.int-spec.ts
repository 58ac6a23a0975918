/**
 * Redrives of headers that were closed early, while workers are killed from the first member to the last body. What holds
 * whatever happens stands in test/conformance/redrive-closed-cases.ts.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import {
  type AsyncResult,
  CallbackWithOutcomes,
  type JsonValue,
  RedriveRefusedError,
  Task,
  Tolerate,
} from 'nestjs-task-queue';
import { Queue } from 'bullmq';
import { redisUrl, type TestApp, uniquePrefix, until, useApps } from '../support/app-fixture.js';
import { generator, inParallel, Killer } from '../support/killer.js';
import { headersOf } from '../support/timer-stop.js';
import { WorkerProcess } from '../support/worker-process.js';
import { CountingTasks, type EndNote, type MemberEnd } from '../support/workers/counting-tasks.js';

const WITHIN_MS = 150_000;
const CHORDS = 30;
const KILLS = 4;
const MEMBERS = 12;
const ALL = Array.from({ length: MEMBERS }, (_, index) => index);

const seed = Number(process.env['REDRIVE_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const random = generator(seed);

const workers: WorkerProcess[] = [];
let killer: Killer | undefined;
// Before the fixture looks whether anybody is still connected.
afterEach(async () => {
  await killer?.stop();
  await Promise.all(workers.splice(0).map((worker) => worker.end()));
});
const fixture = useApps();

interface Planned {
  readonly name: string;
  readonly ends: readonly MemberEnd[];
  readonly onBreach: 'errback' | 'callback';
  readonly rest: 'leave' | 'revoke' | 'terminate';
  readonly deadline: number | undefined;
}

function plan(at: number): Planned {
  return {
    name: `c${at}`,
    ends: ALL.map(() => (random() < 0.2 ? 'mended' : random() < 0.1 ? 'flaky' : 'value')),
    onBreach: random() < 0.5 ? 'errback' : 'callback',
    rest: (['leave', 'revoke', 'terminate'] as const)[Math.floor(random() * 3)] ?? 'leave',
    deadline: random() < 0.3 ? 100 + Math.floor(random() * 300) : undefined,
  };
}

/** Redrives a canvas until nothing in it is left to be run again. @returns how often it was redriven */
async function redriveAll(app: TestApp, handle: AsyncResult): Promise<number> {
  const since = Date.now();
  for (let times = 0; ;) {
    const refusal = await app.workflows.redrive(handle.id, { after: times }).then(
      ({ left }) => {
        expect(left).toEqual([]);
        return undefined;
      },
      (error: unknown) => {
        if (error instanceof RedriveRefusedError) return error.reason;
        throw error;
      },
    );
    if (refusal === undefined) {
      times += 1;
      await handle.get({ timeout: WITHIN_MS, propagate: false });
    } else if (refusal === 'succeeded') return times;
    else if (refusal !== 'running') throw new Error(`${handle.id} is not redriven: ${refusal}`);
    if (Date.now() - since > WITHIN_MS) throw new Error(`${handle.id} has been redriven ${times} times`);
    await delay(50);
  }
}

describe('workers that are killed while closed headers are redriven', () => {
  it(
    'nobody is lost: in the end each body has what every member returned',
    async () => {
      const prefix = uniquePrefix('reopened');
      fixture.adopt(prefix);
      const app = await fixture.boot({ prefix, options: { role: 'producer' } });
      const start = async (): Promise<WorkerProcess> => {
        const options = {
          queues: { members: { concurrency: 6 }, ends: { concurrency: 5 } },
          worker: { lockDuration: '2s', stalledInterval: '1s', maxTimesLost: 90 },
        };
        const worker = await WorkerProcess.start('counting-worker', { url: redisUrl(), prefix, options });
        workers.push(worker);
        return worker;
      };
      await Promise.all([start(), start()]);
      killer = new Killer(workers, start, random);
      const tasks = app.workflows.tasks(CountingTasks);
      const run = async (planned: Planned) => {
        const { name, ends, onBreach, rest, deadline } = planned;
        const header = ends.map((end, index) => tasks.member.s(name, index, end, Math.floor(random() * 60)));
        const body = app.workflows.signature(tasks.body.taskName, [name], { queue: 'ends' });
        const recovery = Tolerate({ count: 1, onBreach, rest, recovery: CallbackWithOutcomes });
        const time = deadline === undefined ? {} : { deadline: { after: deadline, rest } };
        const chord = app.workflows.chord(
          header,
          body as never,
          { recovery, ...time } as never,
        ) as unknown as {
          linkError(errback: object): { applyAsync(): Promise<AsyncResult> };
        };
        const handle = await chord.linkError(tasks.errback.s(name)).applyAsync();
        await handle.get({ timeout: WITHIN_MS, propagate: false });
        return { planned, handle, times: await redriveAll(app, handle) };
      };
      const begin = Date.now();
      const more = (): boolean => (killer?.kills ?? KILLS) < KILLS && Date.now() - begin < WITHIN_MS / 2;
      const ended = await inParallel(10, (at) => (at < CHORDS || more() ? run(plan(at)) : undefined));
      await killer.stop();

      const wrong: string[] = [];
      for (const { planned, handle, times } of ended) {
        const say = (what: string): void => void wrong.push(`${JSON.stringify(planned)}: ${what}`);
        const { generation = 0, counts } = await handle.describe();
        if (generation !== times) say(`in generation ${generation} after ${times} redrives`);
        if (counts?.succeeded !== MEMBERS) say(`counts ${JSON.stringify(counts)}`);
        const value: JsonValue = await handle.get();
        const sum = ALL.reduce((one, other) => one + other, 0);
        if ((value as { sum?: number }).sum !== sum) say(`came to ${JSON.stringify(value)}`);
        const key = `count:${prefix}:ends:${planned.name}`;
        const notes = (await fixture.redis.lrange(key, 0, -1)).map((note) => JSON.parse(note) as EndNote);
        const last = notes.filter(({ kind }) => kind === 'body').at(-1);
        if (last?.values.length !== MEMBERS) say(`its last body got ${JSON.stringify(last)}`);
      }
      const redriven = ended.filter(({ times }) => times > 0).length;
      process.stdout.write(
        `redrive-closed: seed ${seed}, ${killer.kills} kills, ${ended.length} chords, ${redriven} of them redriven\n`,
      );
      expect(killer.kills).toBeGreaterThanOrEqual(KILLS);
      expect(redriven).toBeGreaterThan(CHORDS / 4);
      expect({ seed, wrong }).toEqual({ seed, wrong: [] });
      await until(
        async () => Object.values(await fixture.unfinished(prefix)).flat().length === 0,
        'nothing is left to do',
      );
    },
    WITHIN_MS + 20_000,
  );
});

/** Ends behind a door. */
@Injectable()
class OpenTasks {
  static open: () => void = () => undefined;
  static opened = Promise.resolve();
  static close(): void {
    OpenTasks.opened = new Promise<void>((resolve) => (OpenTasks.open = resolve));
  }

  @Task({ name: 'open.member' })
  async member(index: number): Promise<number> {
    await OpenTasks.opened;
    return index;
  }

  @Task({ name: 'open.sum' })
  sum(values: number[]): number {
    return values.reduce((one, other) => one + other, 0);
  }
}

describe('a late callback that cannot be read', () => {
  it('is told nothing, and a redrive has what came late', async () => {
    OpenTasks.close();
    const app = await fixture.boot({ providers: [OpenTasks], options: {} });
    const { member, sum } = app.workflows.tasks(OpenTasks);
    const late = { callback: sum.si([0]) };
    const chord = app.workflows.chord([member.s(1), member.s(2)], sum.s(), { deadline: 50, late } as never);
    const handle = (await chord.applyAsync()) as AsyncResult;
    const key = `{${app.prefix}:0}:_canvas:${handle.id}`;
    const data = JSON.parse((await fixture.redis.hget(key, 'data')) ?? '') as { late: object };
    await fixture.redis.hset(key, 'data', JSON.stringify({ ...data, late: { kind: 'task', task: '' } }));
    expect(await handle.get()).toBe(0);
    OpenTasks.open();
    const failed = `{${app.prefix}:0}:_canvas:failed`;
    await until(
      async () => (await fixture.redis.zscore(failed, `${handle.id}.late`)) !== null,
      'who waited for the late has failed',
    );
    expect(await app.workflows.redrive(handle.id)).toMatchObject({ generation: 1, rerun: [], left: [] });
    expect(await handle.get()).toBe(3);
  });
});

describe('whoever waits for late members of a header that is not closed yet', () => {
  it('has looked again in time when the last of them has ended, however often it had looked', async () => {
    OpenTasks.close();
    const app = await fixture.boot({ providers: [OpenTasks], options: {} });
    const { member, sum } = app.workflows.tasks(OpenTasks);
    // The worker that closes it is held up between the two commands.
    const headers = headersOf(app.app);
    const close = headers.close.bind(headers);
    let goOn = (): void => undefined;
    const isHeldUp = new Promise<void>((resolve) => {
      jest.spyOn(headers, 'close').mockImplementationOnce(async (...verdict) => {
        resolve();
        await new Promise<void>((go) => (goOn = go));
        return close(...verdict);
      });
    });
    const chord = app.workflows.chord([member.s(1), member.s(2)], sum.s(), { deadline: 50 } as never);
    const handle = (await chord.applyAsync()) as AsyncResult;
    await isHeldUp;
    const connection = { url: app.url };
    const queue = new Queue('_canvas', { prefix: `{${app.prefix}:0}`, connection });
    try {
      const waits = async () => (await queue.getJobState(`${handle.id}.late`)) === 'delayed';
      for (let looks = 0; looks < 8; looks++) {
        await until(waits, 'it has looked');
        await (await queue.getJob(`${handle.id}.late`))?.promote();
      }
      await until(waits, 'it has looked');
    } finally {
      await queue.close();
    }
    goOn();
    expect(await handle.get()).toBe(0);
    OpenTasks.open();
    const left = `{${app.prefix}:0}:_canvas:${handle.id}.late:dependencies`;
    await until(async () => (await fixture.redis.scard(left)) === 0, 'both have ended');
    expect(await app.workflows.redrive(handle.id)).toMatchObject({ generation: 1, rerun: [], left: [] });
    expect(await handle.get()).toBe(3);
  });
});
