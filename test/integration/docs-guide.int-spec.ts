/** The main examples of the README and of the guide in docs/, run for real. Where a document waits, this waits less. */
import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import {
  Controller,
  type ExecutionContext,
  Global,
  Inject,
  Injectable,
  type MessageEvent,
  Module,
  type ModuleMetadata,
  type OnApplicationShutdown,
  ParseIntPipe,
  Scope,
} from '@nestjs/common';
import { APP_GUARD, REQUEST } from '@nestjs/core';
import { Test, type TestingModule } from '@nestjs/testing';
import { Redis } from 'ioredis';
import { lastValueFrom, Observable, toArray } from 'rxjs';
import {
  Arg,
  type AsyncResult,
  BrokerUnavailableError,
  CallbackWithOutcomes,
  CallbackWithSuccesses,
  type CanvasData,
  ChordError,
  type ChordDecision,
  type ChordOutcome,
  ChordRecovery,
  currentTask,
  type GroupResult,
  InjectWorkflows,
  NonRetryableError,
  OnFailure,
  OnRetry,
  OnRevoked,
  OnSuccess,
  type Outcome,
  RejectTask,
  RemoteTaskError,
  ResultTimeoutError,
  Retry,
  type Signature,
  SoftTimeLimitExceededError,
  Task,
  TASK_CONTEXT_TYPE,
  TaskContext,
  type TaskFailure,
  type TaskMoment,
  TaskQueueModule,
  type TaskQueueModuleOptions,
  type TaskRequest,
  Tasks,
  type TaskRetry,
  type TaskSuccess,
  WorkflowService,
} from 'nestjs-task-queue';

const REDIS_URL = process.env.TEST_REDIS_URL ?? process.env.REDIS_URL ?? '';

type Imports = NonNullable<ModuleMetadata['imports']>;
type Providers = NonNullable<ModuleMetadata['providers']>;

let prefix: string;
let apps: TestingModule[];
beforeEach(() => {
  prefix = `guide-${randomUUID().slice(0, 13)}`;
  apps = [];
});
afterEach(async () => {
  await Promise.all(apps.map((app) => app.close()));
  const redis = new Redis(REDIS_URL);
  for await (const keys of redis.scanStream({ match: `*${prefix}*`, count: 1_000 })) {
    if ((keys as string[]).length > 0) await redis.unlink(...(keys as string[]));
  }
  redis.disconnect();
});

/** Starts an application; the options win over the connection and the prefix of the test. */
async function start(providers: Providers, options: TaskQueueModuleOptions = {}): Promise<WorkflowService> {
  const given = { connection: { url: REDIS_URL }, prefix, ...options };
  return (await boot([TaskQueueModule.forRoot(given)], providers)).get(WorkflowService);
}

async function boot(imports: Imports, providers: Providers): Promise<TestingModule> {
  const app = await Test.createTestingModule({ imports, providers }).compile();
  app.useLogger(false);
  apps.push(app);
  return app.init();
}

/** Waits for what nobody announces. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 5));
}

interface Contract {
  readonly id: string;
  readonly pages: number;
}
interface Summary {
  readonly id: string;
  readonly total: number;
}
class TimeoutError extends Error {
  override readonly name = 'TimeoutError';
}

/** Contracts without pages never work; those with more than ten take two attempts. */
@Injectable()
class ContractService {
  readonly seen = new Map<string, number>();
  readonly alerts: [TaskFailure, string][] = [];

  async process({ id, pages }: Contract, { signal }: { signal: AbortSignal }): Promise<Summary> {
    const attempt = (this.seen.get(id) ?? 0) + 1;
    this.seen.set(id, attempt);
    signal.throwIfAborted();
    if (pages === 0) throw new Error(`${id} is empty`);
    if (pages > 10 && attempt === 1) throw new TimeoutError(`${id} took too long`);
    return { id, total: pages };
  }
}

@Injectable()
class ContractTasks {
  constructor(private readonly contracts: ContractService) {}

