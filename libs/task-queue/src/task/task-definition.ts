import type { Breaker } from '../breaker/breaker-options.js';
import type { FailedRequest, TaskFailure } from '../failure/task-failure.js';
import type { JsonValue } from '../primitives/json.js';
import type { ErrorDecision } from '../retry/error-decision.js';
import type { RetryPolicy } from '../retry/retry-policy.js';
import type { TaskKey } from './idempotency.js';
import type { InterruptionCause } from './interruption.js';
import type { TaskContext } from './task-context.js';
import type { ResolvedTaskOptions } from './task-options.js';

/** A task method as the worker serves it. */
export interface TaskDefinition {
  readonly name: string;
  readonly queue: string;
  /** `ClassName.methodName`, for messages. */
  readonly source: string;
  readonly options: ResolvedTaskOptions;
  readonly policies: readonly RetryPolicy[];
  /** What keeps it from a resource that does not work. */
  readonly breaker?: Breaker;
  /** What makes two calls of it the same. */
  readonly idempotent?: TaskKey;
  /** Whether its first parameter takes the members of a header page by page instead of as a list. */
  readonly takesOutcomes?: boolean;
  /**
   * Runs the method with its guards, pipes, interceptors and filters. Gives its value or a promise of it; throws or
   * rejects with what it threw.
   */
  invoke(args: readonly JsonValue[], context: TaskContext): unknown;
}

/** What happened to a task, from a hook's point of view. */
export type HookKind = 'failure' | 'success' | 'retry' | 'revoked' | 'stuck' | 'error';

/** What `@OnSuccess` gets. */
export interface TaskSuccess {
  readonly id: string;
  readonly name: string;
  readonly args: readonly JsonValue[];
  readonly value: JsonValue;
  /** Headers that were published with the call, stamps among them; absent where there are none. */
  readonly headers?: Readonly<Record<string, JsonValue>>;
  /** How often the canvas had been redriven; absent in its first generation. */
  readonly generation?: number;
}

/** What `@OnRetry` gets. */
export interface TaskRetry {
  readonly failure: TaskFailure;
  /** Time until the next attempt. */
  readonly delayMs: number;
}

/** What `@OnError` gets: an attempt that threw, before anything is stored about it. */
export interface AttemptError {
  /** What it threw; of a handler in a process of its own, made again from what crossed over. */
  readonly error: unknown;
  readonly request: FailedRequest;
  /** Retries before it: attempts that ended in an error. */
  readonly retries: number;
  /** What is going to happen: as the policies say, or the hook before this one. */
  readonly decision: ErrorDecision;
}

/** What `@OnStuck` gets. */
export interface TaskStuck {
  readonly id: string;
  readonly name: string;
  readonly args: readonly JsonValue[];
  readonly queue: string;
  /** The attempt whose handler does not end, counted from 1. */
  readonly attempt: number;
  /** Why it was told to end. */
  readonly cause: InterruptionCause;
  /** For how long it has not. */
  readonly forMs: number;
  /** Headers that were published with the call; absent where there are none. */
  readonly headers?: Readonly<Record<string, JsonValue>>;
}

/** What hooks get. */
export type HookPayload = TaskFailure | TaskSuccess | TaskRetry | TaskStuck | AttemptError;

/** A hook method as the worker calls it. */
export interface HookDefinition {
  readonly kind: HookKind;
  /** `ClassName.methodName`, for messages. */
  readonly source: string;
  /** Names of the tasks it is for. */
  readonly tasks: readonly string[];
  /** @returns what the method returned; of interest in an `@OnError` */
  invoke(payload: HookPayload): Promise<unknown>;
}

/** A task that is called with the dead letters of other tasks. */
export interface LetterHandler {
  readonly task: string;
  readonly queue: string;
  /** Names of the tasks whose letters it gets; undefined for those of every task, also of such that nobody knows. */
  readonly tasks: readonly string[] | undefined;
  /** Names of the queues of those tasks; undefined for all. */
  readonly queues?: readonly string[] | undefined;
}
