import {
  type DispatchRecord,
  lostMembers,
  type MemberPlaces,
  pendingMembers,
  publishedMembers,
} from '../backend/ledger.js';
import type { JobFields, TaskReply } from '../backend/task-reply.js';
import type { ChordDecisionRecord } from '../chords/decision-record.js';
import type { SerializedError, TaskFailure } from '../failure/task-failure.js';
import { decodeNode } from '../flow/decode-envelope.js';
import { asNode, type EndedGeneration, type NodeEnvelope, withSize } from '../flow/envelope.js';
import { positionOf, rootOf } from '../flow/ids.js';
import { readStored } from '../flow/stored-value.js';
import type { JsonValue } from '../primitives/json.js';
import type { Redriven } from '../task/redriven.js';
import type { TaskState } from '../task/task-state.js';

/** How many members of a composite are where. */
export interface MemberCounts {
  readonly size: number;
  readonly succeeded: number;
  /** Also those that were revoked while they waited, or removed from their queues by hand. */
  readonly failed: number;
  /** Those that have not ended; of a header that was closed early those that had not by then. */
  readonly pending: number;
}

/** How far the members of a wide group or chord have been published. */
export interface DispatchProgress {
  /** Members that are there. */
  readonly dispatched: number;
  /**
   * - `open`: more may come;
   * - `sealed`: all are there;
   * - `cut`: the producer died, or stopped, and did not come back within its lease;
   * - `failed`: the source of the members threw.
   */
  readonly state: 'open' | 'sealed' | 'cut' | 'failed';
  /** How many there will be, where that is known: of a list, and of a source that has come to its end. */
  readonly total?: number;
}

/** That a chord's callback ran although members failed, and by which strategy. */
export interface Recovered {
  readonly strategy: string;
  readonly failed: number;
  readonly size: number;
  /** Members that had not ended when the header was closed, where it was closed before its end. */
  readonly pending?: number;
}

/** That a chord waits for somebody to decide, because its budget is breached. */
export interface Parked {
  /** In words. */
  readonly why: string;
  /** ISO 8601. */
  readonly since: string;
}

/** Everything that the store knows about one task or canvas at one moment. */
export interface TaskSnapshot {
  readonly id: string;
  readonly state: TaskState;
  /** The task's name, or the kind of a composite. */
  readonly name?: string;
  readonly queue?: string;
  readonly value?: JsonValue;
  readonly failure?: TaskFailure;
  readonly progress?: JsonValue;
  /** Retries so far. */
  readonly retries?: number;
  readonly counts?: MemberCounts;
  readonly dispatch?: DispatchProgress;
  readonly recovered?: Recovered;
  readonly parked?: Parked;
  readonly redriven?: Redriven;
  readonly history?: readonly EndedGeneration[];
  /** Epoch milliseconds. */
  readonly publishedAt?: number;
  readonly startedAt?: number;
  readonly finishedAt?: number;
}

/** What a reply says about a task that has a job, or whose node remembers it. A value may yet have to be resolved. */
export function snapshotOf(
  id: string,
  reply: Extract<TaskReply, { source: 'job' | 'value' | 'failed' }>,
): TaskSnapshot {
  switch (reply.source) {
    case 'value':
      return {
        id,
        state: 'SUCCESS',
        queue: reply.queue,
        value: readStored(reply.queue, reply.json) as JsonValue,
        ...recovered(reply.decision),
      };
    case 'failed':
      return failedSnapshot(
        id,
        reply.queue,
        reply.record ?? failureFromReason(id, reply.queue, reply.reason),
      );
    case 'job':
      return jobSnapshot(id, reply);
  }
}

