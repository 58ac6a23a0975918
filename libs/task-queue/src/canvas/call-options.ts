import { InvalidCanvasError, InvalidIdError } from '../errors/publish.errors.js';
import type { Clock } from '../primitives/clock.js';
import { type Duration, LONGEST_WAIT_MS, toMilliseconds } from '../primitives/duration.js';
import { findNonJson, type JsonValue } from '../primitives/json.js';
import { type IdempotencyOptions, readKey, readKeyRules } from '../task/idempotency.js';
import type { CallKey, CallOptions, CanvasData } from './canvas-data.js';

/** A canvas, as plain data or as a value that gives it. */
export type CanvasSource = CanvasData | { toJSON(): CanvasData };

/** How a call differs from what its task says, as a user writes it. */
export interface ApplyOptions {
  /** Time until it may start. Not together with `eta`. */
  readonly countdown?: Duration;
  /** When it may start: a Date, epoch milliseconds, or an ISO 8601 text. Not together with `countdown`. */
  readonly eta?: Date | number | string;
  /**
   * When it must have been started, else it fails as expired: a point in time, or a length of time. A length
   * counts from the release of the call, which for a later step of a canvas comes after the one before it.
   */
  readonly expires?: Duration | Date;
  /** The queue, instead of the task's. */
  readonly queue?: string;
  /** 1 (first) to 2,097,152 (last). */
  readonly priority?: number;
  /** An id of your own: publishing twice under one id does the work once. */
  readonly taskId?: string;
  /** Ends an attempt, whatever the handler still does. */
  readonly timeLimit?: Duration;
  /** Aborts the task's signal; has to be shorter than `timeLimit`. */
  readonly softTimeLimit?: Duration;
  /** Re-runs after the first one. */
  readonly maxRetries?: number;
  /** Keep no result. */
  readonly ignoreResult?: boolean;
  /**
   * Calls with one key have one effect: a second one gets the first one's handle, and a part of a canvas ends with its
   * value. What may differ between them, and for how long, is said beside the key.
   */
  readonly idempotencyKey?: string | ({ readonly key: string } & IdempotencyOptions);
  /** Labels that the task reads as `task.headers`. */
  readonly headers?: Readonly<Record<string, JsonValue>>;
  /** Runs once, with the value, when the call succeeds. */
  readonly link?: CanvasSource | readonly CanvasSource[];
  /** Runs once, with the failure, when the call fails. */
  readonly linkError?: CanvasSource | readonly CanvasSource[];
}

const MAX_PRIORITY = 2_097_152;
/** Ids that callers make, and those that the library makes: an error may name one to publish under again. */
const TASK_ID = /^(?!\d+$)(?:[\da-z]+~)?[\w-]{1,128}$/;

type Reader<T> = (value: T, path: string, clock: Clock | undefined) => CallOptions;
type Readers = { readonly [Key in keyof ApplyOptions]-?: Reader<NonNullable<ApplyOptions[Key]>> };

const READERS: Readers = {
  countdown: (value, path) => ({ countdownMs: readWait(value, path) }),
  eta: (value, path) => ({ eta: readTime(value, path) }),
  expires: (value, path, clock) => {
    if (value instanceof Date) return { expires: readTime(value, path) };
    const expiresInMs = readWait(value, path);
    return clock ? { expires: clock.wallMs() + expiresInMs } : { expiresInMs };
  },
  queue: (value) => ({ queue: value }),
  priority: (value) => ({ priority: value }),
  taskId: (value) => ({ taskId: value }),
  timeLimit: (value, path) => ({ timeLimitMs: readLimit(value, path) }),
  softTimeLimit: (value, path) => ({ softTimeLimitMs: readLimit(value, path) }),
  maxRetries: (value) => ({ maxRetries: value }),
  ignoreResult: (value) => ({ ignoreResult: value }),
  headers: (value) => ({ headers: value }),
  idempotencyKey: (value, path) => ({ once: readCallKey(value, path) }),
  // Callbacks are part of the canvas, not of its options: whoever applies the canvas links them.
  link: () => ({}),
  linkError: () => ({}),
};

/**
 * Reads what a user wrote into plain milliseconds. `undefined` and `null` mean: not given.
 *
 * @param clock with it, a length of time in `expires` becomes a point in time at once; without it (`set()` on
 *   a signature that may be published much later) it stays a length
 * @throws InvalidCanvasError with the path of the option; InvalidIdError
 */
export function readCallOptions(options: ApplyOptions, clock?: Clock): CallOptions {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new InvalidCanvasError('options', `expected an object of options, got ${show(options)}`);
  }
  let read: CallOptions = {};
  for (const [key, value] of Object.entries(options)) {
    const reader = Object.hasOwn(READERS, key) ? READERS[key as keyof ApplyOptions] : undefined;
    const path = `options.${key}`;
    if (reader === undefined) {
      throw new InvalidCanvasError(path, `unknown option; known are ${Object.keys(READERS).join(', ')}`);
    }
    if (value !== undefined && value !== null) {
      read = { ...read, ...(reader as Reader<unknown>)(value, path, clock) };
    }
  }
  checkCallOptions(read, 'options');
  return Object.freeze(read);
}

/** Whether an id may be chosen by a caller: the queue reserves ids of digits only and splits others at ':'. */
export function isTaskId(id: unknown): id is string {
  return typeof id === 'string' && TASK_ID.test(id);
}

