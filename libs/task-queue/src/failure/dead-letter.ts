import type { JsonValue } from '../primitives/json.js';
import type { FailureReason, SerializedError, TaskFailure } from './task-failure.js';

/** One attempt of a task that ended in an error. */
export interface FailedAttempt {
  /** Counted from 1. Numbers that are left out are attempts that were lost with their worker, or given back. */
  readonly attempt: number;
  /** When it ended, ISO 8601. */
  readonly at: string;
  /** Host and process id of the worker that ran it. */
  readonly worker: string;
  readonly error: Pick<SerializedError, 'name' | 'message' | 'code'>;
}

/** A final failure that nobody declared expected, with all that it takes to understand it and to run its task again. */
export interface DeadLetter {
  /** The id of the task that failed. */
  readonly id: string;
  /** What failed: request (name, arguments, headers, queue, place in its canvas), error with its causes, reason, time. */
  readonly failure: TaskFailure;
  /** The attempts that ended in an error, the last one included; of very many the newest. */
  readonly attempts: readonly FailedAttempt[];
  /** What the task's job held, its input put in front of its arguments; of data that is not ours, that data, redacted. */
  readonly payload: JsonValue;
  /** The id under which its task was run again. */
  readonly retriedAs?: string;
}

/** A dead letter in a list. */
export interface DeadLetterSummary {
  readonly id: string;
  readonly task: string;
  readonly queue: string;
  readonly error: Pick<SerializedError, 'name' | 'message' | 'code'>;
  readonly reason: FailureReason;
  /** When its task failed, ISO 8601. */
  readonly failedAt: string;
  readonly retriedAs?: string;
}

const ATTEMPTS_KEPT = 20;
const MESSAGE_KEPT = 500;

/** The attempts that are known of, with one more: the newest of them. */
export function withAttempt(
  attempts: readonly FailedAttempt[] = [],
  { request, error, at }: TaskFailure,
  worker: string,
): readonly FailedAttempt[] {
  const attempt: FailedAttempt = { attempt: request.attempt, at, worker, error: shortened(error) };
  return [...attempts.slice(1 - ATTEMPTS_KEPT), attempt];
}

/** What a list shows of a letter. */
export function summaryOf({ id, failure }: DeadLetter): Omit<DeadLetterSummary, 'retriedAs'> {
  const { request, error, reason, at } = failure;
  return { id, task: request.name, queue: request.queue, error: shortened(error), reason, failedAt: at };
}

function shortened({ name, message, code }: SerializedError): FailedAttempt['error'] {
  return { name, message: message.slice(0, MESSAGE_KEPT), ...(code === undefined ? {} : { code }) };
}