function jobSnapshot(id: string, reply: Extract<TaskReply, { source: 'job' }>): TaskSnapshot {
  const { job, queue, place } = reply;
  const facts = defined({
    name: job.name,
    queue,
    progress: job.progress,
    // BullMQ counts the last attempt as well once a job has ended.
    retries: job.node ? undefined : Math.max(0, job.attemptsMade - (job.finishedOn === undefined ? 0 : 1)),
    counts: job.node === undefined ? undefined : countsOf(job.node),
    dispatch: job.node === undefined ? undefined : progressOf(job.node),
    parked: job.node?.parked && {
      why: job.node.parked.why,
      since: new Date(job.node.parked.atMs).toISOString(),
    },
    ...(job.node === undefined ? {} : generationsOf(job.node)),
    publishedAt: job.timestamp,
    // BullMQ notes the last activation, which of a node is its end.
    startedAt: job.node ? undefined : job.processedOn,
    finishedAt: job.finishedOn,
  });
  // What a node came to stands before its job has ended: state first, then callbacks (Celery B064, B111).
  const settled = job.node !== undefined && reply.record !== undefined;
  if (place === 'failed' || settled) {
    const failure =
      reply.record ?? failureFromReason(id, queue, job.failedReason ?? 'unknown reason', job.name);
    return { ...facts, ...failedSnapshot(id, queue, failure) };
  }
  if (place === 'completed' || (job.node !== undefined && job.returnvalue !== undefined)) {
    const value = job.returnvalue === undefined ? null : (readStored(queue, job.returnvalue) as JsonValue);
    return { ...facts, id, state: 'SUCCESS', value, ...recovered(reply.decision) };
  }
  return { ...facts, id, state: runningState(place, job), ...recovered(reply.decision) };
}

function runningState(place: string, job: JobFields): TaskState {
  if (job.node !== undefined)
    return job.node.values + job.node.failures > 0 || place === 'active' ? 'STARTED' : 'PENDING';
  // A task that waits for children is one whose place a canvas has taken.
  if (place === 'active' || place === 'waiting-children') return 'STARTED';
  return job.attemptsMade > 0 ? 'RETRY' : 'PENDING';
}

/** Reads a node's envelope, so that its children can be named; undefined of one that somebody else wrote. */
export function nodeOf({ data, size }: NonNullable<JobFields['node']>): NodeEnvelope | undefined {
  try {
    const node = asNode(decodeNode(JSON.parse(data)));
    return node && withSize(node, size);
  } catch {
    return undefined;
  }
}

/** Which generation a composite is in, and what those before came to. */
function generationsOf(node: NonNullable<JobFields['node']>): Pick<TaskSnapshot, 'redriven' | 'history'> {
  const { redriven, history } = nodeOf(node) ?? {};
  return defined({ redriven, history });
}

/** Members of a group or header, steps of a chain. A chord's body is not one of its members. */
function countsOf(node: NonNullable<JobFields['node']>): MemberCounts | undefined {
  const spec = nodeOf(node);
  if (spec === undefined) return undefined;
  const size = spec.node === 'task' ? 1 : spec.size;
  const body = spec.node === 'chord' && node.stage > 0 ? node.child : undefined;
  const succeeded = node.values - (body === 'value' ? 1 : 0);
  const noted = node.failures - (body === 'failure' ? 1 : 0);
  const failed = noted + lostOf(node, spec, size, { values: succeeded, failures: noted });
  return { size, succeeded, failed, pending: Math.max(0, size - succeeded - failed) };
}

/** Members that were published and will not come to anything. What waits where a header was closed is pending for good. */
function lostOf(
  node: NonNullable<JobFields['node']>,
  { node: kind }: NodeEnvelope,
  size: number,
  ended: Pick<MemberPlaces, 'values' | 'failures'>,
): number {
  // What a chord waits for behind its header is its body.
  const waiting = kind === 'chord' && node.stage > 0 ? 0 : pendingMembers(node);
  const begun = node.stage + (node.isAdding ? 0 : 1);
  return lostMembers({
    ...ended,
    published: kind === 'chain' ? Math.min(size, begun) : publishedMembers(size, node.dispatch),
    pending: waiting + node.stragglers,
    ...(node.setAside === undefined ? {} : { setAside: node.setAside }),
  });
}

/** How the dispatch of a node's members stands; undefined for one that was published in one piece. */
function progressOf(node: NonNullable<JobFields['node']>): DispatchProgress | undefined {
  if (node.dispatch === undefined) return undefined;
  const { dispatched, state } = node.dispatch;
  // The size that is noted beside a node grows with its members while they come.
  const spec = nodeOf(node);
  const isKnown = node.size === undefined || state === 'sealed';
  const total = isKnown && spec !== undefined && spec.node !== 'task' ? { total: spec.size } : {};
  return { dispatched, state, ...total };
}

