/**
 * Every code an error of this library can carry, with one line of meaning.
 * docs/errors.md gives cause and remedy of each; a test compares the two both ways.
 */
export const ERROR_CODES = {
  INVALID_OPTIONS: 'an option of the module, a queue, a task or a call cannot be read',
  DUPLICATE_TASK: 'two task methods have the same name',
  INVALID_TASK: 'a task method is declared in a way that cannot be served',
  UNKNOWN_TASK: 'no worker method has the name that was asked for',
  INVALID_CANVAS: 'a canvas has a shape that cannot run',
  UNSERIALIZABLE_ARGUMENT: 'an argument cannot travel as JSON',
  UNSERIALIZABLE_RESULT: 'a task returned what cannot travel as JSON',
  ARGUMENT_TOO_LARGE: 'the arguments of a call are over the limit',
  CANVAS_TOO_LARGE: 'one job would have to hold too much of a canvas',
  RESULT_TOO_LARGE: 'a task returned more than the limit',
  UNDECODABLE_PAYLOAD: 'a job of our queues holds data that is not ours',
  INVALID_ARGUMENTS: 'a pipe refused the arguments of a task',
  CANNOT_ADD_MEMBER: 'a running task cannot add a member to a group or header',
  INVALID_ID: 'an id has a form that cannot be used',
  BROKER_UNAVAILABLE: 'Redis did not answer in time, or refused',
  NON_RETRYABLE: 'a task said that it must not be tried again',
  MAX_RETRIES_EXCEEDED: 'a task asked for one more retry than it may have',
  SOFT_TIME_LIMIT_EXCEEDED: 'a task ran into its soft time limit',
  TIME_LIMIT_EXCEEDED: 'a task ran into its hard time limit',
  TASK_REVOKED: 'a task was revoked',
  TASK_EXPIRED: 'a task was not started before its expiry',
  WORKER_LOST: 'the workers that ran a task died, too often',
  TASK_REMOVED: 'a task was removed from its queue by hand',
  UPSTREAM_FAILED: 'a step was skipped because one before it failed',
  GROUP_FAILED: 'members of a group failed',
  CHORD_FAILED: 'members of a chord header failed',
  RECOVERY_FAILED: 'the recovery strategy of a chord threw, or is not registered',
  DISPATCH_INCOMPLETE: 'the producer of a wide header died before it had published all of it',
  REMOTE_TASK_FAILED: 'a task failed with an error whose class is not known here',
  RESULT_TIMEOUT: 'a result was not there in time',
  RESULT_UNKNOWN: 'no task has this id, or its result has expired',
  WAIT_INSIDE_TASK: 'a task waits for the result of another task',
  DEAD_LETTER_UNKNOWN: 'there is no dead letter of this id',
  DRAIN_STOPPED: 'the queues of a test would never have come to an end',
  OUTSIDE_TASK: 'the current task was asked for where none is running',
  LOCK_UNAVAILABLE: 'somebody else held a lock for as long as was waited for it',
  IDEMPOTENCY_CONFLICT: 'two calls have the same idempotency key and different arguments',
  IDEMPOTENCY_TIMEOUT: 'another task has the idempotency key, and did not end in time',
  LOCK_LOST: 'a lock ran out or was taken over while somebody worked under it',
} as const;

/** A stable code of an error of this library. */
export type ErrorCode = keyof typeof ERROR_CODES;
