import type { LockAnswer, LockRequest, LockStore } from '../backend/lock-store.js';
import type { Clock } from '../primitives/clock.js';

interface HeldLock extends LockRequest {
  readonly token: number;
  readonly untilMs: number;
}

/** Locks in memory, by the same rules as in Redis. */
export class MemoryLocks implements LockStore {
  readonly #held = new Map<string, HeldLock>();
  #last = 0;

  constructor(private readonly clock: Clock) {}

  async take(request: LockRequest): Promise<LockAnswer> {
    const { name, owner, ttlMs, attempt } = request;
    const nowMs = this.clock.wallMs();
    const held = this.#find(name);
    if (held?.owner === owner) return { taken: true, token: held.token };
    if (held !== undefined) {
      const isLater =
        attempt !== undefined &&
        held.attempt?.task === attempt.task &&
        attempt.activation > held.attempt.activation;
      if (!isLater) return { taken: false, by: held.attempt?.task, forMs: held.untilMs - nowMs };
    }
    this.#last = Math.max(this.#last + 1, nowMs * 1_000);
    this.#held.set(name, { ...request, token: this.#last, untilMs: nowMs + ttlMs });
    return { taken: true, token: this.#last };
  }

  async renew(name: string, owner: string, ttlMs: number): Promise<boolean> {
    const held = this.#find(name);
    if (held?.owner !== owner) return false;
    this.#held.set(name, { ...held, untilMs: this.clock.wallMs() + ttlMs });
    return true;
  }

  async release(name: string, owner: string): Promise<void> {
    if (this.#find(name)?.owner === owner) this.#held.delete(name);
  }

  clear(): void {
    this.#held.clear();
  }

  #find(name: string): HeldLock | undefined {
    const held = this.#held.get(name);
    if (held === undefined || held.untilMs > this.clock.wallMs()) return held;
    this.#held.delete(name);
    return undefined;
  }
}
