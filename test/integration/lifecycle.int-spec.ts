/**
 * When an application begins to work, what it does when it is told to end, and what it opens in between.
 */
import { Global, Injectable, Module, type OnModuleInit } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import {
  BrokerUnavailableError,
  InvalidOptionsError,
  Retry,
  Task,
  TaskContext,
  type TaskFailure,
  TaskQueueModule,
  type TaskQueueModuleOptions,
  type TaskQueueOptionsFactory,
  WorkflowService,
} from 'nestjs-task-queue';
import { Runs, type TestApp, uniquePrefix, until, useApps } from '../support/app-fixture.js';

const WITHIN_MS = 60_000;

/** Opened by a test when handlers may go on. */
class Gate {
  open = (): void => undefined;
  readonly passed = new Promise<void>((resolve) => {
    this.open = resolve;
  });
}

@Injectable()
class Tasks {
  constructor(
    private readonly runs: Runs,
    private readonly gate: Gate,
    private readonly workflows: WorkflowService,
  ) {}

  @Task()
  plain(value: number): number {
    this.runs.record('plain', value);
    return value;
  }

  @Task()
  async gated(value: number, task: TaskContext): Promise<number> {
    this.runs.record('gated', value);
    await this.gate.passed;
    this.runs.record('gated ended', { value, aborted: task.signal.aborted });
    return value;
  }

  /** Goes on while the worker drains, and publishes. */
  @Task()
  async publishes(value: number): Promise<string> {
    this.runs.record('publishes', value);
    await this.gate.passed;
    const { id } = await this.workflows.tasks(Tasks).plain.delay(value);
    return id;
  }

  /** Ends when its signal says so, in its first attempt. */
  @Task()
  async obedient(task: TaskContext): Promise<string> {
    this.runs.record('obedient', { attempt: task.attempt, retries: task.retries });
    if (task.attempt === 1) {
      await delay(60_000, undefined, { signal: task.signal });
    }
    return 'in the end';
  }

  /** Hears no signal. */
  @Task()
  @Retry({ maxRetries: 0 })
  async deaf(task: TaskContext): Promise<string> {
    this.runs.record('deaf', { attempt: task.attempt, retries: task.retries });
    if (task.attempt === 1) {
      await this.gate.passed;
      this.runs.record('deaf ended');
      return 'from the dead';
    }
    return 'in the end';
  }

  @Task()
  sum(values: number[]): number {
    this.runs.record('sum', values);
    return values.reduce((sum, value) => sum + value, 0);
  }

  @Task()
  errback(failure: TaskFailure): void {
    this.runs.record('errback', failure);
  }

  @Task({ queue: 'reports' })
  async report(value: number): Promise<number> {
    this.runs.record('report', value);
    await this.gate.passed;
    return value;
  }
}

const fixture = useApps();
const providers = [Tasks, Gate];

describe('the start', () => {
  it('workers begin when every provider is ready, not before', async () => {
    @Injectable()
    class Warehouse implements OnModuleInit {
      constructor(private readonly runs: Runs) {}
      async onModuleInit(): Promise<void> {
        this.runs.record('opening');
        await delay(300);
        this.runs.record('opened');
      }
    }
    const prefix = uniquePrefix('start');
    const producer = await fixture.boot({ prefix, providers, options: { role: 'producer' } });
    const tasks = producer.workflows.tasks(Tasks);
    const handles = await Promise.all([1, 2, 3].map((value) => tasks.plain.delay(value)));

    const worker = await fixture.boot({ prefix, providers: [...providers, Warehouse] });
    await Promise.all(handles.map((handle) => handle.get({ timeout: WITHIN_MS })));

    expect(worker.runs.all.map(({ what }) => what)).toEqual(['opening', 'opened', 'plain', 'plain', 'plain']);
    expect(producer.runs.all).toEqual([]);
  });

  it('an application that cannot start has run nothing and leaves no connection', async () => {
    @Injectable()
    class Broken implements OnModuleInit {
      async onModuleInit(): Promise<void> {
        await delay(100);
        throw new Error('no licence');
      }
    }
    const prefix = uniquePrefix('broken');
    const producer = await fixture.boot({ prefix, providers, options: { role: 'producer' } });
    const handle = await producer.workflows.tasks(Tasks).plain.delay(1);
    const before = await fixture.connectionsOf(prefix);

    await expect(fixture.boot({ prefix, providers: [...providers, Broken] })).rejects.toThrow('no licence');

    expect(await handle.state()).toBe('PENDING');
    expect(await fixture.connectionsOf(prefix)).toHaveLength(before.length);
  });
});

