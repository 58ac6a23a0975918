/** The handlers of the suite. Each notes every run of its own, on a connection that no fault touches. */
import { Inject, Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import {
  type JsonValue,
  NonRetryableError,
  Retry,
  Task,
  TaskContext,
  type TaskFailure,
} from 'nestjs-task-queue';
import { type Fetch, fetchedHere } from './fetches.js';

/** Token of the connection for notes. */
export const NOTES = 'NOTES';

/** A run of a handler. */
export interface Run {
  readonly task: string;
  readonly id: string;
  readonly attempt: number;
  readonly generation: number;
  /** Which run it was: after a loss of data, an attempt may begin again under its number. */
  readonly run?: string;
  /** Which fetch it runs for. */
  readonly fetch?: Fetch;
  /** Of a job that calls its task for one item after the other. */
  readonly item?: number;
  /** What a body, callback or errback was given. */
  readonly got?: JsonValue;
}

/** What every handler returns, so that whoever gets it sees which attempt was heard. */
export interface Returned {
  readonly by: string;
  readonly attempt: number;
  readonly generation: number;
  readonly run?: string;
}

/**
 * How a member ends. `flaky` fails in its first attempt, `mended` in the first generation; `late` takes its time, and `never` all
 * there is.
 */
export type MemberEnd = 'value' | 'final' | 'flaky' | 'mended' | 'late' | 'never';

const LATE_MS = 1_500;
const NEVER_MS = 2 ** 31 - 1;

/** Where the notes about a canvas lie. */
export const notesOf = (canvas: string): string => `notes:${canvas}`;

@Injectable()
export class TortureTasks {
  constructor(@Inject(NOTES) private readonly redis: Redis) {}

  @Task({ name: 'member' })
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 1 } })
  async member(end: MemberEnd, task: TaskContext): Promise<JsonValue> {
    const run = await this.#note(task);
    if (end === 'never') await pause(NEVER_MS, undefined, { signal: task.signal });
    if (end === 'late') await pause(LATE_MS, undefined, { signal: task.signal });
    if (end === 'final' || (end === 'mended' && task.redriven === undefined))
      throw new NonRetryableError(end);
    if (end === 'flaky' && task.retries === 0) throw new Error(end);
    return returned(task, run);
  }

  /** A step of a chain: it gets a value, and returns its own. */
  @Task({ name: 'step' })
  async step(got: JsonValue, task: TaskContext): Promise<JsonValue> {
    return returned(task, await this.#note(task, got));
  }

  @Task({ name: 'body' })
  async body(got: JsonValue, task: TaskContext): Promise<JsonValue> {
    return returned(task, await this.#note(task, got));
  }

  @Task({ name: 'link' })
  async link(got: JsonValue, task: TaskContext): Promise<void> {
    await this.#note(task, got);
  }

  @Task({ name: 'errback' })
  async errback({ failures, values }: TaskFailure, task: TaskContext): Promise<void> {
    const failed = (failures ?? []).map(({ index }) => index);
    const succeeded = (values ?? []).map(({ index, value }) => ({ index, value }));
    await this.#note(task, { failed, succeeded });
  }

  /** @returns the name of this run */
  async #note({ id, name, attempt, redriven }: TaskContext, got?: JsonValue): Promise<string> {
    const run = randomUUID().slice(0, 8);
    const fetch = fetchedHere();
    const note: Run = {
      task: name,
      id,
      attempt,
      generation: redriven?.generation ?? 0,
      run,
      ...(fetch === undefined ? {} : { fetch }),
      ...(got === undefined ? {} : { got }),
    };
    await this.redis.rpush(notesOf(canvasOf(id)), JSON.stringify(note));
    return run;
  }
}

/** A canvas is named by what stands before the first dot. */
export const canvasOf = (id: string): string => id.split('.', 1)[0] ?? id;

function returned({ id, attempt, redriven }: TaskContext, run: string): JsonValue {
  return { by: id, attempt, generation: redriven?.generation ?? 0, run };
}
