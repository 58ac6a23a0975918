import type { Delivery } from '../backend/delivery.js';
import { checkArguments } from '../canvas/check-arguments.js';
import type { StoredValues } from '../codec/stored-values.js';
import { writeArguments } from '../codec/write-arguments.js';
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
  values: StoredValues,
): RetryState {
  const { maxRetries } = envelope;
  return {
    policies,
    made: retriesMade(envelope.retried, delivery.attemptsMade),
    sinceMs: envelope.retried?.sinceMs ?? delivery.startedAtMs,
    ...(maxRetries === undefined ? {} : { maxRetries }),
    ...(expected === undefined ? {} : { expected }),
    ...(values.areWritten ? { argsAreWritten: true } : {}),
  };
}

/**
 * Ends an attempt with a request for another one. What cannot be read, and a request that is one too many, is thrown here:
 * the handler may catch it.
 *
 * @throws RetryTask; InvalidOptionsError; UnserializableArgumentError; ArgumentTooLargeError; MaxRetriesExceededError whose cause is the error that was
 *   given
 */
export function requestRetry(
  request: RetryRequest,
  state: RetryState,
  nowMs: number,
  { task, each, argumentBytes, values }: RetriedCall,
): never {
  const { args, delayMs = 0 } = readRetryRequest(request, nowMs, values.areWritten);
  if (args !== undefined) writeRetryArgs(task, args, argumentBytes, values);
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
  readonly values: StoredValues;
}

/**
 * The arguments that a task asks to be called with, as they are stored.
 *
 * @throws UnserializableArgumentError; ArgumentTooLargeError when they are more than it could have been published with
 */
export function writeRetryArgs(
  task: string,
  args: readonly unknown[],
  limit: number,
  values: StoredValues,
): readonly JsonValue[] {
  const at = (path: string): string => `retry.${path}`;
  const written = writeArguments(task, args, values, at);
  checkArguments(task, written, limit, at);
  return written;
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
