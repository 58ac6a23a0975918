import type { CanvasData } from '../canvas/canvas-data.js';
import { HandlerLostError } from '../backend/handler-host.js';
import type { StoredValues } from '../codec/stored-values.js';
import { IgnoreResult, isControlFlow, ReplaceTask } from '../errors/control-flow.js';
import type { TaskEnvelope } from '../flow/envelope.js';
import type { PayloadLimits } from '../options/task-queue-options.js';
import type { Clock, RandomSource } from '../primitives/clock.js';
import type { JsonValue } from '../primitives/json.js';
import { decideRetry, type RetryDecision } from '../retry/retry-decision.js';
import { asInterrupted } from '../task/interruption.js';
import type { TaskDefinition } from '../task/task-definition.js';
import type { Attempt } from './attempt.js';
import { fieldsOf } from './discretion.js';
import type { EngineLog } from './engine-log.js';
import { ItemWaits } from './keyed-items.js';
import { problemOfResult } from './result-check.js';
import { writeRetryArgs } from './retries-of.js';

/** What one attempt came to. Every end of an attempt is one of these. */
export type Outcome =
  | { readonly kind: 'succeeded'; readonly value: JsonValue }
  | {
      readonly kind: 'retry';
      readonly decision: Extract<RetryDecision, { kind: 'retry' }>;
      readonly error: unknown;
    }
  | {
      readonly kind: 'failed';
      readonly error: unknown;
      /** Whether it is an ordinary outcome; what the task declares decides where nothing is said. */
      readonly expected?: boolean;
    }
  /** The process of the handler died: it may have been the task, or not. */
  | { readonly kind: 'lost'; readonly lost: HandlerLostError }
  /** A canvas takes the task's place. */
  | { readonly kind: 'replaced'; readonly canvas: CanvasData }
  /** An item of its list waits for another call that has its idempotency key. */
  | { readonly kind: 'waits'; readonly item: ItemWaits }
  /** The worker stops: the attempt is given back and counts as nothing. */
  | { readonly kind: 'returned' }
  /** Somebody else owns the task by now: nothing that this attempt says is heard. */
  | { readonly kind: 'superseded' };

/** An attempt whose handler has ended. */
export interface Ended {
  readonly definition: TaskDefinition;
  readonly envelope: TaskEnvelope;
  readonly attempt: Attempt;
}

/** What the classification of an end needs. */
export interface ClassifyDeps {
  readonly limits: Required<PayloadLimits>;
  readonly values: StoredValues;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: EngineLog;
}

/** What a handler that returned has come to. */
export function outcomeOfValue(
  { definition, attempt }: Ended,
  returned: unknown,
  { limits }: Pick<ClassifyDeps, 'limits'>,
): Outcome {
  if (attempt.interruption?.by === 'lost-lock') return { kind: 'superseded' };
  if (returned === undefined || returned === null) return { kind: 'succeeded', value: null };
  const problem = problemOfResult(definition.name, returned, limits.resultBytes);
  return problem === undefined
    ? { kind: 'succeeded', value: returned as JsonValue }
    : { kind: 'failed', error: problem };
}

/** What a handler that threw has come to: what ended it, or what its policies say about the error. */
export function outcomeOfError({ definition, attempt }: Ended, thrown: unknown, deps: ClassifyDeps): Outcome {
  const { interruption } = attempt;
  if (interruption?.by === 'lost-lock') return { kind: 'superseded' };
  if (interruption?.by === 'shutdown') return { kind: 'returned' };
  if (thrown instanceof HandlerLostError && interruption?.by !== 'revoked')
    return { kind: 'lost', lost: thrown };
  if (thrown instanceof ItemWaits && interruption === undefined) return { kind: 'waits', item: thrown };
  if (isControlFlow(thrown)) {
    if (thrown instanceof IgnoreResult) return { kind: 'succeeded', value: null };
    if (thrown instanceof ReplaceTask && interruption?.by !== 'revoked') {
      return { kind: 'replaced', canvas: thrown.canvas as CanvasData };
    }
  }
  const error = interruption?.by === 'revoked' ? interruption.error : asInterrupted(thrown, interruption);
  let decision: RetryDecision;
  try {
    const { clock, random } = deps;
    decision = decideRetry(error, attempt.retries, clock, random);
    // One that was thrown instead of asked for with task.retry(), which has looked already.
    if (decision.kind === 'retry' && decision.args !== undefined) {
      const { limits, values } = deps;
      const args = writeRetryArgs(definition.name, decision.args, limits.argumentBytes, values);
      decision = { ...decision, args };
    }
  } catch (broken) {
    // A backoff of the user's own that throws, a countdown that cannot be read: trying again would not mend it.
    deps.log.error(
      `${definition.name}: the retry could not be decided: ${String(broken)}`,
      undefined,
      fieldsOf(attempt.delivery),
    );
    return { kind: 'failed', error: isControlFlow(error) ? broken : error };
  }
  return decision.kind === 'retry'
    ? { kind: 'retry', decision, error: decision.error }
    : { kind: 'failed', error: decision.error };
}
