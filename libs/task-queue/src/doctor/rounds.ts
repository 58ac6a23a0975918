import type { LockStore } from '../backend/lock-store.js';
import type { EngineLog } from '../execution/engine-log.js';
import { pause } from '../primitives/bounded.js';
import type { Clock, RandomSource } from '../primitives/clock.js';
import type { Reconciler } from './reconciler.js';

/** What rounds need. */
export interface RoundsDeps {
  readonly reconciler: Reconciler;
  readonly locks: LockStore;
  /** Names this worker among others. */
  readonly owner: string;
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: EngineLog;
}

/** One of all workers of a prefix makes rounds; another one takes over when it has not been heard of for so many of them. */
const LEASE_ROUNDS = 3;
const LEASE = '_reconciler';
/** Jobs that one round looks at, and nodes that have failed since the last one. */
const WORK = 1_000;
const FAILED = 200;
/** How far a new leader looks back for nodes that have failed. */
const LOOK_BACK_MS = 3_600_000;

/**
 * Reconciles again and again, a bounded part of what is open each time: whatever has been waiting for two rounds or longer,
 * oldest first, and then from the front again.
 */
export class ReconcileRounds {
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #isLeader = false;
  #from = 0;
  #failedSinceMs: number | undefined;

  constructor(private readonly deps: RoundsDeps) {}

  start(): void {
    this.#running = this.#loop();
  }

  /** Ends, and lets another one lead at once, as far as the store answers. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    if (this.#isLeader) await this.deps.locks.release(LEASE, this.deps.owner).catch(() => undefined);
  }

  async #loop(): Promise<void> {
    const { intervalMs, random, log } = this.deps;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      // Not all at the same moment: workers are often started together.
      await pause(intervalMs * (0.75 + random() / 2), signal);
      if (signal.aborted) return;
      await this.#round().catch((error: unknown) => log.debug(`Reconciling is put off: ${String(error)}`));
    }
  }

  async #round(): Promise<void> {
    const { reconciler, intervalMs, clock } = this.deps;
    if (!(await this.#lead())) return;
    this.#failedSinceMs ??= clock.wallMs() - LOOK_BACK_MS;
    const olderThanMs = 2 * intervalMs;
    this.#from = (await reconciler.reconcileAll({ olderThanMs, limit: WORK, from: this.#from })).next;
    this.#failedSinceMs = (await reconciler.settleFailed(this.#failedSinceMs, FAILED)).next;
  }

  async #lead(): Promise<boolean> {
    const { locks, owner, intervalMs } = this.deps;
    const ttlMs = LEASE_ROUNDS * intervalMs;
    const wasLeader = this.#isLeader;
    this.#isLeader = wasLeader && (await locks.renew(LEASE, owner, ttlMs));
    this.#isLeader ||= (await locks.take({ name: LEASE, owner, ttlMs })).taken;
    return this.#isLeader;
  }
}
