import type { LockRequest, LockStore } from '../backend/lock-store.js';
import { LockUnavailableError, type LockLostError } from '../errors/lock.errors.js';
import { newCanvasId } from '../flow/ids.js';
import type { RandomSource, TimerClock } from '../primitives/clock.js';
import type { LockOptions } from '../task/lock.js';
import { HeldLock } from './held-lock.js';
import { readLockOptions } from './lock-options.js';

/** In whose name a lock is taken; nobody's where no task runs. */
export interface LockTaker {
  readonly attempt: NonNullable<LockRequest['attempt']>;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
  readonly onLost: (error: LockLostError) => void;
  readonly onReleased: (lock: HeldLock) => void;
}

/** How long to wait before a lock that is held is asked for again: longer each time, and never all at the same moment. */
const POLL_MS = { first: 20, last: 500 } as const;

/** Takes locks, and gives back at the end of the application what nobody else did. */
export class Locks {
  readonly #held = new Set<HeldLock>();

  constructor(
    private readonly store: LockStore,
    private readonly clock: TimerClock,
    private readonly random: RandomSource,
    private readonly warn: (line: string) => void,
  ) {}

  /**
   * @throws LockUnavailableError when somebody else held it for as long as was waited
   * @throws InvalidOptionsError; BrokerUnavailableError when the store does not answer: then the lock may have been taken,
   *   and runs out
   */
  async take(name: string, options: LockOptions = {}, taker?: LockTaker): Promise<HeldLock> {
    const { ttlMs, waitMs } = readLockOptions(name, options);
    const owner = newCanvasId(1, this.random);
    const request = { name, owner, ttlMs, ...(taker === undefined ? {} : { attempt: taker.attempt }) };
    const giveUpMs = this.clock.wallMs() + waitMs;
    for (let pollMs: number = POLL_MS.first; ; pollMs = Math.min(POLL_MS.last, pollMs * 2)) {
      taker?.signal.throwIfAborted();
      const askedMs = this.clock.wallMs();
      const answer = await this.store.take(request);
      if (answer.taken) {
        return this.#hold({ name, owner, token: answer.token, ttlMs, untilMs: askedMs + ttlMs }, taker);
      }
      const leftMs = giveUpMs - this.clock.wallMs();
      if (leftMs <= 0) throw new LockUnavailableError(name, waitMs, answer.by);
      const jittered = pollMs * (0.5 + this.random() / 2);
      await this.#pause(Math.min(leftMs, Math.max(1, answer.forMs), jittered), taker?.signal);
    }
  }

  /** Gives back what is still held. */
  async close(): Promise<void> {
    await Promise.all([...this.#held].map((lock) => lock.release()));
  }

  #hold(taken: ConstructorParameters<typeof HeldLock>[0], taker: LockTaker | undefined): HeldLock {
    const lock = new HeldLock(taken, this.store, this.clock, {
      lost: (error) => {
        this.#held.delete(lock);
        this.warn(error.message);
        taker?.onLost(error);
      },
      released: (held) => {
        this.#held.delete(held);
        taker?.onReleased(held);
      },
      left: (of, error) => this.warn(`Lock "${of}" could not be given back and runs out: ${String(error)}`),
    });
    this.#held.add(lock);
    return lock;
  }

  /** Goes by the clock of the application, which a test may move. */
  #pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        callOff();
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const callOff = this.clock.after(ms, done);
      signal?.addEventListener('abort', done, { once: true });
    });
  }
}
