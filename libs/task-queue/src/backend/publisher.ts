import type { SerializedError } from '../failure/task-failure.js';
import type { FlowPlan, PlannedJob } from '../flow/flow-plan.js';
import type { Rerun } from '../flow/redrive.js';
import type { Holder } from './ledger.js';

/** What became of a publication. */
export type Publication =
  /** It was carried out now. */
  | 'published'
  /** A canvas of this id exists; nothing was added. */
  | 'exists'
  /** The activation in whose name it was made has been superseded; nothing was added. */
  | 'superseded';

/** What became of a member that a running task adds. */
export type Addition =
  /** It is there: added now, or by an earlier attempt of the same task. */
  | { readonly is: 'added' | 'exists'; readonly id: string }
  /** Nothing was added: the attempt is over, the canvas is revoked, the header is closed or still being read, there is no group. */
  | { readonly is: 'superseded' | 'revoked' | 'closed' | 'open' | 'nowhere' };

/** The next generation of a canvas that has ended. */
export interface Reopening {
  /** The root of the canvas and what is put back below it; or a task that stands alone. */
  readonly rerun: Rerun;
  /** What the root's data was when this was planned: whoever has put it back since then has changed it. */
  readonly planned: string;
  readonly nowMs: number;
}

/** Puts flow plans into the queues. */
export interface Publisher {
  /**
   * Publishes a new canvas, whose id nobody else uses.
   *
   * @throws BrokerUnavailableError within the publish timeout; the publication may have happened
   */
  publish(plan: FlowPlan): Promise<Publication>;
  /**
   * Publishes a canvas unless one of its id exists: for ids that callers chose, and for released callbacks. One whose
   * publisher died half-way is completed.
   */
  publishOnce(plan: FlowPlan): Promise<Publication>;
  /** Adds a child to a running node, as long as the node's activation holds its lock. */
  publishUnder(holder: Holder, plan: FlowPlan): Promise<Publication>;
  /**
   * Opens a node whose members follow, or takes over its dispatch where another producer left it.
   *
   * @param total how many members will follow, where that is known
   */
  open(node: PlannedJob, total: number | undefined): Promise<Dispatch>;
  /**
   * Lets a node go on whose dispatch has been given up: nobody adds members any more.
   *
   * @param generation for whose sake: one that has begun since is left alone @defaultValue any
   */
  letGo(node: string, generation?: number): Promise<void>;
  /**
   * Adds a member to the nearest group or header that a running task is a member of, behind all others, as long as the
   * task's activation holds its lock. While the task runs, none of the nodes above it can be released.
   *
   * @param call which of the task's calls it is; the same call adds one member, also in a later attempt
   * @param compile makes the plan of the member that gets this id
   */
  addMember(holder: Holder, call: string, compile: (id: string) => FlowPlan): Promise<Addition>;
  /**
   * Puts parts of a canvas that has ended back into their queues, all or none of them: those that failed, and the nodes above
   * them, which keep what their other children came to. The canvas does not expire meanwhile, and the dead letters of its
   * tasks count as retried.
   *
   * Whoever gets another answer plans anew, or gives up what has expired: that may lie there for long where no worker is.
   */
  reopen(reopening: Reopening): Promise<Reopened>;
}

/**
 * What became of putting parts of a canvas back. `changed`: the canvas, or a task that is to be put back, is not any more what it
 * was when this was planned; `expired`: its results were kept for as long as they had to be.
 */
export type Reopened = 'reopened' | 'changed' | 'expired';

/**
 * The right to add members to an open node, until somebody takes it over. Whoever holds it knows, by the store's
 * answer to each step, how far the dispatch is: what was confirmed happened once, and what was not did not happen, or
 * shows in the cursor.
 */
export interface Dispatch {
  /** How it stood when it was opened. */
  readonly begin: Standing;
  /** Whether whoever publishes waits for the end of the dispatch: where publishing means running. */
  readonly eager: boolean;
  /** The members that the next `add` will be called with: what can be done without the store may be done by now. */
  prepare(members: readonly FlowPlan[]): void;
  /** Adds the next members, all or none of them, and moves the cursor behind them. They may start at once. */
  add(members: readonly FlowPlan[]): Promise<Standing>;
  /** Completes a member behind the cursor that is a wide node itself, and was cut off. Costs nothing where it was not. */
  complete(member: FlowPlan): Promise<void>;
  /** Looks how it stands, and renews the lease of the producer. */
  renew(): Promise<Standing>;
  /** All members are there. */
  seal(): Promise<Standing>;
  /** There are no more members, and the node is to fail. */
  fail(error: SerializedError): Promise<Standing>;
}

/** How a dispatch stands. `cursor` is how many members have been added. */
export interface Standing {
  readonly cursor: number;
  readonly is:
    /** Members can be added. */
    | 'open'
    /** All members are there; or the canvas had been published in one piece. */
    | 'sealed'
    /** Another producer has taken it over. */
    | 'superseded'
    /** The canvas has been revoked. */
    | 'revoked'
    /** The header has been closed before its end: no members are added to it any more. */
    | 'closed'
    /** The lease has run out, or the source has failed: the node ends without the rest. */
    | 'over';
  /** Members that have been added and have not ended. */
  readonly pending: number;
}
