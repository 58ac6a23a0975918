import type { LockStore } from '../backend/lock-store.js';
import { LockLostError } from '../errors/lock.errors.js';
import type { TimerClock } from '../primitives/clock.js';
import type { Lock } from '../task/lock.js';

/** What a lock is made of once it is taken. */
export interface TakenLock {
  readonly name: string;
  readonly owner: string;
  readonly token: number;
  readonly ttlMs: number;
  /** Until when it holds, counted from before it was asked for. */
  readonly untilMs: number;
}

/** Who hears what becomes of a lock. */
export interface LockObserver {
  lost(error: LockLostError): void;
  released(lock: HeldLock): void;
  /** The store did not take a release: the lock runs out by itself. */
  left(name: string, error: unknown): void;
}

/** Renewals within the time that a lock holds: two may fail before it is lost. */
const RENEWALS = 3;

/**
 * A lock while it is held: renews itself, and knows when it is lost. That is when the store says so, and when the store has
 * not answered for as long as the lock holds.
 */
export class HeldLock implements Lock {
  #untilMs: number;
  #lost: LockLostError | undefined;
  #releasing: Promise<void> | undefined;
  #callOffRenewal: () => void;
  #callOffEnd: () => void;
  #controller: AbortController | undefined;

  constructor(
    private readonly taken: TakenLock,
    private readonly store: LockStore,
    private readonly clock: TimerClock,
    private readonly observer: LockObserver,
  ) {
    this.#untilMs = taken.untilMs;
    this.#callOffRenewal = this.#planRenewal();
    this.#callOffEnd = this.#planEnd();
  }

  get name(): string {
    return this.taken.name;
  }

  get token(): number {
    return this.taken.token;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#lost !== undefined) this.#controller.abort(this.#lost);
    }
    return this.#controller.signal;
  }

  get held(): boolean {
    // The clock as well: behind a blocked event loop no timer has told yet.
    return !this.#isOver && this.clock.wallMs() < this.#untilMs;
  }

  async assertHeld(): Promise<void> {
    if (!this.#isOver) await this.#renew();
    if (this.#lost !== undefined) throw this.#lost;
    if (this.#releasing !== undefined) throw new LockLostError(this.name, 'it was released');
  }

  release(): Promise<void> {
    return (this.#releasing ??= this.#release());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  /** Ends the renewals without giving the lock back: whoever works under it may not have ended. */
  abandon(why: string): void {
    this.#lose(new LockLostError(this.name, why));
  }

  get #isOver(): boolean {
    return this.#lost !== undefined || this.#releasing !== undefined;
  }

  async #release(): Promise<void> {
    this.#callOff();
    try {
      await this.store.release(this.name, this.taken.owner);
    } catch (error) {
      this.observer.left(this.name, error);
    }
    this.observer.released(this);
  }

  async #renew(): Promise<void> {
    const { owner, ttlMs } = this.taken;
    const untilMs = this.clock.wallMs() + ttlMs;
    const isOurs = await this.store.renew(this.name, owner, ttlMs);
    if (this.#isOver) return;
    if (!isOurs) return this.#lose(new LockLostError(this.name, 'it ran out, or somebody else took it over'));
    this.#untilMs = untilMs;
    this.#callOffEnd();
    this.#callOffEnd = this.#planEnd();
  }

  #planRenewal(): () => void {
    return this.clock.after(this.taken.ttlMs / RENEWALS, () => {
      // A store that does not answer is asked again; the end of the lock is what counts.
      void this.#renew()
        .catch(() => undefined)
        .then(() => {
          if (!this.#isOver) this.#callOffRenewal = this.#planRenewal();
        });
    });
  }

  #planEnd(): () => void {
    const leftMs = Math.max(0, this.#untilMs - this.clock.wallMs());
    return this.clock.after(leftMs, () =>
      this.#lose(new LockLostError(this.name, `it could not be renewed for ${this.taken.ttlMs} ms`)),
    );
  }

  #lose(error: LockLostError): void {
    if (this.#isOver) return;
    this.#lost = error;
    this.#callOff();
    this.#controller?.abort(error);
    this.observer.lost(error);
  }

  #callOff(): void {
    this.#callOffRenewal();
    this.#callOffEnd();
  }
}
