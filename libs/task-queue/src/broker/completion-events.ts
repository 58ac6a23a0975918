import { QueueEvents } from 'bullmq';
import type { TaskEvents, Wake } from '../backend/task-events.js';
import { bounded } from '../primitives/bounded.js';
import type { RedisConnections } from './redis-connections.js';
import type { RedisKeys } from './redis-keys.js';

/** How long a connection is kept for the next who waits: all events of its queue come in on it, waited for or not. */
const KEPT_MS = 30_000;
/** How long a close may take; BullMQ's stays pending when Redis is away (trap 18). */
const CLOSE_MS = 2_000;

/** The events of one queue, and who waits for which task of it. */
interface Stream {
  readonly events: QueueEvents;
  readonly waiters: Map<string, Set<Wake>>;
  /** Runs while nobody waits. */
  idle?: NodeJS.Timeout;
}

/**
 * Wakes those who wait for tasks. All waiters of one queue share one connection, opened with the first and
 * closed with the last of them plus a while.
 *
 * Events only wake: they can be trimmed, missed while disconnected or come before the waiter listens (trap 21),
 * so nobody may depend on one.
 */
export class CompletionEvents implements TaskEvents {
  readonly #streams = new Map<string, Stream>();
  readonly #ending = new Set<Promise<void>>();
  #closed = false;

  constructor(
    private readonly connections: RedisConnections,
    private readonly keys: RedisKeys,
    private readonly onError: (error: Error) => void,
    private readonly keptMs: number = KEPT_MS,
  ) {}

  get closed(): boolean {
    return this.#closed;
  }

  listen(queue: string, id: string, wake: Wake): () => void {
    if (this.#closed) return () => undefined;
    const key = `${this.keys.prefixOf(id)}:${queue}`;
    const stream = this.#stream(key, queue, id);
    clearTimeout(stream.idle);
    let waiters = stream.waiters.get(id);
    if (waiters === undefined) stream.waiters.set(id, (waiters = new Set()));
    waiters.add(wake);
    return () => {
      waiters.delete(wake);
      if (waiters.size === 0 && stream.waiters.get(id) === waiters) stream.waiters.delete(id);
      if (stream.waiters.size === 0) this.#closeLater(key, stream);
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const { idle, waiters } of streams) {
      clearTimeout(idle);
      for (const wakes of waiters.values()) for (const wake of wakes) wake();
    }
    await Promise.all([...streams.map(({ events }) => end(events)), ...this.#ending]);
  }

  #closeLater(key: string, stream: Stream): void {
    clearTimeout(stream.idle);
    stream.idle = setTimeout(() => {
      if (this.#streams.get(key) !== stream) return;
      this.#streams.delete(key);
      const ending = end(stream.events).finally(() => this.#ending.delete(ending));
      this.#ending.add(ending);
    }, this.keptMs).unref();
  }

  #stream(key: string, queue: string, id: string): Stream {
    const known = this.#streams.get(key);
    if (known) return known;
    const events = new QueueEvents(queue, {
      connection: this.connections.get('consume'),
      prefix: this.keys.prefixOf(id),
      skipVersionCheck: true,
    });
    const stream: Stream = { events, waiters: new Map() };
    const wake = ({ jobId }: { jobId: string }): void => stream.waiters.get(jobId)?.forEach((one) => one());
    events.on('completed', wake);
    events.on('failed', wake);
    events.on('progress', wake);
    events.on('active', wake);
    events.on('error', this.onError);
    this.#streams.set(key, stream);
    return stream;
  }
}

function end(events: QueueEvents): Promise<void> {
  return bounded(events.close(), CLOSE_MS, () => new Error('close timed out')).catch(() => undefined);
}
