import { LockManager } from 'bullmq';

/** How many renewals may wait for their answers: one must not hold up the next, and without Redis they must not pile up. */
const WAITING = 2;

/**
 * Renews the locks of what runs, as BullMQ does, but without losing time to an event loop that is blocked again and again,
 * and by a clock that does not jump.
 *
 * BullMQ begins to wait for the next renewal when the last one has been answered. Where one handler after the other blocks,
 * answers come only between two of them, and the time after such an answer goes by in the next one. Here a renewal that is
 * late takes place between the two, for all locks. And what was fetched while the loop was blocked has a lock that is as old
 * as the blocking: it is renewed before anybody else gets to block.
 *
 * And BullMQ knows by its id alone whose lock is to be renewed. Where a job has been delivered a second time to the worker
 * that still runs its first attempt, the end of the first stops the renewal for the second, whose lock runs out; the third
 * meets with the end of the second, and so on until the job counts as poison. Here the attempts say for themselves that they
 * run, and what is not renewed for one that does is renewed again.
 */
export class PunctualLocks extends LockManager {
  #tickedAt = 0;
  /** When a round was late last. */
  #lateAt = -Infinity;
  #waiting = 0;
  /** The tokens of the attempts that run here, by job. */
  readonly #running = new Map<string, string>();

  /** @param now a monotonic clock, in ms */
  constructor(
    worker: ConstructorParameters<typeof LockManager>[0],
    opts: ConstructorParameters<typeof LockManager>[1],
    private readonly now: () => number = () => performance.now(),
  ) {
    super(worker, opts);
  }

  override start(): void {
    if (this.closed || this.isRunning()) return;
    this.#tickedAt = this.now();
    this.lockRenewalTimer = setInterval(() => this.tick(), this.#everyMs);
  }

  override trackJob(...[id, token, , withSignal]: Parameters<LockManager['trackJob']>) {
    const now = this.now();
    const controller = super.trackJob(id, token, now, withSignal);
    // What was fetched while the loop was blocked may come a moment before or after the round that is late.
    if (this.#isLate(now) || now - this.#lateAt < this.#everyMs) void this.extendLocks([id]);
    return controller;
  }

  /**
   * An attempt begins to run. Of one of the same job that is still here nothing is said: it may be about to end, as one that
   * gave the job back, or whose children have ended already.
   */
  begins(id: string, token: string): void {
    this.#running.set(id, token);
  }

  /** An attempt has run. */
  ends(id: string, token: string): void {
    if (this.#running.get(id) === token) this.#running.delete(id);
  }

  /** Renews what has not been renewed in this round; if it is late, everything. */
  tick(): void {
    const now = this.now();
    const isLate = this.#isLate(now);
    this.#tickedAt = now;
    if (isLate) this.#lateAt = now;
    for (const [id, token] of this.#running)
      if (this.trackedJobs.get(id)?.token !== token) super.trackJob(id, token, -Infinity);
    if (this.#waiting >= WAITING) return;
    const due: string[] = [];
    for (const [id, tracked] of this.trackedJobs) {
      if (!isLate && now - tracked.ts < this.#everyMs / 2) continue;
      tracked.ts = now;
      due.push(id);
    }
    if (due.length === 0) return;
    this.#waiting++;
    void this.extendLocks(due).finally(() => this.#waiting--);
  }

  get #everyMs(): number {
    return this.opts.lockRenewTime / 2;
  }

  /** Whether the event loop has been blocked since the last round. */
  #isLate(now: number): boolean {
    return now - this.#tickedAt > 1.5 * this.#everyMs;
  }
}
