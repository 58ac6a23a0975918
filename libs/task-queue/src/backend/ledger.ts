import type { Budget } from '../canvas/header-rules.js';
import type { ClosingRecord, ParkedRecord } from '../chords/closing-record.js';
import type { ChordDecisionRecord } from '../chords/decision-record.js';
import type { SerializedError, TaskFailure } from '../failure/task-failure.js';
import type { TaskEnvelope } from '../flow/envelope.js';
import type { StoredValue } from '../flow/stored-value.js';
import type { JsonValue } from '../primitives/json.js';
import type { LetterEntry } from './failure-store.js';
import type { JobRef } from './job-ref.js';

/** How far a node has come. `adding` means that a crash may have come between the note and the deed. */
export interface Stage {
  readonly stage: number;
  readonly state: 'adding' | 'added';
  /** The one child of this stage, where there is one. */
  readonly child?: JobRef;
  /** The child of the stage before, from which a step whose adding was cut short begins again. */
  readonly before?: JobRef;
}

/** How the dispatch of a node's members stands. */
export interface DispatchRecord {
  /** Members that have been added. */
  readonly dispatched: number;
  readonly state:
    | 'open'
    | 'sealed'
    /** The producer died, or stopped, and did not come back within its lease. */
    | 'cut'
    /** The source of the members threw. */
    | 'failed';
  readonly error?: SerializedError;
  /** Its header was closed before all members were there: those that are stand for it, in later generations too. */
  readonly isClosed?: true;
}

/** What a node's job sees when it is released. */
export interface NodeRecord {
  readonly stage: Stage | undefined;
  /** How many members it has, where that was not known when it was published, or has changed since. */
  readonly size: number | undefined;
  readonly values: number;
  readonly failures: number;
  readonly pending: number;
  /** Members that failed and are still to be put back by a redrive, where there are such. */
  readonly setAside?: number;
  /** That the members were, or are, published while they are read. */
  readonly dispatch: DispatchRecord | undefined;
  /** The node has been settled as failed before a crash. */
  readonly failure: TaskFailure | undefined;
  readonly decision: ChordDecisionRecord | undefined;
  /** The node, or one above it, has been revoked. */
  readonly revoked: boolean;
  /** That its header is closed. */
  readonly closing: ClosingRecord | undefined;
  /** That it waits for somebody to decide. */
  readonly parked: ParkedRecord | undefined;
  /** The budget that it has been given since it was published. */
  readonly budget: Budget | undefined;
  /** Whether the deadline of its header has passed. */
  readonly isDue: boolean;
  /** Whether a hold is among the children that are pending. */
  readonly isHeld: boolean;
  /** Of a header that was closed early: nobody waits for its late members any more, and what they came to is kept. */
  readonly isLateKept: boolean;
}

/** The members of a node that are pending: of its children neither the hold nor what holds it open. */
export function pendingMembers({
  pending,
  isHeld,
  dispatch,
  setAside = 0,
}: Pick<NodeRecord, 'pending' | 'isHeld' | 'setAside'> & Partial<Pick<NodeRecord, 'dispatch'>>): number {
  return Math.max(0, pending - Number(isHeld) - Number(dispatch?.state === 'open' || setAside > 0));
}

/** How many members have been published, of so many as there are to be. */
export function publishedMembers(size: number, dispatch: DispatchRecord | undefined): number {
  return dispatch === undefined || dispatch.state === 'sealed' ? size : dispatch.dispatched;
}

/** Where the members of a node are that have been published. */
export interface MemberPlaces extends Pick<NodeRecord, 'values' | 'failures' | 'setAside'> {
  readonly published: number;
  /** Members alone: of the children that are pending neither the hold nor what holds it open. */
  readonly pending: number;
}

/**
 * How many members are in no list: they were revoked while they waited, or taken out of their queues by hand. They count as
 * failed, and that is what is told of them.
 */
export function lostMembers({ published, values, failures, pending, setAside = 0 }: MemberPlaces): number {
  return Math.max(0, published - values - failures - pending - setAside);
}

/** What one child of a node came to. */
export type ChildRecord =
  | { readonly end: 'succeeded'; readonly value: StoredValue }
  | { readonly end: 'failed'; readonly reason: string }
  | { readonly end: 'pending' }
  | { readonly end: 'missing' };

/** What one member came to, by its index. */
export type MemberRecord =
  | { readonly index: number; readonly id: string; readonly value: StoredValue }
  | {
      readonly index: number;
      readonly id: string;
      readonly reason: string;
      readonly failure: TaskFailure | undefined;
    };

/** What some members came to that follow each other. */
export interface MemberPage {
  readonly from: number;
  readonly to: number;
  /** By index, ascending. */
  readonly members: readonly MemberRecord[];
}

