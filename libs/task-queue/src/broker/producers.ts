import { FlowProducer, Queue } from 'bullmq';
import { bounded } from '../primitives/bounded.js';
import { JointClient } from './joint-client.js';
import type { RedisClient } from './redis-client.js';
import type { RedisConnections } from './redis-connections.js';
import type { RedisKeys } from './redis-keys.js';
import { timedBullmq } from './timed-bullmq.js';

/** A queue as BullMQ knows it: of one name, in one shard. */
export type BullQueue = Queue;

/** `ledger`: for parts of fenced transactions. */
export type ProducerPurpose = 'publish' | 'ledger';

const CLOSE_MS = 2_000;

/** BullMQ's queues and flow producers of one application, made when they are needed, all on shared connections. */
export class Producers {
  readonly #queues = new Map<string, Queue>();
  readonly #flows = new Map<string, FlowProducer>();
  readonly #bullmq: ReturnType<typeof timedBullmq>;
  #joint: JointClient | undefined;

  constructor(
    private readonly connections: RedisConnections,
    private readonly keys: RedisKeys,
    private readonly onError: (error: Error) => void,
  ) {
    this.#bullmq = timedBullmq(connections.clock);
  }

  /** The connection of fenced transactions, whose parts the producers of `ledger` add. */
  get joint(): JointClient {
    return (this.#joint ??= new JointClient(this.connections.get('ledger')));
  }

  /** The queue of a name, in the shard of a canvas. */
  queue(name: string, canvasId: string, purpose: ProducerPurpose = 'publish'): Queue {
    const prefix = this.keys.prefixOf(canvasId);
    const key = `${purpose}:${prefix}:${name}`;
    return (
      this.#queues.get(key) ??
      this.#keep(
        this.#queues,
        key,
        new Queue(
          name,
          {
            connection: this.#connection(purpose),
            prefix,
            skipVersionCheck: true,
            skipWaitingForReady: true,
            skipMetasUpdate: true,
          },
          this.#bullmq,
        ),
      )
    );
  }

  /** The flow producer of a connection, in the shard of a canvas. */
  flow(canvasId: string, purpose: ProducerPurpose): FlowProducer {
    const prefix = this.keys.prefixOf(canvasId);
    const key = `${purpose}:${prefix}`;
    return (
      this.#flows.get(key) ??
      this.#keep(
        this.#flows,
        key,
        new FlowProducer(
          { connection: this.#connection(purpose), prefix, skipWaitingForReady: true },
          this.#bullmq,
        ),
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

  #connection(purpose: ProducerPurpose): RedisClient {
    return purpose === 'ledger' ? this.joint.forBullmq : this.connections.get(purpose);
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
