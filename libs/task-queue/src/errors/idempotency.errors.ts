import { TaskQueueError } from './task-queue.error.js';

/** Two calls have the same idempotency key and different arguments. The second one was not run. Never retried. */
export class IdempotencyConflictError extends TaskQueueError {
  readonly code = 'IDEMPOTENCY_CONFLICT';
  constructor(
    readonly idempotencyKey: string,
    /** The task or canvas that has the key. */
    readonly taskId: string,
  ) {
    super(
      `Idempotency key "${idempotencyKey}" belongs to ${taskId}, which was called with other arguments. Give another ` +
        `call another key, or say compareArguments: false.`,
    );
  }
}

/** Another task has the idempotency key and did not end for as long as was waited for it. Never retried. */
export class IdempotencyTimeoutError extends TaskQueueError {
  readonly code = 'IDEMPOTENCY_TIMEOUT';
  constructor(
    readonly idempotencyKey: string,
    /** The task that has the key. */
    readonly taskId: string,
    readonly waitedMs: number,
  ) {
    super(
      `Task ${taskId} has the idempotency key "${idempotencyKey}", and did not end within ${waitedMs} ms. This one was ` +
        `not run.`,
    );
  }
}
