import type { Budget } from '../canvas/header-rules.js';
import type { ClosingRecord, ParkedRecord } from '../chords/closing-record.js';
import type { HeaderTimes } from '../chords/deadline.js';
import type { JobRef } from './job-ref.js';
import type { Holder } from './ledger.js';

/** What became of a verdict over a header. */
export type Verdicted =
  /** It stands, or another one did already. */
  | 'done'
  /** What it was reached by has changed meanwhile: it is to be judged again. */
  | 'changed'
  /** The activation in whose name it was written has been superseded. */
  | 'superseded';

/** By what a header was judged: it has to be the same when the verdict is written. */
export interface Seen {
  /** The budget that somebody has set since the node was published. */
  readonly budget: Budget | undefined;
  /** Members that had returned. */
  readonly values: number;
  /** Members that had failed. */
  readonly failures: number;
  /** Members that had not ended. Some may have since: those are not set aside, nor counted as pending. */
  readonly pending: number;
  /** Whether its deadline had passed. */
  readonly isDue: boolean;
}

/**
 * Headers that are judged before all of their members have ended. Every verdict is one step: that it is written and what
 * it does happen together, in the name of the activation that holds the node, or not at all.
 */
export interface HeaderStore {
  /**
   * Closes a header: the verdict is written, and those of its members that have not ended are its members no more. What
   * they come to goes nowhere; they are kept as stragglers.
   */
  close(holder: Holder, closing: ClosingRecord, seen: Seen): Promise<Verdicted>;
  /** Notes that a header waits for somebody to decide. */
  park(holder: Holder, parked: ParkedRecord, seen: Seen): Promise<Verdicted>;
  /**
   * Puts the node back to wait for its members, unless one has failed since, or was taken out of its queue, or the budget is
   * another one.
   */
  wait(holder: Holder, seen: Seen): Promise<Verdicted>;
  /**
   * Sets the budget of a header that is not closed, and has it judged by it. One that is parked goes on.
   *
   * @returns false when the header is over, or nobody knows the node
   */
  setBudget(node: string, budget: Budget): Promise<boolean>;
  /**
   * Notes that the deadline of a header has passed, and has it judged. Nothing happens to one that is over, or in another
   * generation: whoever says so may have looked at an earlier one.
   */
  setDue(node: string, generation: number): Promise<void>;
  /**
   * What a deadline can count from; `over` when nothing waits for the members of that generation any more, `unknown` when it
   * has not begun.
   */
  times(node: string, generation: number): Promise<HeaderTimes | 'over' | 'unknown'>;
  /**
   * Notes that a member has ended, in the name of the activation that holds it: one that was superseded notes nothing. Of one
   * that is taken out of its queue, `JobStore.withdraw` notes it.
   */
  noteOutcome(member: Holder, node: string, nowMs: number): Promise<void>;
  /** Has a header judged that waits for its members; nothing happens to one that is over. */
  wake(node: string): Promise<void>;
  /** How many members of a node have failed with an error of each of these names; a name may have colons. */
  failuresByName(node: string, names: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** The members that had not ended when the header was closed, page by page. */
  stragglers(node: string): AsyncIterable<JobRef[]>;
  /**
   * Marks one of them as revoked, because its header is closed. Nothing happens when it is none any more: the canvas has been
   * redriven meanwhile.
   *
   * @returns whether it is one
   */
  cancelStraggler(node: string, member: JobRef): Promise<boolean>;
  /**
   * Keeps what the members have come to that had not ended when the header was closed, now that all of them have: in the name
   * of the job that waited for them, and which goes after that.
   */
  keepLate(waiter: Holder, node: string): Promise<boolean>;
  /** Those of them that returned, or failed, page by page; nobody before all have ended. */
  lateMembers(node: string, end: 'returned' | 'failed'): AsyncIterable<JobRef[]>;
  /** Which of these members had not ended when the header was closed. */
  areStragglers(node: string, ids: readonly string[]): Promise<boolean[]>;
}
