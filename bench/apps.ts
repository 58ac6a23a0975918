import 'reflect-metadata';
import { Injectable, type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Task, TaskQueueModule, type TaskQueueRole } from 'nestjs-task-queue';
import { Enhanced } from './enhanced.js';
import { REDIS_URL } from './redis-url.js';

/** Tells how far the tasks of a run have come. */
export class Progress {
  finished = 0;
  #total = Infinity;
  #reached: () => void = () => undefined;

  /** @param onFirst called at the first step */
  constructor(private readonly onFirst: () => void = () => undefined) {}

  /** Resolves when so many tasks have run. */
  reach(total: number): Promise<void> {
    this.#total = total;
    return new Promise((resolve) => {
      this.#reached = resolve;
    });
  }

  step(): void {
    if (this.finished === 0) this.onFirst();
    if (++this.finished === this.#total) this.#reached();
  }
}

export const CONCURRENCY = 50;

@Injectable()
export class BenchTasks {
  constructor(private readonly progress: Progress) {}

  @Task()
  noop(): void {
    this.progress.step();
  }

  @Task()
  @Enhanced()
  enhancedNoop(): void {
    this.progress.step();
  }

  @Task()
  value(n: number): number {
    return n;
  }

  @Task({ queue: 'bodies' })
  body(values: number[]): number {
    this.progress.step();
    return values.length;
  }
}

/** An application of the library as a user would write it. */
export function startApp(
  role: TaskQueueRole,
  progress: Progress,
  currentTask = true,
): Promise<INestApplicationContext> {
  @Module({
    imports: [
      TaskQueueModule.forRoot({
        connection: { url: REDIS_URL },
        role,
        queues: { default: { concurrency: CONCURRENCY } },
        publishTimeout: '60s',
        worker: { currentTask },
      }),
    ],
    providers: [BenchTasks, { provide: Progress, useValue: progress }],
  })
  class BenchModule {}
  return NestFactory.createApplicationContext(BenchModule, { logger: ['error', 'warn'] });
}
