import { FlowProducer, Queue } from 'bullmq';
import { bounded } from '../primitives/bounded.js';
import type { ConnectionPurpose, RedisConnections } from './redis-connections.js';
import type { RedisKeys } from './redis-keys.js';

/** A queue as BullMQ knows it: of one name, in one shard. */
export type BullQueue = Queue;

const CLOSE_MS = 2_000;

/** BullMQ's queues and flow producers of one application, made when they are needed, all on shared connections. */
export class Producers {
  readonly #queues = new Map<string, Queue>();
  readonly #flows = new Map<string, FlowProducer>();

  constructor(
    private readonly connections: RedisConnections,
    private readonly keys: RedisKeys,
    private readonly onError: (error: Error) => void,
  ) {}

  /** The queue of a name, in the shard of a canvas. */
  queue(name: string, canvasId: string): Queue {
    const prefix = this.keys.prefixOf(canvasId);
    const key = `${prefix}:${name}`;
    return (
      this.#queues.get(key) ??
      this.#keep(
        this.#queues,
        key,
        new Queue(name, {
          connection: this.connections.get('publish'),
          prefix,
          skipVersionCheck: true,
          skipWaitingForReady: true,
          skipMetasUpdate: true,
        }),
      )
    );
  }

  /** The flow producer of a connection, in the shard of a canvas. */
  flow(canvasId: string, purpose: ConnectionPurpose): FlowProducer {
    const prefix = this.keys.prefixOf(canvasId);
    const key = `${purpose}:${prefix}`;
    return (
      this.#flows.get(key) ??
      this.#keep(
        this.#flows,
        key,
        new FlowProducer({ connection: this.connections.get(purpose), prefix, skipWaitingForReady: true }),
      )
    );
  }

  async close(): Promise<void> {
    const open = [...this.#queues.values(), ...this.#flows.values()];
    this.#queues.clear();
    this.#flows.clear();
    await Promise.allSettled(
      open.map((one) => bounded(one.close(), CLOSE_MS, () => new Error('close timed out'))),
    );
  }

  #keep<T extends Producer>(known: Map<string, T>, key: string, made: T): T {
    made.on('error', this.onError);
    known.set(key, made);
    // One that met a dropping connection while it opened would reject for ever; the next call makes a new one.
    made.waitUntilReady().catch(() => known.delete(key));
    return made;
  }
}

/** What queues and flow producers have in common. */
interface Producer {
  on(event: 'error', listener: (error: Error) => void): unknown;
  waitUntilReady(): Promise<unknown>;
}
