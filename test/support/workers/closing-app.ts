/**
 * An application that starts, works, and closes, in a process of its own. Nobody ends the process: it tells what is open
 * in it before and after, and is gone when nothing is left to do. Its options stand in WORKER_OPTIONS.
 */
import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { setTimeout as delay } from 'node:timers/promises';
import { Retry, Task, TaskContext, TaskQueueModule, WorkflowService } from 'nestjs-task-queue';

interface ClosingOptions {
  readonly url: string;
  readonly prefix: string;
  readonly role: 'producer' | 'worker' | 'both';
  /** What is under way when the application closes. */
  readonly during: 'nothing' | 'work' | 'waits' | 'tasks' | 'twice';
}

const { url, prefix, role, during } = JSON.parse(process.env.WORKER_OPTIONS ?? '{}') as ClosingOptions;

@Injectable()
class ClosingTasks {
  @Task()
  adds(one: number, other: number): number {
    return one + other;
  }

  @Task()
  sum(values: number[]): number {
    return values.reduce((sum, value) => sum + value, 0);
  }

  @Task({ softTimeLimit: '1h', timeLimit: '2h' })
  @Retry()
  async listens(task: TaskContext): Promise<void> {
    await delay(60_000, undefined, { signal: task.signal });
  }
}

@Module({
  imports: [
    TaskQueueModule.forRoot({
      connection: { url, connectionName: prefix },
      prefix,
      role,
      worker: { drainTimeout: 100 },
    }),
  ],
  providers: [ClosingTasks],
})
class ClosingModule {}

async function underWay(workflows: WorkflowService): Promise<void> {
  const tasks = workflows.tasks(ClosingTasks);
  switch (during) {
    case 'nothing':
      return;
    case 'work':
    case 'twice': {
      const chord = await workflows
        .chord([tasks.adds.s(1, 2), tasks.adds.s(3, 4)], tasks.sum.s())
        .applyAsync();
      if (role !== 'producer') await chord.get({ timeout: '30s' });
      await chord.describe();
      return;
    }
    case 'waits': {
      const far = await workflows.signature('nobody.serves.this', [], { queue: 'far' }).delay();
      far.get({ timeout: '10m' }).catch(() => undefined);
      void (async () => {
        for await (const _ of far.watch()) continue;
      })().catch(() => undefined);
      await delay(200);
      return;
    }
    case 'tasks': {
      const handle = await tasks.listens.delay();
      while ((await handle.state()) !== 'STARTED') await delay(10);
    }
  }
}

const open = (): string[] => process.getActiveResourcesInfo().sort();

// Loads what is loaded when it is needed first.
await delay(1);
const before = open();
const app = await NestFactory.createApplicationContext(ClosingModule, { logger: ['error', 'fatal'] });
await underWay(app.get(WorkflowService));
await (during === 'twice' ? Promise.all([app.close(), app.close()]) : app.close());
if (during === 'twice') await app.close();
// What was told to close does so in the next turns of the loop.
for (let looks = 0; looks < 40 && open().length > before.length; looks++) await delay(50);
process.send?.({ before, after: open() }, () => process.disconnect());
