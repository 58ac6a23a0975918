import type { DispatchRecord } from '../backend/ledger.js';
import type { JobRef } from '../backend/job-ref.js';
import type { SerializedError } from '../failure/task-failure.js';
import type { PlannedJob, Retention } from '../flow/flow-plan.js';
import { CANVAS_QUEUE, childId } from '../flow/ids.js';
import { generationIn } from '../task/redriven.js';

/** Where a job is, in the words in which BullMQ names its lists. */
export type Place = 'waiting' | 'delayed' | 'active' | 'waiting-children' | 'completed' | 'failed';

/** One job. Whatever came from outside is kept as JSON, so that what JSON does to it shows here as it does in Redis. */
export interface MemoryJob extends JobRef {
  readonly name: string;
  data: string;
  readonly retention: Retention;
  /** 0 goes first, then 1, 2, …, as in BullMQ. */
  readonly priority: number;
  readonly lifo: boolean;
  /** Its failure releases its parent at once. */
  readonly reports: boolean;
  readonly timestamp: number;
  parent: MemoryJob | undefined;
  /** Children by their key: those that have not ended, what the others returned, why they failed. */
  readonly pending: Set<string>;
  readonly values: Map<string, string>;
  readonly failures: Map<string, string>;
  /** Children that had not ended when its header was closed. */
  left?: ReadonlySet<string> | undefined;
  /** What these came to, when all of them had ended. */
  late?: Pick<MemoryJob, 'values' | 'failures'> | undefined;
  /** Of a header that a redrive holds back: for which generation, and the failures of members still to be put back. */
  refill?: { readonly generation: number; readonly aside: Map<string, string> } | undefined;
  /** Of a root: the headers that its redrive holds back. */
  refills?: readonly string[];
  place: Place;
  /** The order in which jobs became ready, over all queues. */
  ready: number;
  dueMs: number;
  /** Of the activation that owns the job. */
  token: string | undefined;
  attemptsMade: number;
  activations: number;
  timesLost: number;
  stage?: string;
  /** Members, where the data does not say so (any more). */
  size?: number;
  /** The dispatch of its members, where it was opened for one. */
  dispatch?: {
    by: number;
    dispatched: number;
    sealedAt?: number;
    /** `closed`: its header was, before all of them were there. */
    end?: 'sealed' | 'closed' | 'let-go' | { readonly error: SerializedError };
  };
  progress?: string;
  returnvalue?: string;
  failedReason?: string;
  processedOn?: number;
  finishedOn?: number;
}

/** What a job is known by. Neither queues nor ids hold a colon. */
export function keyOf({ queue, id }: JobRef): string {
  return `${queue}:${id}`;
}

/** The job of a key. */
export function refOf(key: string): JobRef {
  const colon = key.indexOf(':');
  return { queue: key.slice(0, colon), id: key.slice(colon + 1) };
}

/** The canvas that somebody published, of which everything else comes. */
export function originOf(id: string): string {
  const dot = id.indexOf('.');
  return dot < 0 ? id : id.slice(0, dot);
}

/** What is among a node's children beside its members: its hold, or what holds it open. */
export function besideOf({ id }: MemoryJob, name: 'hold' | 'sentinel'): string {
  return keyOf({ queue: CANVAS_QUEUE, id: childId(id, name) });
}

/** How many of some children of a node are members. */
export function membersAmong(node: MemoryJob, children: ReadonlySet<string>): number {
  const beside = (['hold', 'sentinel'] as const).filter((name) => children.has(besideOf(node, name)));
  return children.size - beside.length;
}

export function isOver(job: MemoryJob): boolean {
  return job.place === 'completed' || job.place === 'failed';
}

/** Whether it has ended, at that time or earlier. */
export function endedBefore(job: MemoryJob, atMs: number): boolean {
  return isOver(job) && job.finishedOn !== undefined && job.finishedOn <= atMs;
}

/** Of a canvas that was redriven; 0 is the first. */
export function generationOfJob({ data }: MemoryJob): number {
  return generationIn(JSON.parse(data)) ?? 0;
}

/** How the dispatch of a node's members stands. */
export function dispatchOf(job: MemoryJob | undefined): DispatchRecord | undefined {
  if (job?.dispatch === undefined) return undefined;
  const { dispatched, end } = job.dispatch;
  if (end === undefined || end === 'sealed') return { dispatched, state: end ?? 'open' };
  if (end === 'closed') return { dispatched, state: 'open', isClosed: true };
  return end === 'let-go' ? { dispatched, state: 'cut' } : { dispatched, state: 'failed', error: end.error };
}

/** A job that is about to be put somewhere. */
export function newJob(planned: PlannedJob, parent: MemoryJob | undefined, nowMs: number): MemoryJob {
  const { id, queue, name, retention, priority = 0, lifo = false, reports = false, delayMs = 0 } = planned;
  return {
    id,
    queue,
    name,
    data: JSON.stringify(planned.data),
    retention,
    priority,
    lifo,
    reports,
    timestamp: nowMs,
    parent,
    pending: new Set(),
    values: new Map(),
    failures: new Map(),
    place: 'waiting-children',
    ready: 0,
    dueMs: nowMs + delayMs,
    token: undefined,
    attemptsMade: 0,
    activations: 0,
    timesLost: 0,
  };
}

/** A node does not know any more what a child of it came to. */
export function forgetChild(node: MemoryJob, child: JobRef): void {
  node.values.delete(keyOf(child));
  node.failures.delete(keyOf(child));
}
