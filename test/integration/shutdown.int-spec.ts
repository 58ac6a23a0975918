import { Injectable, type INestApplicationContext, type LoggerService, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { Redis } from 'ioredis';
import {
  Task,
  type TaskQueueModuleOptions,
  TaskContext,
  TaskQueueModule,
  WorkflowService,
} from 'nestjs-task-queue';

const REDIS_URL = process.env.TEST_REDIS_URL ?? process.env.REDIS_URL ?? '';
const SILENT: LoggerService = { log: () => undefined, warn: () => undefined, error: () => undefined };

@Injectable()
class Trail {
  closed = false;
  readonly late: string[] = [];
  readonly attempts: number[] = [];
  started: () => void = () => undefined;

  note(task: string): void {
    if (this.closed) this.late.push(task);
  }
}

@Injectable()
class ShutdownTasks {
  constructor(private readonly trail: Trail) {}

  @Task()
  async member(n: number): Promise<number> {
    this.trail.note(`member ${n}`);
    await new Promise((resolve) => setTimeout(resolve, n % 7));
    return n;
  }

  @Task()
  body(values: number[]): number {
    this.trail.note('body');
    return values.reduce((sum, value) => sum + value, 0);
  }

  /** Ends when it is told to. */
  @Task()
  patient(task: TaskContext): Promise<number> {
    this.trail.attempts.push(task.attempt);
    this.trail.started();
    if (task.attempt > 1) return Promise.resolve(task.retries);
    return new Promise((_, reject) =>
      task.signal.addEventListener('abort', () => reject(new Error('told to'))),
    );
  }
}

async function start(
  prefix: string,
  worker: TaskQueueModuleOptions['worker'] = {},
): Promise<INestApplicationContext> {
  @Module({
    imports: [TaskQueueModule.forRoot({ connection: { url: REDIS_URL }, prefix, worker })],
    providers: [ShutdownTasks, Trail],
  })
  class ShutdownModule {}
  return (
    await Test.createTestingModule({ imports: [ShutdownModule] })
      .setLogger(SILENT)
      .compile()
  ).init();
}

async function connections(admin: Redis): Promise<number> {
  return String(await admin.call('CLIENT', 'LIST'))
    .trim()
    .split('\n').length;
}

describe('shutdown', () => {
  let admin: Redis;
  beforeAll(() => {
    admin = new Redis(REDIS_URL);
  });
  afterAll(() => admin.disconnect());

  it('starts nothing after close, leaves no connection, and loses no chord; 25 times at random moments', async () => {
    const before = await connections(admin);
    const prefix = `shutdown-${Date.now()}`;
    const late: string[] = [];
    const ids: string[] = [];
    for (let round = 0; round < 25; round++) {
      const app = await start(prefix, { lockDuration: '2s', stalledInterval: '1s' });
      const workflows = app.get(WorkflowService);
      const tasks = workflows.tasks(ShutdownTasks);
      const header = Array.from({ length: 5 }, (_, n) => tasks.member.s(round * 5 + n));
      ids.push((await workflows.chord(header, tasks.body.s()).applyAsync()).id);
      await new Promise((resolve) => setTimeout(resolve, (round * 7) % 40));
      const trail = app.get(Trail);
      await app.close();
      trail.closed = true;
      late.push(...trail.late);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(late).toEqual([]);
    const app = await start(prefix, { lockDuration: '2s', stalledInterval: '1s' });
    const workflows = app.get(WorkflowService);
    const values = await Promise.all(ids.map((id) => workflows.result<number>(id).get({ timeout: '30s' })));
    expect(values).toEqual(ids.map((_, round) => 25 * round + 10));
    await app.close();
    while ((await connections(admin)) > before) await new Promise((resolve) => setTimeout(resolve, 10));
  });

  it('gives an unfinished attempt back without spending it, and another worker runs it at once', async () => {
    const prefix = `give-back-${Date.now()}`;
    const first = await start(prefix, { drainTimeout: '100ms' });
    const started = new Promise<void>((resolve) => {
      first.get(Trail).started = resolve;
    });
    const { id } = await first.get(WorkflowService).tasks(ShutdownTasks).patient.delay();
    await started;
    await first.close();
    const second = await start(prefix);
    const retries = await second.get(WorkflowService).result<number>(id).get({ timeout: '60s' });
    expect(retries).toBe(0);
    expect(second.get(Trail).attempts).toEqual([2]);
    await second.close();
  });
});
