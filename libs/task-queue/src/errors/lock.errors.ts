import { TaskQueueError } from './task-queue.error.js';

/** Somebody else held a lock for as long as was waited for it. Nothing of the critical section was run. */
export class LockUnavailableError extends TaskQueueError {
  readonly code = 'LOCK_UNAVAILABLE';
  constructor(
    readonly lockName: string,
    readonly waitedMs: number,
    /** The task that holds it; undefined when it was taken outside of a task. */
    readonly heldBy: string | undefined,
  ) {
    super(
      `Lock "${lockName}" was not free within ${waitedMs} ms` +
        (heldBy === undefined ? '.' : `: task ${heldBy} holds it.`),
    );
  }
}

/** A lock ran out or was taken over while somebody worked under it: others may be in the critical section by now. */
export class LockLostError extends TaskQueueError {
  readonly code = 'LOCK_LOST';
  constructor(
    readonly lockName: string,
    why: string,
    options?: { cause?: unknown },
  ) {
    super(`Lock "${lockName}" is lost: ${why}.`, options);
  }
}
