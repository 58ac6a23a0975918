import type { MendableKind } from '../task/task-event.js';
import type { TaskState } from '../task/task-state.js';

/** What stands in every obstacle. */
interface Base<Kind extends string> {
  readonly kind: Kind;
  /** The id of the task or composite that it keeps from ending. */
  readonly id: string;
  /** The task's name, or the kind of the composite; empty where nothing is stored about it. */
  readonly name: string;
  readonly queue: string;
  /** Where in its canvas it stands, e.g. `3.body`; empty for the canvas itself. */
  readonly position: string;
}

/** Somebody has paused the queue. */
export type QueuePaused = Base<'queue-paused'>;
/** No worker that is alive takes anything from the queue. */
export type NoWorker = Base<'no-worker'>;
/** Workers take from the queue, and none of them knows the task: whoever takes it will fail it. */
export interface TaskUnknown extends Base<'task-unknown'> {
  /** How many workers take from the queue. */
  readonly workers: number;
}
/** Others are to be started before it. */
export interface WaitingInLine extends Base<'waiting'> {
  /** How many; absent when there are 10,000 or more. */
  readonly ahead?: number;
  /** 0 is served first, then 1, 2, … */
  readonly priority: number;
  /** Of a step of a canvas: what it does when it is started. */
  readonly then?: string;
}
/** Its time has not come: a countdown, or it was given back for a while. */
export interface Delayed extends Base<'delayed'> {
  /** ISO 8601. */
  readonly until: string;
}
/** It has failed and is tried again. */
export interface Retrying extends Base<'retrying'> {
  readonly until: string;
  /** Which retry comes next, counted from 1. */
  readonly retry: number;
  /** How many there may be, where that is known here. */
  readonly of?: number;
  /** Why the last attempt failed. */
  readonly error?: { readonly name: string; readonly message: string };
}
/** It has a slot in the line of its rate limit. */
export interface RateLimited extends Base<'rate-limited'> {
  readonly until: string;
}
/** A breaker keeps it from a resource that does not work; when it asks again. */
export interface BehindBreaker extends Base<'breaker-open'> {
  readonly breaker: string;
  readonly until: string;
}
/** Too many of the calls are retries; when it asks again. */
export interface OverRetryBudget extends Base<'over-retry-budget'> {
  /** The name of the budget. */
  readonly budget: string;
  readonly until: string;
}
/** Another task has its idempotency key and has not ended; when it looks again. */
export interface KeyTaken extends Base<'key-taken'> {
  readonly until: string;
  /** Since when it waits. */
  readonly since: string;
}
/** A worker runs it. */
export interface Running extends Base<'running'> {
  /** Host and process id of the worker, `host:1234`. */
  readonly worker?: string;
  /** Whether that worker has shown lately that it is alive; absent where the worker is not known. */
  readonly isWorkerAlive?: boolean;
  readonly since?: string;
  /** Counted from 1; one that was lost with its worker is counted. */
  readonly attempt: number;
  /** For how long its lock holds without another sign of life. */
  readonly lockMs: number;
}
/** Its worker has died or was silent for too long: the lock is gone, and nobody has taken it up yet. */
export interface Stalled extends Base<'stalled'> {
  readonly worker?: string;
  readonly since?: string;
  readonly attempt: number;
  /** How often its worker was lost before. */
  readonly timesLost: number;
  /** Whether a worker that is alive takes from its queue, and so will take it up. */
  readonly isServed: boolean;
}
/** It ends when what is below it has ended. */
export interface WaitingForChildren extends Base<'waiting-for-children'> {
  readonly pending: number;
  /** Those of the pending ones that are explained here as well. */
  readonly shown: number;
  readonly succeeded: number;
  readonly failed: number;
}
/** Its members are still being published. */
export interface Dispatching extends Base<'dispatching'> {
  readonly dispatched: number;
  /** How many there will be, where that is known. */
  readonly total?: number;
  /** Until when the producer has to show that it is alive; the canvas fails else. */
  readonly leaseUntil?: string;
}
/** Its members that failed are still being put back by a redrive. */
export interface Redriving extends Base<'redriving'> {
  /** How many are still to be put back. */
  readonly remaining: number;
  /** Until when whoever redrives it has to show that he is alive; what remains counts as failed again else. */
  readonly leaseUntil?: string;
}
/** The budget of its header is breached, and somebody has to decide. */
export interface BudgetBreached extends Base<'budget-breached'> {
  readonly why: string;
  readonly since: string;
}
/** A canvas has taken the task's place. */
export interface Replaced extends Base<'replaced'> {
  /** The id of that canvas. */
  readonly by: string;
}
/** It was taken out of its queue, by a revocation or by hand, so nobody runs it; or so were members of it. They count as failed. */
export interface Removed extends Base<'removed'> {
  /** Of a composite: how many of its members. */
  readonly members?: number;
  /** The first ten of these, where they are among the first 100,000. */
  readonly ids?: readonly string[];
}
/** It is a step or body that is published when what comes before it has ended. */
export interface NotPublished extends Base<'not-published'> {
  /** The composite that publishes it. */
  readonly by: string;
}
/** What it came to is stored, its callbacks are being released. */
export interface Settling extends Base<'settling'> {
  readonly outcome: TaskState;
}
/** Its node waits for it, and nothing is stored about it: evicted, or deleted past the queue. */
export type Vanished = Base<'vanished'>;
/** It is stored, but in none of its queue's lists: nobody will ever take it. */
export type Stranded = Base<'stranded'>;
/** It has ended, and its node has not heard of it. */
export type Unheard = Base<'unheard'>;
/** Everything below it has ended, and nobody has told it. */
export type Unreleased = Base<'unreleased'>;
/** The queue has failed it by itself, without a record and without its callbacks. */
export interface Unsettled extends Base<'unsettled'> {
  /** With what. */
  readonly reason: string;
}
/** Nothing is stored about it: it was never published, or has expired, or was forgotten. */
export type Unknown = Base<'unknown'>;

type Any =
  | QueuePaused
  | NoWorker
  | TaskUnknown
  | WaitingInLine
  | Delayed
  | Retrying
  | RateLimited
  | BehindBreaker
  | OverRetryBudget
  | KeyTaken
  | Running
  | Stalled
  | WaitingForChildren
  | Dispatching
  | Redriving
  | BudgetBreached
  | Replaced
  | Removed
  | NotPublished
  | Settling
  | Vanished
  | Stranded
  | Unheard
  | Unreleased
  | Unsettled
  | Unknown;

/** One of them, without its words. */
export type Fact = Any;

/**
 * What keeps a task or composite from ending. `kind` tells them apart; later versions may know more of them, so a `switch`
 * has a `default`.
 */
export type Obstacle = Any & {
  /** The same in words. */
  readonly text: string;
  /** What would help; empty where there is nothing to do but wait. */
  readonly remedy: string;
  /** Whether `workflows.reconcile()` removes it, and nothing that happens by itself. */
  readonly mendable: boolean;
};

/** What can keep something from ending. */
export type ObstacleKind = Obstacle['kind'];

const MENDED: ReadonlySet<ObstacleKind> = new Set<MendableKind>([
  'vanished',
  'stranded',
  'unheard',
  'unreleased',
  'unsettled',
]);

/** Whether it is damage, which does not go away by itself. */
export function isMendable({ kind }: Pick<Obstacle, 'kind'>): boolean {
  return MENDED.has(kind);
}
