/** Several connections in one application. */
import { Injectable } from '@nestjs/common';
import {
  CallbackWithOutcomes,
  type ChordDecision,
  type ChordOutcome,
  ChordRecovery,
  getWorkflowServiceToken,
  InvalidOptionsError,
  InjectWorkflows,
  OnFailure,
  Task,
  TaskContext,
  type TaskFailure,
  TaskQueueModule,
  type TaskQueueModuleOptions,
  Tasks,
  WorkflowService,
} from 'nestjs-task-queue';
import { redisUrl, Runs, type TestApp, uniquePrefix, useApps } from '../support/app-fixture.js';

const WITHIN_MS = 60_000;

@Injectable()
class ReportTasks {
  constructor(
    private readonly runs: Runs,
    @InjectWorkflows('billing') private readonly billing: WorkflowService,
  ) {}

  @Task()
  double(value: number): number {
    this.runs.record('double', value);
    return 2 * value;
  }

  /** Goes on in the other Redis. */
  @Task()
  async bill(amount: number): Promise<string> {
    return (await this.billing.tasks(InvoiceTasks).charge.delay(amount)).id;
  }

  @Task()
  ends(task: TaskContext): Promise<void> {
    return endOf(task, this.runs);
  }
}

@Injectable()
@Tasks({ connection: 'billing', queue: 'invoices' })
class InvoiceTasks {
  constructor(private readonly runs: Runs) {}

  @Task()
  charge(amount: number): string {
    this.runs.record('charge', amount);
    if (amount < 0) throw new Error('a negative amount');
    return `charged ${amount}`;
  }

  @Task()
  collect(values: unknown): unknown {
    this.runs.record('collect', values);
    return values;
  }

  @Task()
  ends(task: TaskContext): Promise<void> {
    return endOf(task, this.runs);
  }

  @OnFailure('charge')
  failed(failure: TaskFailure): void {
    this.runs.record('hook', failure.request.name);
  }
}

/** Lets the body run with a text. */
@Injectable()
class Apologise extends ChordRecovery<string> {
  recover(outcome: ChordOutcome): ChordDecision {
    const failed = outcome.members.filter(({ status }) => status === 'rejected').length;
    return { run: 'callback', args: [`sorry for ${failed}`] };
  }
}

/** Ends when it is told to, and not before somebody else was told as well. */
async function endOf(task: TaskContext, runs: Runs): Promise<void> {
  runs.record('began', task.name);
  await new Promise((resolve) => task.signal.addEventListener('abort', resolve));
  runs.record('aborted', task.name);
  await runs.reached('aborted', 2);
  runs.record('ended', task.name);
}

const fixture = useApps();
const providers = [ReportTasks, InvoiceTasks, Apologise];

/** An application with a registration without a name, and one of the name `billing`, whose prefix contains the other's. */
function boot(options: TaskQueueModuleOptions = {}): Promise<TestApp> {
  const prefix = uniquePrefix('several');
  return fixture.boot({ prefix, providers, options, imports: [billing(prefix, options)] });
}

function billing(prefix: string, options: TaskQueueModuleOptions = {}) {
  return TaskQueueModule.forRoot({
    name: 'billing',
    connection: { url: redisUrl(), connectionName: `${prefix}-billing` },
    prefix: `${prefix}-billing`,
    ...options,
  });
}

const billingOf = ({ app }: TestApp): WorkflowService => app.get(getWorkflowServiceToken('billing'));

