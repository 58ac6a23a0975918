import {
  FlowProducer,
  type Job,
  type JobsOptions,
  Queue,
  QueueEvents,
  UnrecoverableError,
  WaitingChildrenError,
  Worker,
  type WorkerOptions,
} from 'bullmq';
import { Redis } from 'ioredis';
import { redisUrl, removeKeys, uniquePrefix, until } from '../support/canvas-runner.js';

/*
 * What BullMQ 6.7 does where the design leans on it, and where it has a hole that the library closes. "raw" is
 * BullMQ alone, in this file; "held" the library, in bullmq-holes-held; "outages" both, on a Redis that goes away, in
 * bullmq-holes-outages. A raw test that fails after an update of BullMQ says that an assumption of the design is no
 * longer true.
 *
 * | hole | what happens in BullMQ                                  | tests                                            |
 * | ---- | ------------------------------------------------------- | ------------------------------------------------ |
 * | H1   | a removed child releases its parent in silence          | raw H1, held H1; canvas-ends 1 (by hand)     |
 * | H2   | drain, clean, obliterate take a body in the same queue  | raw H2, held H2                                  |
 * | H3   | adding a failed child again makes its parent wait       | raw H3, held H3                                  |
 * | H4   | a child of two parents is in one only                   | raw H4; ids of ours are made from their parent's |
 * | H5   | addBulk under a parent that is not there resolves       | raw H5; nothing of ours names another's parent   |
 * | H6   | a retry by hand puts a child back under its parent      | raw H6, held H6                                  |
 * | H7   | continueParentOnFailure releases too early              | raw H7, held "every edge"                        |
 * | H8   | throw undefined, errors with certain names or messages  | raw H8; held in canvas-ends 1                |
 * | H9   | a result that is no JSON fails after the work, retried  | raw H9, held H9                                  |
 * | H10  | a handler that blocks the loop loses its lock           | held H10 (the raw side is the lost lock of H11)  |
 * | H11  | an attempt without its lock reports a failure           | raw H11, held H11                                |
 * | H12  | a lost answer to a fetch counts as a stall              | raw H12, held H12                                |
 * | H13  | an evicted job is nameless and tells its parent nothing | raw H13; not held: maxmemory-policy has to be    |
 * |      |                                                         | noeviction, any key could be the one that goes   |
 * | H14  | SCRIPT FLUSH under an open connection                   | outages: raw H14, held H14                       |
 * | H15  | out of memory: addBulk is not atomic                    | outages: raw H15, held H15                       |
 * | H16  | a child under a parent that has ended does nothing      | raw H16, held H16                                |
 * | H17  | removal of a wide tree blocks Redis                     | outages: held H17                                |
 * | H18  | obliterate leaves waiting-children                      | raw H18; nothing of ours obliterates             |
 * | H19  | a lost answer to a publication repeats it               | outages: raw H19, held H19                       |
 * | H20  | a rejected publication may have happened                | outages: held H20                                |
 *
 * | trap | from the reports of users                               | tests                                            |
 * | ---- | ------------------------------------------------------- | ------------------------------------------------ |
 * | 1    | workers wedge after an outage (BullMQ 6.0 to 6.2)       | outages: held trap 1                             |
 * | 2    | removeOnFail without an option hides a failure          | raw trap 2                                       |
 * | 3    | no option: the parent waits for ever                    | raw trap 3, held "every edge"                    |
 * | 4    | failParentOnFailure is lazy and skips the processor     | raw trap 4, held "every edge"                    |
 * | 5    | a stalled-out job ends in its first attempt, unheard    | raw trap 5; held in kill-workers.int-spec        |
 * | 6    | the count of stalls is never reset                      | raw H12 (stalledCounter), held H12               |
 * | 7    | a child that has completed before its flow              | raw trap 7                                       |
 * | 8    | a child that has failed before its flow                 | raw H3, raw H4                                   |
 * | 9    | AbortSignal for processors of three parameters only     | raw trap 9                                       |
 * | 10   | see H7                                                  |                                                  |
 * | 11   | order of retries by hand; getFlow shows 20 children     | raw H6, held H6; getFlow is not used             |
 * | 12   | see H8, H9                                              |                                                  |
 * | 13   | FlowProducer ignores defaultJobOptions                  | raw trap 13                                      |
 * | 14   | see H5                                                  |                                                  |
 * | 15   | a flow is one transaction, however wide                 | outages: held trap 15                            |
 * | 16   | FlowProducer.add after close resolves to nothing        | raw trap 16, held trap 16                        |
 * | 17   | Redis away at the start: nothing ever settles           | outages: raw and held trap 17                    |
 * | 18   | close stays pending while Redis is away                 | outages: held trap 18                            |
 * | 19   | close(true) leaves the job active                       | raw trap 19, held trap 19                        |
 * | 20   | see H1                                                  |                                                  |
 * | 21   | waitUntilFinished misses what has been removed          | raw trap 21, held trap 21                        |
 * | 22   | names and ids that BullMQ refuses                       | raw trap 22; held in canvas-results (InvalidId)  |
 * | 23   | methods that v6 removed                                 | none of them is called; the compiler says so     |
 * | 24   | deduplication                                           | not used; an id of one's own does it             |
 * | 25   | a retried child with ignoreDependencyOnFailure          | raw H6                                           |
 * | 26   | sandboxed processors                                    | not used                                         |
 * | 27   | rejections before a listener exists                     | redis-connections.spec; outages: held trap 17    |
 * | 28   | a crash between the failure and what follows from it    | held trap 28                                     |
 * | 29   | events are missed while nobody listens                  | held trap 21                                     |
 * | 30   | retention of the worker does not reach parents          | held "every edge": retention stands on each job  |
 * | 31   | workers that start before the application is ready      | held trap 31                                     |
 */