type Check = readonly [expected: string, fits: (value: unknown) => boolean];

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const LENGTH: Check = ['milliseconds of 0 or more', isCount];
const LIMIT: Check = ['milliseconds of more than 0', (value) => isCount(value) && value !== 0];
const TIME: Check = ['epoch milliseconds', Number.isSafeInteger];

const CHECKS: { readonly [Key in Exclude<keyof CallOptions, 'taskId' | 'headers' | 'once'>]-?: Check } = {
  countdownMs: LENGTH,
  eta: TIME,
  expires: TIME,
  expiresInMs: LENGTH,
  queue: [
    'the name of a queue, without ":"',
    (value) => typeof value === 'string' && value !== '' && !value.includes(':'),
  ],
  priority: [
    `a whole number from 1 to ${MAX_PRIORITY}`,
    (value) => isCount(value) && (value as number) >= 1 && (value as number) <= MAX_PRIORITY,
  ],
  timeLimitMs: LIMIT,
  softTimeLimitMs: LIMIT,
  maxRetries: ['a whole number of 0 or more', isCount],
  ignoreResult: ['true or false', (value) => typeof value === 'boolean'],
};

/**
 * Checks options in their plain form: each of them, and the pairs that exclude each other.
 *
 * @param path of the options in the canvas
 * @throws InvalidCanvasError, InvalidIdError
 */
export function checkCallOptions(options: CallOptions, path: string): void {
  for (const [key, value] of Object.entries(options) as [keyof CallOptions, unknown][]) {
    if (value === undefined) continue;
    if (key === 'taskId') {
      if (!isTaskId(value)) throw new InvalidIdError(value as string);
      continue;
    }
    if (key === 'headers') {
      checkHeaders(value, `${path}.headers`);
      continue;
    }
    if (key === 'once') {
      checkCallKey(value, `${path}.idempotencyKey`);
      continue;
    }
    const check = Object.hasOwn(CHECKS, key) ? CHECKS[key] : undefined;
    if (check === undefined) throw new InvalidCanvasError(`${path}.${key}`, 'unknown option');
    if (!check[1](value)) {
      throw new InvalidCanvasError(`${path}.${key}`, `expected ${check[0]}, got ${show(value)}`);
    }
  }
  if (options.taskId !== undefined && options.once !== undefined) {
    throw new InvalidCanvasError(path, 'taskId and idempotencyKey exclude each other; give one of them');
  }
  if (options.countdownMs !== undefined && options.eta !== undefined) {
    throw new InvalidCanvasError(path, 'countdown and eta exclude each other; give one of them');
  }
  const { softTimeLimitMs: soft, timeLimitMs: hard } = options;
  if (soft !== undefined && hard !== undefined && soft >= hard) {
    throw new InvalidCanvasError(
      `${path}.softTimeLimit`,
      `it has to be shorter than timeLimit, but ${soft} ms is not shorter than ${hard} ms`,
    );
  }
}

function readCallKey(given: NonNullable<ApplyOptions['idempotencyKey']>, path: string): CallKey {
  const { key, ...rules } = typeof given === 'string' ? { key: given } : given;
  return atPath(path, () => ({ key: readKey(key), ...readKeyRules(rules) }));
}

/** In the plain form, which somebody else may have written. */
function checkCallKey(value: unknown, path: string): void {
  if (typeof value !== 'object' || value === null) {
    throw new InvalidCanvasError(path, `expected an object, got ${show(value)}`);
  }
  const { key, ttlMs, waitMs, ...rules } = value as CallKey;
  atPath(path, () => {
    readKey(key);
    readKeyRules({ ...rules, wait: waitMs, ...(ttlMs === undefined ? {} : { ttl: ttlMs }) });
  });
}

function atPath<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new InvalidCanvasError(path, (error as Error).message);
  }
}

function checkHeaders(value: unknown, path: string): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidCanvasError(path, `expected an object, got ${show(value)}`);
  }
  const offence = findNonJson(value, path);
  if (offence)
    throw new InvalidCanvasError(offence.path, `it cannot be sent as JSON: it is ${offence.found}`);
}

function readDuration(value: Duration, path: string): number {
  try {
    return toMilliseconds(value);
  } catch (error) {
    throw new InvalidCanvasError(path, (error as Error).message);
  }
}

function readLimit(value: Duration, path: string): number {
  const ms = readDuration(value, path);
  if (ms > 0) return ms;
  throw new InvalidCanvasError(path, `expected a duration of more than 0, got ${show(value)}`);
}

function readWait(value: Duration, path: string): number {
  const ms = readDuration(value, path);
  if (ms <= LONGEST_WAIT_MS) return ms;
  throw new InvalidCanvasError(
    path,
    `expected a length of time of at most 10 years, got ${show(value)}; a point in time is given as a Date`,
  );
}

function readTime(value: Date | number | string, path: string): number {
  const isTime = typeof value === 'number' || typeof value === 'string' || (value as unknown) instanceof Date;
  const time = typeof value === 'number' ? value : isTime ? new Date(value).getTime() : NaN;
  if (Number.isFinite(time)) return Math.round(time);
  throw new InvalidCanvasError(
    path,
    `expected a Date, epoch milliseconds or an ISO 8601 text, got ${show(value)}`,
  );
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  return typeof value === 'object' && value !== null
    ? Object.prototype.toString.call(value)
    : String(value as number);
}
