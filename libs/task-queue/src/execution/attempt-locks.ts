import type { Delivery } from '../backend/delivery.js';
import type { Ledger } from '../backend/ledger.js';
import { LockLostError } from '../errors/lock.errors.js';
import type { HeldLock } from '../locks/held-lock.js';
import type { Locks } from '../locks/locks.js';
import type { Lock, LockOptions } from '../task/lock.js';

/**
 * The locks that one attempt holds. They end with it: given back when it ends by itself, left to run out when it is
 * abandoned, because its handler may still be at work under them.
 */
export class AttemptLocks {
  readonly #held = new Set<HeldLock>();
  #over: string | undefined;

  constructor(
    private readonly locks: Locks,
    private readonly ledger: Ledger,
    private readonly delivery: Delivery,
    private readonly signal: () => AbortSignal,
    private readonly onLost: (error: LockLostError) => void,
  ) {}

  /**
   * A token proves that its holder was the task's newest attempt when it was given: the attempt is asked for after the lock
   * has been taken, and one that comes later takes the lock over with a higher token.
   */
  async take(name: string, options: LockOptions | undefined): Promise<Lock> {
    const { delivery, ledger } = this;
    const lock = await this.locks.take(name, options, {
      attempt: { task: delivery.id, activation: delivery.activations },
      signal: this.signal(),
      onLost: this.onLost,
      onReleased: (released) => this.#held.delete(released),
    });
    this.#held.add(lock);
    if (this.#over === undefined && (await this.#owns(lock, () => ledger.holds(delivery)))) return lock;
    await lock.release();
    throw new LockLostError(name, this.#over ?? 'another attempt of the task has begun');
  }

  /** The attempt has ended. */
  async release(): Promise<void> {
    if (this.#over !== undefined) return;
    this.#over = 'the attempt has ended';
    await Promise.all([...this.#held].map((lock) => lock.release()));
  }

  /** The attempt is over, whatever its handler still does. */
  abandon(): void {
    this.#over ??= 'the attempt is over';
    for (const lock of this.#held) lock.abandon(this.#over);
  }

  /** A lock whose holder cannot be confirmed is given back. */
  async #owns(lock: HeldLock, ask: () => Promise<boolean>): Promise<boolean> {
    try {
      return await ask();
    } catch (error) {
      await lock.release();
      throw error;
    }
  }
}
