import type { JobRef } from '../backend/job-ref.js';
import type { Stage } from '../backend/ledger.js';
import type { PlannedJob } from '../flow/flow-plan.js';
import type { SentinelEnvelope } from '../flow/envelope.js';
import { REVOKED_BY_CLOSING } from '../chords/closing-record.js';
import { CANVAS_QUEUE, childId } from '../flow/ids.js';
import { isHeaderAnew, type Rerun } from '../flow/redrive.js';
import { generationIn } from '../task/redriven.js';
import { markLetterRetried } from './memory-failure-store.js';
import { keyOf, type MemoryJob } from './memory-job.js';
import type { MemoryStore } from './memory-store.js';

/** How long a header waits for somebody to go on with a wide redrive. */
const LEASE_MS = 60_000;

/** What was decided for a header, by its recovery and by its budget, and what its deadline counts from. */
const JUDGED = ['r', 'c', 'p', 'd', 'first', 'last'] as const;

/**
 * Puts a part of a canvas that has ended back into its queues. Children before the node that waits for them: it may be that
 * it waits for none.
 */
export function putBack(store: MemoryStore, rerun: Rerun, parent: MemoryJob | undefined): MemoryJob {
  const { job, children, stage, size, part, drops, keepsDecision, isAmended, isHeld } = rerun;
  const record = store.openRecord(job.id);
  record.fields.delete(`f:${job.id}`);
  if (record.fields.get(`x:${job.id}`) === REVOKED_BY_CLOSING) record.fields.delete(`x:${job.id}`);
  if (keepsDecision !== true) for (const field of JUDGED) record.fields.delete(`${field}:${job.id}`);
  if (job.queue !== CANVAS_QUEUE) markLetterRetried(store, job.id);
  const back = store.putBack(job, parent);
  parent?.refill?.aside.delete(keyOf(job));
  if (stage !== undefined) back.stage = JSON.stringify({ ...stage, state: 'added' } satisfies Stage);
  if (size !== undefined) back.size = size;
  if (part !== undefined) back.dispatch = { by: 0, dispatched: part, end: 'closed' };
  if (drops !== undefined) store.drop(drops, back);
  if (isHeaderAnew(rerun)) takeLate(store, back, isAmended === true);
  if (isHeld === true) setAside(store, back, generationIn(job.data) ?? 0);
  for (const child of children) putBack(store, child, back);
  store.start(back);
  return back;
}

/**
 * What the late members of a header came to becomes what it came to.
 *
 * @param isAmended what waited for them still has that, and asks for this itself; else it is kept beside the header
 */
function takeLate(store: MemoryStore, header: MemoryJob, isAmended: boolean): void {
  const ref = { queue: CANVAS_QUEUE, id: childId(header.id, 'late') };
  const late = isAmended ? store.job(ref) : header.late;
  for (const [key, value] of late?.values ?? []) header.values.set(key, value);
  for (const [key, reason] of late?.failures ?? []) header.failures.set(key, reason);
  header.left = undefined;
  header.late = undefined;
  // One that was left behind, for which nobody came late.
  if (!isAmended && !store.withdraw(ref)) store.drop(ref, header);
}

/** What failed in a header follows; the header waits for it. */
function setAside(store: MemoryStore, header: MemoryJob, generation: number): void {
  header.refill = { generation, aside: new Map(header.failures) };
  header.failures.clear();
  hold(store, header, generation);
}

/** Holds a header, until it is let go or nobody has renewed that for a time. */
function hold(store: MemoryStore, header: MemoryJob, generation: number): void {
  const ref = sentinelOf(header);
  // A worker may have the one of the generation before, which has the same id. It is not heard any more.
  if (!store.withdraw(ref)) store.drop(ref, header);
  const data: SentinelEnvelope = { v: 1, node: 'sentinel', generation };
  const job = { ...ref, name: 'sentinel', data, retention: 'parent', delayMs: LEASE_MS } as const;
  store.add({ job, children: [], size: 1 }, header);
}

/** Has the lease of a header begin anew. */
export function renew(store: MemoryStore, header: MemoryJob): void {
  const sentinel = store.job(sentinelOf(header));
  if (sentinel?.place === 'delayed') sentinel.dueMs = store.clock.wallMs() + LEASE_MS;
}

function sentinelOf({ id }: MemoryJob): JobRef {
  return { queue: CANVAS_QUEUE, id: childId(id, 'sentinel') };
}

/** Nobody goes on: what is still set aside counts as failed, as it did before. */
export function leaveAside(header: MemoryJob): void {
  for (const [key, reason] of header.refill?.aside ?? []) header.failures.set(key, reason);
  header.refill = undefined;
}

/** The headers that are held back. */
export function heldIn({ job, children, isHeld }: Rerun): string[] {
  return [...(isHeld === true ? [job.id] : []), ...children.flatMap(heldIn)];
}

export function tasksOf({ job, children }: Rerun): PlannedJob[] {
  return [...(job.queue === CANVAS_QUEUE ? [] : [job]), ...children.flatMap(tasksOf)];
}

export function jobsOf({ job, children }: Rerun): PlannedJob[] {
  return [job, ...children.flatMap(jobsOf)];
}
