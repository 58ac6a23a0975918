import type { JobCondition } from '../backend/examination.js';
import type { WorkerReport } from '../backend/inspection.js';
import { lostMembers, type NodeRecord, pendingMembers, publishedMembers } from '../backend/ledger.js';
import type { FailedAttempt } from '../failure/dead-letter.js';
import { decodeNode } from '../flow/decode-envelope.js';
import { asNode, type NodeEnvelope, type TaskEnvelope, withSize } from '../flow/envelope.js';
import { CANVAS_QUEUE, positionOf } from '../flow/ids.js';
import type { Fact } from './obstacle.js';

/** What is known beside the job itself. */
export interface Surroundings {
  readonly nowMs: number;
  /** The worker applications that have shown lately that they are alive; those that are silent by now are dead, or as good as that. */
  readonly workers: readonly WorkerReport[];
  /** How many retries a call may have under a policy, where the task is known here. */
  readonly maxRetriesOf: (task: string, policy: string) => number | undefined;
}

/** How a job stands that may be a composite. */
export interface Patient {
  readonly condition: JobCondition;
  /** Of a composite: how far it has come. */
  readonly record?: NodeRecord;
  /** Of a composite whose members are being published: how its sentinel stands. */
  readonly sentinel?: JobCondition;
  /** Whether a node waits for its end. */
  readonly isAwaited: boolean;
  /** How many of its pending children are explained as well. */
  readonly shown: number;
  /** Of a composite of which members were removed: the first of them. */
  readonly removed?: readonly string[];
}

/** A message that it could have been stored with is long enough at this. */
const SHOWN_CHARACTERS = 300;

/** What keeps one job from ending. Nothing for one that has ended as it should. */
export function diagnose(patient: Patient, around: Surroundings): Fact[] {
  const { condition, record } = patient;
  const about = aboutOf(condition);
  switch (condition.place) {
    case 'gone':
      return [{ kind: patient.isAwaited ? 'vanished' : 'unknown', ...about }];
    case 'nowhere':
      return [{ kind: 'stranded', ...about }];
    case 'completed':
      return patient.isAwaited ? [{ kind: 'unheard', ...about }] : [];
    case 'failed':
      if (patient.isAwaited) return [{ kind: 'unheard', ...about }];
      return isUnsettled(condition, record)
        ? [{ kind: 'unsettled', ...about, reason: shortened(condition.failedReason ?? 'unknown reason') }]
        : [];
    case 'waiting-children':
      return waitingForChildren(patient);
    case 'active':
      return [...settling(patient), ...active(condition, around)];
    case 'delayed':
      return [...settling(patient), delayed(condition, around), ...unserved(condition, around, 'due')];
    case 'waiting': {
      const settled = settling(patient);
      const why = unserved(condition, around, 'all');
      return [...settled, ...(why.length > 0 ? why : [inLine(patient)])];
    }
  }
}

/** A composite that BullMQ failed without asking us: nothing of ours has heard of it. */
export function isUnsettled(condition: JobCondition, record: NodeRecord | undefined): boolean {
  return (
    condition.place === 'failed' && record !== undefined && record.failure === undefined && isNode(condition)
  );
}

/** The description of a composite, as far as it is one of ours. */
export function nodeIn({ queue, data }: JobCondition, size?: number): NodeEnvelope | undefined {
  if (queue !== CANVAS_QUEUE || data === undefined) return undefined;
  try {
    const node = asNode(decodeNode(JSON.parse(data)));
    return node && withSize(node, size);
  } catch {
    return undefined;
  }
}

function isNode(condition: JobCondition): boolean {
  return nodeIn(condition) !== undefined;
}

function aboutOf({ id, name, queue }: JobCondition): Pick<Fact, 'id' | 'name' | 'queue' | 'position'> {
  return { id, name, queue, position: positionOf(id) };
}

/** A composite whose outcome is stored before its callbacks are there, and its job before both. */
function settling({ condition, record }: Patient): Fact[] {
  if (record?.failure === undefined) return [];
  const outcome = record.failure.reason === 'revoked' ? 'REVOKED' : 'FAILURE';
  return [{ kind: 'settling', ...aboutOf(condition), outcome }];
}

