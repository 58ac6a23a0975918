import type { Delivery } from '../backend/delivery.js';
import { checkArguments } from '../canvas/check-arguments.js';
import { InvalidOptionsError } from '../errors/configuration.errors.js';
import { type RetryRequest, RetryTask } from '../errors/control-flow.js';
import { retriesMade, type TaskEnvelope } from '../flow/envelope.js';
import type { JsonValue } from '../primitives/json.js';
import { manualRetries, mayAsk, retriesUsedUp, type RetryState } from '../retry/retry-decision.js';
import { readRetryRequest } from '../retry/retry-request.js';
import type { TaskDefinition } from '../task/task-definition.js';

/** What is known of a task's retries while one of its attempts runs, and when that attempt has thrown. */
export function retryStateOf(
  { policies, options: { expected } }: TaskDefinition,
  envelope: TaskEnvelope,
  delivery: Pick<Delivery, 'attemptsMade' | 'startedAtMs'>,
): RetryState {
  const { maxRetries } = envelope;
  return {
    policies,
    made: retriesMade(envelope.retried, delivery.attemptsMade),
    sinceMs: envelope.retried?.sinceMs ?? delivery.startedAtMs,
    ...(maxRetries === undefined ? {} : { maxRetries }),
    ...(expected === undefined ? {} : { expected }),
  };
}

/**
 * Ends an attempt with a request for another one. What cannot be read, and a request that is one too many, is thrown here:
 * the handler may catch it.
 *
 * @throws RetryTask; InvalidOptionsError; ArgumentTooLargeError; MaxRetriesExceededError whose cause is the error that was
 *   given
 */
export function requestRetry(
  request: RetryRequest,
  state: RetryState,
  nowMs: number,
  { task, each, argumentBytes }: RetriedCall,
): never {
  const { args, delayMs = 0 } = readRetryRequest(request, nowMs);
  if (args !== undefined) checkRetryArgs(task, args, argumentBytes);
  if (each === 'map' && args !== undefined && args.length !== 1) {
    throw new InvalidOptionsError('retry.args', 'one argument, the item of the map', args);
  }
  if (!mayAsk(request, state, nowMs + delayMs))
    throw retriesUsedUp(manualRetries(request, state), request.error);
  throw new RetryTask(request);
}

/** What is asked about a call that asks to be made again. */
export interface RetriedCall {
  readonly task: string;
  readonly each: TaskEnvelope['each'];
  /** How large its arguments may be. */
  readonly argumentBytes: number;
}

/** @throws ArgumentTooLargeError when a task asks to be called with more than it could have been published with */
export function checkRetryArgs(task: string, args: readonly JsonValue[], limit: number): void {
  checkArguments(task, args, limit, (path) => `retry.${path}`);
}

/**
 * The envelope of a task that is to be called with other arguments from now on. Of a map, the item that asked for them is
 * replaced in the list.
 *
 * @param args what the attempt was called with, its input among them
 */
export function withArgs(
  envelope: TaskEnvelope,
  args: readonly JsonValue[],
  item: number | undefined,
  asked: readonly JsonValue[],
): TaskEnvelope {
  const { input: _input, ...rest } = envelope;
  if (envelope.each === undefined || item === undefined) return { ...rest, args: asked };
  const items = [...(args[0] as JsonValue[])];
  items[item] = envelope.each === 'map' ? (asked[0] ?? null) : [...asked];
  return { ...rest, args: [items] };
}
