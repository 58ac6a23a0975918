/** How many connections Redis has of an application: as many as the table in docs/connections.md says. */
import { Injectable } from '@nestjs/common';
import { CompletionEvents } from '../../libs/task-queue/src/broker/completion-events.js';
import { RedisConnections } from '../../libs/task-queue/src/broker/redis-connections.js';
import { RedisKeys } from '../../libs/task-queue/src/broker/redis-keys.js';
import {
  Task,
  TaskQueueModule,
  type TaskQueueModuleOptions,
  Tasks,
  getWorkflowServiceToken,
  WorkflowService,
} from 'nestjs-task-queue';
import { type TestApp, redisUrl, Runs, uniquePrefix, until, useApps } from '../support/app-fixture.js';
import { connectionTable, countConnections, type Counts, countsOf } from '../support/connection-table.js';

const WITHIN_MS = 60_000;

/** Opened by a test when handlers may go on. */
class Gate {
  open = (): void => undefined;
  readonly passed = new Promise<void>((resolve) => {
    this.open = resolve;
  });
}

@Injectable()
class Numbers {
  constructor(
    private readonly runs: Runs,
    private readonly gate: Gate,
    private readonly workflows: WorkflowService,
  ) {}

  @Task()
  double(value: number): number {
    if (value < 0) throw new Error('a negative value');
    this.runs.record('double', value);
    return 2 * value;
  }

  @Task({ queue: 'sums' })
  sum(values: number[]): number {
    return values.reduce((sum, value) => sum + value, 0);
  }

  @Task()
  async held(value: number): Promise<number> {
    await this.gate.passed;
    return value;
  }

  @Task({ queue: 'sums' })
  async heldSum(values: number[]): Promise<number> {
    await this.gate.passed;
    return this.sum(values);
  }

  @Task({ queue: 'sums' })
  async publishes(): Promise<void> {
    await this.workflows.tasks(Numbers).double.delay(1);
  }
}

/** Queues that the class above is in. */
const q = 2;

@Injectable()
@Tasks({ connection: 'billing' })
class Invoices {
  @Task()
  charge(): string {
    return 'charged';
  }
}

const fixture = useApps();

const boot = (options: TaskQueueModuleOptions, prefix = uniquePrefix('counted')): Promise<TestApp> =>
  // The fixture's own connectionName is not given: the names are those that an application has by itself.
  fixture.boot({
    prefix,
    providers: [Numbers, Gate],
    options: { connection: { url: redisUrl() }, ...options },
  });

async function publish({ workflows }: TestApp): Promise<void> {
  const tasks = workflows.tasks(Numbers);
  const handle = await tasks.double.delay(1);
  await handle.describe();
  await workflows.group([tasks.double.s(1), tasks.double.s(2)]).applyAsync();
  await workflows
    .chord([tasks.double.s(1)], tasks.sum.s())
    .linkError(tasks.publishes.si())
    .applyAsync();
}

async function chooseIds({ workflows }: TestApp): Promise<void> {
  const handle = await workflows.tasks(Numbers).double.applyAsync([1], { taskId: 'mine', countdown: '1h' });
  await handle.revoke();
}

/** Waits for tasks of two queues and for a canvas, in 20 calls each; the worker lets them end when all wait. */
async function wait({ workflows, prefix }: TestApp, worker: TestApp): Promise<number> {
  const tasks = workflows.tasks(Numbers);
  const canvas = workflows.chord([tasks.held.s(1), tasks.held.s(2)], tasks.heldSum.s());
  const handles = [await tasks.held.delay(1), await tasks.heldSum.delay([1]), await canvas.applyAsync()];
  const calls = handles.flatMap((handle) =>
    Array.from({ length: 20 }, () => handle.get({ timeout: WITHIN_MS })),
  );
  const waiting = async () => (await fixture.connectionsOf(prefix)).filter((name) => name.endsWith(':qe'));
  await until(async () => (await waiting()).length >= handles.length, 'all wait').finally(() =>
    worker.get(Gate).open(),
  );
  await Promise.all(calls);
  return handles.length;
}

/** Everything that a worker does itself: tasks, failures, joins, errbacks, publications. */
async function work({ runs, prefix }: TestApp): Promise<void> {
  const producer = await boot({ role: 'producer' }, prefix);
  const tasks = producer.workflows.tasks(Numbers);
  const failing = producer.workflows.chord([tasks.double.s(-1), tasks.double.s(5)], tasks.sum.s());
  await failing.linkError(tasks.double.si(6)).applyAsync();
  await tasks.publishes.applyAsync([], { taskId: 'publishes' });
  await runs.reached('double', 3, WITHIN_MS);
  await producer.close();
}

