import { Injectable, type INestApplicationContext, type LoggerService, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  ChordError,
  OnRevoked,
  Task,
  TaskContext,
  type TaskFailure,
  TaskQueueModule,
  TaskRevokedError,
  WorkflowService,
} from 'nestjs-task-queue';
import type { RedisBackend } from '../../libs/task-queue/src/broker/redis-backend.js';
import { Transactions } from '../../libs/task-queue/src/broker/transactions.js';
import { TaskQueueEngine } from '../../libs/task-queue/src/engine/task-queue-engine.js';

const REDIS_URL = process.env.TEST_REDIS_URL ?? process.env.REDIS_URL ?? '';

/** What the handlers of one test saw. */
@Injectable()
class Log {
  readonly lines: string[] = [];
  readonly started = new Map<string, () => void>();

  whenStarted(name: string): Promise<void> {
    return new Promise((resolve) => this.started.set(name, resolve));
  }
}

@Injectable()
class RevokedTasks {
  constructor(
    private readonly log: Log,
    private readonly workflows: WorkflowService,
  ) {}

  /** Runs until its signal aborts. */
  @Task()
  async endless(name: string, task: TaskContext): Promise<number> {
    this.log.lines.push(`started ${name}`);
    this.log.started.get(name)?.();
    await new Promise<void>((resolve) => task.signal.addEventListener('abort', () => resolve()));
    this.log.lines.push(`aborted ${name} ${(task.signal.reason as Error).name}`);
    return 0;
  }

  /** Ends with its signal, undone. */
  @Task()
  async undone(name: string, task: TaskContext): Promise<void> {
    this.log.lines.push(`started ${name}`);
    this.log.started.get(name)?.();
    await new Promise((_, reject) => task.signal.addEventListener('abort', () => reject(task.signal.reason)));
  }

  @Task()
  value(n: number): number {
    this.log.lines.push(`value ${n}`);
    return n;
  }

  @Task()
  body(values: number[]): number {
    this.log.lines.push('body');
    return values.length;
  }

  /** Is replaced by a group of which one member is not due for an hour. */
  @Task()
  replaced(task: TaskContext): never {
    const { value, errback } = this.workflows.tasks(RevokedTasks);
    const late = value.s(8).set({ countdown: '1h' });
    return task.replace(this.workflows.group([late]).linkError(errback.s()));
  }

  @Task()
  errback(failure: TaskFailure): void {
    this.log.lines.push(`errback ${failure.reason}`);
  }

  @OnRevoked('endless')
  onRevoked(failure: TaskFailure): void {
    this.log.lines.push(`hook ${failure.reason}`);
  }
}

const SILENT: LoggerService = { log: () => undefined, warn: () => undefined, error: () => undefined };

async function start(role: 'both' | 'producer', prefix: string): Promise<INestApplicationContext> {
  const worker = { drainTimeout: 50 };
  @Module({
    imports: [TaskQueueModule.forRoot({ connection: { url: REDIS_URL }, prefix, role, worker })],
    providers: role === 'both' ? [RevokedTasks, Log] : [],
  })
  class RevocationModule {}
  const ref = await Test.createTestingModule({ imports: [RevocationModule] })
    .setLogger(SILENT)
    .compile();
  return ref.init();
}

