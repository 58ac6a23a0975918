import { type Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis';
import type { RedisLocation } from '../options/resolve-connection.js';

/** A connection of ours: to one Redis, through Sentinel, or to a Cluster. */
export type RedisClient = Redis | Cluster;

/**
 * What a connection is for decides how it behaves when Redis is away.
 *
 * - `publish`, `ledger`: nothing is queued while offline and nothing is resent after a reconnect. With
 *   ioredis' defaults a publication whose answer was lost is carried out a second time (holes H19, H20).
 *   `ledger` is apart from `publish` because it uses WATCH, whose state belongs to a connection.
 * - `listen`: a worker's subscription to revocations; a subscribed connection can do nothing else.
 * - `watch`: the subscription to events, while somebody in this application watches.
 * - `consume`: waits for Redis for as long as it takes; BullMQ demands it of workers.
 */
export type ConnectionPurpose = 'publish' | 'ledger' | 'listen' | 'watch' | 'consume';

const FAIL_FAST: Partial<RedisOptions> = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  // At the first close already. What was under way with 1 is neither sent again nor rejected: it stays without an answer.
  maxRetriesPerRequest: 0,
};
const PATIENT: Partial<RedisOptions> = {
  enableOfflineQueue: true,
  autoResendUnfulfilledCommands: true,
  autoResubscribe: false, // see keepSubscribed
  maxRetriesPerRequest: null,
  enableReadyCheck: true,
  // Both would take a worker that waits for a task for one that got no answer.
  commandTimeout: undefined,
  socketTimeout: undefined,
};
/**
 * How long a connection that is being closed waits for its socket. ioredis keeps that timer when the socket is gone
 * already, so its 2 s would keep a closed application alive.
 */
const DISCONNECT_MS = 100;
/** How often a Redis that still loads its data is asked whether it is done. */
const LOADING_MS = 500;
/** What holds for every connection, whatever the user or a client of theirs says. */
const COMMON = {
  retryStrategy: (times: number): number => Math.min(50 * 2 ** Math.min(times, 6), 2_000),
  disconnectTimeout: DISCONNECT_MS,
  // One that loads its data says how long it has to go. That is a guess, by which ioredis would wait for up to 10 s.
  maxLoadingRetryTime: LOADING_MS,
  // Nobody would ever connect a lazy one.
  lazyConnect: false,
  // Replies of another form, or commands in another order, are not what BullMQ and our scripts reckon with.
  stringNumbers: false,
  replyMapping: 'legacy',
  enableAutoPipelining: false,
  readOnly: false,
  monitor: false,
} as const;
/**
 * What holds where Sentinels say which Redis is the master. A master whose machine is gone closes no connection, so each
 * of ours also listens for the Sentinels' word that there is another one; and a Sentinel that does not answer is passed
 * over. The pause between two rounds is short, because ioredis keeps its timer when the connection is closed meanwhile.
 */
const SENTINEL = {
  role: 'master',
  failoverDetector: true,
  sentinelRetryStrategy: (times: number): number => Math.min(100 * times, 1_000),
} as const;
const SENTINEL_ANSWER_MS = 2_000;

/** What connections are copied from: a client that holds everything the user said, and that is not connected by us. */
export function templateOf(connection: RedisLocation): RedisClient {
  switch (connection.kind) {
    case 'url':
      return new Redis(connection.url, { ...connection.options, lazyConnect: true });
    case 'options':
      return new Redis({ ...connection.options, lazyConnect: true });
    case 'client':
      return connection.client;
  }
}

/**
 * Opens a connection for a purpose.
 *
 * @param label what Redis calls it (CLIENT LIST), before its purpose, where the user gives no name
 * @param onReadonly the server refuses to write: it is a replica
 */
export function openClient(
  template: RedisClient,
  purpose: ConnectionPurpose,
  label: string,
  onReadonly: () => void,
): RedisClient {
  const patient = purpose === 'consume' || purpose === 'listen' || purpose === 'watch';
  const named = isCluster(template) ? template.options.redisOptions : template.options;
  const options: Partial<RedisOptions> = {
    ...COMMON,
    ...(patient ? PATIENT : FAIL_FAST),
    connectionName: `${named?.connectionName ?? label}:${purpose}`,
  };
  return isCluster(template)
    ? template.duplicate([], clusterOptions(options, patient))
    : template.duplicate({ ...options, ...failoverOptions(template.options, onReadonly) });
}

/** What follows the master, of a connection to one Redis. */
function failoverOptions(theirs: RedisOptions, onReadonly: () => void): Partial<RedisOptions> {
  const { sentinels, sentinelCommandTimeout = SENTINEL_ANSWER_MS, reconnectOnError } = theirs;
  return {
    ...(sentinels?.length ? { ...SENTINEL, sentinelCommandTimeout } : {}),
    reconnectOnError: (error) => {
      if (error.message.includes('READONLY')) onReadonly();
      return reconnectOnError?.(error) ?? false;
    },
  };
}

/** The same of a Cluster, which has some options itself and gives the others to the connections to its nodes. */
function clusterOptions(options: Partial<RedisOptions>, patient: boolean): ClusterOptions {
  return {
    redisOptions: options,
    lazyConnect: COMMON.lazyConnect,
    enableAutoPipelining: COMMON.enableAutoPipelining,
    clusterRetryStrategy: COMMON.retryStrategy,
    enableOfflineQueue: patient,
    // A replica does not have yet what was just written.
    scaleReads: 'master',
    // More than 0 sends a command again whose connection was closed.
    ...(patient ? {} : { retryDelayOnFailover: 0 }),
  };
}

/** A Cluster is known by what it says, because its class may come from another copy of ioredis. */
function isCluster(client: RedisClient): client is Cluster {
  return client.isCluster;
}

export function isReady(client: RedisClient): boolean {
  return client.status === 'ready' || (client.status === 'connect' && isCluster(client));
}
