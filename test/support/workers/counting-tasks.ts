/**
 * Tasks that count in Redis how often they ran: what a test process sees of workers that are killed.
 */
import { Inject, Injectable } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import {
  type JsonValue,
  type LateOutcomes,
  NonRetryableError,
  Retry,
  Task,
  TaskContext,
  type TaskFailure,
  WorkflowService,
} from 'nestjs-task-queue';

/** Where counts are kept. */
export const COUNTS = 'COUNTS';

export interface Counts {
  readonly redis: Redis;
  readonly prefix: string;
}

/** How a member ends. `flaky` fails in its first attempt, `mended` in the first generation of its canvas. */
export type MemberEnd = 'value' | 'error' | 'flaky' | 'final' | 'mended';

/** What a body or errback noted about one of its runs. */
export interface EndNote {
  readonly kind: 'body' | 'errback';
  readonly id: string;
  readonly attempt: number;
  readonly values: readonly (readonly [index: number, value: JsonValue])[];
  readonly failures: readonly (readonly [index: number, message: string])[];
}

@Injectable()
export class CountingTasks {
  constructor(
    @Inject(COUNTS) private readonly counts: Counts,
    private readonly workflows: WorkflowService,
  ) {}

  @Task({ queue: 'members' })
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 20 } })
  async member(chord: string, index: number, end: MemberEnd, ms: number, task: TaskContext): Promise<number> {
    await this.#ran('member', chord, task);
    await delay(ms);
    if (end === 'final' || (end === 'mended' && task.redriven === undefined))
      throw new NonRetryableError(`final ${index}`);
    if (end === 'error' || (end === 'flaky' && task.retries === 0)) throw new Error(`error ${index}`);
    return index;
  }

  /** Adds members to its header, one after the other; its first attempt then fails. */
  @Task({ queue: 'members' })
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 20 } })
  async adding(
    chord: string,
    index: number,
    values: number[],
    ms: number,
    task: TaskContext,
  ): Promise<number> {
    await this.#ran('adding', chord, task);
    const { member } = this.workflows.tasks(CountingTasks);
    for (const value of values) {
      await delay(ms);
      await task.addToGroup(member.si(chord, value, 'value', ms));
    }
    if (task.retries === 0) throw new Error('after adding');
    return index;
  }

  /** Gets plain values, or outcomes where the recovery hands those over. */
  @Task({ queue: 'ends' })
  async body(values: JsonValue[], chord: string, task: TaskContext): Promise<{ chord: string; sum: number }> {
    await this.#ran('body', chord, task);
    const entries = values.map((entry, at) => {
      const outcome = entry as { status?: string; value?: number; reason?: TaskFailure } | number;
      return typeof outcome === 'number'
        ? { value: [outcome, outcome] as const }
        : outcome.status === 'fulfilled'
          ? { value: [at, outcome.value ?? null] as const }
          : { failure: [at, outcome.reason?.error.message ?? ''] as const };
    });
    const note: EndNote = {
      kind: 'body',
      id: task.id,
      attempt: task.attempt,
      values: entries.flatMap(({ value }) => (value ? [value] : [])),
      failures: entries.flatMap(({ failure }) => (failure ? [failure] : [])),
    };
    await this.counts.redis.rpush(this.#key(`ends:${chord}`), JSON.stringify(note));
    return { chord, sum: note.values.reduce((sum, [, value]) => sum + Number(value), 0) };
  }

  @Task({ queue: 'ends' })
  async errback(failure: TaskFailure, chord: string, task: TaskContext): Promise<void> {
    await this.#ran('errback', chord, task);
    const note: EndNote = {
      kind: 'errback',
      id: task.id,
      attempt: task.attempt,
      values: (failure.values ?? []).map(({ index, value }) => [index, value] as const),
      failures: (failure.failures ?? []).map(
        ({ index, failure: { error } }) => [index, error.message] as const,
      ),
    };
    await this.counts.redis.rpush(this.#key(`ends:${chord}`), JSON.stringify(note));
  }

  /** Gets what came late, and notes whose it was. */
  @Task({ queue: 'ends' })
  async late({ outcomes }: LateOutcomes<number>, chord: string, task: TaskContext): Promise<void> {
    await this.#ran('late', chord, task);
    const told = outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : null));
    await this.counts.redis.rpush(this.#key(`heard:${chord}`), JSON.stringify(told));
  }

  /** Runs until its process is killed. */
  @Task({ queue: 'members' })
  async victim(label: string, task: TaskContext): Promise<void> {
    await this.#ran('victim', label, task);
    await this.counts.redis.publish(this.#key('victim'), JSON.stringify({ pid: process.pid, label }));
    await delay(60_000);
  }

  /** Its first attempt fails after a while, its second waits to be killed, its third tells its retries. */
  @Task({ queue: 'members' })
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 20 } })
  async outlived(label: string, task: TaskContext): Promise<number> {
    await this.#ran('outlived', label, task);
    if (task.attempt === 1) {
      await delay(200);
      throw new Error('an error of the past');
    }
    if (task.attempt === 2) await delay(60_000);
    return task.retries;
  }

  /** Asks for an attempt with other arguments; that one waits to be killed, the one after tells what it knows. */
  @Task({ queue: 'members' })
  async asking(label: string, step: number, task: TaskContext): Promise<JsonValue> {
    await this.#ran('asking', label, task);
    if (task.attempt === 1)
      task.retry({ args: [label, step + 1], countdown: 1, error: new Error('not yet') });
    if (task.attempt === 2) await delay(60_000);
    if (task.attempt === 3) task.retry({ args: [label, step + 1], countdown: 1 });
    const { attempt, retries, maxRetries, isLastAttempt } = task;
    return { step, attempt, retries, maxRetries, isLastAttempt };
  }

  async #ran(kind: string, chord: string, task: TaskContext): Promise<void> {
    const { redis } = this.counts;
    await redis
      .multi()
      .incr(this.#key(`${kind}:${chord}`))
      .hincrby(this.#key('runs'), `${kind} ${task.id}`, 1)
      .hincrby(this.#key('activations'), `${kind} ${task.id} ${task.attempt}`, 1)
      .exec();
  }

  #key(name: string): string {
    return `count:${this.counts.prefix}:${name}`;
  }
}
