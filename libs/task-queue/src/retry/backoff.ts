import type { RandomSource } from '../primitives/clock.js';
import { type Duration, toMilliseconds } from '../primitives/duration.js';

/** How long to wait before the next attempt. */
export type BackoffOptions =
  | {
      /** Always the same delay. */
      readonly type: 'fixed';
      /** @defaultValue '1s' */
      readonly delay?: Duration;
      /** Spread the delay uniformly between 0 and itself. @defaultValue false */
      readonly jitter?: boolean;
    }
  | {
      /** `delay × factor^n`, where n counts the retries from 0, up to `max`. */
      readonly type: 'exponential';
      /** @defaultValue '1s' */
      readonly delay?: Duration;
      /** @defaultValue 2 */
      readonly factor?: number;
      /** Cap of the delay, before jitter. @defaultValue '10m' (as Celery's retry_backoff_max) */
      readonly max?: Duration;
      /** Full jitter: uniform between 0 and the delay, so that a crowd of failures spreads out. @defaultValue true */
      readonly jitter?: boolean;
    }
  | CustomBackoff;

/** A function of the number of retries already made (from 0) and of the error. */
export type CustomBackoff = (retries: number, error: unknown) => Duration;

/** A backoff whose options have been read: retries made and error in, milliseconds out. */
export type Backoff = (retries: number, error: unknown, random: RandomSource) => number;

const DEFAULT_DELAY = '1s';
const DEFAULT_MAX = '10m';

/**
 * Reads backoff options.
 *
 * @throws RangeError when a duration or the factor cannot be read
 */
export function compileBackoff(options: BackoffOptions): Backoff {
  if (typeof options === 'function') return (retries, error) => toMilliseconds(options(retries, error));
  const delayMs = toMilliseconds(options.delay ?? DEFAULT_DELAY);
  switch (options.type) {
    case 'fixed':
      return options.jitter === true ? (_, __, random) => spread(delayMs, random) : () => delayMs;
    case 'exponential': {
      const factor = options.factor ?? 2;
      if (!Number.isFinite(factor) || factor < 1) {
        throw new RangeError(`expected a factor of 1 or more, got ${String(factor)}`);
      }
      const maxMs = toMilliseconds(options.max ?? DEFAULT_MAX);
      const jitter = options.jitter ?? true;
      return (retries, _, random) => {
        // Math.min takes care of the overflow to Infinity after a thousand retries.
        const capped = Math.min(maxMs, delayMs * factor ** retries);
        return jitter ? spread(capped, random) : Math.round(capped);
      };
    }
    default:
      throw new RangeError(
        `expected type 'fixed' or 'exponential', or a function, got ${JSON.stringify((options as { type?: unknown }).type)}`,
      );
  }
}

function spread(ms: number, random: RandomSource): number {
  return Math.round(random() * ms);
}
