import type { TaskFailure } from '../failure/task-failure.js';
import type { JsonValue } from '../primitives/json.js';
import type { JobRef } from './job-ref.js';
import type { TaskReply } from './task-reply.js';

/** A task that failed and whose job is still there. */
export interface FailedJob {
  readonly name: string;
  readonly data: unknown;
  /** The data as it is stored. */
  readonly text: string;
  readonly priority?: number;
}

/** A task that has a job. */
export interface FoundTask {
  readonly name: string;
  readonly headers?: Readonly<Record<string, JsonValue>>;
  /** Its node is told of its failure at once: it has a budget. */
  readonly reports: boolean;
  /** A deadline above counts from its end. */
  readonly isTimed: boolean;
  /** Of a canvas that was redriven; absent in its first one. */
  readonly generation?: number;
  /** The canvas that has taken its place. */
  readonly replacedBy?: JobRef;
}

/** Which tasks are meant. Everything that is given has to hold. */
export interface TaskQuery {
  readonly name?: string;
  readonly queue?: string;
  /** Headers of the call; a list there holds one of them. */
  readonly stamp?: Readonly<Record<string, string | number | boolean>>;
}

/** What is kept of a task that is taken out of its queue. */
export interface WithdrawalRecord {
  readonly failure: TaskFailure;
  /** How long, where it does not go with a canvas. */
  readonly ttlMs: number | undefined;
  /** The node whose deadline counts from its end. */
  readonly timedBy: string | undefined;
}

/** The jobs of all queues, for those who look at one from outside or take one away. */
export interface JobStore {
  /**
   * What became of a task or node, by its id alone.
   *
   * @throws BrokerUnavailableError when the store does not answer in time
   */
  look(id: string): Promise<TaskReply>;
  /** What a task's job says about itself; undefined when there is none. */
  find(job: JobRef): Promise<FoundTask | undefined>;
  /** The jobs of tasks that have failed, in the order of the tasks; undefined where one is gone, or has not failed. */
  readFailed(tasks: readonly JobRef[]): Promise<readonly (FailedJob | undefined)[]>;
  /**
   * Takes a job out of its queue before it runs (again); its node hears of it in the same moment.
   *
   * @param record of a task that is revoked, what is kept of it: written in the same step, so that nobody sees it of a task that
   * was not taken. Where only the closing of a header revoked it, its job is kept as well, as one that has failed; where nothing
   * does any more, it stays
   * @returns false when there is none, or it runs, waits for a canvas in its place, or has ended
   */
  withdraw(job: JobRef, record?: WithdrawalRecord): Promise<boolean>;
  /**
   * Tasks that have not ended, page by page: what waits before what runs. What moves meanwhile may come twice, or not at
   * all. After each page it wants to know how many tasks have been taken out of their queues since.
   */
  search(query: TaskQuery): AsyncGenerator<readonly JobRef[], void, number>;
  /** Removes everything that is stored about a canvas that has ended. */
  removeCanvas(id: string): Promise<void>;
  /** Removes a task that stands alone. */
  removeTask(job: JobRef): Promise<void>;
}