/** BullMQ alone, on a prefix of its own. */
class Raw {
  readonly prefix = `{${uniquePrefix('raw')}:0}`;
  readonly redis = new Redis(redisUrl(), { maxRetriesPerRequest: null });
  readonly #open: { close(force?: boolean): Promise<void> }[] = [];

  queue(name: string, options: { defaultJobOptions?: JobsOptions } = {}): Queue {
    return this.#keep(new Queue(name, { ...this.base, ...options }));
  }

  flow(): FlowProducer {
    return this.#keep(new FlowProducer(this.base));
  }

  events(name: string): QueueEvents {
    return this.#keep(new QueueEvents(name, this.base));
  }

  /** Errors of the worker itself are noted, not thrown: many of these tests provoke them. */
  readonly errors: string[] = [];
  worker(
    name: string,
    processor: ((job: Job, token?: string) => Promise<unknown>) | null,
    options: Partial<WorkerOptions> = {},
  ): Worker {
    const worker = new Worker(name, processor, { ...this.base, ...options });
    worker.on('error', (error) => this.errors.push(error.message));
    return this.#keep(worker);
  }

  /** The queue as a parent reference names it. */
  named(queue: string): string {
    return `${this.prefix}:${queue}`;
  }

  pendingChildren(queue: string, id: string): Promise<number> {
    return this.redis.scard(`${this.prefix}:${queue}:${id}:dependencies`);
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.map((one) => one.close(true)));
    await removeKeys(this.redis, `${this.prefix}:*`);
    this.redis.disconnect();
  }

  get base(): { connection: { url: string; maxRetriesPerRequest: null }; prefix: string } {
    return { connection: { url: redisUrl(), maxRetriesPerRequest: null }, prefix: this.prefix };
  }

  #keep<
    T extends { close(force?: boolean): Promise<void>; on(event: 'error', listener: () => void): unknown },
  >(one: T): T {
    one.on('error', () => undefined);
    this.#open.push(one);
    return one;
  }
}

const IGNORE: JobsOptions = { ignoreDependencyOnFailure: true };
const fails = async (): Promise<never> => {
  throw new Error('boom');
};
const stateOf = (queue: Queue, id: string) => () => queue.getJobState(id);
const is = (expected: string) => (state: string) => state === expected;