describe('two registrations', () => {
  it('have their own keys, workers and results', async () => {
    const app = await boot();
    const report = await app.workflows.tasks(ReportTasks).double.delay(21);
    const invoice = await billingOf(app).tasks(InvoiceTasks).charge.delay(5);

    expect(await report.get({ timeout: WITHIN_MS })).toBe(42);
    expect(await invoice.get({ timeout: WITHIN_MS })).toBe('charged 5');
    expect(await billingOf(app).result(report.id).state()).toBe('UNKNOWN');
    expect(await app.workflows.result(invoice.id).state()).toBe('UNKNOWN');
    const keysOf = async (id: string) => (await fixture.keys(app.prefix)).filter((key) => key.includes(id));
    expect((await keysOf(report.id)).every((key) => key.startsWith(`{${app.prefix}:`))).toBe(true);
    expect((await keysOf(invoice.id)).every((key) => key.startsWith(`{${app.prefix}-billing:`))).toBe(true);
  });

  it('a task of one publishes in the other', async () => {
    const app = await boot();
    const bill = await app.workflows.tasks(ReportTasks).bill.delay(7);
    const id = await bill.get({ timeout: WITHIN_MS });
    expect(await billingOf(app).result(id).get({ timeout: WITHIN_MS })).toBe('charged 7');
  });

  it('a canvas of the named one runs with its hooks, and with recoveries that both share', async () => {
    const app = await boot();
    const workflows = billingOf(app);
    const { charge, collect } = workflows.tasks(InvoiceTasks);
    const header = [charge.s(1), charge.s(-1)];
    const own = await workflows.chord(header, collect.s(), { recovery: Apologise }).applyAsync();
    const builtIn = await workflows
      .chord(header, collect.s(), { recovery: CallbackWithOutcomes })
      .applyAsync();

    expect(await own.get({ timeout: WITHIN_MS })).toBe('sorry for 1');
    expect(await builtIn.get({ timeout: WITHIN_MS })).toMatchObject([
      { status: 'fulfilled', value: 'charged 1' },
      { status: 'rejected' },
    ]);
    await app.runs.reached('hook', 2);
    expect(app.runs.of('hook')).toEqual(['InvoiceTasks.charge', 'InvoiceTasks.charge']);
  });

  it('drain side by side: neither waits for the drain time of the other', async () => {
    const app = await boot({ worker: { drainTimeout: '1s' } });
    await app.workflows.tasks(ReportTasks).ends.delay();
    await billingOf(app).tasks(InvoiceTasks).ends.delay();
    await app.runs.reached('began', 2);

    await app.close();

    // Each was given a second after its signal, and ended only because the other was told as well.
    expect(app.runs.of<string>('ended').sort()).toEqual(['InvoiceTasks.ends', 'ReportTasks.ends']);
    expect(app.log.matching(/did not end when it was told to/)).toEqual([]);
  });

  it('may have one Redis and one prefix, and different queues', async () => {
    const prefix = uniquePrefix('several');
    const app = await fixture.boot({ prefix, providers, imports: [billing(prefix, { prefix })] });
    const report = await app.workflows.tasks(ReportTasks).double.delay(21);
    const invoices = billingOf(app).tasks(InvoiceTasks);
    const chord = await billingOf(app)
      .chord([invoices.charge.s(1), invoices.charge.s(2)], invoices.collect.s())
      .applyAsync();

    expect(await report.get({ timeout: WITHIN_MS })).toBe(42);
    expect(await chord.get({ timeout: WITHIN_MS })).toEqual(['charged 1', 'charged 2']);
  });

  it('may not have one Redis, one prefix and one queue: each would fail the tasks of the other', async () => {
    const prefix = uniquePrefix('several');
    const both = (options: TaskQueueModuleOptions) =>
      fixture.boot({
        prefix,
        providers,
        imports: [
          billing(prefix, { prefix, queues: { default: {}, invoices: {} }, ...options }),
          TaskQueueModule.forFeature({ invoices: {} }),
        ],
      });

    const refused = both({});
    await expect(refused).rejects.toThrow(InvalidOptionsError);
    await expect(refused).rejects.toThrow(
      `both serve the queue "invoices" of the same Redis, and would fail each other's tasks as unknown, got "${prefix}"`,
    );
    expect(await fixture.connectionsOf(prefix)).toEqual([]);
    const producer = await both({ role: 'producer' });
    expect(
      await (await producer.workflows.tasks(ReportTasks).double.delay(1)).get({ timeout: WITHIN_MS }),
    ).toBe(2);
  });

  it('of which one is a producer: it publishes what a worker elsewhere serves', async () => {
    const prefix = uniquePrefix('several');
    const worker = await fixture.boot({
      prefix: `${prefix}-billing`,
      providers: [InvoiceTasks],
      module: (options) => TaskQueueModule.forRoot({ ...options, name: 'billing' }),
    });
    const app = await fixture.boot({
      prefix,
      providers: [ReportTasks],
      imports: [billing(prefix, { role: 'producer' })],
    });
    const invoice = await billingOf(app).tasks(InvoiceTasks).charge.delay(9);
    expect(await invoice.get({ timeout: WITHIN_MS })).toBe('charged 9');
    expect([worker.runs.of('charge'), app.runs.of('charge')]).toEqual([[9], []]);
  });
});
