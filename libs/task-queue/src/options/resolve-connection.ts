import type { Cluster, Redis, RedisOptions } from 'ioredis';
import { InvalidOptionsError } from '../errors/configuration.errors.js';
import { isPlainObject, kindOf } from './option-readers.js';
import type { TaskQueueConnection } from './task-queue-options.js';

/** Where Redis is, after the option was read; or that nothing says it. */
export type ResolvedConnection = RedisLocation | MissingConnection;

/** Where Redis is. */
export type RedisLocation =
  /** `options` win over what the URL says. */
  | { readonly kind: 'url'; readonly url: string; readonly options: Readonly<Partial<RedisOptions>> }
  | { readonly kind: 'options'; readonly options: Readonly<RedisOptions> }
  /** A client of the user's own: it is duplicated, and neither used nor closed. */
  | { readonly kind: 'client'; readonly client: Redis | Cluster };

/**
 * Nothing says where Redis is. Refused by whoever needs to know, when the application starts: a test runs the same
 * modules without Redis.
 */
export interface MissingConnection {
  readonly kind: 'missing';
  readonly path: string;
  readonly expected: string;
  readonly found: string | undefined;
}

const URL_FORM = 'a URL such as redis://localhost:6379 or rediss://user:password@host:6380/0';

/**
 * Reads the option `connection`, or REDIS_URL in its absence. Nothing leads to a silent localhost, and no
 * error shows a password.
 *
 * @throws InvalidOptionsError when what is given cannot be read; that nothing is given is noticed by `locateRedis`
 */
export function resolveConnection(
  connection: TaskQueueConnection | undefined,
  env: Readonly<Record<string, string | undefined>>,
): ResolvedConnection {
  if (connection === undefined) {
    const url = env.REDIS_URL;
    if (url === undefined || url === '') {
      return {
        kind: 'missing',
        path: 'connection',
        expected: `{ url }, options of ioredis or a client, or ${URL_FORM} in the environment variable REDIS_URL`,
        found: 'neither of them',
      };
    }
    return { kind: 'url', url: readUrl('REDIS_URL', url), options: {} };
  }
  if (isClient(connection)) return clientOfTheirOwn(connection);
  if (!isPlainObject(connection)) {
    const found: unknown = connection;
    throw new InvalidOptionsError(
      'connection',
      '{ url }, options of ioredis, or an ioredis client (Redis or Cluster)',
      typeof found === 'string' ? redactUrl(found) : kindOf(found),
    );
  }
  if ('url' in connection) {
    const { url, ...options } = connection;
    refuseKeyPrefix(options.keyPrefix);
    if (url === undefined)
      return { kind: 'missing', path: 'connection.url', expected: URL_FORM, found: undefined };
    return { kind: 'url', url: readUrl('connection.url', url), options: copy(options) };
  }
  const options = connection as RedisOptions;
  if (!options.host && !options.path && !options.sentinels?.length) {
    throw new InvalidOptionsError('connection', 'a url, a host, a path or sentinels', kindOf(options));
  }
  if (options.sentinels?.length && !options.name) {
    throw new InvalidOptionsError(
      'connection.name',
      'the name under which the Sentinels know the master',
      options.name,
    );
  }
  refuseKeyPrefix(options.keyPrefix);
  return { kind: 'options', options: copy(options) };
}

function clientOfTheirOwn(client: Redis | Cluster): ResolvedConnection {
  // A Cluster hands down what it finds in its redisOptions.
  refuseKeyPrefix(client.options?.keyPrefix);
  return { kind: 'client', client };
}

/** Of a key that scripts put together themselves ioredis knows nothing, so its keyPrefix would be missing there. */
function refuseKeyPrefix(keyPrefix: unknown): void {
  if (keyPrefix === undefined || keyPrefix === null || keyPrefix === '') return;
  throw new InvalidOptionsError(
    'connection.keyPrefix',
    'none: the option prefix is the front of every key',
    keyPrefix,
  );
}

/** Where Redis is. @throws InvalidOptionsError when nothing says it */
export function locateRedis(connection: ResolvedConnection): RedisLocation {
  if (connection.kind !== 'missing') return connection;
  throw new InvalidOptionsError(connection.path, connection.expected, connection.found);
}

/** What may be shown of a URL: `host:port/db`. */
const ADDRESS = /^(\[[0-9a-f:]+\]|[\w.-]+)?(:\d+)?(\/\d*)?$/i;

/**
 * A URL without its user name, password and query; fit for errors and logs. What does not look like an
 * address is not shown at all: in a URL that cannot be parsed it may be a piece of the password.
 */
export function redactUrl(url: string): string {
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(url)?.[0] ?? '';
  const rest = url.slice(scheme.length);
  // The last @: an unescaped one in a password must not let half of it through.
  const at = rest.lastIndexOf('@');
  const query = rest.indexOf('?', at + 1);
  const address = rest.slice(at + 1, query < 0 ? undefined : query);
  if (rest.slice(0, at + 1).includes('?') || !ADDRESS.test(address)) return `${scheme}***`;
  return `${scheme}${at < 0 ? '' : '***@'}${address}${query < 0 ? '' : '?***'}`;
}

function readUrl(path: string, url: unknown): string {
  if (typeof url !== 'string') throw new InvalidOptionsError(path, URL_FORM, kindOf(url));
  let parsed: URL | undefined;
  try {
    parsed = new URL(url);
  } catch {
    // Its own message would show the URL with its password.
  }
  if (!parsed || !/^rediss?:$/.test(parsed.protocol) || parsed.hostname === '') {
    throw new InvalidOptionsError(path, URL_FORM, redactUrl(url));
  }
  refuseKeyPrefix(parsed.searchParams.get('keyPrefix'));
  return url;
}

/** A client is known by what it can do: its class may come from another copy of ioredis. */
function isClient(value: unknown): value is Redis | Cluster {
  if (typeof value !== 'object' || value === null) return false;
  const { duplicate, defineCommand, status } = value as Record<string, unknown>;
  return typeof duplicate === 'function' && typeof defineCommand === 'function' && typeof status === 'string';
}

/** Copies what was written as literals, so that it can be frozen; anything else is taken as it is. */
function copy<T>(value: T): T {
  if (Array.isArray(value)) return value.map((item: unknown) => copy(item)) as T;
  if (!isPlainObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copy(item)])) as T;
}
