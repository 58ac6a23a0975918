import type { Duration } from '../primitives/duration.js';

/** How a lock is asked for. */
export interface LockOptions {
  /**
   * How long the lock holds without a sign of life: what a holder that died keeps others waiting. Renewed three times as
   * often while it is held. @defaultValue '30s'
   */
  readonly ttl?: Duration;
  /** How long to wait while somebody else holds it; 0 asks once. @defaultValue '5s' */
  readonly wait?: Duration;
}

/**
 * A lock that is held: at most one holder of a name at a time, as long as clocks run and processes are not paused.
 *
 * Because they are paused now and then (a garbage collection, a machine that sleeps), no lock with an expiry can keep two
 * holders apart for certain. What can is the resource itself, if it refuses a `token` that is lower than one it has seen.
 */
export interface Lock extends AsyncDisposable {
  readonly name: string;
  /**
   * The fencing token: higher than that of every earlier holder of the name, also after Redis lost its data. A whole
   * number below 2^53; store it as a 64-bit integer.
   */
  readonly token: number;
  /** Aborts, with a LockLostError, when the lock is lost. */
  readonly signal: AbortSignal;
  /** Whether it is held, as far as is known here without asking. */
  readonly held: boolean;
  /**
   * Asks the store, and renews the lock.
   *
   * @throws LockLostError when it is somebody else's by now, has run out or was released
   * @throws BrokerUnavailableError when the store does not answer
   */
  assertHeld(): Promise<void>;
  /** Gives the lock back. Resolves also when the store is away: then the lock runs out. */
  release(): Promise<void>;
}

/** Works under a lock, and gives it back whatever comes of the work. @internal */
export async function workUnder<R>(lock: Lock, work: (lock: Lock) => R | Promise<R>): Promise<R> {
  try {
    return await work(lock);
  } finally {
    await lock.release();
  }
}
