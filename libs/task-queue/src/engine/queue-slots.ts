import type { Workers } from '../backend/workers.js';
import type { ChangedLimits } from '../execution/changed-limits.js';

interface Slots {
  readonly declared: number;
  /** There are no more children than this. */
  readonly most: number;
}

/** How many tasks of each queue a worker runs at a time: as declared, or as somebody has changed it while it ran. */
export class QueueSlots {
  readonly #served = new Map<string, Slots>();
  /** Until then nobody knows whether it was changed. */
  #known = false;

  constructor(private readonly limits: Pick<ChangedLimits, 'concurrency'>) {}

  /** @returns how many to begin with: no more than one, as long as there may turn out to be no more */
  begin(queue: string, slots: Slots): number {
    this.#served.set(queue, slots);
    return this.#known ? this.#of(queue, slots) : 1;
  }

  /** The limits have been read. */
  follow(pool: Workers | undefined): void {
    this.#known = true;
    for (const [queue, slots] of this.#served) pool?.setConcurrency(queue, this.#of(queue, slots));
  }

  #of(queue: string, { declared, most }: Slots): number {
    return Math.min(most, this.limits.concurrency(queue) ?? declared);
  }
}
