import { BrokerUnavailableError } from '../errors/publish.errors.js';
import type { RedisLocation } from '../options/resolve-connection.js';
import { bounded } from '../primitives/bounded.js';
import { type ConnectionPurpose, isReady, openClient, type RedisClient, templateOf } from './redis-client.js';
import { ServerClock } from './server-clock.js';

/** How a connection fares. */
export interface Condition {
  /** When it became usable last, by the monotonic clock. */
  readyAt: number | undefined;
  /** The last error since then. */
  trouble?: Error;
}

/** As long as the address leads to a replica, connections are opened anew so often. */
const LEAVE_MS = 1_000;
/** How soon a connection is opened again that has ended although it is in use. */
const OPEN_AGAIN_MS = 100;
/** How long `reopen` waits for the old socket. */
const REOPEN_MS = 2_000;

/**
 * Opens every connection of one registration, and closes all of them.
 *
 * What the user says about Redis becomes a client that is never connected, or is one of their own: it is only copied.
 */
export class RedisConnections {
  readonly #template: RedisClient;
  readonly #clients = new Map<ConnectionPurpose, RedisClient>();
  readonly #copies = new Set<RedisClient>();
  readonly #conditions = new Map<ConnectionPurpose, Condition>();
  #closed = false;
  /** When a replica was left last, by the monotonic clock. */
  #leftAt = -LEAVE_MS;
  readonly #waits = new Map<RedisClient, Promise<void>>();
  /** The time of the Redis that they lead to. */
  readonly clock = new ServerClock(() => this.#askTheTime());

  constructor(
    connection: RedisLocation,
    /** What Redis calls the connections (CLIENT LIST), before their purpose, where the user gives no name. */
    private readonly label: string,
    private readonly onError: (error: Error, purpose: ConnectionPurpose) => void,
  ) {
    this.#template = templateOf(connection);
  }

  /**
   * The connection for a purpose; opened at the first call, reconnecting by itself from then on.
   *
   * @throws BrokerUnavailableError after `close`
   */
  get(purpose: ConnectionPurpose): RedisClient {
    let client = this.#clients.get(purpose);
    if (client === undefined) {
      if (this.#closed) throw new BrokerUnavailableError('The application has been closed.');
      const opened = (client = openClient(this.#template, purpose, this.label, () => this.#leaveReplica()));
      // Without a listener an 'error' event would end the process at the first blip (pain 43).
      client.on('error', (error: Error) => {
        this.#condition(purpose).trouble = error;
        this.onError(error, purpose);
      });
      client.on('end', () => this.#openAgain(purpose, opened));
      client.on('ready', () => {
        this.#conditions.set(purpose, { readyAt: performance.now() });
        // It may be another Redis by now.
        if (purpose === 'publish') this.#askTheTime();
      });
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
    if (isReady(client) && this.clock.isSettled) return client;
    await bounded(
      this.#nextReady(client),
      timeoutMs,
      () => new BrokerUnavailableError(`Redis did not answer within ${timeoutMs} ms.`),
    );
    return client;
  }

  /**
   * Closes a connection, which then opens itself anew; what is under way on it fails. Waits until it is closed, but not
   * for ever.
   */
  async reopen(purpose: ConnectionPurpose, timeoutMs: number = REOPEN_MS): Promise<void> {
    const client = this.#clients.get(purpose);
    if (client === undefined || !isReady(client)) return;
    let onClose = (): void => undefined;
    const closed = new Promise<void>((resolve) => client.once('close', (onClose = resolve)));
    client.disconnect(true);
    await bounded(closed, timeoutMs, () => new Error('still open')).catch(() => client.off('close', onClose));
  }

  /** Closes the connection for a purpose; the next who asks gets a new one. */
  drop(purpose: ConnectionPurpose): void {
    const client = this.#clients.get(purpose);
    this.#clients.delete(purpose);
    client?.disconnect();
  }

  /** One that cannot be asked now is asked another time. */
  #askTheTime(): void {
    if (this.isReady('publish')) this.clock.ask(this.get('publish')).catch(() => undefined);
  }

  /**
   * When it can be used, and what time it is has been asked once. One listener for all who wait: a burst of calls on a cold
   * connection is no leak of listeners.
   */
  #nextReady(client: RedisClient): Promise<void> {
    let next = this.#waits.get(client);
    if (next === undefined) {
      const ready = isReady(client)
        ? Promise.resolve()
        : new Promise<void>((resolve) => client.once('ready', () => resolve()));
      const settled = () =>
        this.clock.isSettled ? undefined : this.clock.ask(client).catch(() => undefined);
      next = ready.then(settled);
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

  /** What is known of the connection for a purpose. */
  condition(purpose: ConnectionPurpose): Readonly<Condition> {
    return this.#condition(purpose);
  }

  #condition(purpose: ConnectionPurpose): Condition {
    let condition = this.#conditions.get(purpose);
    if (condition === undefined) this.#conditions.set(purpose, (condition = { readyAt: undefined }));
    return condition;
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

  /**
   * A connection that hears of a fail-over while it asks the Sentinels for the master is ended by ioredis for good: its
   * `failoverDetector` takes that search for a connection to the old one. Nobody here ends one that is still in use.
   */
  #openAgain(purpose: ConnectionPurpose, client: RedisClient): void {
    const again = (): void => {
      if (this.#closed || this.#clients.get(purpose) !== client || client.status !== 'end') return;
      // What goes wrong is heard as an 'error', and an end as this one.
      client.connect().catch(() => undefined);
    };
    setTimeout(again, OPEN_AGAIN_MS).unref();
  }

  /**
   * A master that has become a replica may keep its connections, as behind an address that moves to another one. Writing
   * notices it, reading does not: so all of them are opened anew, that none reads what is out of date.
   */
  #leaveReplica(): void {
    const now = performance.now();
    if (now - this.#leftAt < LEAVE_MS) return;
    this.#leftAt = now;
    for (const client of [...this.#clients.values(), ...this.#copies])
      if (isReady(client)) client.disconnect(true);
  }
}
