import { QueueEvents } from 'bullmq';
import type { TaskEvents, Wake } from '../backend/task-events.js';
import { bounded } from '../primitives/bounded.js';
import type { RedisConnections } from './redis-connections.js';
import type { RedisKeys } from './redis-keys.js';

/**
 * Wakes those who wait for tasks. All waiters of one queue share one connection, opened with the first and
 * closed with the last of them plus a while.
 *
 * Events only wake: they can be trimmed, missed while disconnected or come before the waiter listens (trap 21),
 * so nobody may depend on one.
 */
export class CompletionEvents implements TaskEvents {
  readonly #streams = new Map<string, { events: QueueEvents; waiters: Map<string, Set<Wake>> }>();
  #closed = false;

  constructor(
    private readonly connections: RedisConnections,
    private readonly keys: RedisKeys,
    private readonly onError: (error: Error) => void,
  ) {}

  get closed(): boolean {
    return this.#closed;
  }

  listen(queue: string, id: string, wake: Wake): () => void {
    if (this.#closed) return () => undefined;
    const stream = this.#stream(queue, id);
    let waiters = stream.waiters.get(id);
    if (waiters === undefined) stream.waiters.set(id, (waiters = new Set()));
    waiters.add(wake);
    return () => {
      waiters.delete(wake);
      if (waiters.size === 0 && stream.waiters.get(id) === waiters) stream.waiters.delete(id);
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const { waiters } of streams) for (const wakes of waiters.values()) for (const wake of wakes) wake();
    // BullMQ's close stays pending when Redis is away (trap 18).
    await Promise.allSettled(
      streams.map(({ events }) => bounded(events.close(), 2_000, () => new Error('close timed out'))),
    );
  }

  #stream(queue: string, id: string): { events: QueueEvents; waiters: Map<string, Set<Wake>> } {
    const prefix = this.keys.prefixOf(id);
    const key = `${prefix}:${queue}`;
    const known = this.#streams.get(key);
    if (known) return known;
    const events = new QueueEvents(queue, {
      connection: this.connections.get('consume'),
      prefix,
      skipVersionCheck: true,
    });
    const stream = { events, waiters: new Map<string, Set<Wake>>() };
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
