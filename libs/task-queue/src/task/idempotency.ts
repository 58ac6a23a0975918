import { type Duration, toMilliseconds } from '../primitives/duration.js';
import type { JsonValue } from '../primitives/json.js';

/** How calls that have the same idempotency key are told to be the same. */
export interface IdempotencyOptions {
  /**
   * What the key is unique within, inside a registration. Name it where several tasks share their keys.
   *
   * @defaultValue the name of the task; of a canvas, its kind
   */
  readonly scope?: string;
  /**
   * How long after its publication a call has its key: then the next one runs again. A call that has not ended keeps its
   * key. @defaultValue as long as results are kept
   */
  readonly ttl?: Duration;
  /**
   * What a final failure does to the key. `release`: the next call with it runs anew. `keep`: it gets the failed one, as
   * long as its result is kept. @defaultValue 'release'
   */
  readonly onFailure?: 'release' | 'keep';
  /** Whether a call with the same key and other arguments is refused. @defaultValue true */
  readonly compareArguments?: boolean;
  /**
   * How long an execution waits, outside of any slot, for another task that has its key and has not ended.
   *
   * @defaultValue '10m'
   */
  readonly wait?: Duration;
}

/** Options of `@Idempotent`. */
export interface IdempotentOptions<Args extends readonly unknown[] = never[]> extends IdempotencyOptions {
  /** What makes two calls the same. Gets the arguments as they travelled, as JSON. */
  readonly key: (...args: Args) => string;
}

/** The same after they were read. */
export interface KeyRules {
  readonly scope?: string;
  readonly ttlMs?: number;
  readonly onFailure: 'release' | 'keep';
  readonly compareArguments: boolean;
  readonly waitMs: number;
}

/** What `@Idempotent` says of a task. */
export interface TaskKey extends KeyRules {
  /** @throws RangeError when it is no key, and whatever the function of the user throws */
  readonly of: (args: readonly JsonValue[]) => string;
}

const RULES: readonly (keyof IdempotencyOptions)[] = [
  'scope',
  'ttl',
  'onFailure',
  'compareArguments',
  'wait',
];
const DEFAULT_WAIT_MS = 600_000;
const LONGEST = { key: 1_000, scope: 200 } as const;

/** @throws RangeError saying which option cannot be read, and what was expected */
export function readKeyRules(options: IdempotencyOptions, others: readonly string[] = []): KeyRules {
  if (typeof options !== 'object' || options === null) throw new RangeError('expected an object of options');
  const known = [...others, ...RULES];
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new RangeError(`expected the options ${known.join(', ')}, got "${unknown}"`);
  const { scope, ttl, onFailure = 'release', compareArguments = true, wait } = options;
  if (scope !== undefined) readText('scope', scope, LONGEST.scope);
  if (onFailure !== 'release' && onFailure !== 'keep') {
    throw new RangeError(`expected onFailure to be 'release' or 'keep', got ${JSON.stringify(onFailure)}`);
  }
  if (typeof compareArguments !== 'boolean') {
    throw new RangeError(`expected compareArguments to be true or false, got ${typeof compareArguments}`);
  }
  const ttlMs = ttl === undefined ? undefined : readTime('ttl', ttl);
  if (ttlMs === 0) throw new RangeError('expected ttl to be more than 0');
  return {
    ...(scope === undefined ? {} : { scope }),
    ...(ttlMs === undefined ? {} : { ttlMs }),
    onFailure,
    compareArguments,
    waitMs: wait === undefined ? DEFAULT_WAIT_MS : readTime('wait', wait),
  };
}

/** @throws RangeError when it cannot be used as a key */
export function readKey(key: unknown): string {
  return readText('key', key, LONGEST.key);
}

function readText(what: string, value: unknown, longest: number): string {
  if (typeof value === 'string' && value !== '' && value.length <= longest) return value;
  const found = typeof value === 'string' ? `one of ${value.length}` : typeof value;
  throw new RangeError(`expected ${what} to be a text of 1 to ${longest} characters, got ${found}`);
}

function readTime(what: string, value: Duration): number {
  try {
    return toMilliseconds(value);
  } catch (error) {
    throw new RangeError(`${what}: ${(error as Error).message}`, { cause: error });
  }
}