/** Identifies the activation in whose name something is written. */
export interface Holder extends JobRef {
  readonly token: string;
}

/**
 * What is kept beside the jobs themselves: stages, failures, decisions. The queues hold what was released and what
 * each child returned; this holds why something failed and what was decided.
 *
 * What is written in the name of an activation is refused once that activation has been superseded.
 */
export interface Ledger {
  readNode(id: string): Promise<NodeRecord>;
  /** What became of a child, as its node knows it, or the task whose place it has taken. */
  readChild(child: JobRef, parent?: JobRef): Promise<ChildRecord>;
  /** The failure that was recorded for a task or node of a canvas. */
  readFailure(id: string): Promise<TaskFailure | undefined>;
  /** The failures that were recorded for several tasks of one canvas, in their order. */
  readFailures(ids: readonly string[]): Promise<(TaskFailure | undefined)[]>;
  /** Notes that a task or node is revoked, and with it everything below it. */
  markRevoked(id: string, ttlMs: number | undefined): Promise<void>;
  /**
   * Notes that somebody has revoked a task or node which only the closing of a header had revoked before.
   *
   * @returns false where that is not so, or not so any more
   */
  markRevokedByHand(id: string): Promise<boolean>;
  /** Whether a task, or a node above it, is revoked. */
  isRevoked(id: string): Promise<boolean>;
  /** Which of these tasks and nodes somebody has revoked, or a node above them; closing a header is nobody. */
  areRevokedByHand(ids: readonly string[]): Promise<boolean[]>;
  /** A node's children that are not terminal yet, page by page. */
  pendingChildren(node: string): AsyncIterable<JobRef[]>;
  /** A node's children that have failed, page by page. */
  failedChildren(node: string): AsyncIterable<JobRef[]>;
  /**
   * Everything that the members of a node came to, page by page, in no order. A member that was removed by hand is not
   * here: whoever reads compares with the size (hole H1).
   */
  members(node: string): AsyncIterable<MemberRecord[]>;
  /**
   * Members 0 to `published` - 1 that are in no list of their node, page by page: they were revoked while they waited, or taken
   * out of their queues by hand. Who had not ended when the header was closed is in none before all of those have.
   */
  lostMembers(node: string, published: number): AsyncIterable<string[]>;
  /** Whether an activation still owns its job. What is written in its name asks for itself. */
  holds(holder: Holder): Promise<boolean>;
  /**
   * The same in definition order, of members 0 to size - 1: each page covers the indexes from `from` to before `to`.
   * Members that have not ended, and such as are in no list, are absent.
   */
  membersInOrder(node: string, size: number): AsyncIterable<MemberPage>;
  /** @returns false when the activation has been superseded */
  setStage(holder: Holder, stage: Stage): Promise<boolean>;
  /** Replaces a task's stored data. @returns false when the activation has been superseded */
  setData(holder: Holder, data: TaskEnvelope): Promise<boolean>;
  /**
   * The same of a task whose place a canvas takes. In the same step the canvas around the task gets to know of the one in
   * its place, which is kept and forgotten together with it.
   *
   * @returns false when the activation has been superseded
   */
  setReplaced(holder: Holder, data: TaskEnvelope, by: JobRef): Promise<boolean>;
  /**
   * Records a final failure, and in the same step the dead letter that it makes.
   *
   * @returns false when the activation has been superseded
   */
  recordFailure(
    holder: Holder,
    failure: TaskFailure,
    ttlMs: number | undefined,
    entry?: LetterEntry,
  ): Promise<boolean>;
  /**
   * Takes back the dead letter of an activation that died before the task could end.
   *
   * @returns false when the activation has been superseded
   */
  withdrawLetter(holder: Holder): Promise<boolean>;
  /** Stores what a node came to, before its callbacks are released. @returns false when it has been superseded */
  settleValue(holder: Holder, value: StoredValue): Promise<boolean>;
  /** Settles a node as failed. What was written first stands. @returns undefined when superseded */
  settleFailure(holder: Holder, failure: TaskFailure): Promise<TaskFailure | undefined>;
  /** Keeps what a chord's recovery decided. What was written first stands. @returns undefined when superseded */
  decideOnce(holder: Holder, decision: ChordDecisionRecord): Promise<ChordDecisionRecord | undefined>;
  /** Starts the clock of a canvas whose root has ended. @returns false when superseded */
  startExpiry(holder: Holder, nowMs: number, ttlMs: number): Promise<boolean>;
  /** @returns false when the activation has been superseded */
  setProgress(holder: Holder, progress: JsonValue): Promise<boolean>;
}
