/**
 * Dead letters while Redis cannot be reached: from the moment when a task fails for good to the end of what handles its
 * letter. The attempt is not run again; what it came to is stored, and what handles it released, when Redis answers.
 */
import { Injectable } from '@nestjs/common';
import { type DeadLetter, OnDeadLetter, Retry, Task, type TaskQueueModuleOptions } from 'nestjs-task-queue';
import { redisUrl, Runs, uniquePrefix, until, useApps } from '../support/app-fixture.js';
import { generator } from '../support/killer.js';
import { CuttingProxy, type Fate } from '../support/proxy.js';

const WITHIN_MS = 120_000;
jest.setTimeout(2 * WITHIN_MS);

@Injectable()
class Mortals {
  readonly doors: (() => void)[] = [];

  constructor(private readonly runs: Runs) {}

  @Task({ queue: 'mortal' })
  async falls(): Promise<never> {
    this.runs.record('falls');
    await this.#behindADoor();
    throw new RangeError('for good');
  }

  @Task({ queue: 'mortal' })
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 1 } })
  ends(index: number): number {
    if (index % 4 === 0) return index;
    throw new RangeError(`for good: ${index}`);
  }

  @Task({ queue: 'mortal' })
  @OnDeadLetter('falls')
  async mourn({ id }: DeadLetter): Promise<void> {
    this.runs.record('mourns', id);
    await this.#behindADoor();
  }

  @Task({ queue: 'mortal' })
  @OnDeadLetter('ends')
  bury({ id }: DeadLetter): void {
    this.runs.record('buries', id);
  }

  #behindADoor(): Promise<void> {
    return new Promise((resolve) => this.doors.push(resolve));
  }
}

@Injectable()
class Morgue {
  constructor(private readonly runs: Runs) {}

  @Task({ name: 'morgue.file', queue: 'morgue' })
  @OnDeadLetter() // its own failures would call no handler
  file({ id }: DeadLetter): void {
    this.runs.record('files', id);
  }
}

const fixture = useApps();
const proxies: CuttingProxy[] = [];
// The fixture, whose hook comes first, has closed the applications by then.
afterEach(() => Promise.all(proxies.splice(0).map((proxy) => proxy.close())));

/** A worker behind a proxy, and another service and a producer that are not. */
async function services(options: TaskQueueModuleOptions) {
  const proxy = await CuttingProxy.start(redisUrl());
  proxies.push(proxy);
  const prefix = uniquePrefix('away');
  const sendTo = { task: 'morgue.file', queue: 'morgue', from: ['mortal'] };
  const worker = await fixture.boot({
    url: proxy.url,
    prefix,
    providers: [Mortals],
    options: { publishTimeout: 1_000, deadLetters: { sendTo }, ...options },
  });
  const morgue = await fixture.boot({ prefix, providers: [Morgue] });
  return {
    proxy,
    prefix,
    worker,
    morgue,
    producer: await fixture.boot({ prefix, options: { role: 'producer' } }),
  };
}

/** From now on nobody behind the proxy reaches Redis, and a handler ends; its worker has tried in vain since. */
async function endsInVain(proxy: CuttingProxy, door: (() => void) | undefined): Promise<void> {
  proxy.judge = () => 'lose-command';
  proxy.cutAll();
  const before = proxy.cuts['lose-command'];
  door?.();
  await until(() => proxy.cuts['lose-command'] > before + 5, 'it tries in vain', WITHIN_MS);
}

const isOver = async (prefix: string): Promise<boolean> =>
  Object.keys(await fixture.unfinished(prefix)).length === 0;

it('Redis is away when a task fails for good: it is not run again, and its letter is handled when Redis is back', async () => {
  // The lock holds for as long as the test may take: an attempt that is run again would be one that was lost.
  const { proxy, prefix, worker, morgue, producer } = await services({ worker: { lockDuration: WITHIN_MS } });
  const { doors } = worker.get(Mortals);
  const handle = await producer.workflows.tasks(Mortals).falls.delay();
  await worker.runs.reached('falls', 1, WITHIN_MS);
  await endsInVain(proxy, doors.shift());
  const { deadLetters } = producer.workflows;
  expect([await handle.state(), await deadLetters.count()]).toEqual(['STARTED', 0]);

  proxy.judge = () => 'pass';
  expect(await handle.get({ propagate: false, timeout: WITHIN_MS })).toBeInstanceOf(RangeError);
  await worker.runs.reached('mourns', 1, WITHIN_MS);
  expect((await deadLetters.list()).letters.map(({ id }) => id)).toEqual([handle.id]);

  // And while the letter is handled: the handler's work is done once, and its end stored when Redis is back.
  await morgue.runs.reached('files', 1, WITHIN_MS);
  await endsInVain(proxy, doors.shift());
  proxy.judge = () => 'pass';
  await until(() => isOver(prefix), 'nothing is left to run', WITHIN_MS);
  expect(worker.runs.all).toEqual([
    { what: 'falls', with: undefined },
    { what: 'mourns', with: handle.id },
  ]);
  expect(morgue.runs.all).toEqual([{ what: 'files', with: handle.id }]);
});

it('connections are cut again and again: each final failure has one letter, each letter is released once to each', async () => {
  const { proxy, prefix, worker, morgue, producer } = await services({
    queues: { mortal: { concurrency: 5 } },
    worker: { lockDuration: 1_000, stalledInterval: 500, maxTimesLost: 50 },
  });
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = generator(seed);
  proxy.judge = (command): Fate => {
    const dice = random();
    // A connection has to become ready now and then.
    if (!/^EVAL|^FCALL|^EXEC$/.test(command) || dice > 1 / 30) return 'pass';
    return dice > 1 / 60 ? 'lose-answer' : 'lose-command';
  };
  const { ends } = producer.workflows.tasks(Mortals);
  const handles = await Promise.all(Array.from({ length: 60 }, (_, index) => ends.delay(index)));
  const states = await Promise.all(
    handles.map(async (handle) => {
      await handle.get({ propagate: false, timeout: WITHIN_MS });
      return handle.state();
    }),
  );
  const failed = handles.flatMap(({ id }, index) => (index % 4 === 0 ? [] : [id])).sort();
  await morgue.runs.reached('files', failed.length, WITHIN_MS);
  proxy.judge = () => 'pass';
  await until(() => isOver(prefix), 'nothing is left to run', WITHIN_MS);

  process.stdout.write(
    `dead-letters-away: seed ${seed}; connections cut before a command ${proxy.cuts['lose-command']}×, ` +
      `before its answer ${proxy.cuts['lose-answer']}×\n`,
  );
  expect(states).toEqual(handles.map((_, index) => (index % 4 === 0 ? 'SUCCESS' : 'FAILURE')));
  const { letters } = await producer.workflows.deadLetters.list({ limit: 100 });
  expect(letters.map(({ id }) => id).sort()).toEqual(failed);
  // Behind the proxy a handler may have run again, when what it came to could not be stored; none was left out.
  expect([...new Set(worker.runs.of<string>('buries'))].sort()).toEqual(failed);
  expect(morgue.runs.of<string>('files').sort()).toEqual(failed);
  expect(proxy.cuts['lose-answer']).toBeGreaterThan(2);
  expect(proxy.cuts['lose-command']).toBeGreaterThan(2);
});
