import { TaskQueueError } from './task-queue.error.js';

/**
 * Why a canvas is not redriven.
 *
 * - `running`: it has not ended; of one that was redriven, its new generation has not; of one whose header was closed before its
 *   end, members have not that were pending then;
 * - `succeeded`: nothing in it failed;
 * - `revoked`: somebody ended it on purpose;
 * - `part`: the id is that of a part of a canvas, which is redriven as a whole;
 * - `task`: the id is that of a task that stands alone and was never replaced, which is retried out of its dead letter;
 * - `incomplete`: its members were never all published;
 * - `gone`: nothing of what failed is kept any more, or all of it was revoked;
 */
export type RedriveRefusal = 'running' | 'succeeded' | 'revoked' | 'part' | 'task' | 'incomplete' | 'gone';

/** A canvas was not redriven; nothing has changed. */
export class RedriveRefusedError extends TaskQueueError {
  readonly code = 'REDRIVE_REFUSED';
  constructor(
    readonly id: string,
    readonly reason: RedriveRefusal,
    message: string,
  ) {
    super(message);
  }
}
