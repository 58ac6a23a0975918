import type { Delivery, Verdict } from '../../../libs/task-queue/src/backend/delivery.js';
import { timesParked } from '../../../libs/task-queue/src/flow/envelope.js';
import type { MemoryJob } from '../../../libs/task-queue/src/memory/memory-job.js';
import type { MemoryStore } from '../../../libs/task-queue/src/memory/memory-store.js';
import type { Gates } from './gates.js';

/** When a world begins; epoch milliseconds. */
export const BEGIN_MS = 1_000_000;

/** A job as a worker gets it. */
export function deliveryOf(job: MemoryJob, token: string, store: MemoryStore, gates: Gates): Delivery {
  const data = JSON.parse(job.data) as unknown;
  return {
    id: job.id,
    name: job.name,
    queue: job.queue,
    data,
    token,
    attemptsMade: job.attemptsMade,
    activations: job.activations - timesParked(data),
    startedAtMs: BEGIN_MS,
    timesLost: job.timesLost,
    waitForChildren: async () => {
      const wait = (): boolean => job.token !== token || store.waitForChildren(job);
      return (await gates.command('waitForChildren', wait)) as boolean;
    },
  };
}

/** What BullMQ does with a verdict: nothing, unless the lock is still held. */
export function applyVerdict(store: MemoryStore, job: MemoryJob, token: string, verdict: Verdict): void {
  if (job.token !== token) return;
  if (verdict.do === 'complete') store.complete(job, JSON.stringify(verdict.value));
  else if (verdict.do === 'fail') store.fail(job, verdict.message);
  else if (verdict.do !== 'leave') store.again(job, verdict.delayMs ?? 0);
  verdict.onStored?.();
}
