import { isControlFlow, RejectTask, RetryTask } from '../errors/control-flow.js';
import { MaxRetriesExceededError, NonRetryableError, TimeLimitExceededError } from '../errors/task.errors.js';
import { TaskQueueError } from '../errors/task-queue.error.js';
import type { Clock, RandomSource } from '../primitives/clock.js';
import { toMilliseconds } from '../primitives/duration.js';
import { retryAfterMs } from './retry-after.js';
import type { RetryPolicy } from './retry-policy.js';

/** What to do after an attempt that threw. */
export type RetryDecision =
  | { readonly kind: 'retry'; readonly delayMs: number; readonly error: unknown; readonly policy: number }
  | { readonly kind: 'fail'; readonly error: unknown };

/** What the decision depends on. */
export interface RetryState {
  /** The policies of the task, in the order in which their `@Retry` stands on the method. */
  readonly policies: readonly RetryPolicy[];
  /** Retries made so far under each policy, by its index; those that the task asked for itself without one count under `-1`. */
  readonly made: Readonly<Record<string, number>>;
  /** A maximum given with the call; it replaces the maximum of every policy. */
  readonly maxRetries?: number;
}

/** Retries of a task that asks for them without having a `@Retry` (Celery's default of max_retries). */
const MANUAL_MAX_RETRIES = 3;
/** Delay of a manual retry that names none and has no policy: exponential from a second, without jitter. */
const manualDelayMs = (retries: number): number => Math.min(600_000, 1_000 * 2 ** retries);

/** Codes of our own errors that no policy may retry: trying again cannot change the outcome. */
const FINAL_CODES = new Set([
  'NON_RETRYABLE',
  'UNKNOWN_TASK',
  'UNDECODABLE_PAYLOAD',
  'INVALID_ARGUMENTS',
  'UNSERIALIZABLE_RESULT',
  'MAX_RETRIES_EXCEEDED',
  'TASK_REVOKED',
  'TASK_EXPIRED',
  'WORKER_LOST',
  'UPSTREAM_FAILED',
]);

/**
 * Decides what follows an attempt that threw: a pure function of the error, the policies and what was
 * spent so far.
 *
 * Order: a request of the task itself (`task.retry()`, `RejectTask`) → errors that are final by nature →
 * `never` lists of all policies → the first policy whose `for` matches. An error that no policy matches
 * fails the task.
 */
export function decideRetry(
  thrown: unknown,
  state: RetryState,
  clock: Clock,
  random: RandomSource,
): RetryDecision {
  if (isControlFlow(thrown)) {
    if (thrown instanceof RetryTask) return decideManual(thrown, state, clock, random);
    if (thrown instanceof RejectTask) return fail(new NonRetryableError(thrown.reason));
  }
  if (thrown instanceof TaskQueueError && FINAL_CODES.has(thrown.code)) return fail(thrown);
  if (state.policies.some((policy) => policy.never(thrown))) return fail(thrown);
  // A hard limit means that the handler may still be running: only who says so wants another beside it.
  const hardLimit = thrown instanceof TimeLimitExceededError;
  const index = state.policies.findIndex(
    (policy) => (policy.explicit || !hardLimit) && policy.matches(thrown),
  );
  const policy = state.policies[index];
  if (policy === undefined) return fail(thrown);
  const made = state.made[String(index)] ?? 0;
  if (made >= (state.maxRetries ?? policy.maxRetries)) return fail(thrown);
  return {
    kind: 'retry',
    delayMs: delayOf(policy, made, thrown, clock, random),
    error: thrown,
    policy: index,
  };
}

function decideManual(
  request: RetryTask,
  state: RetryState,
  clock: Clock,
  random: RandomSource,
): RetryDecision {
  const { error, countdown } = request.options;
  const index = state.policies.findIndex((policy) => error === undefined || policy.matches(error));
  const policy = state.policies[index];
  const made = Object.values(state.made).reduce((sum, count) => sum + count, 0);
  const maximum = request.options.maxRetries ?? state.maxRetries ?? policy?.maxRetries ?? MANUAL_MAX_RETRIES;
  if (made >= maximum) {
    // Celery B132: the error that was given is what the task fails with; without one, this.
    return fail(
      error ?? new MaxRetriesExceededError(`The task asked for retry ${made + 1}, but has ${maximum}.`),
    );
  }
  const delayMs =
    countdown !== undefined
      ? toMilliseconds(countdown)
      : policy !== undefined
        ? delayOf(policy, made, error, clock, random)
        : manualDelayMs(made);
  return { kind: 'retry', delayMs, error: error ?? request, policy: index };
}

function delayOf(
  policy: RetryPolicy,
  made: number,
  error: unknown,
  clock: Clock,
  random: RandomSource,
): number {
  const asked = policy.honourRetryAfter ? retryAfterMs(error, clock.wallMs()) : undefined;
  return asked ?? policy.backoff(made, error, random);
}

function fail(error: unknown): RetryDecision {
  return { kind: 'fail', error };
}
