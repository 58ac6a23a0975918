import type { ErrorTest } from './retry-policy.js';

/** How far down the causes an error is looked at: `fetch` hides what happened in a cause. */
const DEPTH = 5;

const NETWORK_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'ERR_NETWORK',
  'ERR_STREAM_PREMATURE_CLOSE',
  'UND_ERR_SOCKET',
]);
const TIMEOUT_CODES = new Set([
  'ETIMEDOUT',
  'ESOCKETTIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'SOFT_TIME_LIMIT_EXCEEDED',
  'TIME_LIMIT_EXCEEDED',
]);
const TIMEOUT_NAMES = new Set(['TimeoutError', 'ConnectTimeoutError']);
const LOCK_CODES = new Set([
  // PostgreSQL: serialization failure, deadlock, lock not available.
  '40001',
  '40P01',
  '55P03',
  'ER_LOCK_DEADLOCK',
  'ER_LOCK_WAIT_TIMEOUT',
  'SQLITE_BUSY',
  'SQLITE_LOCKED',
  // Prisma: write conflict or deadlock.
  'P2034',
]);
const INVALID_NAMES = new Set(['ValidationError', 'ZodError', 'ValiError', 'ArkErrors']);
const MISSING_NAMES = new Set(['NotFoundError', 'EntityNotFoundError', 'DocumentNotFoundError']);
/** Prisma: a record that was required was not found. */
const MISSING_CODES = new Set(['P2025']);

/**
 * Kinds of errors, told by what drivers and HTTP clients put on them: `code`, `status`, `statusCode`, `response.status`,
 * `getStatus()` and the name, on the error or on one of its causes. For `for` and `never` of `@Retry`, and for `expected`
 * of `@Task`.
 */
export const ErrorKinds = {
  /** The other side could not be reached, or hung up. */
  network: kind('network error', ({ code }) => NETWORK_CODES.has(code)),
  /** It took too long: a socket, a request, an `AbortSignal.timeout`, HTTP 408, a time limit of the task. */
  timeout: kind(
    'timeout',
    ({ code, name, status }) => TIMEOUT_CODES.has(code) || TIMEOUT_NAMES.has(name) || status === 408,
  ),
  /** HTTP 429. */
  rateLimit: kind('rate limit', ({ status }) => status === 429),
  /** A deadlock, a lock that was not to be had, a transaction that has to be made again. */
  databaseLock: kind('database lock', ({ code }) => LOCK_CODES.has(code)),
  /** HTTP 500, 502, 503, 504. */
  serviceDown: kind('service down', ({ status }) => status === 500 || (status > 501 && status < 505)),
  /** HTTP 400, 413, 415, 422, or an error of a validator. */
  invalidData: kind(
    'invalid data',
    ({ name, status }) => INVALID_NAMES.has(name) || [400, 413, 415, 422].includes(status),
  ),
  /** HTTP 404, 410, or an error of an ORM that says so. */
  notFound: kind(
    'not found',
    ({ code, name, status }) =>
      MISSING_NAMES.has(name) || MISSING_CODES.has(code) || status === 404 || status === 410,
  ),
  /** HTTP 401, 403, 407. */
  authentication: kind('authentication', ({ status }) => [401, 403, 407].includes(status)),
} as const satisfies Readonly<Record<string, ErrorTest>>;

interface Traits {
  readonly name: string;
  readonly code: string;
  readonly status: number;
}

function kind(what: string, test: (traits: Traits) => boolean): ErrorTest {
  return Object.freeze({ what, matches: (error: unknown) => traitsOf(error).some(test) });
}

/** What an error and its causes say of themselves. Getters may throw: nothing here does. */
function traitsOf(error: unknown): Traits[] {
  const traits: Traits[] = [];
  for (let at: unknown = error; isObject(at) && traits.length < DEPTH;) {
    const response = read(at, 'response');
    const statuses = [read(at, 'status'), read(at, 'statusCode'), statusOf(at)];
    if (isObject(response)) statuses.push(read(response, 'status'), read(response, 'statusCode'));
    traits.push({
      name: String(read(at, 'name')),
      code: String(read(at, 'code')),
      status: statuses.find((status) => typeof status === 'number') ?? 0,
    });
    at = read(at, 'cause') ?? read(at, 'driverError');
  }
  return traits;
}

/** As an HttpException of Nest says it. */
function statusOf(error: object): unknown {
  const getStatus = read(error, 'getStatus');
  if (typeof getStatus !== 'function') return undefined;
  try {
    return (getStatus as (this: object) => unknown).call(error);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function read(from: object, key: string): unknown {
  try {
    return (from as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}