describe('the end', () => {
  it('waits for what runs, fetches nothing more, and leaves the rest to others', async () => {
    const prefix = uniquePrefix('drain');
    const options: TaskQueueModuleOptions = { queues: { default: { concurrency: 2 } } };
    const first = await fixture.boot({ prefix, providers, options });
    const tasks = first.workflows.tasks(Tasks);
    const ids: string[] = [];
    for (const value of [1, 2, 3, 4, 5]) ids.push((await tasks.gated.delay(value)).id);
    await first.runs.reached('gated', 2);

    const closing = first.close();
    await delay(150);
    expect(first.runs.of('gated')).toEqual([1, 2]);
    first.get(Gate).open();
    await closing;

    expect(first.runs.of('gated ended')).toEqual([1, 2].map((value) => ({ value, aborted: false })));
    expect(first.runs.of('gated')).toEqual([1, 2]);
    const second = await fixture.boot({ prefix, providers, options });
    const states = await Promise.all(ids.map((id) => second.workflows.result(id).state()));
    expect(states.slice(0, 2)).toEqual(['SUCCESS', 'SUCCESS']);
    second.get(Gate).open();
    const values = ids.map((id) => second.workflows.result<number>(id).get({ timeout: WITHIN_MS }));
    expect(await Promise.all(values)).toEqual([1, 2, 3, 4, 5]);
    expect(second.runs.of<number>('gated').sort(byValue)).toEqual([3, 4, 5]);
  });

  it('what runs may still publish, and the canvas that it is a part of goes on elsewhere', async () => {
    const prefix = uniquePrefix('follow');
    const first = await fixture.boot({ prefix, providers });
    const tasks = first.workflows.tasks(Tasks);
    const publishing = await tasks.publishes.delay(7);
    const chord = await first.workflows
      .chord([tasks.gated.s(1), tasks.gated.s(2)], tasks.sum.s())
      .linkError(tasks.errback.s())
      .applyAsync();
    await first.runs.reached('gated', 2);
    await first.runs.reached('publishes');

    const closing = first.close();
    first.get(Gate).open();
    await closing;

    const second = await fixture.boot({ prefix, providers });
    const published = await second.workflows.result<string>(publishing.id).get({ timeout: WITHIN_MS });
    expect(await second.workflows.result<number>(published).get({ timeout: WITHIN_MS })).toBe(7);
    expect(await second.workflows.result<number>(chord.id).get({ timeout: WITHIN_MS })).toBe(3);
    const all = [...first.runs.all, ...second.runs.all].map(({ what }) => what);
    expect(all.filter((what) => what === 'sum')).toHaveLength(1);
    expect(all.filter((what) => what === 'gated')).toHaveLength(2);
    expect(all).not.toContain('errback');
  });

  it('aborts what takes longer than the drain time, and gives it back without spending an attempt', async () => {
    const prefix = uniquePrefix('abort');
    const first = await fixture.boot({ prefix, providers, options: { worker: { drainTimeout: 100 } } });
    const tasks = first.workflows.tasks(Tasks);
    const chord = await first.workflows
      .chord(
        [tasks.obedient.s(), tasks.deaf.s()],
        first.workflows.signature('Tasks.keeps', [], { queue: 'default' }),
      )
      .linkError(tasks.errback.s())
      .applyAsync();
    const [obedient, deaf] = await chord.children();
    await first.runs.reached('obedient');
    await first.runs.reached('deaf');

    const begin = Date.now();
    await first.close();
    expect(Date.now() - begin).toBeLessThan(5_000);

    const second = await fixture.boot({ prefix, providers });
    await second.runs.reached('obedient');
    await second.runs.reached('deaf');
    // Its own process still has the old handler, which ends now and must not be heard.
    first.get(Gate).open();
    await first.runs.reached('deaf ended');
    const values = [obedient, deaf].map((one) =>
      second.workflows.result(one?.id ?? '').get({ timeout: WITHIN_MS }),
    );
    expect(await Promise.all(values)).toEqual(['in the end', 'in the end']);
    expect(second.runs.of('obedient')).toEqual([{ attempt: 2, retries: 0 }]);
    expect(second.runs.of('deaf')).toEqual([{ attempt: 2, retries: 0 }]);
    expect(first.log.matching(/did not end when it was told to/)).toHaveLength(1);
    // Its body is of no task, so the chord fails; nobody may have counted the shutdown as a failure before.
    await second.runs.reached('errback');
    expect(second.runs.of<TaskFailure>('errback')[0]?.error.code).toBe('UNKNOWN_TASK');
    expect(first.runs.count('errback')).toBe(0);
  });

  it('is the same when it is said twice, or before anything has begun', async () => {
    const app = await fixture.boot({ providers });
    await Promise.all([app.app.close(), app.close()]);
    await until(
      async () => (await fixture.connectionsOf(app.prefix)).length === 0,
      'no connection is left',
      1_000,
    );
  });

  it('callers who wait for a result are told at once', async () => {
    const app = await fixture.boot({ providers, options: { worker: { drainTimeout: 0 } } });
    const handle = await app.workflows.tasks(Tasks).gated.delay(1);
    await app.runs.reached('gated');
    const waiting = handle.get({ timeout: '1m' }).catch((error: unknown) => error);
    await until(
      async () => (await fixture.connectionsOf(app.prefix)).some((name) => /:qe$/.test(name)),
      'it waits',
    );

    const begin = Date.now();
    await app.close();
    app.get(Gate).open();

    expect(await waiting).toBeInstanceOf(BrokerUnavailableError);
    expect(Date.now() - begin).toBeLessThan(6_000);
  });
});

