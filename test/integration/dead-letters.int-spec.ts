/**
 * Dead letters where processes die: a worker kills itself before and after each write of the way that a failure goes, and
 * another one takes over. There is one letter for each final failure and none for anything else, and its handler is
 * released once.
 */
import { Queue } from 'bullmq';
import { Injectable } from '@nestjs/common';
import { Task } from 'nestjs-task-queue';
import { redisUrl, type TestApp, uniquePrefix, until, useApps } from '../support/app-fixture.js';
import { WorkerProcess } from '../support/worker-process.js';
import { MORTAL_COUNTS, MortalTasks } from '../support/workers/mortal-tasks.js';
import type { DyingPoint } from '../support/workers/mortal-worker.js';

const WITHIN_MS = 60_000;
/** Attempts that fail: all of them, and those without which the task comes to a value after its worker's death. */
const ALWAYS = 99;
const UNTIL_RETRIED = 2;

const TUNING = { lockDuration: 1_000, stalledInterval: 500, maxTimesLost: 20 };

const fixture = useApps();
const workers: WorkerProcess[] = [];
afterEach(() => Promise.all(workers.splice(0).map((worker) => worker.end())));

/** A worker in a process of its own, which will die. */
async function startWorker(prefix: string, dies: DyingPoint): Promise<WorkerProcess> {
  const worker = await WorkerProcess.start('mortal-worker', {
    url: redisUrl(),
    prefix,
    dies,
    options: { worker: TUNING },
  });
  workers.push(worker);
  return worker;
}

/** Lets a worker die at a point and another one take over. @returns what came of it */
async function dieAt(point: DyingPoint, failures: number) {
  const prefix = uniquePrefix('letter');
  const app = await fixture.boot({ prefix, options: { role: 'producer' } });
  const first = await startWorker(prefix, point);
  const handle = await app.workflows.tasks(MortalTasks).fails.delay(failures);
  await first.ended();
  const { deadLetters } = app.workflows;
  const meanwhile = (await deadLetters.list()).letters.length;
  const wasOver = (await handle.state()) === 'FAILURE';
  await fixture.boot({
    prefix,
    providers: [MortalTasks, { provide: MORTAL_COUNTS, useValue: { redis: fixture.redis, prefix } }],
    options: { role: 'worker', worker: TUNING },
  });
  const error: unknown = await handle.get({ propagate: false, timeout: WITHIN_MS });
  // One after the other: the first releases the second.
  await isDone(prefix, `${handle.id}.hook.4`);
  await isDone(prefix, `${handle.id}.letter.0`);
  const { letters } = await deadLetters.list({ retried: 'both' });
  const letter = await deadLetters.get(handle.id);
  return {
    point,
    end: error instanceof RangeError ? 'failure' : error,
    shownBeforeItsEnd: wasOver ? 0 : meanwhile,
    letters: letters.map(({ id }) => (id === handle.id ? 'its own' : id)),
    stored: await deadLetters.count(),
    attempts: letter?.attempts.map(({ error: { message } }) => message),
    released: await addedTimes(prefix, `${handle.id}.letter.0`),
    buried: Number((await fixture.redis.hget(`count:${prefix}:bury`, handle.id)) ?? 0) > 0,
  };
}

/** Waits for the end of a job, if there is one. */
async function isDone(prefix: string, id: string): Promise<void> {
  const key = `{${prefix}:0}:mortal:${id}`;
  await until(
    async () =>
      (await fixture.redis.exists(key)) === 0 || (await fixture.redis.hexists(key, 'finishedOn')) === 1,
    `${id} is over`,
    WITHIN_MS,
  );
}

/** How often a job was added to the queue, also under an id that was there. */
async function addedTimes(prefix: string, id: string): Promise<number> {
  const events = await fixture.redis.xrange(`{${prefix}:0}:mortal:events`, '-', '+');
  return events.filter(([, fields]) => {
    const at = (name: string): string | undefined => fields[fields.indexOf(name) + 1];
    return at('event') === 'added' && at('jobId') === id;
  }).length;
}