describe('revocation', () => {
  let app: INestApplicationContext;
  let elsewhere: INestApplicationContext;
  let log: Log;
  let prefix: string;
  const revoke = (id: string, terminate = false): Promise<boolean> =>
    elsewhere.get(WorkflowService).result(id).revoke({ terminate });
  const workflows = (): WorkflowService => app.get(WorkflowService);
  const tasks = () => workflows().tasks(RevokedTasks);
  /** A call of a queue that nobody serves. */
  const unserved = () => workflows().signature<number, []>('Elsewhere.task', [], { queue: 'unserved' });

  beforeEach(async () => {
    prefix = `revoke-${Date.now()}-${Math.floor(Math.random() * 1e6)}`;
    app = await start('both', prefix);
    elsewhere = await start('producer', prefix);
    log = app.get(Log);
  });
  afterEach(async () => {
    await app.close();
    await elsewhere.close();
  });

  it('ends a delayed task at once, from another process, and it never runs', async () => {
    const result = await tasks().value.applyAsync([1], { countdown: '1h' });
    expect(await revoke(result.id)).toBe(true);
    expect(await result.state()).toBe('REVOKED');
    await expect(result.get()).rejects.toThrow(TaskRevokedError);
    expect(log.lines).toEqual([]);
  });

  it('calls the hook of a task that was revoked while it waited', async () => {
    const result = await tasks().endless.applyAsync(['w'], { countdown: '1h' });
    await revoke(result.id);
    await until(() => log.lines.includes('hook revoked'));
    expect(log.lines).toEqual(['hook revoked']);
  });

  it('ends a task that no worker would take up', async () => {
    const result = await unserved().applyAsync();
    expect(await revoke(result.id)).toBe(true);
    expect(await result.state()).toBe('REVOKED');
  });

  it('lets a running task finish without terminate', async () => {
    const started = log.whenStarted('a');
    const result = await tasks().endless.delay('a');
    await started;
    expect(await revoke(result.id)).toBe(true);
    expect(await result.state()).toBe('STARTED');
    expect(await revoke(result.id, true)).toBe(true);
    await expect(result.get()).rejects.toThrow(TaskRevokedError);
  });

  it('does not begin a task again that was revoked while it ran and was given back', async () => {
    const started = log.whenStarted('g');
    const result = await tasks().undone.delay('g');
    await started;
    expect(await revoke(result.id)).toBe(true);
    await app.close();
    app = await start('both', prefix);
    await expect(elsewhere.get(WorkflowService).result(result.id).get({ timeout: 60_000 })).rejects.toThrow(
      TaskRevokedError,
    );
    expect(log.lines).toEqual(['started g']);
    expect(app.get(Log).lines).toEqual([]);
  });

  it('ends a running task with terminate: signal, state and hook, once', async () => {
    const started = log.whenStarted('b');
    const result = await tasks().endless.delay('b');
    await started;
    await revoke(result.id, true);
    await expect(result.get()).rejects.toThrow(TaskRevokedError);
    expect(await result.state()).toBe('REVOKED');
    await until(() => log.lines.includes('hook revoked'));
    expect(log.lines).toEqual(['started b', 'aborted b TaskRevokedError', 'hook revoked']);
  });

  it('ends a whole chord: waiting members never start, the body never runs, the errback runs once', async () => {
    const started = log.whenStarted('c');
    const chord = workflows().chord(
      [tasks().value.s(1), tasks().endless.s('c'), unserved(), tasks().value.s(3).set({ countdown: '1h' })],
      tasks().body.s().linkError(tasks().errback.s()),
    );
    const result = await chord.applyAsync();
    await started;
    await revoke(result.id, true);
    const error: unknown = await result.get().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TaskRevokedError);
    expect(error).not.toBeInstanceOf(ChordError);
    expect(await result.state()).toBe('REVOKED');
    await until(() => log.lines.includes('errback revoked'));
    expect(log.lines.filter((line) => line.startsWith('errback'))).toHaveLength(1);
    expect(log.lines).not.toContain('body');
    expect(log.lines).not.toContain('value 3');
    expect(await Promise.all((await result.children()).map((child) => child.state()))).toEqual([
      'SUCCESS',
      'REVOKED',
      'REVOKED',
      'REVOKED',
      'REVOKED',
    ]);
  });

  it('keeps the later steps of a chain from starting', async () => {
    const started = log.whenStarted('d');
    const result = await workflows().chain(tasks().endless.si('d'), tasks().value.si(4)).applyAsync();
    await started;
    await revoke(result.id, true);
    expect(await result.get({ propagate: false })).toBeInstanceOf(TaskRevokedError);
    expect(log.lines).not.toContain('value 4');
  });

  it('changes nothing about what has ended', async () => {
    const result = await tasks().value.delay(5);
    expect(await result.get()).toBe(5);
    expect(await revoke(result.id)).toBe(false);
    expect(await result.get()).toBe(5);
  });

  it('takes nothing out of its queue that has ended in the meantime', async () => {
    const result = await tasks().value.delay(6);
    await result.get();
    const before = await result.describe();
    const { jobs } = app.get(TaskQueueEngine).backend;
    expect(await jobs.withdraw({ queue: 'default', id: result.id })).toBe(false);
    expect(await result.describe()).toEqual(before);
  });

  describe('that meets its task between the look and the removal', () => {
    /** Lets a delayed task begin when it has been seen to wait, and goes on when `isOver` says so. */
    const beginsWhenSeen = (id: string, isOver: () => Promise<boolean>): void => {
      const run = Reflect.get(Transactions.prototype, 'run') as (this: Transactions, change: object) => never;
      let hasBegun = false;
      jest.spyOn(Transactions.prototype, 'run').mockImplementation(function (this: Transactions, change) {
        const look: typeof change.look = async (client) => {
          const answer = await change.look(client);
          if (change.id !== id || hasBegun) return answer;
          hasBegun = true;
          expect(answer).toBeUndefined();
          const [queue] = await (app.get(TaskQueueEngine).backend as RedisBackend).queues(['default']);
          await (await queue?.getJob(id))?.promote();
          while (!(await isOver())) await new Promise((resolve) => setTimeout(resolve, 10));
          return answer;
        };
        return run.call(this, { ...change, look });
      });
    };
    afterEach(() => jest.restoreAllMocks());

    it('leaves the value of one that has ended, and calls no hook', async () => {
      const result = await tasks().value.applyAsync([7], { countdown: '1h' });
      beginsWhenSeen(result.id, result.ready.bind(result));
      await revoke(result.id);
      expect(log.lines).toEqual(['value 7']);
      await expect(result.describe()).resolves.toMatchObject({ state: 'SUCCESS', value: 7 });
      expect(await result.error()).toBeUndefined();
    });

    it('leaves the value of a member, and the canvas goes on with it', async () => {
      const chord = workflows().chord([tasks().value.s(7).set({ countdown: '1h' })], tasks().body.s());
      const result = await chord.delay();
      const member = workflows().result(`${result.id}.0`);
      beginsWhenSeen(member.id, member.ready.bind(member));
      await revoke(member.id);
      expect(await result.get()).toBe(1);
      await expect(member.describe()).resolves.toMatchObject({ state: 'SUCCESS', value: 7 });
    });

    it('goes on to the canvas that took its place, whose worker looked before there was a revocation', async () => {
      const result = await tasks().replaced.applyAsync([], { countdown: '1h' });
      const { ledger } = app.get(TaskQueueEngine);
      jest.spyOn(ledger, 'isRevoked').mockResolvedValue(false);
      const inPlace = workflows().result(`${result.id}.replacement.0`);
      beginsWhenSeen(result.id, async () => {
        const [queue] = await (app.get(TaskQueueEngine).backend as RedisBackend).queues(['default']);
        return (await queue?.getJobState(result.id)) === 'waiting-children';
      });
      await revoke(result.id);
      await expect(result.get()).rejects.toThrow(TaskRevokedError);
      expect([await result.state(), await inPlace.state()]).toEqual(['REVOKED', 'REVOKED']);
      await until(() => log.lines.length > 0);
      expect(log.lines).toEqual(['errback revoked']);
    });
  });

  it('ends thousands by name from another process, while a worker takes them', async () => {
    const MANY = 1_300;
    const call = (n: number) => tasks().value.s(n);
    const options = (n: number) =>
      n % 3 === 0 ? { countdown: '1h' } : n % 3 === 1 ? { priority: 1 + (n % 7) } : {};
    const delayed = await workflows()
      .group(Array.from({ length: 600 }, (_, n) => call(n).set({ countdown: '1h' })))
      .applyAsync();
    const alone = await Promise.all(
      Array.from({ length: MANY }, (_, n) => call(n).applyAsync([], options(n))),
    );
    const counts = await elsewhere.get(WorkflowService).revoke({ name: 'RevokedTasks.value' });
    await delayed.get({ propagate: false });
    expect(await delayed.state()).toBe('REVOKED');
    const ends = await Promise.all(alone.map((one) => one.get({ propagate: false })));
    const revoked = ends.filter((end) => end instanceof TaskRevokedError).length;
    const ran = ends.filter((end) => typeof end === 'number').length;
    expect(revoked + ran).toBe(MANY);
    expect(revoked).toBeGreaterThanOrEqual(MANY / 3);
    // Each of them one or the other: what was taken out never ran, what ran came to its value.
    expect(counts.waiting).toBe(600 + revoked);
    expect(log.lines).toHaveLength(ran);
    expect(await elsewhere.get(WorkflowService).revoke({ name: 'RevokedTasks.value' })).toEqual({
      waiting: 0,
      running: 0,
      canvases: 0,
    });
  }, 120_000);

  it('refuses an id that nothing has', async () => {
    await expect(revoke('nobody')).rejects.toThrow('nobody');
  });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
