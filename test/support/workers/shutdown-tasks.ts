/**
 * Tasks that meet a shutdown, each in its way. They note in Redis when they begin and end, and in which process.
 */
import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { NonRetryableError, Retry, Task, TaskContext, WorkflowService } from 'nestjs-task-queue';

/** What a task notes. */
export interface Note {
  readonly what: string;
  readonly label: string;
  readonly pid: number;
  readonly attempt: number;
  readonly retries: number;
  readonly at: 'begin' | 'end';
}

/** Where notes are kept. */
@Injectable()
export class Notes implements OnApplicationShutdown {
  constructor(
    @Inject('NOTES_REDIS') private readonly redis: Redis,
    @Inject('NOTES_PREFIX') private readonly prefix: string,
  ) {}

  async add(what: string, label: string, at: Note['at'], { attempt, retries }: TaskContext): Promise<void> {
    const note: Note = { what, label, pid: process.pid, attempt, retries, at };
    await this.redis.rpush(`count:${this.prefix}:notes`, JSON.stringify(note));
  }

  async all(): Promise<Note[]> {
    const notes = await this.redis.lrange(`count:${this.prefix}:notes`, 0, -1);
    return notes.map((note) => JSON.parse(note) as Note);
  }

  onApplicationShutdown(): void {
    this.redis.disconnect();
  }
}

const A_LONG_TIME_MS = 60_000;

@Injectable()
export class ShutdownTasks {
  constructor(
    private readonly notes: Notes,
    private readonly workflows: WorkflowService,
  ) {}

  /** Hears no signal, and ends by itself. */
  @Task({ queue: 'work' })
  async finishes(label: string, ms: number, task: TaskContext): Promise<string> {
    await this.notes.add('finishes', label, 'begin', task);
    await delay(ms);
    await this.notes.add('finishes', label, 'end', task);
    return label;
  }

  /** Publishes when it is about to end. */
  @Task({ queue: 'work' })
  async publishes(label: string, ms: number, task: TaskContext): Promise<string> {
    await this.notes.add('publishes', label, 'begin', task);
    await delay(ms);
    return (await this.workflows.tasks(ShutdownTasks).finishes.delay(`${label}, published`, 0)).id;
  }

  /** Ends when its signal says so; the second attempt has a value. */
  @Task({ queue: 'work' })
  @Retry({ maxRetries: 0 })
  async listens(label: string, task: TaskContext): Promise<string> {
    await this.notes.add('listens', label, 'begin', task);
    if (task.attempt === 1) await delay(A_LONG_TIME_MS, undefined, { signal: task.signal });
    return label;
  }

  /** Hears no signal and does not end; the second attempt has a value. */
  @Task({ queue: 'work' })
  @Retry({ maxRetries: 0 })
  async ignores(label: string, task: TaskContext): Promise<string> {
    await this.notes.add('ignores', label, 'begin', task);
    if (task.attempt === 1) await delay(A_LONG_TIME_MS);
    return label;
  }

  /** Fails at first, listens then, and fails for the rest: one retry is all it has. */
  @Task({ queue: 'work' })
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 10 } })
  async spends(label: string, task: TaskContext): Promise<never> {
    await this.notes.add('spends', label, 'begin', task);
    if (task.attempt === 2) await delay(A_LONG_TIME_MS, undefined, { signal: task.signal });
    throw new Error(`attempt ${task.attempt}`);
  }

  /** Fails at first, and waits a while for its second attempt. */
  @Task({ queue: 'work' })
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: '3s' } })
  async waits(label: string, task: TaskContext): Promise<number> {
    await this.notes.add('waits', label, 'begin', task);
    if (task.attempt === 1) throw new Error('not yet');
    return task.retries;
  }

  @Task({ queue: 'work' })
  async body(labels: string[], label: string, task: TaskContext): Promise<string[]> {
    await this.notes.add('body', label, 'begin', task);
    return labels;
  }

  @Task({ queue: 'work' })
  refuses(): never {
    throw new NonRetryableError('never');
  }
}
