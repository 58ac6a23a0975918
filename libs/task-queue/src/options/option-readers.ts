import { InvalidOptionsError } from '../errors/configuration.errors.js';
import { type Duration, toMilliseconds } from '../primitives/duration.js';
import { didYouMean, unknownKey } from './did-you-mean.js';

/** The longest a timer of Node can wait; a longer one fires at once. */
export const MAX_TIMER_MS = 2_147_483_647;

const DURATION = "milliseconds or a duration such as '30s' or '5m30s'";

/** Bounds of a duration, in milliseconds. */
interface DurationBounds {
  /** @defaultValue 1 */
  readonly min?: number;
  /** @defaultValue the longest time that a timer can wait, 24 days and 20 hours */
  readonly max?: number;
}

/**
 * Reads one option that is a length of time.
 *
 * @throws InvalidOptionsError when it cannot be read or lies outside its bounds
 */
export function readDuration(path: string, value: Duration, bounds: DurationBounds = {}): number {
  const { min = 1, max = MAX_TIMER_MS } = bounds;
  let ms: number;
  try {
    ms = toMilliseconds(value);
  } catch {
    throw new InvalidOptionsError(path, DURATION, value);
  }
  if (ms < min) throw new InvalidOptionsError(path, `${DURATION}, of ${min} ms or more`, value);
  if (ms > max) throw new InvalidOptionsError(path, `${DURATION}, of at most ${max} ms`, value);
  return ms;
}

/**
 * Reads an age, which no timer waits for: it may be of any length.
 *
 * @throws InvalidOptionsError when it cannot be read
 */
export function readAge(path: string, value: Duration): number {
  return readDuration(path, value, { max: Number.MAX_SAFE_INTEGER });
}

/**
 * Names that begin with `_` are ours; a `:` separates the parts of Redis keys.
 *
 * @throws InvalidOptionsError when it is no name of a queue
 */
export function assertQueueName(path: string, name: unknown): asserts name is string {
  if (typeof name === 'string' && /^[A-Za-z0-9.-][A-Za-z0-9_.-]{0,127}$/.test(name)) return;
  throw new InvalidOptionsError(
    path,
    'a queue name of 1 to 128 letters, digits, "_", "-" or ".", not beginning with "_"',
    name,
  );
}

/**
 * Reads a switch.
 *
 * @throws InvalidOptionsError when it is neither true nor false
 */
export function readBoolean(path: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw new InvalidOptionsError(path, 'true or false', value);
}

/**
 * Reads one option that is a whole number.
 *
 * @throws InvalidOptionsError when it is none, or lies outside its bounds
 */
export function readInteger(path: string, value: unknown, min: number, max = Infinity): number {
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) {
    return value as number;
  }
  const bounds = max === Infinity ? `of ${min} or more` : `from ${min} to ${max}`;
  throw new InvalidOptionsError(path, `a whole number ${bounds}`, value);
}

/**
 * Reads a size.
 *
 * @throws InvalidOptionsError when it is neither a whole number of bytes nor Infinity
 */
export function readBytes(path: string, value: unknown): number {
  if (value === Infinity || (Number.isSafeInteger(value) && (value as number) >= 1)) return value as number;
  throw new InvalidOptionsError(path, 'a whole number of bytes, of 1 or more, or Infinity', value);
}

/**
 * Reads an object of options, which may be missing.
 *
 * @throws InvalidOptionsError when it is no plain object, or holds a key that is not known
 */
export function readObject<T extends object>(
  path: string,
  value: T | undefined,
  known: readonly string[],
): T {
  if (value === undefined) return {} as T;
  if (!isPlainObject(value)) throw new InvalidOptionsError(path || 'options', 'an object', kindOf(value));
  const unknown = unknownKey(value, known);
  if (unknown !== undefined) {
    // The value is left out on purpose: under a misspelt key it may be a connection with its password.
    throw new InvalidOptionsError(
      join(path, unknown),
      `one of the options ${known.join(', ')}${didYouMean(unknown, known)}`,
      unknown,
    );
  }
  const empty = Object.keys(value).find((key) => value[key] === null);
  if (empty !== undefined) {
    throw new InvalidOptionsError(join(path, empty), 'a value, or that it is left out', null);
  }
  return value;
}

/** Whether a value was written as `{ … }`, rather than made by a class. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null || isForeignObjectPrototype(prototype);
}

/** Names what a value is without showing what it holds. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return `an object (${Object.keys(value).slice(0, 8).join(', ') || 'empty'})`;
  return `a ${typeof value}`;
}

/** The path of a key below another one. */
export function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

/** `Object.prototype` of another realm, which test runners give their modules. */
function isForeignObjectPrototype(prototype: unknown): boolean {
  return (
    typeof prototype === 'object' &&
    prototype !== null &&
    Object.getPrototypeOf(prototype) === null &&
    Object.hasOwn(prototype, 'hasOwnProperty')
  );
}
