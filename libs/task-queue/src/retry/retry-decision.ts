import { isControlFlow, RejectTask, type RetryRequest, RetryTask } from '../errors/control-flow.js';
import { MaxRetriesExceededError, NonRetryableError, TimeLimitExceededError } from '../errors/task.errors.js';
import { TaskQueueError } from '../errors/task-queue.error.js';
import type { Clock, RandomSource } from '../primitives/clock.js';
import type { JsonValue } from '../primitives/json.js';
import { retryAfterMs } from './retry-after.js';
import { type ErrorMatcher, matchesAny, type RetryPolicy } from './retry-policy.js';
import { readRetryRequest } from './retry-request.js';

/** What to do after an attempt that threw. */
export type RetryDecision =
  | {
      readonly kind: 'retry';
      readonly delayMs: number;
      readonly error: unknown;
      readonly policy: number;
      /** The delay is what the other side asked for (Retry-After). */
      readonly isAskedFor?: true;
      /** What the task asked to be called with from now on. */
      readonly args?: readonly JsonValue[];
    }
  | { readonly kind: 'fail'; readonly error: unknown };

type RetryDelay = Pick<Extract<RetryDecision, { kind: 'retry' }>, 'delayMs' | 'isAskedFor'>;

/** What the decision depends on. */
export interface RetryState {
  /** The policies of the task, in the order in which their `@Retry` stands on the method. */
  readonly policies: readonly RetryPolicy[];
  /** Retries made so far under each policy, by its index; those that the task asked for itself without one count under `-1`. */
  readonly made: Readonly<Record<string, number>>;
  /** A maximum given with the call; it replaces the maximum of every policy. */
  readonly maxRetries?: number;
  /** When the first attempt began, in epoch milliseconds. */
  readonly sinceMs: number;
  /** Errors that are an ordinary outcome of the task: final at once. */
  readonly expected?: readonly ErrorMatcher[];
  /** Arguments that a retry asks for are written by a codec. */
  readonly argsAreWritten?: boolean;
}

/** Retries of a task that asks for them without having a `@Retry` (Celery's default of max_retries). */
const MANUAL_MAX_RETRIES = 3;
/** Delay of a manual retry that names none and has no policy: exponential from a second, without jitter. */
const manualDelayMs = (retries: number): number => Math.min(600_000, 1_000 * 2 ** retries);

const NONE: readonly ErrorMatcher[] = [];

/** Codes of our own errors that no policy may retry: trying again cannot change the outcome. */
const FINAL_CODES = new Set([
  'NON_RETRYABLE',
  'UNKNOWN_TASK',
  'UNDECODABLE_PAYLOAD',
  'INVALID_ARGUMENTS',
  'UNSERIALIZABLE_RESULT',
  'MAX_RETRIES_EXCEEDED',
  'RETRY_BUDGET_EXCEEDED',
  'TASK_REVOKED',
  'TASK_EXPIRED',
  'WORKER_LOST',
  'UPSTREAM_FAILED',
  'IDEMPOTENCY_CONFLICT',
  'IDEMPOTENCY_TIMEOUT',
]);

/**
 * Decides what follows an attempt that threw: a pure function of the error, the policies and what was
 * spent so far.
 *
 * Order: a request of the task itself (`task.retry()`, `RejectTask`) → errors that are final by nature →
 * what the task expects, and `never` lists of all policies → the first policy whose `for` matches. An error that
 * no policy matches fails the task.
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
  const chosen = choosePolicy(thrown, state);
  if (chosen === undefined) return fail(thrown instanceof MaxRetriesExceededError ? givenBy(thrown) : thrown);
  const { policy, index, made } = chosen;
  const delay = delayOf(policy, made, thrown, clock, random);
  if (!isTimeLeft(policy, state, clock.wallMs() + delay.delayMs)) return fail(thrown);
  return {
    kind: 'retry',
    ...delay,
    error: thrown,
    policy: index,
  };
}

/** Whether something thrown would be followed by another attempt, without deciding when. */
export function wouldRetry(thrown: unknown, state: RetryState, nowMs: number): boolean {
  if (thrown instanceof RetryTask) {
    const { delayMs = 0 } = readRetryRequest(thrown.options, nowMs, state.argsAreWritten);
    return mayAsk(thrown.options, state, nowMs + delayMs);
  }
  const chosen = choosePolicy(thrown, state);
  return chosen !== undefined && isTimeLeft(chosen.policy, state, nowMs);
}

/** Whether a request of the task is granted that would have an attempt begin at this time. */
export function mayAsk(request: RetryRequest, state: RetryState, atMs: number): boolean {
  const { made, maximum, index } = manualRetries(request, state);
  const policy = state.policies[index];
  return made < maximum && (policy === undefined || isTimeLeft(policy, state, atMs));
}

/** Whether every retry is spent, whatever the attempt may throw; a request with a maximum of its own may get another. */
export function areRetriesSpent(state: RetryState, nowMs: number): boolean {
  const mayRun = (policy: RetryPolicy, index: number): boolean =>
    isLeft(policy, index, state) && isTimeLeft(policy, state, nowMs);
  return !mayAsk({}, state, nowMs) && !state.policies.some(mayRun);
}