describe('raw BullMQ', () => {
  let raw: Raw;
  beforeEach(() => (raw = new Raw()));
  afterEach(() => raw.close());

  /** A parent with these children, which wait for whoever runs them. */
  const family = (children: readonly JobsOptions[]) =>
    raw.flow().add({
      name: 'parent',
      queueName: 'parents',
      opts: { jobId: 'p' },
      children: children.map((opts, at) => ({
        name: 'child',
        queueName: 'children',
        data: at,
        opts: { jobId: `c${at}`, ...opts },
      })),
    });

  describe('the barrier', () => {
    it('ignoreDependencyOnFailure: the parent runs once, when the last child has ended, and knows who failed', async () => {
      const runs: object[] = [];
      await family([IGNORE, IGNORE, { ...IGNORE, delay: 60_000 }]);
      const children = raw.queue('children');
      raw.worker('children', async (job) => (job.data === 1 ? fails() : `value ${String(job.data)}`));
      raw.worker('parents', async (job) => {
        runs.push([await job.getChildrenValues(), await job.getIgnoredChildrenFailures()]);
      });
      await until(
        async () => [await children.getJobState('c0'), await children.getJobState('c1')].join(),
        is('completed,failed'),
      );
      expect(await raw.queue('parents').getJobState('p')).toBe('waiting-children');

      await (await children.getJob('c2'))?.promote();

      await until(stateOf(raw.queue('parents'), 'p'), is('completed'));
      const key = (id: string) => `${raw.prefix}:children:${id}`;
      expect(runs).toEqual([[{ [key('c0')]: 'value 0', [key('c2')]: 'value 2' }, { [key('c1')]: 'boom' }]]);
    });

    it('H1: removing the last pending child releases the parent, and no list tells of it', async () => {
      await family([IGNORE, IGNORE]);
      const children = raw.queue('children');
      const seen: object[] = [];
      raw.worker('parents', async (job) => {
        seen.push(await job.getDependenciesCount());
      });

      await children.remove('c0');
      expect(await raw.pendingChildren('parents', 'p')).toBe(1);
      await children.remove('c1');

      await until(stateOf(raw.queue('parents'), 'p'), is('completed'));
      expect(seen).toEqual([{ failed: 0, ignored: 0, processed: 0, unprocessed: 0 }]);
    });

    it.each([
      ['have ended before', true],
      ['end after', false],
    ])('moveToWaitingChildren: no lost wake-up where the children %s it', async (_when, before) => {
      const moved: boolean[] = [];
      const steps = raw.queue('steps');
      const children = raw.queue('children');
      const worker = raw.worker('children', async () => 'done', { autorun: false });
      raw.worker('steps', async (job, token = '') => {
        if (moved.length > 0) return 'woken';
        const parent = { id: job.id ?? '', queue: job.queueQualifiedName };
        await children.add('child', 0, { jobId: 'c', parent, ...IGNORE });
        if (before) {
          void worker.run();
          await until(stateOf(children, 'c'), is('completed'));
        }
        moved.push(await job.moveToWaitingChildren(token));
        if (!before) throw new WaitingChildrenError();
        return 'went on';
      });

      await steps.add('step', 0, { jobId: 's' });
      if (!before) {
        await until(stateOf(steps, 's'), is('waiting-children'));
        void worker.run();
      }

      await until(stateOf(steps, 's'), is('completed'));
      expect(moved).toEqual([!before]);
      expect((await steps.getJob('s'))?.returnvalue).toBe(before ? 'went on' : 'woken');
    });

    it('S1: a delayed sentinel holds a parent open while children are added and end; its removal releases once', async () => {
      let runs = 0;
      const parents = raw.queue('parents');
      const children = raw.queue('children');
      await family([{ ...IGNORE, delay: 60_000 }]);
      raw.worker('children', async () => 'done');
      raw.worker('parents', async () => {
        runs += 1;
      });
      const parent = { id: 'p', queue: raw.named('parents') };
      for (const chunk of [
        ['a', 'b'],
        ['c', 'd'],
      ]) {
        await children.addBulk(
          chunk.map((id) => ({ name: 'late', data: id, opts: { jobId: id, parent, ...IGNORE } })),
        );
        for (const id of chunk) await until(stateOf(children, id), is('completed'));
      }
      expect([await parents.getJobState('p'), runs]).toEqual(['waiting-children', 0]);

      await children.remove('c0');

      await until(stateOf(parents, 'p'), is('completed'));
      expect(runs).toBe(1);
      expect(await (await parents.getJob('p'))?.getDependenciesCount()).toMatchObject({
        processed: 4,
        unprocessed: 0,
      });
    });

    it('trap 2: removeOnFail keeps the failure with the parent; without ignoreDependencyOnFailure it is lost', async () => {
      await family([{ ...IGNORE, removeOnFail: true }]);
      await raw.flow().add({
        name: 'parent',
        queueName: 'parents',
        opts: { jobId: 'blind' },
        children: [{ name: 'child', queueName: 'children', opts: { jobId: 'lost', removeOnFail: true } }],
      });
      const seen = new Map<string, unknown>();
      raw.worker('children', fails);
      raw.worker('parents', async (job) => {
        seen.set(job.id ?? '', await job.getIgnoredChildrenFailures());
      });

      await until(stateOf(raw.queue('parents'), 'p'), is('completed'));
      await until(stateOf(raw.queue('parents'), 'blind'), is('completed'));
      expect(seen.get('p')).toEqual({ [`${raw.prefix}:children:c0`]: 'boom' });
      expect(seen.get('blind')).toEqual({});
      expect(await raw.queue('children').getJob('c0')).toBeUndefined();
    });

    it('trap 3: without an option the parent of a failed child waits for ever', async () => {
      await family([{}]);
      raw.worker('children', fails);

      await until(stateOf(raw.queue('children'), 'c0'), is('failed'));

      expect(await raw.pendingChildren('parents', 'p')).toBe(1);
      expect(await raw.queue('parents').getJobState('p')).toBe('waiting-children');
    });

    it('trap 4: failParentOnFailure fails the parent when a worker fetches it, without its processor', async () => {
      let ran = false;
      await family([{ failParentOnFailure: true }]);
      raw.worker('children', fails);
      await until(stateOf(raw.queue('children'), 'c0'), is('failed'));
      expect(await raw.queue('parents').getJobState('p')).toBe('waiting');

      raw.worker('parents', async () => {
        ran = true;
      });

      await until(stateOf(raw.queue('parents'), 'p'), is('failed'));
      expect(ran).toBe(false);
      expect((await raw.queue('parents').getJob('p'))?.failedReason).toBe(
        `child ${raw.prefix}:children:c0 failed`,
      );
    });

    it('H7: continueParentOnFailure releases while others are pending, and the parent then fails', async () => {
      await family([{ continueParentOnFailure: true }, { continueParentOnFailure: true, delay: 60_000 }]);
      raw.worker('children', fails);
      raw.worker('parents', async () => 'value');

      await until(stateOf(raw.queue('parents'), 'p'), is('failed'));

      expect((await raw.queue('parents').getJob('p'))?.failedReason).toContain('has pending dependencies');
    });

    it('trap 7: a child that has completed before releases the parent with the others, not before them', async () => {
      const children = raw.queue('children');
      const worker = raw.worker('children', async () => 'early');
      await children.add('child', 0, { jobId: 'c0' });
      await until(stateOf(children, 'c0'), is('completed'));
      await worker.pause();

      await family([IGNORE, IGNORE]);

      expect(await raw.pendingChildren('parents', 'p')).toBe(1);
      await worker.resume();
      raw.worker('parents', async () => 'value');
      await until(stateOf(raw.queue('parents'), 'p'), is('completed'));
    });
  });

  describe('removals', () => {
    it.each<[how: string, remove: (queue: Queue) => Promise<unknown>]>([
      ['drain', (queue) => queue.drain(true)],
      ['clean', (queue) => queue.clean(0, 10, 'wait')],
      ['obliterate', (queue) => queue.obliterate({ force: true })],
    ])(
      'H2: %s of the queue that header and body share deletes the body; in another queue it runs',
      async (_how, remove) => {
        const flow = raw.flow();
        for (const parents of ['shared', 'parents']) {
          await flow.add({
            name: 'parent',
            queueName: parents,
            opts: { jobId: `p-${parents}` },
            children: [{ name: 'child', queueName: 'shared', opts: { jobId: `c-${parents}`, ...IGNORE } }],
          });
        }

        await remove(raw.queue('shared'));

        expect(await raw.queue('shared').getJob('p-shared')).toBeUndefined();
        expect(await raw.queue('parents').getJobState('p-parents')).toBe('waiting');
      },
    );

    it('H18: obliterate leaves the set of those that wait for children', async () => {
      await family([IGNORE]);

      await raw.queue('parents').obliterate({ force: true });

      expect(await raw.redis.zcard(`${raw.prefix}:parents:waiting-children`)).toBe(1);
    });
  });

  describe('ids', () => {
    it('an id that exists is not added again, in whatever state its job is', async () => {
      const queue = raw.queue('children');
      await queue.add('first', 1, { jobId: 'a' });
      await queue.add('second', 2, { jobId: 'a' });
      expect(await queue.count()).toBe(1);
      raw.worker('children', fails);
      await until(stateOf(queue, 'a'), is('failed'));

      await queue.add('third', 3, { jobId: 'a' });

      expect(await queue.getJobState('a')).toBe('failed');
      expect(await queue.getJob('a')).toMatchObject({ name: 'first', data: 1 });
    });

    it('H3: adding a failed child again puts it back among the pending, and nobody will ever run it', async () => {
      await family([IGNORE, { ...IGNORE, delay: 60_000 }]);
      const children = raw.queue('children');
      raw.worker('children', async (job) => (job.id === 'c0' ? fails() : 'done'));
      await until(
        () => raw.pendingChildren('parents', 'p'),
        (count) => count === 1,
      );

      await family([IGNORE, { ...IGNORE, delay: 60_000 }]);
      await (await children.getJob('c1'))?.promote();
      await until(stateOf(children, 'c1'), is('completed'));

      expect(await raw.redis.smembers(`${raw.prefix}:parents:p:dependencies`)).toEqual([
        `${raw.prefix}:children:c0`,
      ]);
      expect(await children.getJobState('c0')).toBe('failed');
      expect(await raw.queue('parents').getJobState('p')).toBe('waiting-children');
    });

    it('H4: a child that another parent holds is taken by neither, and add resolves', async () => {
      await family([IGNORE]);

      await raw.flow().add({
        name: 'second',
        queueName: 'parents',
        opts: { jobId: 'second' },
        children: [{ name: 'child', queueName: 'children', opts: { jobId: 'c0', ...IGNORE } }],
      });

      expect(await raw.pendingChildren('parents', 'p')).toBe(1);
      expect(await raw.pendingChildren('parents', 'second')).toBe(0);
      expect(await raw.queue('parents').getJobState('second')).toBe('waiting-children');
    });

    it('H5: a parent that is not there: add rejects, addBulk resolves and adds nothing', async () => {
      const queue = raw.queue('children');
      const opts = { parent: { id: 'nobody', queue: raw.named('parents') } };

      await expect(queue.add('child', 0, { ...opts, jobId: 'a' })).rejects.toThrow(
        'Missing key for parent job',
      );
      const [bulk] = await queue.addBulk([{ name: 'child', data: 0, opts: { ...opts, jobId: 'b' } }]);
      const [node] = await raw
        .flow()
        .addBulk([{ name: 'child', queueName: 'children', opts: { ...opts, jobId: 'c' } }]);

      expect(String(bulk?.id)).toBe('-5');
      expect(node?.job.id).toBe('c');
      expect(await queue.count()).toBe(0);
    });

    it('H16: a child of a parent that has completed is added and changes nothing', async () => {
      const parents = raw.queue('parents');
      raw.worker('parents', async () => 'done');
      await parents.add('parent', 0, { jobId: 'p' });
      await until(stateOf(parents, 'p'), is('completed'));

      await raw
        .queue('children')
        .add('child', 0, { jobId: 'late', parent: { id: 'p', queue: raw.named('parents') } });

      expect(await raw.queue('children').getJobState('late')).toBe('waiting');
      expect(await parents.getJobState('p')).toBe('completed');
      expect(await raw.pendingChildren('parents', 'p')).toBe(1);
    });

    it('trap 22: digits only, and a colon, are refused as ids', async () => {
      const queue = raw.queue('children');

      await expect(queue.add('x', 0, { jobId: '17' })).rejects.toThrow('integers');
      await expect(queue.add('x', 0, { jobId: 'a:b' })).rejects.toThrow(':');
    });
  });

  describe('retries', () => {
    it('attempts and backoff that a processor changes decide this one retry, and are not stored', async () => {
      const queue = raw.queue('children');
      let runs = 0;
      raw.worker('children', async (job) => {
        runs += 1;
        if (runs < 3) {
          job.opts.attempts = job.attemptsMade + 2;
          job.opts.backoff = { type: 'fixed', delay: 1 };
        }
        throw new Error(`run ${runs}`);
      });

      await queue.add('child', 0, { jobId: 'a' });

      await until(stateOf(queue, 'a'), is('failed'));
      expect(runs).toBe(3);
      const stored = await queue.getJob('a');
      expect([stored?.opts.attempts, stored?.opts.backoff, stored?.failedReason]).toEqual([
        0,
        undefined,
        'run 3',
      ]);
    });

    it('UnrecoverableError is final, whatever attempts say', async () => {
      const queue = raw.queue('children');
      let runs = 0;
      raw.worker('children', async () => {
        runs += 1;
        throw new UnrecoverableError('final');
      });

      await queue.add('child', 0, { jobId: 'a', attempts: 5 });

      await until(stateOf(queue, 'a'), is('failed'));
      expect(runs).toBe(1);
    });

    it('H6: a failed child that is retried by hand goes back under its parent, which then cannot complete', async () => {
      let children = 0;
      let release = (): void => undefined;
      const held = new Promise<void>((resolve) => (release = resolve));
      await family([IGNORE]);
      raw.worker('children', async () => {
        children += 1;
        if (children === 2) await held;
        return fails();
      });
      await until(stateOf(raw.queue('parents'), 'p'), is('waiting'));
      await (await raw.queue('children').getJob('c0'))?.retry('failed');
      expect(await raw.pendingChildren('parents', 'p')).toBe(1);

      raw.worker('parents', async () => 'value');

      await until(stateOf(raw.queue('parents'), 'p'), is('failed'));
      expect((await raw.queue('parents').getJob('p'))?.failedReason).toContain('has pending dependencies');
      release();
      await until(stateOf(raw.queue('children'), 'c0'), is('failed'));
    });

    it('trap 13: a FlowProducer ignores the options that a queue has as its defaults', async () => {
      const defaults = { attempts: 5, removeOnFail: true };
      const queue = raw.queue('children', { defaultJobOptions: defaults });
      await queue.add('child', 0, { jobId: 'by-queue' });
      await family([{}]);

      expect((await queue.getJob('by-queue'))?.opts).toMatchObject(defaults);
      expect((await queue.getJob('c0'))?.opts).toMatchObject({ attempts: 0 });
      expect((await queue.getJob('c0'))?.opts.removeOnFail).toBeUndefined();
    });

    it('a worker that does not know the version of Redis waits in whole seconds for what is delayed', async () => {
      const queue = raw.queue('children');
      const started = async (skipVersionCheck: boolean): Promise<number> => {
        const worker = raw.worker('children', async () => 'done', { skipVersionCheck });
        await worker.waitUntilReady();
        const id = `skip-${skipVersionCheck}`;
        await queue.add('child', 0, { jobId: id, delay: 80 });
        await until(stateOf(queue, id), is('completed'));
        await worker.close();
        const job = await queue.getJob(id);
        return (job?.processedOn ?? 0) - (job?.timestamp ?? 0);
      };

      expect(await started(true)).toBeGreaterThanOrEqual(1_000);
      expect(await started(false)).toBeLessThan(800);
    });
  });

  describe('what a processor throws and returns', () => {
    it.each<[what: string, thrown: unknown]>([
      ['throw undefined', undefined],
      ['an error named WaitingError', Object.assign(new Error('x'), { name: 'WaitingError' })],
      ['an error named DelayedError', Object.assign(new Error('x'), { name: 'DelayedError' })],
    ])('H8: after %s the job stays active until it stalls, and is run again', async (_what, thrown) => {
      const queue = raw.queue('children');
      let runs = 0;
      raw.worker(
        'children',
        async () => {
          runs += 1;
          if (runs === 1) throw thrown;
          return 'second run';
        },
        { lockDuration: 200, stalledInterval: 100 },
      );

      await queue.add('child', 0, { jobId: 'a' });

      await until(
        () => runs,
        (count) => count === 1,
      );
      expect(await queue.getJobState('a')).toBe('active');
      await until(stateOf(queue, 'a'), is('completed'));
      expect((await queue.getJob('a'))?.stalledCounter).toBe(1);
    });

    it('H8: a text as what is thrown is lost', async () => {
      const queue = raw.queue('children');
      raw.worker('children', async () => {
        throw 'just text';
      });

      await queue.add('child', 0, { jobId: 'a' });

      await until(stateOf(queue, 'a'), is('failed'));
      expect(String((await queue.getJob('a'))?.failedReason)).not.toContain('just text');
    });

    it('H9: a BigInt fails the job after its work is done, and it is done again', async () => {
      const queue = raw.queue('children');
      let runs = 0;
      raw.worker('children', async () => {
        runs += 1;
        return { price: 1n };
      });

      await queue.add('child', 0, { jobId: 'a', attempts: 2 });

      await until(stateOf(queue, 'a'), is('failed'));
      expect(runs).toBe(2);
    });

    it('trap 9: a processor of two parameters gets no AbortSignal', async () => {
      const queue = raw.queue('children');
      const counts: number[] = [];
      const two = (...args: unknown[]): Promise<void> => {
        counts.push(args.length, args[2] === undefined ? 0 : 1);
        return Promise.resolve();
      };
      const worker = raw.worker('children', (job, token) => two(job, token));
      await queue.add('child', 0, { jobId: 'a' });
      await until(stateOf(queue, 'a'), is('completed'));
      await worker.close();
      raw.worker('children', ((_job: Job, _token?: string, signal?: AbortSignal) =>
        two(0, 0, signal)) as never);

      await queue.add('child', 0, { jobId: 'b' });

      await until(stateOf(queue, 'b'), is('completed'));
      expect(counts).toEqual([2, 0, 3, 1]);
    });
  });

  describe('locks', () => {
    it('H11: an attempt that has lost its lock cannot complete, and its worker says so as an error', async () => {
      const queue = raw.queue('children');
      await queue.add('child', 0, { jobId: 'a' });
      const stale = raw.worker('children', null);
      const job = (await stale.getNextJob('stale-token')) as Job;
      await raw.redis.del(`${raw.prefix}:children:a:lock`);

      await expect(job.moveToCompleted('value', 'stale-token', false)).rejects.toMatchObject({ code: -2 });
      await expect(job.moveToFailed(new Error('x'), 'stale-token', false)).rejects.toMatchObject({
        code: -2,
      });

      expect(await queue.getJobState('a')).toBe('active');
    });

    it('H12 and traps 5, 6: a fetch that nobody processes counts as a stall; one too many ends the job unheard', async () => {
      const queue = raw.queue('children');
      await queue.add('child', 0, { jobId: 'a', attempts: 5 });
      const lost = raw.worker('children', null, { lockDuration: 50 });
      await lost.getNextJob('nobody');
      let runs = 0;
      const heard: number[] = [];
      const worker = raw.worker(
        'children',
        async () => {
          runs += 1;
        },
        { stalledInterval: 60, maxStalledCount: 0 },
      );
      worker.on('failed', (job) => heard.push(job?.attemptsMade ?? -1));

      await until(stateOf(queue, 'a'), is('failed'));

      expect(runs).toBe(0);
      const job = await queue.getJob('a');
      expect([job?.failedReason, job?.attemptsMade, job?.stalledCounter]).toEqual([
        'job stalled more than allowable limit',
        1,
        1,
      ]);
      await job?.retry('failed', { resetAttemptsMade: true });
      expect((await queue.getJob('a'))?.stalledCounter).toBe(1);
    });

    it('trap 19: close(true) leaves the job active', async () => {
      const queue = raw.queue('children');
      const worker = raw.worker('children', () => new Promise(() => undefined));
      await queue.add('child', 0, { jobId: 'a' });
      await until(stateOf(queue, 'a'), is('active'));

      await worker.close(true);

      expect(await queue.getJobState('a')).toBe('active');
    });
  });

  describe('the fence', () => {
    it('a watched key that changes makes FlowProducer.add void: it stumbles over the answer, and nothing is there', async () => {
      const client = new Redis(redisUrl(), { maxRetriesPerRequest: null });
      const flow = new FlowProducer({ connection: client, prefix: raw.prefix });
      await flow.waitUntilReady();
      const add = () =>
        flow.add({
          name: 'parent',
          queueName: 'parents',
          opts: { jobId: 'p' },
          children: [{ name: 'child', queueName: 'children', opts: { jobId: 'c0', ...IGNORE } }],
        });

      await client.watch('a-lock-of-ours');
      await raw.redis.set('a-lock-of-ours', 'taken', 'PX', 5_000);
      await expect(add()).rejects.toThrow(TypeError);

      expect(await raw.queue('parents').getJob('p')).toBeUndefined();
      expect(await raw.queue('children').count()).toBe(0);
      await add(); // the transaction has ended the watch
      expect(await raw.queue('parents').getJobState('p')).toBe('waiting-children');
      await flow.close();
      client.disconnect();
      await raw.redis.del('a-lock-of-ours');
    });
  });

  describe('silence', () => {
    it('H13: a job whose hash is gone reaches its worker without a name, and its parent hears nothing', async () => {
      await family([IGNORE]);
      await raw.redis.del(`${raw.prefix}:children:c0`);
      const names: (string | undefined)[] = [];

      raw.worker('children', async (job) => {
        names.push(job?.name);
      });

      await until(
        () => names.length,
        (count) => count === 1,
      );
      expect(names).toEqual([undefined]);
      expect(await raw.pendingChildren('parents', 'p')).toBe(1);
    });

    it('trap 16: FlowProducer.add after close resolves to nothing', async () => {
      const flow = raw.flow();
      await flow.close();

      expect(await flow.add({ name: 'parent', queueName: 'parents', opts: { jobId: 'p' } })).toBeUndefined();
      expect(await raw.queue('parents').getJob('p')).toBeUndefined();
    });

    it('trap 21: waitUntilFinished does not find what has been removed at its end', async () => {
      const queue = raw.queue('children');
      const events = raw.events('children');
      await events.waitUntilReady();
      raw.worker('children', async () => 'value');
      const job = await queue.add('child', 0, { jobId: 'a', removeOnComplete: true });
      await until(() => queue.getJobState('a'), is('unknown'));

      await expect(job.waitUntilFinished(events)).rejects.toThrow('Missing key');
    });
  });
});
