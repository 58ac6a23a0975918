import { CANVAS_QUEUE, childId } from '../../../libs/task-queue/src/flow/ids.js';
import { isOver, keyOf, type MemoryJob } from '../../../libs/task-queue/src/memory/memory-job.js';
import type { MemoryStore } from '../../../libs/task-queue/src/memory/memory-store.js';
import { CANVAS_ID } from './scenario.js';

/** What keeps a parked node waiting. */
export const HOLD = childId(CANVAS_ID, 'hold');
/** What keeps a header waiting that is put back. */
export const SENTINEL = childId(CANVAS_ID, 'sentinel');
/** How often a hold comes due that does not end. */
const MOST_DUE = 3;

const jobOf = (store: MemoryStore, id: string): MemoryJob | undefined =>
  store.job({ queue: CANVAS_QUEUE, id });

/** A hold that is to hold goes back whenever it comes due: once is enough. Every other one is to end when it does. */
function goesBack(store: MemoryStore, { name, activations }: MemoryJob): boolean {
  if (name !== 'hold' || activations === 0) return false;
  const isRevoked = store.record(CANVAS_ID)?.fields.has(`x:${CANVAS_ID}`) === true;
  const holds = jobOf(store, CANVAS_ID)?.pending.has(keyOf({ queue: CANVAS_QUEUE, id: HOLD })) === true;
  return (holds && !isRevoked) || activations >= MOST_DUE;
}

/** When something is due that is delayed. */
export function dueMsOf(store: MemoryStore): number | undefined {
  let dueMs: number | undefined;
  for (const job of store.all()) {
    if (job.place !== 'delayed' || goesBack(store, job)) continue;
    if (dueMs === undefined || job.dueMs < dueMs) dueMs = job.dueMs;
  }
  return dueMs;
}

/** Whether a header waits for the end of its lease in which everything has been put back, although nobody was lost. */
export function isHeldInVain(store: MemoryStore, dueMs: number): boolean {
  const node = jobOf(store, CANVAS_ID);
  const sentinel = jobOf(store, SENTINEL);
  return sentinel?.place === 'delayed' && sentinel.dueMs <= dueMs && node?.refill?.aside.size === 0;
}

/**
 * Whether nobody has taken the hold away by the end of its node, although no worker had it: it would end by itself, an hour
 * later.
 */
export function isForgotten(store: MemoryStore, dueMs: number): boolean {
  const [node, hold] = [jobOf(store, CANVAS_ID), jobOf(store, HOLD)];
  const isLeft = hold?.place === 'delayed' && hold.dueMs <= dueMs && hold.activations === 0;
  return isLeft && node !== undefined && isOver(node);
}
