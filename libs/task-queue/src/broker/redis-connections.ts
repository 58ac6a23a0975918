import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { BrokerUnavailableError } from '../errors/publish.errors.js';
import type { ResolvedConnection } from '../options/resolve-connection.js';
import { bounded } from '../primitives/bounded.js';

/** A connection of ours: to one Redis, through Sentinel, or to a Cluster. */
export type RedisClient = Redis | Cluster;

/**
 * What a connection is for decides how it behaves when Redis is away.
 *
 * - `publish`, `ledger`: nothing is queued while offline and nothing is resent after a reconnect. With
 *   ioredis' defaults a publication whose answer was lost is carried out a second time (holes H19, H20).
 *   `ledger` is apart from `publish` because it uses WATCH, whose state belongs to a connection.
 * - `listen`: a worker's subscription to revocations; a subscribed connection can do nothing else.
 * - `consume`: waits for Redis for as long as it takes; BullMQ demands it of workers.
 */
export type ConnectionPurpose = 'publish' | 'ledger' | 'listen' | 'consume';

const FAIL_FAST: Partial<RedisOptions> = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 1,
};
/**
 * How long a connection that is being closed waits for its socket. ioredis keeps that timer when the socket is gone
 * already, so its 2 s would keep a closed application alive.
 */
const DISCONNECT_MS = 100;
const PATIENT: Partial<RedisOptions> = { maxRetriesPerRequest: null, enableReadyCheck: true };

/** Opens every connection of one module, and closes all of them. A client that the user brought is only copied. */
export class RedisConnections {
  readonly #clients = new Map<ConnectionPurpose, RedisClient>();
  readonly #copies = new Set<RedisClient>();
  #closed = false;
  readonly #waits = new Map<RedisClient, Promise<void>>();

  constructor(
    private readonly connection: ResolvedConnection,
    private readonly onError: (error: Error, purpose: ConnectionPurpose) => void,
  ) {}

  /**
   * The connection for a purpose; opened at the first call, reconnecting by itself from then on.
   *
   * @throws BrokerUnavailableError after `close`
   */
  get(purpose: ConnectionPurpose): RedisClient {
    let client = this.#clients.get(purpose);
    if (client === undefined) {
      if (this.#closed) throw new BrokerUnavailableError('The application has been closed.');
      client = this.#open(purpose === 'consume' || purpose === 'listen' ? PATIENT : FAIL_FAST);
      // Without a listener an 'error' event would end the process at the first blip (pain 43).
      client.on('error', (error: Error) => this.onError(error, purpose));
      if (purpose === 'consume') this.#watchCopies(client);
      this.#clients.set(purpose, client);
    }
    return client;
  }

  /**
   * The connection, once it can be used.
   *
   * @throws BrokerUnavailableError when Redis does not answer within the bound
   */
  async ready(purpose: ConnectionPurpose, timeoutMs: number): Promise<RedisClient> {
    const client = this.get(purpose);
    if (isReady(client)) return client;
    await bounded(
      this.#nextReady(client),
      timeoutMs,
      () => new BrokerUnavailableError(`Redis did not answer within ${timeoutMs} ms.`),
    );
    return client;
  }

  /** Closes a connection, which then opens itself anew; what is under way on it fails. */
  async reopen(purpose: ConnectionPurpose): Promise<void> {
    const client = this.#clients.get(purpose);
    if (client === undefined || !isReady(client)) return;
    const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
    client.disconnect(true);
    await closed;
  }

  /** One listener for all who wait: a burst of calls on a cold connection is no leak of listeners. */
  #nextReady(client: RedisClient): Promise<void> {
    let next = this.#waits.get(client);
    if (next === undefined) {
      next = new Promise((resolve) => client.once('ready', () => resolve()));
      this.#waits.set(client, next);
      void next.then(() => this.#waits.delete(client));
    }
    return next;
  }

  /** Whether a connection for the purpose is open and usable now. */
  isReady(purpose: ConnectionPurpose): boolean {
    const client = this.#clients.get(purpose);
    return client !== undefined && isReady(client);
  }

  /**
   * BullMQ copies this connection for its blocking commands, and while Redis is away nothing ends such a copy: it would
   * go on looking for Redis after the application has been closed. So the copies are known, and end with the rest.
   */
  #watchCopies(client: RedisClient): void {
    const duplicate = client.duplicate.bind(client) as (...args: unknown[]) => RedisClient;
    const value = (...args: unknown[]): RedisClient => {
      const copy = duplicate(...args);
      this.#copies.add(copy);
      copy.once('end', () => this.#copies.delete(copy));
      if (this.#closed) copy.disconnect();
      return copy;
    };
    Object.defineProperty(client, 'duplicate', { value, configurable: true });
  }

  /** Closes all connections, at once: whoever needed an answer has been waited for before. */
  close(): void {
    this.#closed = true;
    for (const client of [...this.#clients.values(), ...this.#copies]) client.disconnect();
    this.#clients.clear();
    this.#waits.clear();
  }

  #open(behaviour: Partial<RedisOptions>): RedisClient {
    const retryStrategy = (times: number): number => Math.min(50 * 2 ** Math.min(times, 6), 2_000);
    // A client of the user's own may be lazy; nobody would ever connect a copy of it.
    const common = { ...behaviour, retryStrategy, disconnectTimeout: DISCONNECT_MS, lazyConnect: false };
    switch (this.connection.kind) {
      case 'url':
        return new Redis(this.connection.url, { ...this.connection.options, ...common });
      case 'options':
        return new Redis({ ...this.connection.options, ...common });
      case 'client': {
        const client = this.connection.client;
        return client instanceof Cluster || 'nodes' in client
          ? (client as Cluster).duplicate([], { redisOptions: common as never })
          : (client as Redis).duplicate(common);
      }
    }
  }
}

function isReady(client: RedisClient): boolean {
  return client.status === 'ready' || (client.status === 'connect' && client instanceof Cluster);
}