describe('dead letters under kill -9', () => {
  it(
    'one for a final failure, and one release of its handler, wherever the worker dies',
    async () => {
      const points: DyingPoint[] = [
        'before the letter',
        'after the letter',
        'after the release',
        'before the handler',
        'after the handler',
      ];
      const ends = await Promise.all(points.map((point) => dieAt(point, ALWAYS)));
      expect(ends).toEqual(
        points.map((point) => ({
          point,
          end: 'failure',
          shownBeforeItsEnd: 0,
          letters: ['its own'],
          stored: 1,
          // The attempt whose end was cut off is no attempt that ended: it was lost.
          attempts: ['attempt 1', point.endsWith('handler') ? 'attempt 2' : 'attempt 3'],
          released: 1,
          buried: true,
        })),
      );
    },
    3 * WITHIN_MS,
  );

  it(
    'none for a task that came to a value after all, and no handler runs',
    async () => {
      const points: DyingPoint[] = ['after the letter', 'after the release'];
      const ends = await Promise.all(points.map((point) => dieAt(point, UNTIL_RETRIED)));
      expect(ends).toEqual(
        points.map((point) => ({
          point,
          end: 'alive',
          shownBeforeItsEnd: 0,
          letters: [],
          stored: 0,
          attempts: undefined,
          released: 0,
          buried: false,
        })),
      );
    },
    3 * WITHIN_MS,
  );
});

describe('data that is not ours', () => {
  @Injectable()
  class Plain {
    @Task({ name: 'plain', queue: 'plain' })
    plain(value: string): string {
      return value.toUpperCase();
    }
  }

  async function withForeignJob(data: unknown): Promise<{ app: TestApp; id: string }> {
    const app = await fixture.boot({ providers: [Plain] });
    const queue = new Queue('plain', {
      connection: { url: redisUrl(), connectionName: app.prefix } as never,
      prefix: `{${app.prefix}:0}`,
    });
    try {
      // Something of ours has to have been in the queue, so that a handle looks into it.
      await (await app.workflows.tasks(Plain).plain.delay('x')).get();
      const { id = '' } = await queue.add('plain', data, { jobId: '0~foreign' });
      await until(async () => (await app.workflows.result(id).state()) === 'FAILURE', 'it has failed');
      return { app, id };
    } finally {
      await queue.close();
    }
  }

  it('makes a letter with all there is, which can be retried with arguments', async () => {
    const { app, id } = await withForeignJob({ hello: ['from', 'elsewhere'] });
    const { deadLetters } = app.workflows;
    expect(await deadLetters.get(id)).toMatchObject({
      failure: { request: { name: 'plain', queue: 'plain' }, error: { code: 'UNDECODABLE_PAYLOAD' } },
      payload: { hello: ['from', 'elsewhere'] },
    });
    await expect(deadLetters.retry(id)).rejects.toMatchObject({ code: 'UNDECODABLE_PAYLOAD' });
    const { refused } = await deadLetters.retryAll();
    expect([...refused].map(([letter, error]) => [letter, error.name])).toEqual([
      [id, 'UndecodablePayloadError'],
    ]);
    const handle = await deadLetters.retry(id, { args: ['mended'] });
    expect(await handle.get()).toBe('MENDED');
  });

  it('letters that are too old go by themselves', async () => {
    const { app } = await withForeignJob(5);
    const young = await fixture.boot({
      prefix: app.prefix,
      providers: [Plain],
      options: { deadLetters: { maxAge: 1 }, defaults: { resultExpires: '2s' } },
    });
    await until(async () => (await young.workflows.deadLetters.count()) === 0, 'the letter is gone');
    expect(await fixture.redis.hlen(`{${app.prefix}:0}:_dead:letters`)).toBe(0);
    expect(await fixture.redis.hlen(`{${app.prefix}:0}:_dead:about`)).toBe(0);
  });
});
