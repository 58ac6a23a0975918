import type { LockLostError } from '../errors/lock.errors.js';
import type {
  SoftTimeLimitExceededError,
  TaskRevokedError,
  TimeLimitExceededError,
} from '../errors/task.errors.js';

/** Why an attempt was told to end before it was done. */
export type Interruption =
  | { readonly by: 'shutdown' }
  | { readonly by: 'lost-lock' }
  | { readonly by: 'limit'; readonly error: SoftTimeLimitExceededError | TimeLimitExceededError }
  | { readonly by: 'revoked'; readonly error: TaskRevokedError }
  /** A lock that it took is lost. */
  | { readonly by: 'lock'; readonly error: LockLostError };

/** Why an attempt should end before it is done. */
export type InterruptionCause =
  'soft-time-limit' | 'time-limit' | 'revoked' | 'shutdown' | 'lost-lock' | 'lock';

/** The same, in one word. */
export function causeOf(interruption: Interruption): InterruptionCause {
  if (interruption.by !== 'limit') return interruption.by;
  return interruption.error.code === 'SOFT_TIME_LIMIT_EXCEEDED' ? 'soft-time-limit' : 'time-limit';
}

/** What `task.signal.reason` is. */
export function reasonOf(interruption: Interruption): Error {
  switch (interruption.by) {
    case 'limit':
    case 'revoked':
    case 'lock':
      return interruption.error;
    case 'shutdown':
      return new DOMException('The worker is being stopped; the task will be run again.', 'AbortError');
    case 'lost-lock':
      return new DOMException(
        'This attempt lost its lock; another worker may be running the task.',
        'AbortError',
      );
  }
}

/**
 * What a handler threw; the error of its limit or its lock where that made it throw. A handler that was told to end
 * usually rejects with what its last await made of the signal.
 */
export function asInterrupted(thrown: unknown, interruption: Interruption | undefined): unknown {
  if (interruption?.by !== 'limit' && interruption?.by !== 'lock') return thrown;
  const isAbort =
    typeof thrown === 'object' && thrown !== null && (thrown as { name?: unknown }).name === 'AbortError';
  return isAbort ? interruption.error : thrown;
}
