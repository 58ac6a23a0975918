/**
 * Side by side with @nestjs/bullmq: in one application, on one Redis, under one prefix and with queues of one name. Each
 * gets its own work and only that, they can call each other, and both end in order.
 */
import { BullModule, InjectFlowProducer, InjectQueue, Processor, WorkerHost } from '@nestjs/bullmq';
import { Injectable, type ModuleMetadata } from '@nestjs/common';
import type { ConnectionOptions, FlowProducer, Job, Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { setTimeout as delay } from 'node:timers/promises';
import { Task, type TaskQueueModuleOptions, WorkflowService } from 'nestjs-task-queue';
import { redisUrl, Runs, type TestApp, uniquePrefix, until, useApps } from '../support/app-fixture.js';

const WITHIN_MS = 60_000;
const fixture = useApps();

/** Opened by a test when handlers may go on. */
class Gate {
  open = (): void => undefined;
  readonly passed = new Promise<void>((resolve) => {
    this.open = resolve;
  });
}

@Injectable()
class LetterTasks {
  constructor(
    private readonly runs: Runs,
    private readonly gate: Gate,
    @InjectQueue('default') private readonly jobs: Queue,
  ) {}

  @Task()
  write(to: string): string {
    this.runs.record('task', to);
    return `letter to ${to}`;
  }

  @Task()
  bundle(letters: string[]): number {
    this.runs.record('bundle', letters);
    return letters.length;
  }

  /** Hands on to a processor, when it may. */
  @Task()
  async handOn(to: string): Promise<string> {
    this.runs.record('task hands on', to);
    await this.gate.passed;
    return (await this.jobs.add('write', { to })).id ?? '';
  }
}

@Processor('default')
class LetterProcessor extends WorkerHost {
  constructor(
    private readonly runs: Runs,
    private readonly gate: Gate,
    private readonly workflows: WorkflowService,
  ) {
    super();
  }

  async process(job: Job<{ to: string }>): Promise<string> {
    if (job.name === 'hand on') {
      this.runs.record('job hands on', job.data.to);
      await this.gate.passed;
      return (await this.workflows.tasks(LetterTasks).write.delay(job.data.to)).id;
    }
    this.runs.record('job', job.data.to);
    return `job for ${job.data.to}`;
  }
}

/** What a user of @nestjs/bullmq injects. */
@Injectable()
class Jobs {
  constructor(
    @InjectQueue('default') readonly queue: Queue<{ to: string }, string>,
    @InjectFlowProducer('flows') readonly flows: FlowProducer,
  ) {}
}

/** An application with both, on one connection's options, under one prefix. */
function boot(
  prefix: string,
  connection: ConnectionOptions & TaskQueueModuleOptions['connection'] = {
    url: redisUrl(),
    connectionName: prefix,
  },
): Promise<TestApp> {
  const imports: ModuleMetadata['imports'] = [
    BullModule.forRoot({ connection, prefix }),
    BullModule.registerQueue({ name: 'default' }),
    // It would disconnect also a client that is not its own.
    BullModule.registerFlowProducer({ name: 'flows', forceDisconnectOnShutdown: false }),
  ];
  return fixture.boot({
    prefix,
    imports,
    providers: [Gate, Jobs, LetterTasks, LetterProcessor],
    options: { connection },
  });
}

const byText = (one: unknown, other: unknown): number => String(one).localeCompare(String(other));

describe('beside @nestjs/bullmq, with one prefix and one name of a queue', () => {
  it('each runs what was meant for it, and nothing else', async () => {
    const app = await boot(uniquePrefix('neighbours'));
    const { queue } = app.get(Jobs);
    const tasks = app.workflows.tasks(LetterTasks);
    const names = Array.from({ length: 30 }, (_, at) => `n${at}`);

    const handles = await Promise.all(names.map((name) => tasks.write.delay(`task ${name}`)));
    await queue.addBulk(names.map((name) => ({ name: 'write', data: { to: `job ${name}` } })));
    const chord = await app.workflows
      .chord(
        names.map((name) => tasks.write.s(`member ${name}`)),
        tasks.bundle.s(),
      )
      .applyAsync();
    const values = await Promise.all(handles.map((handle) => handle.get({ timeout: WITHIN_MS })));
    expect(await chord.get({ timeout: WITHIN_MS })).toBe(30);
    await app.runs.reached('job', 30);
    await until(async () => (await queue.getCompletedCount()) === 30, 'all jobs are complete');

    expect(values).toEqual(names.map((name) => `letter to task ${name}`));
    const ofTasks = [...names.map((name) => `member ${name}`), ...names.map((name) => `task ${name}`)];
    expect(app.runs.of<string>('task').sort(byText)).toEqual(ofTasks.sort(byText));
    expect(app.runs.of<string>('job').sort(byText)).toEqual(names.map((name) => `job ${name}`).sort(byText));
    // Their queue has their jobs only, and ours ours.
    expect(await queue.getJobCountByTypes('waiting', 'active', 'failed', 'delayed')).toBe(0);
    for (const ours of await app.workflows.queues()) {
      expect([ours.name, await ours.getJobCountByTypes('waiting', 'active', 'failed', 'delayed')]).toEqual([
        ours.name,
        0,
      ]);
    }
  });

  it('flows of theirs and canvases of ours go on beside each other', async () => {
    const app = await boot(uniquePrefix('flows'));
    const { queue, flows } = app.get(Jobs);
    const tasks = app.workflows.tasks(LetterTasks);
    const child = (to: string) => ({ name: 'write', queueName: 'default', data: { to } });
    const [flow, chord] = await Promise.all([
      flows.add({ ...child('parent'), children: [child('first'), child('second')] }),
      app.workflows.chord([tasks.write.s('a'), tasks.write.s('b')], tasks.bundle.s()).applyAsync(),
    ]);

    expect(await chord.get({ timeout: WITHIN_MS })).toBe(2);
    await until(
      async () => (await queue.getJob(flow.job.id ?? ''))?.finishedOn !== undefined,
      'the flow ends',
    );
    expect(app.runs.of('job').at(-1)).toBe('parent');
    expect(app.runs.of<string>('job').sort()).toEqual(['first', 'parent', 'second']);
    expect(app.runs.of<string>('task').sort()).toEqual(['a', 'b']);
  });

  it('emptying or obliterating their queue leaves our tasks alone', async () => {
    const prefix = uniquePrefix('empty');
    const app = await boot(prefix);
    const { queue } = app.get(Jobs);
    const tasks = app.workflows.tasks(LetterTasks);
    const later = await tasks.write.s('later').set({ countdown: '1s' }).delay();
    await queue.obliterate({ force: true });
    expect(await later.get({ timeout: WITHIN_MS })).toBe('letter to later');
  });

  it('while the application ends, what each of them still runs may call the other', async () => {
    const prefix = uniquePrefix('ends');
    const app = await boot(prefix);
    const { queue } = app.get(Jobs);
    const task = await app.workflows.tasks(LetterTasks).handOn.delay('by a task');
    const job = await queue.add('hand on', { to: 'by a job' });
    await app.runs.reached('task hands on');
    await app.runs.reached('job hands on');

    const closing = app.close();
    await delay(100);
    app.get(Gate).open();
    await closing;
    await until(async () => (await fixture.connectionsOf(prefix)).length === 0, 'no connection is left');

    const next = await boot(prefix);
    const called = await next.workflows.result<string>(task.id).get({ timeout: WITHIN_MS });
    const jobs = next.get(Jobs).queue;
    await until(
      async () => (await jobs.getJob(called))?.finishedOn !== undefined,
      'the job of the task ends',
    );
    expect((await jobs.getJob(called))?.returnvalue).toBe('job for by a task');
    const published = (await jobs.getJob(job.id ?? ''))?.returnvalue ?? '';
    expect(await next.workflows.result(published).get({ timeout: WITHIN_MS })).toBe('letter to by a job');
  });

  it('both take one client of the user, which neither closes', async () => {
    const prefix = uniquePrefix('client');
    const client = new Redis(redisUrl(), { connectionName: prefix, maxRetriesPerRequest: null });
    try {
      const app = await boot(prefix, client);
      const job = await app.get(Jobs).queue.add('write', { to: 'a job' });
      const task = await app.workflows.tasks(LetterTasks).write.delay('a task');
      expect(await task.get({ timeout: WITHIN_MS })).toBe('letter to a task');
      await until(
        async () => (await app.get(Jobs).queue.getJob(job.id ?? ''))?.returnvalue === 'job for a job',
        'the job ends',
      );
      await app.close();
      expect(await client.ping()).toBe('PONG');
      await until(async () => (await fixture.connectionsOf(prefix)).length === 1, 'only the client is left');
    } finally {
      client.disconnect();
    }
  });
});