/** What is done for each row; gives the number of queues that were waited for. */
const scenarios: Readonly<Record<string, () => Promise<{ app: TestApp; k?: number }>>> = {
  'a producer that has done nothing yet': async () => ({ app: await boot({ role: 'producer' }) }),
  'a producer that publishes, and reads results': async () => {
    const app = await boot({ role: 'producer' });
    await publish(app);
    return { app };
  },
  'a producer that also gives ids of its own, or revokes': async () => {
    const app = await boot({ role: 'producer' });
    await publish(app);
    await chooseIds(app);
    return { app };
  },
  'a producer that also waits for results': async () => {
    const app = await boot({ role: 'producer' });
    await publish(app);
    await chooseIds(app);
    const worker = await boot({ role: 'worker' }, app.prefix);
    const k = await wait(app, worker);
    await worker.close();
    return { app, k };
  },
  'a worker that has had nothing to do yet': async () => ({ app: await boot({ role: 'worker' }) }),
  'a worker that runs tasks and canvases, and publishes': async () => {
    const app = await boot({ role: 'worker' });
    await work(app);
    return { app };
  },
  'a worker that also waits for results': async () => {
    const app = await boot({});
    await work(app);
    return { app, k: await wait(app, app) };
  },
};

/** Asserts that an application comes to have so many connections, and has no more. */
async function expectCounts(prefix: string, expected: Counts): Promise<void> {
  let counts: Counts | undefined;
  const isEqual = async (): Promise<boolean> => {
    counts = countConnections(await fixture.connectionsOf(prefix));
    return JSON.stringify(counts) === JSON.stringify(expected);
  };
  // Connections are opened in the background, and those of an application that was closed end there too.
  await until(isEqual, 'the number that the table says').catch(() => undefined);
  expect(counts).toEqual(expected);
}

describe('the connections of', () => {
  const rows = connectionTable();

  it.each(rows)('$what', async (row) => {
    const scenario = scenarios[row.what];
    if (scenario === undefined) throw new Error(`nothing is done here for the row "${row.what}"`);
    const { app, k = 0 } = await scenario();
    await expectCounts(app.prefix, countsOf(row, { q, k }));
  });

  it('every application that is tried out here has a row', () => {
    expect(rows.map(({ what }) => what)).toEqual(Object.keys(scenarios));
  });

  const idle = rows.find(({ what }) => what === 'a worker that has had nothing to do yet');
  if (idle === undefined) throw new Error('the table has no idle worker');

  it('a worker with three shards: three times as many blocking ones', async () => {
    const app = await boot({ role: 'worker', shards: 3 });
    const { blocking, together, ...others } = countsOf(idle, { q });
    await expectCounts(app.prefix, { ...others, blocking: 3 * blocking, together: together + 2 * blocking });
  });

  it('those who waited: none, a while after the last of them, and one again for the next', async () => {
    const prefix = uniquePrefix('counted');
    const troubles: unknown[] = [];
    const connections = new RedisConnections({ kind: 'url', url: redisUrl(), options: {} }, prefix, (error) =>
      troubles.push(error),
    );
    const events = new CompletionEvents(connections, new RedisKeys(prefix, 1), (e) => troubles.push(e), 50);
    const opened = async (): Promise<number> =>
      countConnections(await fixture.connectionsOf(prefix)).blocking;
    const leave = [1, 2].map(() => events.listen('default', '0~task', () => undefined));
    await until(async () => (await opened()) === 1, 'it is open');
    leave[0]?.();
    leave[1]?.();
    await until(async () => (await opened()) === 0, 'it is closed');
    events.listen('default', '0~task', () => undefined);
    await until(async () => (await opened()) === 1, 'it is open again');
    await events.close();
    connections.close();
    expect(troubles).toEqual([]);
  });

  it('two registrations: those of the one and those of the other', async () => {
    const prefix = uniquePrefix('counted');
    const app = await fixture.boot({
      prefix,
      providers: [Numbers, Gate, Invoices],
      options: { connection: { url: redisUrl() }, role: 'worker' },
      imports: [
        TaskQueueModule.forRoot({
          name: 'billing',
          connection: { url: redisUrl() },
          prefix: `${prefix}-billing`,
        }),
      ],
    });
    const own = countsOf(idle, { q });
    const billing = countsOf(idle, { q: 1 });
    await expectCounts(`${prefix}-billing`, billing);
    const sum = Object.entries(own).map(([what, count]) => [what, count + billing[what as keyof Counts]]);
    await expectCounts(prefix, Object.fromEntries(sum) as Counts);

    await app.app.get(getWorkflowServiceToken('billing')).tasks(Invoices).charge.delay();
    await expectCounts(`${prefix}-billing`, billing);
  });
});