function waitingForChildren({ condition, record, sentinel, shown, removed = [] }: Patient): Fact[] {
  const about = aboutOf(condition);
  const facts: Fact[] = [];
  const isHeld = sentinel !== undefined;
  if (record?.dispatch?.state === 'open' && isHeld) facts.push(dispatching(condition, record, sentinel));
  if (record?.setAside !== undefined && isHeld)
    facts.push({ kind: 'redriving', ...about, remaining: record.setAside, ...leaseOf(sentinel) });
  if (sentinel?.place === 'gone') facts.push({ kind: 'vanished', ...aboutOf(sentinel) });
  if (sentinel?.place === 'nowhere') facts.push({ kind: 'stranded', ...aboutOf(sentinel) });
  if (record?.parked !== undefined) {
    const { why, atMs } = record.parked;
    facts.push({ kind: 'budget-breached', ...about, why, since: iso(atMs) });
  }
  const { members } = removedMembers(condition, record);
  if (members > 0) facts.push({ kind: 'removed', ...about, members, ids: removed });
  const pending = condition.pending - (isHeld ? 1 : 0) - (record?.isHeld === true ? 1 : 0);
  if (condition.pending === 0) facts.push({ kind: 'unreleased', ...about });
  else if (record === undefined) facts.push(...replaced(condition));
  else if (pending > 0) {
    const { values: succeeded, failures: failed } = record;
    facts.push({ kind: 'waiting-for-children', ...about, pending, shown, succeeded, failed });
  }
  return facts;
}

/** How many members of an open header are neither pending nor have come to anything, among how many that were published. */
export function removedMembers(
  condition: JobCondition,
  record: NodeRecord | undefined,
): { readonly members: number; readonly among: number } {
  const none = { members: 0, among: 0 };
  // With none pending it may have lost sight of members that are there.
  if (condition.place !== 'waiting-children' || condition.pending === 0) return none;
  const node = nodeIn(condition, record?.size);
  if (record === undefined || record.closing !== undefined || record.stage !== undefined) return none;
  if (node?.node !== 'group' && node?.node !== 'chord') return none;
  const among = publishedMembers(node.size, record.dispatch);
  return { members: lostMembers({ ...record, published: among, pending: pendingMembers(record) }), among };
}

function dispatching(condition: JobCondition, record: NodeRecord, sentinel: JobCondition): Fact {
  const node = nodeIn(condition, record.size);
  // The size of one whose members are read from a source grows with them.
  const total =
    record.size === undefined && node !== undefined && node.node !== 'task' ? node.size : undefined;
  return {
    kind: 'dispatching',
    ...aboutOf(condition),
    dispatched: record.dispatch?.dispatched ?? 0,
    ...(total === undefined ? {} : { total }),
    ...leaseOf(sentinel),
  };
}

function leaseOf({ atMs }: JobCondition): { readonly leaseUntil?: string } {
  return atMs === undefined ? {} : { leaseUntil: iso(atMs) };
}

function replaced(condition: JobCondition): Fact[] {
  const by = envelopeIn(condition)?.replaced?.by.id;
  const about = aboutOf(condition);
  return [{ kind: 'replaced', ...about, by: by ?? '' }];
}

function active(condition: JobCondition, around: Surroundings): Fact[] {
  const { worker, startedAtMs, activations, data, lockMs, timesLost } = condition;
  const attempt = Math.max(1, activations - (envelopeOf(data)?.parked?.times ?? 0));
  const about = {
    ...aboutOf(condition),
    attempt,
    ...(worker === undefined ? {} : { worker }),
    ...(startedAtMs === undefined ? {} : { since: iso(startedAtMs) }),
  };
  if (lockMs === undefined) {
    const why = unserved(condition, around, 'all');
    const isServed = !why.some(({ kind }) => kind === 'no-worker');
    return [{ kind: 'stalled', ...about, timesLost, isServed }, ...why];
  }
  if (worker === undefined) return [{ kind: 'running', ...about, lockMs }];
  const isWorkerAlive = living(around).some(({ host, pid }) => `${host}:${pid}` === worker);
  return [{ kind: 'running', ...about, lockMs, isWorkerAlive }];
}

