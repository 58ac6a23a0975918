import type { MemberFailure, MemberValue, SerializedError, TaskFailure } from '../failure/task-failure.js';
import { TaskQueueError } from './task-queue.error.js';

/** Thrown by a task that must not be tried again, whatever its retry policy says. */
export class NonRetryableError extends TaskQueueError {
  readonly code = 'NON_RETRYABLE';
}

/**
 * A task called `task.retry()` once more than it may. `cause` is the error that it gave; a handler that lets this one
 * through fails with that cause, where there is one (Celery B132).
 */
export class MaxRetriesExceededError extends TaskQueueError {
  readonly code = 'MAX_RETRIES_EXCEEDED';
}

/** A retry was over its budget, whose policy says that tasks fail then. `cause` is the error that asked for the retry. */
export class RetryBudgetExceededError extends TaskQueueError {
  readonly code = 'RETRY_BUDGET_EXCEEDED';
  constructor(
    /** The name of the budget; `queue:` and the name of the queue for that of one. */
    readonly budget: string,
    options?: ErrorOptions,
  ) {
    super(`The retry budget ${budget} is spent: too many of the calls are retries.`, options);
  }
}

/** No method with this name is served by the worker that took the task up. Never retried. */
export class UnknownTaskError extends TaskQueueError {
  readonly code = 'UNKNOWN_TASK';
  constructor(
    readonly taskName: string,
    readonly queue: string,
  ) {
    super(
      `No @Task method named "${taskName}" is registered in this application, ` +
        `which serves queue "${queue}". Register its provider, or route the task to another queue.`,
    );
  }
}

/**
 * A job of one of our queues holds data that this library did not write, or a value that no codec of this application can
 * read. Never retried.
 */
export class UndecodablePayloadError extends TaskQueueError {
  readonly code = 'UNDECODABLE_PAYLOAD';
}

