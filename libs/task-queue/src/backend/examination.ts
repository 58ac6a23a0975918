import type { JobRef } from './job-ref.js';

/** Where a job lies. */
export type JobPlace =
  | 'waiting'
  | 'delayed'
  | 'active'
  | 'waiting-children'
  | 'completed'
  | 'failed'
  /** It is stored, but in none of its queue's lists: nobody will ever take it. */
  | 'nowhere'
  /** Nothing is stored about it. */
  | 'gone';

/** How one job stands at one moment, for those who want to know why it does not end. */
export interface JobCondition extends JobRef {
  readonly place: JobPlace;
  /** The task's name, or the kind of a node; empty of one that is gone. */
  readonly name: string;
  /** What it was published with, as JSON; absent where that is too long to be read on the way. */
  readonly data?: string;
  readonly publishedAtMs?: number;
  /** When its last activation began. */
  readonly startedAtMs?: number;
  readonly attemptsMade: number;
  /** Activations so far, those that were turned away included. */
  readonly activations: number;
  readonly timesLost: number;
  readonly priority: number;
  /** Of one that waits: how many go before it; absent where there are too many to be counted. */
  readonly ahead?: number;
  /** Of one that is delayed: until when. Of one that waits for its children: since when. */
  readonly atMs?: number;
  /** The lock of one that is active: for how long it holds without a sign of life. Absent where nobody holds it. */
  readonly lockMs?: number;
  /** Host and process id of the worker that took it last. */
  readonly worker?: string;
  /** Why it failed, or its last attempt. */
  readonly failedReason?: string;
  /** With what the queue will fail it instead of running it. */
  readonly verdict?: string;
  /** Children that it waits for. */
  readonly pending: number;
  /** Whether somebody has paused its queue. */
  readonly isPaused: boolean;
}

/** Children of a job that have not ended, as its job knows them. */
export interface PendingPage {
  readonly children: readonly JobRef[];
  /** Where the next page begins; absent on the last one. */
  readonly cursor?: string;
}

/**
 * Looks at single jobs closely. Every look is bounded by the number of jobs that are asked about, however long their
 * queues are; nothing is changed.
 */
export interface Examination {
  /**
   * How jobs stand, in their order.
   *
   * @throws BrokerUnavailableError when the store does not answer in time
   */
  conditions(jobs: readonly JobRef[]): Promise<readonly JobCondition[]>;
  /** About so many of a job's pending children, in no order; `cursor` is where the page before ended. */
  pendingPage(job: JobRef, limit: number, cursor?: string): Promise<PendingPage>;
}