/** What a recorded failure says about its task. */
export function failedSnapshot(id: string, queue: string, failure: TaskFailure): TaskSnapshot {
  return { id, queue, state: failure.reason === 'revoked' ? 'REVOKED' : 'FAILURE', failure };
}

function recovered(decision: ChordDecisionRecord | undefined): { recovered?: Recovered } {
  if (decision?.next.run !== 'callback') return {};
  const { strategy, failed, size, pending } = decision;
  return { recovered: { strategy, failed, size, ...(pending === undefined ? {} : { pending }) } };
}

const STALLED = /stalled more than allowable limit|started more than allowable limit/;

/**
 * The record of a failure that our code never saw: BullMQ failed the job by itself, or somebody did it by
 * hand. All there is is a message.
 */
export function failureFromReason(id: string, queue: string, reason: string, name = ''): TaskFailure {
  const lost = STALLED.test(reason);
  return failureOf(id, name, queue, lost ? 'worker-lost' : 'error', {
    name: lost ? 'WorkerLostError' : 'Error',
    message: reason,
    ...(lost ? { code: 'WORKER_LOST' } : {}),
  });
}

/** What a canvas fails with whose members were not all published. */
export function incompleteError(
  { dispatched, error }: DispatchRecord,
  total: number | undefined,
): SerializedError {
  const of = total === undefined ? '' : ` of ${total}`;
  return {
    name: 'DispatchIncompleteError',
    code: 'DISPATCH_INCOMPLETE',
    message: error
      ? `The source of the members threw after ${dispatched}${of} had been published: ${error.message}`
      : `The producer stopped after it had published ${dispatched}${of} members, and nobody went on within the lease.`,
    ...(error ? { cause: error } : {}),
  };
}

/** The record of a member that is in no list: its job was removed by hand, or it was never published. */
export function failureOfMissing(id: string, dispatchCut: boolean): TaskFailure {
  return failureOf(
    id,
    '',
    '',
    'removed',
    dispatchCut
      ? {
          name: 'DispatchIncompleteError',
          code: 'DISPATCH_INCOMPLETE',
          message: `Task ${id} was never published: the producer stopped before it had published the whole header.`,
        }
      : {
          name: 'TaskRemovedError',
          code: 'TASK_REMOVED',
          message: `Task ${id} was removed from its queue by hand, so nobody will ever run it.`,
        },
  );
}

/** The record of a member that had not ended when its header was closed. */
export function failureOfPending(id: string, closedMs: number): TaskFailure {
  const message = `Task ${id} had not ended when the header that it is a member of was closed.`;
  const error = { name: 'MemberPendingError', code: 'MEMBER_PENDING', message };
  return failureOf(id, '', '', 'pending', error, closedMs);
}

/** The record of a task that was revoked before it could run (again). */
export function failureOfRevoked(
  id: string,
  name: string,
  queue: string,
  nowMs: number,
  { headers, generation }: Partial<Pick<TaskFailure['request'], 'headers' | 'generation'>> = {},
): TaskFailure {
  const error = { name: 'TaskRevokedError', code: 'TASK_REVOKED', message: `Task ${id} was revoked.` };
  const failure = failureOf(id, name, queue, 'revoked', error, nowMs);
  const more = {
    ...(headers === undefined ? {} : { headers }),
    ...(generation === undefined ? {} : { generation }),
  };
  return { ...failure, request: { ...failure.request, ...more } };
}

/** The record of a step that never started, because `cause` happened before it. */
export function failureOfSkipped(id: string, cause: TaskFailure): TaskFailure {
  const { error: by, reason, request, at } = cause;
  const message = `Task ${id} did not run, because ${request.name || 'a task'} (${request.id}) failed: ${by.message}`;
  const error = { name: 'UpstreamFailedError', code: 'UPSTREAM_FAILED', message, cause: by };
  return failureOf(id, '', '', reason === 'revoked' ? 'revoked' : 'upstream', error, Date.parse(at));
}

function failureOf(
  id: string,
  name: string,
  queue: string,
  reason: TaskFailure['reason'],
  error: SerializedError,
  nowMs = Date.now(),
): TaskFailure {
  return {
    request: { id, name, args: [], queue, attempt: 0, workflowId: rootOf(id), position: positionOf(id) },
    error,
    reason,
    at: new Date(nowMs).toISOString(),
  };
}

function defined<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
