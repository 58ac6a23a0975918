import { BrokerUnavailableError } from '../errors/publish.errors.js';
import { bounded } from '../primitives/bounded.js';
import type { Joint, OwnWrites, ScriptCall } from './joint-client.js';
import { Mutex } from './mutex.js';
import type { Producers } from './producers.js';
import type { RedisClient } from './redis-client.js';
import type { RedisConnections } from './redis-connections.js';

/** A change that takes place only if what was looked at has not changed meanwhile. */
export interface FencedChange<Answer> {
  /** The canvas, for errors. */
  readonly id: string;
  /** The keys on which it all depends. */
  readonly keys: readonly string[];
  /** Looks whether it is to take place. @returns why not, or undefined when it is */
  look(client: RedisClient): Promise<Answer | undefined>;
  /** A script of ours that runs in the transaction before everything else. */
  readonly first?: ScriptCall;
  /** BullMQ's additions, on the producers of `ledger`. */
  readonly additions?: Additions;
  /** The additions, where they have been put together before. */
  readonly prepared?: Promise<Joint>;
  write?(own: OwnWrites): void;
}

export type Additions = readonly (() => Promise<unknown>)[];

/** How often a change is repeated when what it depends on was touched under it: a lock is renewed now and then. */
const TRIES = 10;

/**
 * Fenced changes: each is one transaction under WATCH, on a connection of their own, one after the other, because
 * WATCH belongs to the connection. A worker or producer that was paused or cut off between its look and the deed
 * changes nothing.
 */
export class Transactions {
  readonly #turns = new Mutex();

  constructor(
    private readonly connections: RedisConnections,
    private readonly producers: Producers,
    private readonly timeoutMs: number,
  ) {}

  /** Puts additions together ahead of the change that they are for. */
  prepare(additions: Additions, first?: ScriptCall): Promise<Joint> {
    return this.producers.joint.prepare(additions, first);
  }

  /**
   * @returns what the look answered, or 'done'
   * @throws BrokerUnavailableError when Redis does not answer in time; it may have happened
   */
  async run<Answer>(change: FencedChange<Answer>): Promise<Answer | 'done'> {
    const client = await this.connections.ready('ledger', this.timeoutMs);
    // Each has a bound of its own: one whose answer was lost would else keep all others waiting for ever.
    return this.#turns.run(() => {
      const turn = { isOver: false };
      const timedOut = () => new BrokerUnavailableError(`Redis did not answer within ${this.timeoutMs} ms.`);
      return bounded(this.#try(change, client, turn), this.timeoutMs, timedOut).finally(
        () => (turn.isOver = true),
      );
    });
  }

  async #try<Answer>(
    change: FencedChange<Answer>,
    client: RedisClient,
    turn: { readonly isOver: boolean },
  ): Promise<Answer | 'done'> {
    const { id, keys } = change;
    let { prepared } = change;
    for (let tries = 1; ; tries++) {
      // Both at once: Redis takes them in this order.
      const [, answer] = await Promise.all([client.watch(...keys), change.look(client)]);
      // Given up, and somebody else's turn: EXEC and UNWATCH would take down the fence that he has put up by now.
      if (turn.isOver) throw new BrokerUnavailableError('Redis answered too late.', id);
      if (answer !== undefined) {
        await client.unwatch();
        return answer;
      }
      const done = await this.#carryOut(change, prepared, turn).catch(async (error: unknown) => {
        if (!turn.isOver) await client.unwatch().catch(() => undefined);
        throw error;
      });
      if (done) return 'done';
      prepared = undefined;
      if (tries === TRIES)
        throw new Error(`${keys.join(', ')} changed ${TRIES} times while it was being written`);
    }
  }
  async #carryOut<Answer>(
    change: FencedChange<Answer>,
    prepared: Promise<Joint> | undefined,
    turn: { readonly isOver: boolean },
  ): Promise<boolean> {
    const joint = await (prepared ?? this.prepare(change.additions ?? [], change.first));
    return joint.carryOut((own) => {
      if (turn.isOver) throw new BrokerUnavailableError('Redis answered too late.', change.id);
      change.write?.(own);
    });
  }
}