/** A pipe refused the arguments. Never retried; `data.response` of the failure holds what the pipe said. */
export class InvalidArgumentsError extends TaskQueueError {
  readonly code = 'INVALID_ARGUMENTS';
  constructor(
    message: string,
    readonly response: unknown,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

/** A task returned what JSON cannot carry. Its work is done, so it is never retried. */
export class UnserializableResultError extends TaskQueueError {
  readonly code = 'UNSERIALIZABLE_RESULT';
}

/** A task returned more than `limits.resultBytes`. Its work is done, so it is never retried. */
export class ResultTooLargeError extends TaskQueueError {
  readonly code = 'RESULT_TOO_LARGE';
  constructor(
    readonly taskName: string,
    /** What makes it large, e.g. `result.rows`. */
    readonly path: string,
    /** Bytes of JSON of the whole result. */
    readonly bytes: number,
    readonly limit: number,
  ) {
    super(
      `Task "${taskName}" returned ${bytes} bytes of JSON, most of it at ${path}; the limit is ${limit}. ` +
        `Store large data elsewhere and return its id, or raise limits.resultBytes.`,
    );
  }
}

/** The soft limit has passed: the reason of `task.signal`. A task may catch it, clean up and return. */
export class SoftTimeLimitExceededError extends TaskQueueError {
  readonly code = 'SOFT_TIME_LIMIT_EXCEEDED';
  constructor(readonly limitMs: number) {
    super(`The task ran longer than its soft time limit of ${limitMs} ms.`);
  }
}

/** The hard limit has passed: the attempt is over, whatever the handler still does. */
export class TimeLimitExceededError extends TaskQueueError {
  readonly code = 'TIME_LIMIT_EXCEEDED';
  constructor(readonly limitMs: number) {
    super(`The task ran longer than its hard time limit of ${limitMs} ms and was abandoned.`);
  }
}

/** Somebody revoked the task. */
export class TaskRevokedError extends TaskQueueError {
  readonly code = 'TASK_REVOKED';
}

/** No worker took the task up before it expired. */
export class TaskExpiredError extends TaskQueueError {
  readonly code = 'TASK_EXPIRED';
}

/** The processes that ran the task died, more often than the poison limit allows. */
export class WorkerLostError extends TaskQueueError {
  readonly code = 'WORKER_LOST';
  /** How the last process ended, where it was that of a process pool. */
  readonly exit?: { readonly code: number | null; readonly signal: string | null };

  /** @param ended how the last process ended, in words */
  constructor(
    readonly timesLost: number,
    exit?: WorkerLostError['exit'],
    ended?: string,
  ) {
    super(
      `The worker was lost ${timesLost} times while it ran this task; it is not tried again.` +
        (ended === undefined ? '' : ` Its process ${ended}`),
    );
    if (exit !== undefined) this.exit = exit;
  }
}

/** The task's job was removed from its queue by hand, so nobody will ever run it. */
export class TaskRemovedError extends TaskQueueError {
  readonly code = 'TASK_REMOVED';
}

/** A step never started, because one before it failed: `cause` is that failure. */
export class UpstreamFailedError extends TaskQueueError {
  readonly code = 'UPSTREAM_FAILED';
}

/** The producer of a wide header died before it had published all of its members. */
export class DispatchIncompleteError extends TaskQueueError {
  readonly code = 'DISPATCH_INCOMPLETE';
}

/** A member had not ended when the header that it belongs to was closed, by its budget or its deadline. */
export class MemberPendingError extends TaskQueueError {
  readonly code = 'MEMBER_PENDING';
}

/** A recovery strategy threw, or no provider of its name is registered where the chord ended. */
export class RecoveryFailedError extends TaskQueueError {
  readonly code = 'RECOVERY_FAILED';
}

/** Everything that the members of a failed group or chord header came to. */
abstract class MembersFailedError extends TaskQueueError {
  /** The failures, by index in definition order. */
  readonly failures: readonly MemberFailure[];
  /** What the other members returned, by index in definition order. */
  readonly values: readonly MemberValue[];

  constructor(
    what: string,
    size: number,
    failures: readonly MemberFailure[],
    values: readonly MemberValue[],
    recorded?: string,
  ) {
    const ended = failures.filter(({ failure }) => failure.reason !== 'pending');
    const first = ended[0] ?? failures[0];
    const pending = failures.length - ended.length;
    const others = pending === 0 ? '' : ` and ${pending} had not ended`;
    super(
      recorded ??
        (first
          ? `${ended.length} of ${size} members of the ${what} failed${others}; the first is [${first.index}] ` +
            `${first.failure.request.name || first.failure.request.id}: ${first.failure.error.message}`
          : `The ${what} failed.`),
      first ? { cause: reviveError(first.failure.error) } : undefined,
    );
    this.failures = failures;
    this.values = values;
  }
}

/** Members of a group failed. `cause` is the failure with the lowest index, of those that have ended. */
export class GroupError extends MembersFailedError {
  readonly code = 'GROUP_FAILED';
  /** @param recorded what the record of the failure says, where there is one: also which limit was breached */
  constructor(
    size: number,
    failures: readonly MemberFailure[],
    values: readonly MemberValue[],
    recorded?: string,
  ) {
    super('group', size, failures, values, recorded);
  }
}

/** Members of a chord's header failed, and its recovery did not let the callback run. */
export class ChordError extends MembersFailedError {
  readonly code = 'CHORD_FAILED';
  /** @param recorded what the record of the failure says, where there is one: also which limit was breached */
  constructor(
    size: number,
    failures: readonly MemberFailure[],
    values: readonly MemberValue[],
    recorded?: string,
  ) {
    super('chord header', size, failures, values, recorded);
  }
}

/**
 * A task failed with an error whose class is not known in this process. `name`, `message`, `stack` and
 * `cause` are the original's; `failure` is the whole record.
 */
export class RemoteTaskError extends TaskQueueError {
  readonly code = 'REMOTE_TASK_FAILED';
  readonly originalCode: string | undefined;
  readonly data: SerializedError['data'];
  constructor(
    error: SerializedError,
    readonly failure?: TaskFailure,
  ) {
    super(error.message, error.cause ? { cause: reviveError(error.cause) } : undefined);
    this.name = error.name;
    this.originalCode = error.code;
    this.data = error.data;
    if (error.stack !== undefined) this.stack = error.stack;
  }
}

/** Makes an Error again out of a serialised one, of unknown class. */
export function reviveError(error: SerializedError, failure?: TaskFailure): Error {
  return new RemoteTaskError(error, failure);
}
