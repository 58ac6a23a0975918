import type { Delivery } from '../backend/delivery.js';
import { TaskExpiredError, WorkerLostError } from '../errors/task.errors.js';
import type { TaskEnvelope } from '../flow/envelope.js';
import type { Clock } from '../primitives/clock.js';

/** Why a task must not be started (any more), as far as that can be seen without asking the store. */
export function refusalOf(
  delivery: Delivery,
  { expires, lost = 0 }: TaskEnvelope,
  { maxTimesLost, clock }: { readonly maxTimesLost: number; readonly clock: Clock },
): Error | undefined {
  const timesLost = delivery.timesLost + lost;
  if (timesLost > maxTimesLost) return new WorkerLostError(timesLost);
  if (expires !== undefined && clock.wallMs() > expires && delivery.activations <= 1) {
    return new TaskExpiredError(`The task was not started before ${new Date(expires).toISOString()}.`);
  }
  return undefined;
}

/** Whether a task was delivered before. */
export function isAgain({ activations }: Delivery, { parked }: TaskEnvelope): boolean {
  return activations > 1 || parked !== undefined;
}
