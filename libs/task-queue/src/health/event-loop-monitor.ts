const EVERY_MS = 250;
const WINDOW_MS = 10_000;

/**
 * Measures for how long the event loop is blocked, by how late a timer is. The timer does not keep the process alive.
 */
export class EventLoopMonitor {
  /** The lateness of each tick of the window; the oldest is overwritten. */
  readonly #late = new Float64Array(WINDOW_MS / EVERY_MS);
  #next = 0;
  #tickedAt = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param now a monotonic clock, in ms */
  constructor(private readonly now: () => number = () => performance.now()) {}

  start(): void {
    if (this.#timer !== undefined) return;
    this.#tickedAt = this.now();
    this.#timer = setInterval(() => this.#tick(), EVERY_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** The longest time that it was blocked within the last 10 seconds, in ms. */
  get lagMs(): number {
    const pending = this.#timer === undefined ? 0 : this.#lateness();
    return Math.max(pending, ...this.#late);
  }

  #tick(): void {
    this.#late[this.#next] = this.#lateness();
    this.#next = (this.#next + 1) % this.#late.length;
    this.#tickedAt = this.now();
  }

  #lateness(): number {
    return Math.max(0, this.now() - this.#tickedAt - EVERY_MS);
  }
}
