/**
 * What a user's first application looks like: the packed library, installed from its tarball, runs one task and
 * one chord. `npm run pack:check` compiles and starts it.
 */
import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  CallbackWithSuccesses,
  ChordError,
  Retry,
  Task,
  TaskContext,
  TaskQueueModule,
  WorkflowService,
} from 'nestjs-task-queue';

@Injectable()
class Numbers {
  @Task()
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 10 } })
  async double(value: number, task: TaskContext): Promise<number> {
    if (value === 3 && task.retries === 0) throw new Error('three fails once');
    if (value < 0) throw new RangeError(`${value} is below zero`);
    return value * 2;
  }

  @Task({ queue: 'totals' })
  async sum(values: number[]): Promise<number> {
    return values.reduce((sum, value) => sum + value, 0);
  }
}

@Module({
  imports: [
    TaskQueueModule.forRoot({
      connection: { url: process.env['REDIS_URL'] },
      prefix: `pack-check-${process.pid}`,
      queues: { totals: { concurrency: 2 } },
    }),
  ],
  providers: [Numbers],
})
class AppModule {}

function expectEqual(what: string, found: unknown, expected: unknown): void {
  if (found !== expected) throw new Error(`${what}: expected ${String(expected)}, got ${String(found)}`);
}

const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
try {
  const workflows = app.get(WorkflowService);
  const { double, sum } = workflows.tasks(Numbers);

  const one = await double.delay(21);
  expectEqual('task', await one.get({ timeout: '20s' }), 42);

  const all = workflows.chord([double.s(1), double.s(2), double.s(3)], sum.s());
  expectEqual('chord', await (await all.applyAsync()).get({ timeout: '20s' }), 12);

  const members = [double.s(1), double.s(-1), double.s(4)];
  const recovered = workflows.chord(members, sum.s(), { recovery: CallbackWithSuccesses });
  expectEqual('recovered chord', await (await recovered.applyAsync()).get({ timeout: '20s' }), 10);

  const failing = await workflows.chord(members, sum.s()).applyAsync();
  const error = await failing.get({ timeout: '20s' }).catch((thrown: unknown) => thrown);
  expectEqual('failed chord', error instanceof ChordError, true);
} finally {
  await app.close();
}
