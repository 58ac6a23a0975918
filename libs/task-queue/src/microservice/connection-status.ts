import type { EventEmitter } from 'node:events';

/** How the connection to Redis stands, as the status streams of server and client tell it. */
export type TaskQueueStatus = 'connected' | 'disconnected' | 'reconnecting';

/** What can be listened to with `on()`: the events of the connection, as ioredis emits them. */
export interface TaskQueueConnectionEvents extends Record<string, (...args: never[]) => void> {
  connect: () => void;
  ready: () => void;
  error: (error: Error) => void;
  close: () => void;
  reconnecting: (delayMs: number) => void;
  end: () => void;
}

/** What is needed of a connection to watch it. */
export type Watchable = Pick<EventEmitter, 'on' | 'off'> & { readonly status: string };
/** Of any event; what it is called with is the matter of the connection. */
type Listener = (...args: never[]) => void;

const STATUS_AT: Readonly<Record<string, TaskQueueStatus>> = {
  ready: 'connected',
  close: 'disconnected',
  reconnecting: 'reconnecting',
  end: 'disconnected',
};

/** Follows one connection: its status, and what users listen to. They may begin before there is a connection. */
export class ConnectionWatch {
  readonly #listeners: (readonly [event: string, listener: Listener])[] = [];
  #connection: Watchable | undefined;

  constructor(private readonly onStatus: (status: TaskQueueStatus) => void) {
    for (const [event, status] of Object.entries(STATUS_AT)) this.on(event, () => onStatus(status));
  }

  on(event: string, listener: Listener): void {
    this.#listeners.push([event, listener]);
    this.#connection?.on(event, listener as () => void);
  }

  /** Begins to follow a connection; another one is let go. */
  follow(connection: Watchable): void {
    if (connection === this.#connection) return;
    this.letGo();
    this.#connection = connection;
    for (const [event, listener] of this.#listeners) connection.on(event, listener as () => void);
    if (connection.status === 'ready') this.onStatus('connected');
  }

  /** Leaves the connection as it was found. Listeners are kept for the next one. */
  letGo(): void {
    for (const [event, listener] of this.#listeners) this.#connection?.off(event, listener as () => void);
    this.#connection = undefined;
  }
}