  @Task({ softTimeLimit: '30s' })
  @Retry({ for: [TimeoutError], maxRetries: 5, backoff: { type: 'exponential', delay: '10ms', max: '10m' } })
  async processContract(contract: Contract, task: TaskContext): Promise<Summary> {
    await task.progress({ stage: 'parsing' });
    return this.contracts.process(contract, { signal: task.signal });
  }

  @Task({ queue: 'reports' })
  buildReport(outcomes: Outcome<Summary>[]): string[] {
    return outcomes.map((outcome) =>
      outcome.status === 'fulfilled'
        ? `${outcome.value.id}: ${outcome.value.total}`
        : outcome.reason.error.message,
    );
  }

  @Task()
  sumUp(summaries: Summary[]): number {
    return summaries.reduce((sum, { total }) => sum + total, 0);
  }

  @Task()
  alert(failure: TaskFailure, channel: string): void {
    this.contracts.alerts.push([failure, channel]);
  }
}

const contractsOf = (...pages: number[]): Contract[] =>
  pages.map((count, index) => ({ id: `c${index}`, pages: count }));

describe('README.md', () => {
  it('the ten lines: the callback gets one outcome per contract', async () => {
    const workflows = await start([ContractTasks, ContractService]);
    const tasks = workflows.tasks(ContractTasks);
    const report = workflows.chord(
      contractsOf(3, 0, 12).map((contract) => tasks.processContract.s(contract)),
      tasks.buildReport.s(),
      { recovery: CallbackWithOutcomes },
    );
    const { id } = await report.applyAsync();
    const handle = workflows.result<string[]>(id);
    expect(await handle.get()).toEqual(['c0: 3', 'c1 is empty', 'c2: 12']);
    expect(await handle.describe()).toMatchObject({
      state: 'SUCCESS',
      counts: { size: 3, succeeded: 2, failed: 1, pending: 0 },
      recovered: { strategy: 'CallbackWithOutcomes', failed: 1, size: 3 },
    });
    const members = await workflows.groupResult<Summary>(id).settled();
    expect(members.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });
});

@Injectable()
class MailTasks {
  @Task()
  @Retry({ maxRetries: 5 })
  async welcome(address: string): Promise<string> {
    return `sent to ${address} by ${currentTask().name}`;
  }

  @Task({ queue: 'reports' })
  async weekly(): Promise<string> {
    return currentTask().queue;
  }
}

describe('docs/getting-started.md', () => {
  @Injectable()
  class Config {
    createTaskQueueOptions(): TaskQueueModuleOptions {
      return { connection: { url: REDIS_URL }, prefix, queues: { reports: { concurrency: 2 } } };
    }
  }
  @Module({ providers: [Config], exports: [Config] })
  class ConfigModule {}

  it('forRootAsync in its three forms: a worker, and an API that has no provider of the task', async () => {
    await boot([TaskQueueModule.forRootAsync({ imports: [ConfigModule], useExisting: Config })], [MailTasks]);
    const byFactory = TaskQueueModule.forRootAsync({
      imports: [ConfigModule],
      inject: [Config],
      useFactory: (config: Config) => ({ ...config.createTaskQueueOptions(), role: 'producer' }),
    });
    for (const module of [byFactory, TaskQueueModule.forRootAsync({ useClass: Config })]) {
      const workflows = (await boot([module], [])).get(WorkflowService);
      const handle = await workflows.tasks(MailTasks).welcome.delay('a@b.c');
      expect(await handle.get()).toBe('sent to a@b.c by MailTasks.welcome');
    }
  });

  it('forFeature: a queue from a feature module', async () => {
    const feature = TaskQueueModule.forFeature({ reports: { concurrency: 2, resultExpires: '7d' } });
    const root = TaskQueueModule.forRoot({ connection: { url: REDIS_URL }, prefix });
    const workflows = (await boot([root, feature], [MailTasks])).get(WorkflowService);
    expect(await (await workflows.tasks(MailTasks).weekly.delay()).get()).toBe('reports');
    const again = TaskQueueModule.forFeature({ reports: { concurrency: 3 } });
    await expect(boot([root, feature, again], [MailTasks])).rejects.toThrow('Option queues.reports');
    apps.pop();
  });

  it('a worker serves the queues that it declares and those that its tasks name, and no other', async () => {
    const workflows = await start([MailTasks], { queues: { slow: { concurrency: 1 } } });
    const { welcome } = workflows.tasks(MailTasks);
    const unserved = await welcome.applyAsync(['a@b.c'], { queue: 'elsewhere' });
    const declared = await welcome.applyAsync(['a@b.c'], { queue: 'slow' });
    const named = await welcome.applyAsync(['a@b.c'], { queue: 'reports' });
    expect(await declared.get()).toContain('sent');
    expect(await named.get()).toContain('sent');
    expect(await unserved.state()).toBe('PENDING');
  });

  it('a client of your own is duplicated, and stays open', async () => {
    const client = new Redis(REDIS_URL);
    const workflows = await start([MailTasks], { connection: client });
    expect(await (await workflows.tasks(MailTasks).welcome.delay('a@b.c')).get()).toContain('sent');
    await apps.pop()?.close();
    expect(await client.ping()).toBe('PONG');
    client.disconnect();
  });
});

class RateLimited extends Error {
  constructor(readonly retryAfter: number) {
    super('too many requests');
  }
}
class FetchError extends Error {
  override readonly name = 'FetchError';
}
class CardRefused extends Error {
  override readonly name = 'CardRefused';
  constructor(readonly card: string) {
    super(`${card} was refused`);
  }
}

@Injectable()
class PaymentTasks {
  readonly runs: string[] = [];
  readonly ends: unknown[] = [];

  @Task()
  @Retry({ for: [RateLimited], maxRetries: 2 })
  @Retry({ for: ['FetchError'], backoff: { type: 'fixed', delay: '5ms' } })
  @Retry({ never: [CardRefused], maxRetries: 1, backoff: { type: 'fixed', delay: '5ms' } })
  async pay(what: string, task: TaskContext): Promise<string> {
    this.runs.push(what);
    if (what === 'limited' && task.retries === 0) throw new RateLimited(0.3);
    if (what === 'fetch') throw new FetchError('no route');
    if (what === 'refused') throw new CardRefused('4711');
    if (what === 'other') throw new Error('something else');
    if (what === 'negative') throw new NonRetryableError('a negative amount');
    if (what === 'nothing') throw new RejectTask('nothing to pay');
    if (what === 'slow') task.retry({ countdown: 5, error: new Error('not settled yet'), maxRetries: 2 });
    return `${what} after ${task.retries}`;
  }

  @Task({ softTimeLimit: '20ms' })
  async cleanUp(task: TaskContext): Promise<string> {
    await once(task.signal, 'abort');
    return task.signal.reason instanceof SoftTimeLimitExceededError ? 'cleaned up' : 'what?';
  }

  @OnSuccess('pay')
  done({ value }: TaskSuccess): void {
    this.ends.push(['success', value]);
  }
  @OnRetry()
  again({ failure, delayMs }: TaskRetry): void {
    this.ends.push(['retry', failure.error.message, delayMs]);
  }
  @OnFailure()
  failed(failure: TaskFailure): void {
    this.ends.push(['failure', failure.error.message, failure.reason]);
  }
}

describe('docs/tasks.md', () => {
  it('retries: each policy counts for itself, and what is final is final', async () => {
    const workflows = await start([PaymentTasks]);
    const service = apps[0]?.get(PaymentTasks);
    const { pay } = workflows.tasks(PaymentTasks);
    const runs = async (what: string): Promise<[number, unknown]> => {
      const got: unknown = await (await pay.delay(what)).get({ propagate: false });
      const count = service?.runs.filter((run) => run === what).length ?? 0;
      return [count, got instanceof Error ? got.message : got];
    };
    expect(await runs('fetch')).toEqual([4, 'no route']);
    expect(await runs('refused')).toEqual([1, '4711 was refused']);
    expect(await runs('other')).toEqual([2, 'something else']);
    expect(await runs('negative')).toEqual([1, 'a negative amount']);
    expect(await runs('nothing')).toEqual([1, 'nothing to pay']);
    expect(await runs('slow')).toEqual([3, 'not settled yet']);
    const started = Date.now();
    expect(await runs('limited')).toEqual([2, 'limited after 1']);
    expect(Date.now() - started).toBeGreaterThanOrEqual(295);
  });

  it('hooks: one for each retry and one for the end', async () => {
    const workflows = await start([PaymentTasks]);
    const service = apps[0]?.get(PaymentTasks) as PaymentTasks;
    const { pay } = workflows.tasks(PaymentTasks);
    await (await pay.delay('other')).get({ propagate: false });
    await (await pay.delay('fine')).get();
    await until(() => service.ends.length === 3);
    expect(service.ends).toEqual(
      expect.arrayContaining([
        ['retry', 'something else', 5],
        ['failure', 'something else', 'error'],
        ['success', 'fine after 0'],
      ]),
    );
  });

  it('a soft limit can be caught', async () => {
    const { cleanUp } = (await start([PaymentTasks])).tasks(PaymentTasks);
    expect(await (await cleanUp.delay()).get()).toBe('cleaned up');
  });

  it('guards, pipes and request scope', async () => {
    const guarded: unknown[] = [];
    @Injectable({ scope: Scope.REQUEST })
    class Tenant {
      constructor(@Inject(REQUEST) readonly request: TaskRequest) {}
    }
    @Injectable()
    class TenantTasks {
      constructor(private readonly tenant: Tenant) {}
      @Task()
      read(@Arg(ParseIntPipe) page: number, task: TaskContext): unknown[] {
        return [page, this.tenant.request.headers, this.tenant.request.task === task];
      }
    }
    const canActivate = (context: ExecutionContext): boolean => {
      const { name } = context.switchToRpc().getContext<TaskContext>();
      guarded.push([context.getType<string>() === TASK_CONTEXT_TYPE, name, context.switchToRpc().getData()]);
      return true;
    };
    const workflows = await start([Tenant, TenantTasks, { provide: APP_GUARD, useValue: { canActivate } }]);
    const read = workflows
      .tasks(TenantTasks)
      .read.s('7' as never)
      .stamp({ tenant: 'blue' });
    expect(await (await read.delay()).get()).toEqual([7, { tenant: 'blue' }, true]);
    expect(guarded).toEqual([[true, 'TenantTasks.read', ['7']]]);
    const refused = await workflows.tasks(TenantTasks).read.delay('x' as never);
    expect(await refused.failure()).toBeUndefined();
    await refused.get({ propagate: false });
    expect(await refused.failure()).toMatchObject({
      reason: 'error',
      error: { code: 'INVALID_ARGUMENTS', data: { response: { statusCode: 400 } } },
    });
  });
});

@Injectable()
class MathTasks {
  readonly reports: [string, string][] = [];
  readonly added: string[] = [];

  @Task()
  async add(a: number, b: number): Promise<number> {
    this.added.push(currentTask().id);
    return a + b;
  }
  @Task()
  async sum(values: number[]): Promise<number> {
    return values.reduce((total, value) => total + value, 0);
  }
  @Task()
  async refuse(value: number): Promise<number> {
    throw new CardRefused(String(value));
  }
  @Task()
  async report(failure: TaskFailure, channel: string): Promise<void> {
    this.reports.push([channel, failure.error.message]);
  }
}

interface OutboxRow {
  readonly id: string;
  readonly canvas: CanvasData;
}

describe('docs/canvases.md', () => {
  let workflows: WorkflowService;
  let math: MathTasks;
  beforeEach(async () => {
    workflows = await start([MathTasks]);
    math = apps[0]?.get(MathTasks) as MathTasks;
  });

  it('a group, a step that takes its list, and a partial one: late arguments go in front', async () => {
    const tasks = workflows.tasks(MathTasks);
    const sums = workflows.group([tasks.add.s(1, 2), tasks.add.s(3, 4)]);
    const total = workflows.chain(sums, tasks.sum.s(), tasks.add.s(100));
    const handle = await total.linkError(tasks.report.s('#ops')).delay();
    expect(await handle.get()).toBe(110);
    expect(await (await tasks.add.s(2).delay(1)).get()).toBe(3);
    expect(await (await workflows.chain(tasks.add.s(1, 2), tasks.add.si(5, 5)).delay()).get()).toBe(10);
    expect(math.reports).toEqual([]);
  });

  it('every node has one value, empty and one-member groups too', async () => {
    const tasks = workflows.tasks(MathTasks);
    const nested = workflows.group([
      workflows.group([tasks.add.s(1, 1)]),
      workflows.group([]),
      workflows.chain(workflows.group([]), tasks.sum.s()),
      workflows.chord([], tasks.sum.s()),
    ]);
    expect(await (await nested.delay()).get()).toEqual([[2], [], 0, 0]);
  });

  it('an errback is a canvas of its own, with an id that is known', async () => {
    const tasks = workflows.tasks(MathTasks);
    const refusing = workflows.chain(tasks.add.s(1, 2), tasks.refuse.s(), tasks.add.s(1));
    const handle = await refusing.linkError(tasks.report.s('#ops')).applyAsync([], { taskId: 'refusing' });
    await handle.get({ propagate: false });
    await workflows.result('refusing.errback.0').get();
    expect(math.reports).toEqual([['#ops', '3 was refused']]);
    expect(await workflows.result('refusing.2').describe()).toMatchObject({
      state: 'FAILURE',
      error: { reason: 'upstream', error: { code: 'UPSTREAM_FAILED' } },
    });
  });

  it('an outbox: a canvas as plain data, published twice under one id, runs once', async () => {
    const rows: OutboxRow[] = [];
    const order = async (id: string, confirmation: Signature<[], number>): Promise<void> => {
      rows.push({ id: `order-${id}`, canvas: JSON.parse(JSON.stringify(confirmation)) as CanvasData });
    };
    const relay = async (): Promise<void> => {
      for (const { id, canvas } of rows) await workflows.fromData(canvas).applyAsync([], { taskId: id });
    };
    await order('1', workflows.tasks(MathTasks).add.s(1, 2));
    await relay();
    expect(await workflows.result('order-1').get()).toBe(3);
    await relay();
    expect(await workflows.result('order-1').get()).toBe(3);
    expect(math.added).toEqual(['order-1']);
  });
});

@Injectable()
class Thresholds {
  readonly tolerated = 0.5;
}

@Injectable()
class MostlyComplete extends ChordRecovery<Summary[]> {
  constructor(private readonly thresholds: Thresholds) {
    super();
  }
  recover({ size, successes, failures }: ChordOutcome): ChordDecision {
    const broken = failures.find(({ index }) => index === 3);
    if (broken) return { run: 'fail', error: new Error(`stopped by member ${broken.index}`) };
    if (failures.length > size * this.thresholds.tolerated) return { run: 'errback' };
    return { run: 'callback', args: [successes.map(({ value }) => value)] };
  }
}

describe('docs/chord-recovery.md', () => {
  let workflows: WorkflowService;
  let contracts: ContractService;
  beforeEach(async () => {
    workflows = await start([ContractTasks, ContractService, MostlyComplete, Thresholds]);
    contracts = apps[0]?.get(ContractService) as ContractService;
  });
  const header = (...pages: number[]) =>
    contractsOf(...pages).map((contract) => workflows.tasks(ContractTasks).processContract.s(contract));

  it('a strategy of your own runs the callback, the errback, or fails with its error', async () => {
    const tasks = workflows.tasks(ContractTasks);
    const chord = (...pages: number[]) =>
      workflows.chord(header(...pages), tasks.sumUp.s(), { recovery: MostlyComplete }).delay();
    const recovered = await chord(1, 0, 2);
    expect(await recovered.get()).toBe(3);
    expect((await recovered.describe()).recovered).toEqual({
      strategy: 'MostlyComplete',
      failed: 1,
      size: 3,
    });
    await expect((await chord(0, 0, 2)).get()).rejects.toThrow(ChordError);
    await expect((await chord(1, 2, 3, 0)).get()).rejects.toThrow('stopped by member 3');
  });

  it('the errback on the body is the chord’s, and gets what every member came to', async () => {
    const tasks = workflows.tasks(ContractTasks);
    const handle = await workflows
      .chord(header(1, 0, 2), tasks.sumUp.s().linkError(tasks.alert.s('#ops')))
      .delay();
    await expect(handle.get()).rejects.toThrow(ChordError);
    await workflows.result(`${handle.id}.errback.0`).get();
    expect(contracts.alerts).toMatchObject([
      [
        {
          error: { name: 'ChordError' },
          failures: [{ index: 1, failure: { error: { message: 'c1 is empty' } } }],
          values: [
            { index: 0, value: { id: 'c0', total: 1 } },
            { index: 2, value: { id: 'c2', total: 2 } },
          ],
        },
        '#ops',
      ],
    ]);
  });

  it('what Celery’s errback did by hand: the callback with the successes, or with none at all', async () => {
    const { sumUp } = workflows.tasks(ContractTasks);
    const chord = (...pages: number[]) =>
      workflows.chord(header(...pages), sumUp.s(), { recovery: CallbackWithSuccesses }).delay();
    expect(await (await chord(1, 0, 2)).get()).toBe(3);
    expect(await (await chord(0, 0)).get()).toBe(0);
  });
});

@Injectable()
class LongTasks {
  readonly release = new AbortController();
  readonly revoked: string[] = [];

  @Task()
  async work(task: TaskContext): Promise<string> {
    await task.progress({ done: 1 });
    await Promise.race([once(this.release.signal, 'abort'), once(task.signal, 'abort')]);
    task.signal.throwIfAborted();
    return 'done';
  }

  @OnRevoked('work')
  wasRevoked({ request }: TaskFailure): void {
    this.revoked.push(request.id);
  }

  @Task({ ignoreResult: true })
  async forgettable(): Promise<string> {
    return 'nobody reads it';
  }
}

describe('docs/results.md', () => {
  @Controller('reports')
  class ReportsController {
    constructor(private readonly workflows: WorkflowService) {}
    events(id: string): Observable<MessageEvent> {
      return new Observable((subscriber) => {
        const stop = new AbortController();
        const send = async (): Promise<void> => {
          for await (const moment of this.workflows.result(id).watch({ signal: stop.signal })) {
            subscriber.next({ data: moment });
          }
        };
        send().then(
          () => subscriber.complete(),
          (error: unknown) => subscriber.error(error),
        );
        return () => stop.abort();
      });
    }
  }

  it('watch: states and progress until the end, as events for a browser', async () => {
    const workflows = await start([LongTasks]);
    const handle = await workflows.tasks(LongTasks).work.delay();
    const events = lastValueFrom(new ReportsController(workflows).events(handle.id).pipe(toArray()));
    await until(async () => (await handle.progress()) !== undefined);
    await expect(handle.get({ timeout: 20 })).rejects.toThrow(ResultTimeoutError);
    apps[0]?.get(LongTasks).release.abort();
    const moments = (await events).map(({ data }) => data as TaskMoment);
    expect(moments.at(-1)).toMatchObject({ state: 'SUCCESS', progress: { done: 1 } });
    expect(await handle.describe()).toMatchObject({ state: 'SUCCESS', value: 'done', retries: 0 });
    const unknown = await lastValueFrom(new ReportsController(workflows).events('nobody').pipe(toArray()));
    expect(unknown).toEqual([{ data: { state: 'UNKNOWN' } }]);
  });

  it('revoke, from another application: what runs has its hook, and what waits', async () => {
    const workflows = await start([LongTasks]);
    const api = await start([], { role: 'producer' });
    const { work } = workflows.tasks(LongTasks);
    const running = await work.delay();
    const waiting = await work.applyAsync([], { countdown: '1h' });
    await until(async () => (await running.progress()) !== undefined);
    for (const { id } of [waiting, running]) {
      expect(await api.result(id).revoke({ terminate: true })).toBe(true);
      await until(() => api.result(id).ready());
      expect(await api.result(id).describe()).toMatchObject({
        state: 'REVOKED',
        error: { reason: 'revoked' },
      });
      expect(await api.result(id).revoke()).toBe(false);
    }
    const tasks = apps[0]?.get(LongTasks) as LongTasks;
    await until(() => tasks.revoked.length > 1);
    expect(tasks.revoked.toSorted()).toEqual([running.id, waiting.id].toSorted());
  });

  it('errors come back as their class where it is known', async () => {
    const workflows = await start([MathTasks], { errors: [CardRefused] });
    const handle = await workflows.tasks(MathTasks).refuse.delay(1);
    const error = (await handle.get({ propagate: false })) as unknown;
    expect(error).toBeInstanceOf(CardRefused);
    expect((error as CardRefused).card).toBe('1');
    const elsewhere = await start([], { role: 'producer' });
    const remote: unknown = await elsewhere.result(handle.id).get({ propagate: false });
    expect(remote).toBeInstanceOf(RemoteTaskError);
    expect(remote).toMatchObject({ name: 'CardRefused', message: '1 was refused', data: { card: '1' } });
  });

  it('a group: members as they end, outcomes, values and errors mixed', async () => {
    const workflows = await start([MathTasks]);
    const { add, refuse } = workflows.tasks(MathTasks);
    const follow = async (group: GroupResult<number>): Promise<number[]> => {
      const seen: number[] = [];
      for await (const member of group) if (member.status === 'fulfilled') seen.push(member.value);
      return seen;
    };
    const handle: GroupResult<number> = await workflows
      .group([add.s(1, 1), refuse.s(2), add.s(2, 2).set({ countdown: 50 })])
      .delay();
    expect(await follow(handle)).toEqual([2, 4]);
    expect(await handle.counts()).toEqual({ size: 3, succeeded: 2, failed: 1, pending: 0 });
    expect((await handle.settled()).map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
    expect(await handle.join({ propagate: false })).toEqual([2, expect.any(RemoteTaskError), 4]);
  });

  it('expiry, forget and ignoreResult', async () => {
    const workflows = await start([LongTasks, MathTasks], { defaults: { resultExpires: '1s' } });
    const gone = (handle: AsyncResult<unknown, unknown>): Promise<void> =>
      until(async () => (await handle.state()) === 'UNKNOWN');
    const { add } = workflows.tasks(MathTasks);
    const canvas = await workflows.group([add.s(1, 2), add.s(3, 4)]).delay();
    const alone = await workflows.tasks(LongTasks).forgettable.delay();
    expect(await canvas.get()).toEqual([3, 7]);
    expect(await alone.get()).toBeNull();
    const forgotten = await add.delay(1, 2);
    await forgotten.get();
    await forgotten.forget();
    expect(await forgotten.state()).toBe('UNKNOWN');
    await gone(canvas);
    await gone(alone);
    expect(await workflows.result(`${canvas.id}.0`).state()).toBe('UNKNOWN');
  });
});

describe('docs/failures.md', () => {
  @Injectable()
  class PatientTasks {
    @Task()
    async attempt(ms: number, task: TaskContext): Promise<number[]> {
      if (task.attempt === 1) {
        await task.progress('begun');
        await pause(ms, undefined, { signal: task.signal });
      }
      return [task.attempt, task.retries];
    }
  }

  it('a worker that is shut down: what ends in time ends, the rest is run again and no retry is spent', async () => {
    const worker = { drainTimeout: '300ms', lockDuration: '1s' };
    const workflows = await start([PatientTasks], { worker });
    const api = await start([], { role: 'producer' });
    const { attempt } = workflows.tasks(PatientTasks);
    const handles = await Promise.all([attempt.delay(100), attempt.delay(60_000)]);
    for (const handle of handles) await until(async () => (await handle.progress()) !== undefined);
    await apps.shift()?.close();
    const [short, long] = handles.map(({ id }) => api.result<number[]>(id));
    expect(await short?.result()).toEqual([1, 0]);
    await start([PatientTasks], { worker });
    const [attempts = 0, retries] = (await long?.get()) ?? [];
    expect([attempts > 1, retries]).toEqual([true, 0]);
  });

  it('Redis away while something is published: a bounded, typed error', async () => {
    const nowhere = { connection: { host: '127.0.0.1', port: 1 }, publishTimeout: '200ms' } as const;
    const workflows = await start([], { ...nowhere, role: 'producer' });
    const started = Date.now();
    const call = workflows.tasks(PatientTasks).attempt.applyAsync([1], { taskId: 'mine' });
    const error: unknown = await call.catch((thrown: unknown) => thrown);
    expect(Date.now() - started).toBeLessThan(4_500);
    expect(error).toBeInstanceOf(BrokerUnavailableError);
    expect(error).toMatchObject({ code: 'BROKER_UNAVAILABLE', taskId: 'mine' });
  });
});

describe('docs/connections.md', () => {
  const runs: string[] = [];

  @Injectable()
  class ReportTasks {
    @Task()
    async build(month: string): Promise<void> {
      runs.push(`report of ${month}`);
    }
  }

  @Injectable()
  @Tasks({ connection: 'billing', queue: 'invoices' })
  class InvoiceTasks {
    @Task()
    async charge(customer: string): Promise<void> {
      runs.push(`${customer} was charged in ${currentTask().queue}`);
    }
  }

  @Injectable()
  class MonthEnd {
    constructor(
      private readonly workflows: WorkflowService,
      @InjectWorkflows('billing') private readonly billing: WorkflowService,
    ) {}

    async run(month: string, customers: string[]): Promise<void> {
      await this.workflows.tasks(ReportTasks).build.delay(month);
      const { charge } = this.billing.tasks(InvoiceTasks);
      await this.billing.group(customers.map((customer) => charge.s(customer))).applyAsync();
    }
  }

  it('several connections: each task runs where it belongs', async () => {
    const app = await boot(
      [
        TaskQueueModule.forRoot({ connection: { url: REDIS_URL }, prefix }),
        TaskQueueModule.forRootAsync({
          name: 'billing',
          useFactory: () => ({ connection: { url: REDIS_URL }, prefix: `${prefix}-billing`, role: 'worker' }),
        }),
        TaskQueueModule.forFeature({ invoices: { concurrency: 2 } }, { connection: 'billing' }),
      ],
      [ReportTasks, InvoiceTasks, MonthEnd],
    );
    await app.get(MonthEnd).run('May', ['Ada', 'Bob']);
    await until(() => runs.length === 3);
    expect(runs.sort()).toEqual([
      'Ada was charged in invoices',
      'Bob was charged in invoices',
      'report of May',
    ]);
  });

  it('a client of your own, from a provider that closes it', async () => {
    @Injectable()
    class RedisOwner implements OnApplicationShutdown {
      constructor(@Inject('REDIS') readonly client: Redis) {}
      async onApplicationShutdown(): Promise<void> {
        await this.client.quit();
      }
    }
    @Global()
    @Module({
      providers: [RedisOwner, { provide: 'REDIS', useFactory: () => new Redis(REDIS_URL) }],
      exports: ['REDIS'],
    })
    class RedisModule {}
    const taskQueue = TaskQueueModule.forRootAsync({
      inject: ['REDIS'],
      useFactory: (connection: Redis) => ({ connection, prefix }),
    });
    const app = await boot([RedisModule, taskQueue], [MailTasks]);
    const handle = await app.get(WorkflowService).tasks(MailTasks).welcome.delay('a@b.c');
    expect(await handle.get()).toContain('sent');
    const client = app.get<Redis>('REDIS');
    expect(await client.ping()).toBe('PONG');
    await apps.pop()?.close();
    await until(() => client.status === 'end');
  });
});
