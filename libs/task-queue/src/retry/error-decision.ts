import { type Duration, toMilliseconds } from '../primitives/duration.js';
import { findNonJson, type JsonValue } from '../primitives/json.js';

/** What becomes of a task whose attempt threw. */
export type ErrorDecision =
  /** Another attempt, after this time: milliseconds, or a duration. */
  | { readonly do: 'retry'; readonly after: Duration }
  /** Final: an error in the log, a dead letter. */
  | { readonly do: 'fail'; readonly error?: unknown }
  /** Final, as an ordinary outcome of the task: as if the error stood in `expected`. */
  | { readonly do: 'fail-as-expected'; readonly error?: unknown }
  /** The task has succeeded, with this value. @defaultValue null */
  | { readonly do: 'ignore'; readonly value?: JsonValue };

/** The same after it was read. */
export type ReadErrorDecision =
  | { readonly do: 'retry'; readonly afterMs: number }
  | { readonly do: 'fail' | 'fail-as-expected'; readonly error: unknown }
  | { readonly do: 'ignore'; readonly value: JsonValue };

/**
 * Reads what a hook answered.
 *
 * @param error what the task fails with when the answer names no other
 * @param write makes of a value what is stored of it
 * @throws RangeError when it cannot be read; the message says what was expected
 */
export function readErrorDecision(
  answer: unknown,
  error: unknown,
  write: (value: unknown) => unknown = asIs,
): ReadErrorDecision {
  const given = (typeof answer === 'object' ? (answer ?? {}) : {}) as Partial<Record<string, unknown>>;
  switch (given['do']) {
    case 'retry':
      return { do: 'retry', afterMs: toMilliseconds(given['after'] as Duration) };
    case 'fail':
    case 'fail-as-expected':
      return { do: given['do'], error: given['error'] ?? error };
    case 'ignore': {
      const value = write(given['value'] ?? null);
      const offence = findNonJson(value, 'value');
      if (offence !== undefined)
        throw new RangeError(`expected JSON, but ${offence.path} is ${offence.found}`);
      return { do: 'ignore', value: value as JsonValue };
    }
    default:
      throw new RangeError(
        `expected nothing, or { do: 'retry', after }, { do: 'fail' }, { do: 'fail-as-expected' } or ` +
          `{ do: 'ignore' }, got ${JSON.stringify(answer) ?? String(answer)}`,
      );
  }
}

const asIs = (value: unknown): unknown => value;
