import type { StoredValues } from '../codec/stored-values.js';
import { isControlFlow } from '../errors/control-flow.js';
import { bounded } from '../primitives/bounded.js';
import type { Clock } from '../primitives/clock.js';
import { type ErrorDecision, type ReadErrorDecision, readErrorDecision } from '../retry/error-decision.js';
import { matchesAny } from '../retry/retry-policy.js';
import type { FailedRequest } from '../failure/task-failure.js';
import type { HookDefinition } from '../task/task-definition.js';
import type { TaskRegistry } from '../task/task-registry.js';
import { fieldsOf } from './discretion.js';
import type { EngineLog } from './engine-log.js';
import { failureRecord } from './failure-record.js';
import type { Ended, Outcome } from './outcome.js';

/** How long a hook may take: its task holds a slot of the worker meanwhile. */
const HOOK_MS = 5_000;

/** What the asking of hooks needs. */
export interface ErrorHookDeps {
  readonly registry: TaskRegistry;
  readonly values: StoredValues;
  readonly clock: Clock;
  readonly log: EngineLog;
}

/**
 * The hooks that may change what a policy has decided: about errors that were thrown, not about what a task asked for
 * itself, nor about what happened to it from outside.
 *
 * @returns undefined when there is none
 */
export function errorHooksFor(
  { definition, attempt }: Ended,
  thrown: unknown,
  outcome: Outcome,
  { registry }: Pick<ErrorHookDeps, 'registry'>,
): readonly HookDefinition[] | undefined {
  if (outcome.kind !== 'retry' && outcome.kind !== 'failed') return undefined;
  if (isControlFlow(thrown) || attempt.interruption?.by === 'revoked') return undefined;
  const hooks = registry.hooksOf(definition.name, 'error');
  return hooks.length > 0 ? hooks : undefined;
}

/** Asks one hook after the other, each about what the one before it has decided. Never throws. */
export async function askErrorHooks(
  hooks: readonly HookDefinition[],
  ended: Ended,
  decided: Outcome,
  deps: ErrorHookDeps,
): Promise<Outcome> {
  const { attempt, definition } = ended;
  const { values } = deps;
  const request = requestOf(ended, deps);
  const policy = decided.kind === 'retry' ? decided.decision.policy : UNDER_NO_POLICY;
  let outcome = decided;
  let error = 'error' in decided ? decided.error : undefined;
  for (const hook of hooks) {
    if ('error' in outcome) error = outcome.error;
    const decision = decisionOf(outcome, values, definition.options.expected);
    try {
      const asked = hook.invoke({ error, request, retries: attempt.delivery.attemptsMade, decision });
      const answer = await bounded(asked, HOOK_MS, () => new Error(`it did not answer within ${HOOK_MS} ms`));
      if (answer !== undefined)
        outcome = outcomeOf(
          readErrorDecision(answer, error, (value) => writeAnswer(value, values)),
          error,
          policy,
        );
    } catch (broken) {
      deps.log.error(
        `Hook ${hook.source} did not decide about ${definition.name}; it stays at "${decision.do}": ${String(broken)}`,
        broken instanceof Error ? broken.stack : undefined,
        { ...fieldsOf(attempt.delivery), hook: hook.source },
      );
    }
  }
  return outcome;
}

/** Where retries are counted that no policy has decided. */
const UNDER_NO_POLICY = -1;

function requestOf(
  { attempt, envelope }: Ended,
  { clock, values }: Pick<ErrorHookDeps, 'clock' | 'values'>,
): FailedRequest {
  const { args, index } = attempt.call;
  const { headers } = envelope;
  const { request } = failureRecord(attempt.delivery, args, undefined, clock.wallMs(), { index, headers });
  return { ...request, args: values.readIfPossible(request.args) };
}

/** @throws RangeError when the codec refuses it */
function writeAnswer(value: unknown, values: StoredValues): unknown {
  const written = values.write(value);
  if ('stored' in written) return written.stored;
  throw new RangeError(`expected what can be stored, but value is ${written.found}`);
}

/** What is going to happen, in the words of a hook. */
function decisionOf(
  outcome: Outcome,
  values: StoredValues,
  expected: Parameters<typeof matchesAny>[1] = [],
): ErrorDecision {
  switch (outcome.kind) {
    case 'retry':
      return { do: 'retry', after: outcome.decision.delayMs };
    case 'succeeded':
      return { do: 'ignore', value: values.readIfPossible(outcome.value) };
    case 'failed': {
      const isExpected = outcome.expected ?? matchesAny(outcome.error, expected);
      return { do: isExpected ? 'fail-as-expected' : 'fail', error: outcome.error };
    }
    case 'lost':
    case 'replaced':
    case 'waits':
    case 'returned':
    case 'superseded':
      throw new Error(`no hook decides about what was ${outcome.kind}`);
  }
}

function outcomeOf(decision: ReadErrorDecision, error: unknown, policy: number): Outcome {
  switch (decision.do) {
    case 'retry':
      return {
        kind: 'retry',
        decision: { kind: 'retry', delayMs: decision.afterMs, error, policy },
        error,
      };
    case 'fail':
      return { kind: 'failed', error: decision.error, expected: false };
    case 'fail-as-expected':
      return { kind: 'failed', error: decision.error, expected: true };
    case 'ignore':
      return { kind: 'succeeded', value: decision.value };
  }
}
