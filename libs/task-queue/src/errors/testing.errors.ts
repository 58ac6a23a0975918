import { TaskQueueError } from './task-queue.error.js';

/** Running the queues of a test was given up: it would never have come to an end. The message says what it waits for. */
export class DrainError extends TaskQueueError {
  readonly code = 'DRAIN_STOPPED';
}
