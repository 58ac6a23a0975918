import { lineOf } from '../flow/ids.js';
import type { Clock } from '../primitives/clock.js';

/** A delivery takes this long at most until its handler begins, if Redis answers. */
const KEPT_MS = 60_000;
const MOST_KEPT = 10_000;

/**
 * What this process has heard of as revoked in the last minute.
 *
 * A task that has left its queue, and whose handler has not begun, can neither be taken out of its queue nor told to
 * end. Here it finds that it has been revoked on its way, without asking Redis before every task.
 */
export class RecentRevocations {
  /** When each was heard of; the oldest first. */
  readonly #heard = new Map<string, number>();

  constructor(private readonly clock: Clock) {}

  add(id: string): void {
    this.#heard.delete(id);
    this.#heard.set(id, this.clock.wallMs());
    this.#forgetOld();
  }

  /** Whether a task, or a node above it, is among them. Then the store knows for certain. */
  covers(id: string): boolean {
    if (this.#heard.size === 0) return false;
    this.#forgetOld();
    return lineOf(id).some((one) => this.#heard.has(one));
  }

  #forgetOld(): void {
    const from = this.clock.wallMs() - KEPT_MS;
    for (const [id, at] of this.#heard) {
      if (at > from && this.#heard.size <= MOST_KEPT) return;
      this.#heard.delete(id);
    }
  }
}