describe('two applications in one process', () => {
  it('of different prefixes never meet', async () => {
    const apps = [await fixture.boot({ providers }), await fixture.boot({ providers })] as const;
    const values = await Promise.all(
      apps.flatMap((app, at) =>
        [1, 2, 3].map(async (value) => {
          const handle = await app.workflows.tasks(Tasks).plain.delay(10 * at + value);
          return handle.get({ timeout: WITHIN_MS });
        }),
      ),
    );

    expect(values).toEqual([1, 2, 3, 11, 12, 13]);
    expect(apps[0].runs.of<number>('plain').sort(byValue)).toEqual([1, 2, 3]);
    expect(apps[1].runs.of<number>('plain').sort(byValue)).toEqual([11, 12, 13]);
    const { id } = await apps[0].workflows.tasks(Tasks).plain.delay(4);
    expect(await apps[1].workflows.result(id).state()).toBe('UNKNOWN');

    await apps[0].close();
    expect(await (await apps[1].workflows.tasks(Tasks).plain.delay(14)).get({ timeout: WITHIN_MS })).toBe(14);
  });

  it('of one prefix share the work', async () => {
    const prefix = uniquePrefix('shared');
    const options: TaskQueueModuleOptions = { queues: { default: { concurrency: 1 } } };
    const apps = [
      await fixture.boot({ prefix, providers, options }),
      await fixture.boot({ prefix, providers, options }),
    ] as const;
    const tasks = apps[0].workflows.tasks(Tasks);
    const handles = await Promise.all([1, 2].map((value) => tasks.gated.delay(value)));
    // Each has one slot, so both are needed.
    await Promise.all(apps.map((app) => app.runs.reached('gated')));
    for (const app of apps) app.get(Gate).open();

    expect(await Promise.all(handles.map((handle) => handle.get({ timeout: WITHIN_MS })))).toEqual([1, 2]);
    await apps[1].close();
    expect(await (await tasks.plain.delay(3)).get({ timeout: WITHIN_MS })).toBe(3);
    expect(apps[0].runs.of('plain')).toEqual([3]);
  });
});

describe('connections', () => {
  it('a producer opens no blocking one, whatever it publishes and reads', async () => {
    const prefix = uniquePrefix('producer');
    const producer = await fixture.boot({ prefix, providers, options: { role: 'producer' } });
    const tasks = producer.workflows.tasks(Tasks);
    const handle = await tasks.plain.delay(1);
    await producer.workflows.chord([tasks.plain.s(1)], tasks.sum.s()).applyAsync([], { taskId: 'mine' });
    await handle.describe();
    const ofProducer = await clientsOf(prefix);
    await fixture.boot({ prefix, providers });
    // A worker of the same prefix blocks: the look that found nothing would have found it.
    await until(async () => (await clientsOf(prefix)).some(isBlocking), 'the worker blocks');

    expect(ofProducer.filter(isBlocking)).toEqual([]);
    expect(ofProducer.length).toBeGreaterThan(0);
    expect(ofProducer.length).toBeLessThanOrEqual(2);
  });

  it('200 callers who wait share one more connection for events', async () => {
    const app = await fixture.boot({ providers, options: { queues: { default: { concurrency: 200 } } } });
    const tasks = app.workflows.tasks(Tasks);
    const handles = await Promise.all(Array.from({ length: 200 }, (_, value) => tasks.gated.delay(value)));
    await app.runs.reached('gated', 200);
    const before = (await fixture.connectionsOf(app.prefix)).length;
    const results = handles.map((handle) => handle.get({ timeout: WITHIN_MS }));
    await until(
      async () => (await fixture.connectionsOf(app.prefix)).some((name) => /:qe$/.test(name)),
      'they wait',
    );
    const during = await fixture.connectionsOf(app.prefix);
    app.get(Gate).open();

    expect(await Promise.all(results)).toEqual(handles.map((_, value) => value));
    expect(during.length).toBeLessThanOrEqual(before + 1);
    expect((await fixture.connectionsOf(app.prefix)).length).toBeLessThanOrEqual(before + 1);
  });
});