function delayed(condition: JobCondition, { maxRetriesOf }: Surroundings): Fact {
  const about = { ...aboutOf(condition), until: iso(condition.atMs ?? 0) };
  const envelope = envelopeIn(condition);
  const { attemptsMade, failedReason } = condition;
  if (envelope?.parked?.attempt === attemptsMade) {
    const { breaker, budget } = envelope.parked;
    if (breaker !== undefined) return { kind: 'breaker-open', ...about, breaker };
    if (budget !== undefined) return { kind: 'over-retry-budget', ...about, budget };
    return { kind: 'rate-limited', ...about };
  }
  if (envelope?.waitingSince !== undefined)
    return { kind: 'key-taken', ...about, since: iso(envelope.waitingSince) };
  if (attemptsMade === 0) return { kind: 'delayed', ...about };
  const of = envelope?.maxRetries ?? maxRetriesOf(condition.name, envelope?.retried?.last ?? '0');
  const error = lastError(envelope?.attempts, failedReason);
  return {
    kind: 'retrying',
    ...about,
    retry: attemptsMade,
    ...(of === undefined ? {} : { of }),
    ...(error === undefined ? {} : { error }),
  };
}

function lastError(
  attempts: readonly FailedAttempt[] | undefined,
  reason: string | undefined,
): { readonly name: string; readonly message: string } | undefined {
  const last = attempts?.at(-1)?.error;
  if (last !== undefined) return { name: last.name, message: shortened(last.message) };
  return reason === undefined ? undefined : { name: 'Error', message: shortened(reason) };
}

function inLine({ condition, record }: Patient): Fact {
  const { ahead, priority } = condition;
  const then = record === undefined ? undefined : whatFollows(condition, record);
  return {
    kind: 'waiting',
    ...aboutOf(condition),
    priority,
    ...(ahead === undefined ? {} : { ahead }),
    ...(then === undefined ? {} : { then }),
  };
}

/** What a step of a canvas does when it is started. */
function whatFollows(condition: JobCondition, record: NodeRecord): string | undefined {
  const node = nodeIn(condition, record.size);
  if (node === undefined) return undefined;
  if (record.failure !== undefined) return 'its errbacks are released';
  if (record.pending > 0) return 'it waits for its children';
  const stage = record.stage?.stage ?? 0;
  if (node.node === 'chord' && stage === 0) return 'its body is published, or what its recovery decides';
  if (node.node === 'chain' && stage + 1 < node.size) return `its step ${stage + 1} is published`;
  return 'it ends and releases its callbacks';
}

/**
 * Why nobody takes it, if nobody will.
 *
 * @param which all jobs, or only those whose time has come
 */
function unserved(condition: JobCondition, around: Surroundings, which: 'all' | 'due'): Fact[] {
  if (which === 'due' && (condition.atMs ?? 0) > around.nowMs) return [];
  const about = aboutOf(condition);
  if (condition.isPaused) return [{ kind: 'queue-paused', ...about }];
  const serving = living(around).filter(({ queues }) => queues.includes(condition.queue));
  if (serving.length === 0) return [{ kind: 'no-worker', ...about }];
  const knows = isOurs(condition) || serving.some(({ tasks }) => tasks.includes(condition.name));
  return knows ? [] : [{ kind: 'task-unknown', ...about, workers: serving.length }];
}

function living({ workers }: Surroundings): readonly WorkerReport[] {
  return workers.filter(({ isSilent }) => !isSilent);
}

/** Composites, and what runs hooks, are known to every worker. */
function isOurs({ queue, data }: JobCondition): boolean {
  return queue === CANVAS_QUEUE || (data !== undefined && data.includes('"hook":'));
}

function envelopeIn({ queue, data }: JobCondition): Partial<TaskEnvelope> | undefined {
  return queue === CANVAS_QUEUE ? undefined : envelopeOf(data);
}

/** Anybody may have written it. */
function envelopeOf(data: string | undefined): Partial<TaskEnvelope> | undefined {
  if (data === undefined) return undefined;
  try {
    const parsed: unknown = JSON.parse(data);
    return typeof parsed === 'object' && parsed !== null ? (parsed as Partial<TaskEnvelope>) : undefined;
  } catch {
    return undefined;
  }
}

function shortened(text: string): string {
  return text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}…`;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
