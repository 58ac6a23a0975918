import type { TaskFailure } from '../failure/task-failure.js';
import type { PlannedJob } from '../flow/flow-plan.js';
import type { JobRef } from './job-ref.js';

/** What a node heard of one child that it waited for, or had lost. */
export type Heard =
  /** Nothing is stored about it: the node counts it as removed. */
  | 'vanished'
  /** It had ended: the node has what it came to now. */
  | 'unheard'
  /** It has not ended. */
  | 'alive'
  /** It has not ended, and the node waits for it again. */
  | 'again'
  /** The node knows already, or waits for nothing any more. */
  | 'known';

/** What came of telling a job of its children. */
export interface Telling {
  readonly heard: readonly Heard[];
  /** False also where another one was at the same at this moment. */
  readonly letGo: boolean;
}

/**
 * Puts right what was damaged from outside. Every repair asks, in the same step in which it changes something, whether the
 * damage is there: doing it twice, or at the same time as somebody else, changes nothing more.
 */
export interface Repairs {
  /** Whether anything can be damaged: not where nobody else gets at what is stored. */
  readonly needed: boolean;
  /**
   * Jobs that have been waiting for their children since before a time, oldest first.
   *
   * @param from how many of them are passed over
   */
  waitingSince(beforeMs: number, from: number, limit: number): Promise<readonly JobRef[]>;
  /** Nodes that have failed at this time or later, oldest first. */
  failedNodes(fromMs: number, limit: number): Promise<readonly (JobRef & { readonly atMs: number })[]>;
  /**
   * Tells a job that waits for its children what became of them; when none is pending afterwards it is released, once.
   *
   * @param outcomeMs of a node whose deadline counts from outcomes, the time: what it hears of counts as one, in the same step
   * @returns what it heard of each, and whether it was this call that let it go on
   */
  tell(parent: JobRef, children: readonly JobRef[], outcomeMs?: number): Promise<Telling>;
  /**
   * Puts a job back that is in none of its queue's lists: as one that has lost its worker.
   *
   * @returns whether it was so
   */
  putBack(job: JobRef): Promise<boolean>;
  /**
   * Puts the timer of a deadline, or who waits for late members, back beside a node that still needs it: that has vanished, or
   * its queue has failed it. A timer looks at once how late it is.
   *
   * @returns whether it was so
   */
  attend(node: string, job: PlannedJob): Promise<boolean>;
  /** Has a node that its queue has failed by itself settle with this failure. @returns whether it was so */
  settle(job: JobRef, failure: TaskFailure): Promise<boolean>;
  /** Removes what is left in a list of a job that is gone. @returns whether there was anything */
  drop(job: JobRef): Promise<boolean>;
}
