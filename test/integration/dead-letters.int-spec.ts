/**
 * Dead letters where processes die: a worker kills itself before and after each write of the way that a failure goes, and
 * another one takes over. There is one letter for each final failure and none for anything else, and its handler is
 * released once.
 */
import { Queue } from 'bullmq';
import { Injectable } from '@nestjs/common';
import { type DeadLetter, OnDeadLetter, Retry, Task, TaskContext, type TaskFailure } from 'nestjs-task-queue';
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

describe('letters of one service', () => {
  @Injectable()
  class Morgue {
    readonly filed: string[] = [];

    @Task({ name: 'morgue.file', queue: 'morgue' })
    @OnDeadLetter()
    @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 1 } })
    file({ id, failure, attempts }: DeadLetter, task: TaskContext): void {
      if (task.retries === 0) throw new Error('the drawer is stuck');
      this.filed.push(`${failure.request.name} ${failure.request.queue} ${attempts.length} ${id}`);
    }
  }

  it('are handled by another one, which knows none of its tasks', async () => {
    const prefix = uniquePrefix('letter');
    const sendTo = { task: 'morgue.file', queue: 'morgue', from: ['mortal'] };
    workers.push(
      await WorkerProcess.start('mortal-worker', {
        url: redisUrl(),
        prefix,
        options: { deadLetters: { sendTo } },
      }),
    );
    // Nobody serves the queue yet: letters wait in it as tasks do.
    const producer = await fixture.boot({ prefix, options: { role: 'producer' } });
    const handle = await producer.workflows.tasks(MortalTasks).fails.delay(ALWAYS);
    await handle.get({ propagate: false, timeout: WITHIN_MS });
    const morgue = await fixture.boot({ prefix, providers: [Morgue], options: { role: 'worker' } });
    await until(() => morgue.get(Morgue).filed.length > 0, 'the letter was filed', WITHIN_MS);
    expect(morgue.get(Morgue).filed).toEqual([`MortalTasks.fails mortal 2 ${handle.id}`]);
    // Its own handler has got it as well.
    await until(
      async () => (await fixture.redis.hget(`count:${prefix}:bury`, handle.id)) === '1',
      'it was buried',
      WITHIN_MS,
    );
    // Not from that queue, and nobody there has the task.
    await producer.workflows
      .signature('nobody', [], { queue: 'morgue' })
      .applyAsync()
      .then((other) => other.get({ propagate: false, timeout: WITHIN_MS }));
    await until(() => morgue.get(Morgue).filed.length > 1, 'a letter of its own', WITHIN_MS);
    expect(morgue.get(Morgue).filed[1]).toMatch(/^nobody morgue 1 /);
    await Promise.all(workers.splice(0).map((worker) => worker.end()));
  });
});

describe('data that is not ours', () => {
  @Injectable()
  class Plain {
    @Task({ name: 'plain', queue: 'plain' })
    plain(value: string): string {
      return value.toUpperCase();
    }
  }

  /** What handles dead letters, those of the canvas queue too. */
  @Injectable()
  class Undertaker {
    readonly buried: string[] = [];

    @Task({ name: 'bury', queue: 'plain' })
    @OnDeadLetter()
    bury({ id, failure }: DeadLetter): void {
      this.buried.push(`${id} ${failure.error.code}`);
    }

    @Task({ name: 'errback', queue: 'plain' })
    errback({ error }: TaskFailure): void {
      this.buried.push(`errback ${error.code}`);
    }
  }

  /** Puts jobs into the queue of canvases as nobody of ours would. */
  async function forge(app: TestApp, jobs: Readonly<Record<string, unknown>>): Promise<void> {
    const queue = new Queue('_canvas', {
      connection: { url: redisUrl(), connectionName: app.prefix } as never,
      prefix: `{${app.prefix}:0}`,
    });
    try {
      for (const [id, data] of Object.entries(jobs)) await queue.add('forged', data, { jobId: id });
      for (const id of Object.keys(jobs)) {
        await until(async () => (await app.workflows.result(id).state()) === 'FAILURE', `${id} has failed`);
      }
    } finally {
      await queue.close();
    }
  }

  it('in the queue of canvases comes to an end, with a letter and what handles it', async () => {
    const app = await fixture.boot({ providers: [Plain, Undertaker] });
    const nothing = { kind: 'task', task: '', args: [] };
    const errbacks = [{ kind: 'task', task: 'errback', args: [] }];
    const jobs = {
      '0~text': 'hello',
      '0~steps': { v: 1, node: 'chain', size: 2, rest: ['no canvas'] },
      '0~empty': { v: 1, node: 'chord', size: 0, body: nothing, recovery: 'ErrbackOnly', errbacks },
      '0~depth': {
        v: 1,
        node: 'chord',
        size: 0,
        recovery: 'ErrbackOnly',
        body: { kind: 'chain', steps: [{ kind: 'group', members: 'all' }] },
      },
      '0~queue': {
        v: 1,
        node: 'chord',
        size: 0,
        recovery: 'ErrbackOnly',
        body: { kind: 'task', task: 'plain', args: [], options: { queue: 'a:b' } },
      },
      '0~after': {
        v: 1,
        node: 'chord',
        size: 0,
        recovery: 'ErrbackOnly',
        body: nothing,
        errbacks: [nothing, ...errbacks],
      },
    };
    await forge(app, jobs);
    const ids = Object.keys(jobs);
    // What a node came to stands before its job has ended; a letter shows after that.
    const list = () => app.workflows.deadLetters.list();
    await until(async () => (await list()).letters.length >= ids.length, 'every letter shows');
    const { letters } = await list();
    const about = letters.map(({ id, queue, error }) => `${id} ${queue} ${error.code}`);
    expect(about.sort()).toEqual(ids.map((id) => `${id} _canvas UNDECODABLE_PAYLOAD`).sort());
    expect(await app.workflows.deadLetters.get('0~text')).toMatchObject({ payload: 'hello' });
    const { buried } = app.get(Undertaker);
    await until(() => buried.length >= ids.length + 2, 'handlers and errbacks have run');
    expect(buried.sort()).toEqual(
      [
        ...ids.map((id) => `${id} UNDECODABLE_PAYLOAD`),
        ...Array.from({ length: 2 }, () => 'errback UNDECODABLE_PAYLOAD'),
      ].sort(),
    );
    expect(app.log.matching(/is taken up again|a defect/)).toEqual([]);
    expect(app.log.matching(/0~after\.errback\.0 is not released/)).toHaveLength(1);
    expect(await fixture.unfinished(app.prefix)).toEqual({});
    // Nothing of it stays for ever.
    for (const id of ids) {
      expect(await fixture.redis.zscore(`{${app.prefix}:0}:_expiry`, id)).not.toBeNull();
    }
  });

  it('shows no secrets in its letter, nor in the message', async () => {
    const { app, id } = await withForeignJob({
      password: 'hunter2',
      args: [{ card: { pin: '1234' }, password: 'hunter2' }],
    });
    const letter = await app.workflows.deadLetters.get(id);
    expect(letter?.payload).toEqual({
      password: '[redacted]',
      args: [{ card: { pin: '[redacted]' }, password: '[redacted]' }],
    });
    expect(JSON.stringify(letter)).not.toMatch(/hunter2|1234/);
  });

  async function withForeignJob(data: unknown): Promise<{ app: TestApp; id: string }> {
    const app = await fixture.boot({
      providers: [Plain],
      options: { redact: ['password', 'args[0].card.pin'] },
    });
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
