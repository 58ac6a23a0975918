import { Injectable, type INestApplicationContext, type LoggerService, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  GroupError,
  RemoteTaskError,
  Task,
  TaskContext,
  type TaskFailure,
  TaskQueueModule,
  WorkflowService,
} from 'nestjs-task-queue';

const REDIS_URL = process.env.TEST_REDIS_URL ?? process.env.REDIS_URL ?? '';
const SILENT: LoggerService = { log: () => undefined, warn: () => undefined, error: () => undefined };

class PaymentDeclined extends Error {
  constructor(readonly amount: number) {
    super(`declined: ${amount}`);
    this.name = 'PaymentDeclined';
  }
}
class NobodyKnowsMe extends Error {
  override readonly name = 'NobodyKnowsMe';
}

@Injectable()
class GroupTasks {
  readonly failed: number[] = [];

  @Task()
  pay(amount: number): number {
    if (amount > 10) throw new PaymentDeclined(amount);
    return amount;
  }

  @Task()
  strange(): number {
    throw new NobodyKnowsMe('boo');
  }

  /** Ends when the worker stops, or never. */
  @Task()
  slow(task: TaskContext): Promise<number> {
    return new Promise((_, reject) =>
      task.signal.addEventListener('abort', () => reject(new Error('aborted'))),
    );
  }

  @Task()
  note(failure: TaskFailure): void {
    this.failed.push(Number(failure.request.args[0]));
  }
}

describe('groups and errors', () => {
  let app: INestApplicationContext;
  beforeAll(async () => {
    @Module({
      imports: [
        TaskQueueModule.forRoot({
          connection: { url: REDIS_URL },
          prefix: `group-${Date.now()}`,
          errors: [PaymentDeclined],
          worker: { drainTimeout: 0 },
        }),
      ],
      providers: [GroupTasks],
    })
    class GroupModule {}
    app = await (
      await Test.createTestingModule({ imports: [GroupModule] })
        .setLogger(SILENT)
        .compile()
    ).init();
  });
  afterAll(() => app.close());

  it('runs an errback once per failing member with { each: true }', async () => {
    const workflows = app.get(WorkflowService);
    const tasks = workflows.tasks(GroupTasks);
    const group = workflows.group([20, 1, 30].map((amount) => tasks.pay.s(amount)));
    const result = await group.linkError(tasks.note.s(), { each: true }).applyAsync();
    await expect(result.get()).rejects.toThrow(GroupError);
    const { failed } = app.get(GroupTasks);
    while (failed.length < 2) await new Promise((resolve) => setImmediate(resolve));
    expect(failed.toSorted((a, b) => a - b)).toEqual([20, 30]);
  });

  it('ends the wait at the first failure with { failFast: true }', async () => {
    const workflows = app.get(WorkflowService);
    const tasks = workflows.tasks(GroupTasks);
    const result = await workflows.group([tasks.pay.s(1), tasks.slow.s(), tasks.pay.s(99)]).applyAsync();
    const error: unknown = await result
      .get({ failFast: true, timeout: '60s' })
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(GroupError);
    expect((error as GroupError).failures.map(({ index }) => index)).toEqual([2]);
    expect(await result.ready()).toBe(false);
    await result.revoke({ terminate: true });
  });

  it('throws what was thrown, where the class is registered', async () => {
    const result = await app.get(WorkflowService).tasks(GroupTasks).pay.delay(11);
    const error: unknown = await result.get().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PaymentDeclined);
    expect(error).toMatchObject({ message: 'declined: 11', amount: 11 });
  });

  it('throws a RemoteTaskError with the original name where it is not', async () => {
    const result = await app.get(WorkflowService).tasks(GroupTasks).strange.delay();
    const error: unknown = await result.get().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(RemoteTaskError);
    expect(error).toMatchObject({ name: 'NobodyKnowsMe', message: 'boo', failure: { reason: 'error' } });
  });
});
