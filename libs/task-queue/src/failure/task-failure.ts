import type { JsonValue } from '../primitives/json.js';

/**
 * Why a task ended without a value.
 *
 * - `error`: its handler threw, its retries are used up, or it could not be started (unknown task,
 *   undecodable payload, unserialisable result);
 * - `soft-time-limit`, `time-limit`: it ran too long;
 * - `revoked`: somebody revoked it; `expired`: no worker took it up in time;
 * - `worker-lost`: the processes that ran it died more often than the poison limit allows;
 * - `removed`: its job was taken out of the queue by hand, so nobody will ever run it;
 * - `upstream`: it never started, because a step before it failed;
 * - `pending`: the header that it is a member of was closed before it had ended.
 */
export type FailureReason =
  | 'error'
  | 'soft-time-limit'
  | 'time-limit'
  | 'revoked'
  | 'expired'
  | 'worker-lost'
  | 'removed'
  | 'upstream'
  | 'pending';

/** An error as plain data: bounded in size, safe to store, to log and to send to an errback. */
export interface SerializedError {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly stack?: string;
  /** The chain of causes, outermost first; at most five deep. */
  readonly cause?: SerializedError;
  /** The error's own enumerable JSON properties (status, details, …). */
  readonly data?: Readonly<Record<string, JsonValue>>;
}

/** What was asked for when the failure happened. */
export interface FailedRequest {
  /** The task's id. */
  readonly id: string;
  /** The task's name; for a composite its kind: `group`, `chain` or `chord`. */
  readonly name: string;
  readonly args: readonly JsonValue[];
  /** Of a `map`, `starmap` or chunk: the index of the item that failed, whose arguments `args` are. */
  readonly item?: number;
  /** Headers that were published with the call, stamps among them; absent where there are none. */
  readonly headers?: Readonly<Record<string, JsonValue>>;
  readonly queue: string;
  /** The attempt that failed, counted from 1; 0 when the task never started. */
  readonly attempt: number;
  /** The id of the canvas that the task belongs to; its own id when it stands alone. */
  readonly workflowId: string;
  /** Where in the canvas it stands, e.g. `3.body`; empty for a task that stands alone. */
  readonly position: string;
  /** How often the canvas had been redriven; absent in its first generation. */
  readonly generation?: number;
}

/** A final failure as plain data. The first argument of every errback and of every `@OnFailure` hook. */
export interface TaskFailure {
  readonly request: FailedRequest;
  readonly error: SerializedError;
  readonly reason: FailureReason;
  /** When it was recorded, ISO 8601. */
  readonly at: string;
  /**
   * For a group or a chord: what its failed members failed with, by index in definition order. A stored record holds
   * the first 50; those of members that are composites themselves do not repeat what failed inside of them.
   */
  readonly failures?: readonly MemberFailure[];
  /** For a group or a chord: what its other members returned, by index in definition order. */
  readonly values?: readonly MemberValue[];
  /** For a group or a chord: how many members failed, also where `failures` does not hold all of them. */
  readonly failureCount?: number;
}

/** A failed member of a group or of a chord header. */
export interface MemberFailure {
  readonly index: number;
  readonly failure: TaskFailure;
}

/** A member of a group or of a chord header that returned. */
export interface MemberValue {
  readonly index: number;
  readonly value: JsonValue;
}
