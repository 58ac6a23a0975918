import { InvalidOptionsError } from '../errors/configuration.errors.js';
import type { RetryRequest } from '../errors/control-flow.js';
import { toMilliseconds } from '../primitives/duration.js';
import { findNonJson, type JsonValue } from '../primitives/json.js';

/** What a task asks for, after it was read. */
export interface ReadRetryRequest {
  readonly delayMs?: number;
  readonly args?: readonly JsonValue[];
}

/**
 * Reads what a task says when it asks for another attempt.
 *
 * @param argsAreWritten whether a codec writes arguments, which says itself what it cannot write
 * @throws InvalidOptionsError naming the option, before anything has been asked for
 */
export function readRetryRequest(
  request: RetryRequest,
  nowMs: number,
  argsAreWritten = false,
): ReadRetryRequest {
  const { countdown, eta, args, maxRetries } = request;
  if (countdown !== undefined && eta !== undefined) {
    throw new InvalidOptionsError('retry.eta', 'one of countdown and eta', eta);
  }
  if (maxRetries !== undefined && !isCount(maxRetries)) {
    throw new InvalidOptionsError('retry.maxRetries', 'a whole number of 0 or more, or Infinity', maxRetries);
  }
  return {
    ...(countdown === undefined ? {} : { delayMs: readCountdown(countdown) }),
    ...(eta === undefined ? {} : { delayMs: Math.max(0, readTime(eta) - nowMs) }),
    ...(args === undefined ? {} : { args: readArgs(args, argsAreWritten) }),
  };
}

function readCountdown(countdown: NonNullable<RetryRequest['countdown']>): number {
  try {
    return toMilliseconds(countdown);
  } catch {
    throw new InvalidOptionsError(
      'retry.countdown',
      "milliseconds or a duration such as '30s' or '5m30s'",
      countdown,
    );
  }
}

function readTime(eta: NonNullable<RetryRequest['eta']>): number {
  const time = typeof eta === 'number' ? eta : new Date(eta).getTime();
  if (Number.isFinite(time)) return Math.round(time);
  throw new InvalidOptionsError('retry.eta', 'a Date, epoch milliseconds or an ISO 8601 text', eta);
}

function readArgs(args: readonly unknown[], areWritten: boolean): readonly JsonValue[] {
  if (!Array.isArray(args)) throw new InvalidOptionsError('retry.args', 'a list of arguments', args);
  const offence = areWritten ? undefined : findNonJson(args, 'retry.args');
  if (offence === undefined) return args as readonly JsonValue[];
  throw new InvalidOptionsError(offence.path, 'what can be sent as JSON', offence.found);
}

function isCount(value: unknown): boolean {
  return value === Infinity || (Number.isSafeInteger(value) && (value as number) >= 0);
}