/** How many retries there were, and how many a request of the task may bring them to. */
export function manualRetries(
  request: RetryRequest,
  state: RetryState,
): { readonly made: number; readonly maximum: number; readonly index: number } {
  const { policies } = state;
  const { error } = request;
  const matching =
    error === undefined ? firstThatRetries(policies) : policies.findIndex((policy) => policy.matches(error));
  const index = matching < 0 ? policies.findIndex(({ manualOnly }) => manualOnly) : matching;
  const made = Object.values(state.made).reduce((sum, count) => sum + count, 0);
  const ofPolicy = state.policies[index]?.maxRetries ?? MANUAL_MAX_RETRIES;
  return { made, maximum: request.maxRetries ?? state.maxRetries ?? ofPolicy, index };
}

/** The policy of a request that says nothing: one for requests, else the first that is not only there to forbid. */
function firstThatRetries(policies: readonly RetryPolicy[]): number {
  const ofRequests = policies.findIndex(({ manualOnly }) => manualOnly);
  return ofRequests < 0 ? policies.findIndex(({ forbids }) => !forbids) : ofRequests;
}

/** What a task that asked once too often says. */
export function retriesUsedUp(
  { made, maximum }: Pick<ReturnType<typeof manualRetries>, 'made' | 'maximum'>,
  error?: unknown,
): MaxRetriesExceededError {
  const why = made < maximum ? 'after the time that its policy allows' : `, but has ${maximum}`;
  return new MaxRetriesExceededError(
    `The task asked for retry ${made + 1}${made < maximum ? ' ' : ''}${why}.`,
    error === undefined ? undefined : { cause: error },
  );
}

/** The policy under which something thrown is retried, if it is. */
function choosePolicy(
  thrown: unknown,
  state: RetryState,
): { readonly policy: RetryPolicy; readonly index: number; readonly made: number } | undefined {
  if (isControlFlow(thrown)) return undefined;
  if (thrown instanceof TaskQueueError && FINAL_CODES.has(thrown.code)) return undefined;
  if (matchesAny(thrown, state.expected ?? NONE)) return undefined;
  if (state.policies.some((policy) => policy.never(thrown))) return undefined;
  // A hard limit means that the handler may still be running: only who says so wants another beside it.
  const hardLimit = thrown instanceof TimeLimitExceededError;
  const index = state.policies.findIndex(
    (policy) => (policy.explicit || !hardLimit) && policy.matches(thrown),
  );
  const policy = state.policies[index];
  if (policy === undefined || !isLeft(policy, index, state)) return undefined;
  return { policy, index, made: madeUnder(index, state) };
}

function isLeft(policy: RetryPolicy, index: number, state: RetryState): boolean {
  return madeUnder(index, state) < (state.maxRetries ?? policy.maxRetries);
}

function isTimeLeft({ maxElapsedMs }: RetryPolicy, { sinceMs }: RetryState, atMs: number): boolean {
  return atMs - sinceMs <= maxElapsedMs;
}

function madeUnder(index: number, { made }: RetryState): number {
  return made[String(index)] ?? 0;
}

function decideManual(
  request: RetryTask,
  state: RetryState,
  clock: Clock,
  random: RandomSource,
): RetryDecision {
  const { error } = request.options;
  const { delayMs, args } = readRetryRequest(request.options, clock.wallMs(), state.argsAreWritten);
  const { made, maximum, index } = manualRetries(request.options, state);
  const policy = state.policies[index];
  const backoff = (): RetryDelay =>
    policy === undefined ? { delayMs: manualDelayMs(made) } : delayOf(policy, made, error, clock, random);
  const delay = delayMs === undefined && made < maximum ? backoff() : { delayMs: delayMs ?? 0 };
  // Celery B132: the error that was given is what the task fails with; without one, this.
  if (!mayAsk(request.options, state, clock.wallMs() + delay.delayMs)) {
    return fail(error ?? retriesUsedUp({ made, maximum }));
  }
  return {
    kind: 'retry',
    ...delay,
    error: error ?? request,
    policy: index,
    ...(args === undefined ? {} : { args }),
  };
}

/** The error that a task gave when it asked once too often (Celery B132). */
function givenBy(usedUp: MaxRetriesExceededError): unknown {
  let at: unknown = usedUp;
  while (at instanceof MaxRetriesExceededError && at.cause !== undefined) at = at.cause;
  return at;
}

function delayOf(
  policy: RetryPolicy,
  made: number,
  error: unknown,
  clock: Clock,
  random: RandomSource,
): RetryDelay {
  const asked = policy.honourRetryAfter ? retryAfterMs(error, clock.wallMs()) : undefined;
  return asked === undefined
    ? { delayMs: policy.backoff(made, error, random) }
    : { delayMs: asked, isAskedFor: true };
}

function fail(error: unknown): RetryDecision {
  return { kind: 'fail', error };
}
