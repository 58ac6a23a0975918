/**
 * Follows the fetch loop of a worker: when it last moved, how long it may stay where it is, and how many of its slots
 * are taken. A loop that has a free slot always either moves or waits for a time that it knows beforehand.
 */
export class FetchPulse {
  #movedAt: number;
  #mayWaitUntil: number;
  #running = 0;

  /** @param now a monotonic clock, in ms */
  constructor(private readonly now: () => number = () => performance.now()) {
    this.#movedAt = this.#mayWaitUntil = now();
  }

  get running(): number {
    return this.#running;
  }

  get movedAgoMs(): number {
    return this.now() - this.#movedAt;
  }

  /** It did something. */
  moves(): void {
    this.#movedAt = this.now();
    this.#mayWaitUntil = Math.max(this.#mayWaitUntil, this.#movedAt);
  }

  /** It begins to wait, for at most so long. */
  waits(ms: number): void {
    this.moves();
    this.#mayWaitUntil = Math.max(this.#mayWaitUntil, this.#movedAt + ms);
  }

  /** A handler begins: a slot less. The fetch before it has moved; to look at the clock again costs every task. */
  begins(): void {
    this.#running++;
  }

  /** A handler has ended, and its slot is to be filled again. */
  ends(): void {
    this.#running--;
    this.moves();
  }

  /** For how long it should have moved and did not; 0 while every slot is taken. */
  overdueMs(slots: number): number {
    return this.#running >= slots ? 0 : Math.max(0, this.now() - this.#mayWaitUntil);
  }
}