describe('forRootAsync', () => {
  @Injectable()
  class Settings implements TaskQueueOptionsFactory {
    static given: TaskQueueModuleOptions = {};
    async createTaskQueueOptions(): Promise<TaskQueueModuleOptions> {
      await delay(20);
      return Settings.given;
    }
  }
  @Global()
  @Module({ providers: [Settings, { provide: 'FACTOR', useValue: 3 }], exports: [Settings, 'FACTOR'] })
  class SettingsModule {}

  const forms: readonly [
    string,
    (options: TaskQueueModuleOptions) => ReturnType<typeof TaskQueueModule.forRootAsync>,
  ][] = [
    [
      'useFactory',
      (options) =>
        TaskQueueModule.forRootAsync({
          imports: [SettingsModule],
          inject: ['FACTOR'],
          useFactory: (factor: number) => ({ ...options, queues: { default: { concurrency: factor } } }),
        }),
    ],
    [
      'an async useFactory',
      (options) =>
        TaskQueueModule.forRootAsync({
          useFactory: async () => {
            await delay(20);
            return { ...options, queues: { default: { concurrency: 3 } } };
          },
        }),
    ],
    ['useClass', () => TaskQueueModule.forRootAsync({ useClass: Settings })],
    ['useExisting', () => TaskQueueModule.forRootAsync({ imports: [SettingsModule], useExisting: Settings })],
  ];

  it.each(forms)('%s: its options hold', async (_, form) => {
    const app = await fixture.boot({
      providers,
      module: (options) => {
        Settings.given = { ...options, queues: { default: { concurrency: 3 } } };
        return form(options);
      },
    });

    await expectConcurrency(app, 'gated', 3);
  });

  it('options that cannot be read stop the start', async () => {
    const booting = fixture.boot({
      providers,
      module: (options) =>
        TaskQueueModule.forRootAsync({
          useFactory: () => ({ ...options, queues: { default: { concurrency: -1 } } }),
        }),
    });

    await expect(booting).rejects.toThrow(InvalidOptionsError);
    await expect(booting).rejects.toThrow('queues.default.concurrency');
  });
});

describe('forFeature', () => {
  it('adds a queue, whose options hold', async () => {
    const app = await fixture.boot({
      providers,
      imports: [TaskQueueModule.forFeature({ reports: { concurrency: 2 } })],
    });

    await expectConcurrency(app, 'report', 2);
  });

  it('two modules may declare one queue alike, and not differently', async () => {
    const reports = { reports: { concurrency: 2 } };
    const alike = await fixture.boot({
      providers,
      imports: [TaskQueueModule.forFeature(reports), TaskQueueModule.forFeature(reports)],
    });
    await expectConcurrency(alike, 'report', 2);

    const different = fixture.boot({
      providers,
      imports: [
        TaskQueueModule.forFeature(reports),
        TaskQueueModule.forFeature({ reports: { concurrency: 3 } }),
      ],
    });
    await expect(different).rejects.toThrow(InvalidOptionsError);
  });
});

/** Starts more tasks than may run at a time, and counts those that do. */
async function expectConcurrency(app: TestApp, task: 'gated' | 'report', concurrency: number): Promise<void> {
  const tasks = app.workflows.tasks(Tasks);
  const handles = await Promise.all(
    Array.from({ length: concurrency + 3 }, (_, value) => tasks[task].delay(value)),
  );
  await app.runs.reached(task, concurrency);
  // Whoever would take more takes it at once; a state of "no more" cannot be waited for.
  await delay(100);
  expect(app.runs.count(task)).toBe(concurrency);
  app.get(Gate).open();
  await Promise.all(handles.map((handle) => handle.get({ timeout: WITHIN_MS })));
}

function byValue(one: number, other: number): number {
  return one - other;
}

interface Client {
  readonly name: string;
  readonly flags: string;
  readonly cmd: string;
}

async function clientsOf(prefix: string): Promise<Client[]> {
  const list = String(await fixture.redis.call('CLIENT', 'LIST'));
  return list
    .split('\n')
    .map((line) => new Map(line.split(' ').map((pair) => pair.split('=', 2) as [string, string])))
    .map((fields) => ({
      name: fields.get('name') ?? '',
      flags: fields.get('flags') ?? '',
      cmd: fields.get('cmd') ?? '',
    }))
    .filter(({ name }) => name.includes(prefix));
}

function isBlocking({ flags, cmd }: Client): boolean {
  return flags.includes('b') || /^(?:bz|bl|xread)/.test(cmd);
}
