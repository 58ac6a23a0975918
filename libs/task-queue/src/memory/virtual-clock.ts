import type { TimerClock } from '../primitives/clock.js';

interface Timer {
  readonly atMs: number;
  readonly act: () => void;
}

/** A clock that stands still until it is moved. What is to happen on the way happens at its time, in order. */
export class VirtualClock implements TimerClock {
  readonly #timers = new Set<Timer>();
  #nowMs: number;

  constructor(startMs: number) {
    this.#nowMs = startMs;
  }

  wallMs(): number {
    return this.#nowMs;
  }

  after(ms: number, act: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, ms), act };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** When the next timer goes off. */
  get nextTimerMs(): number | undefined {
    let next: number | undefined;
    for (const { atMs } of this.#timers) if (next === undefined || atMs < next) next = atMs;
    return next;
  }

  /** Moves to a time. Never back. */
  moveTo(targetMs: number): void {
    for (;;) {
      const due = [...this.#timers].filter(({ atMs }) => atMs <= targetMs);
      // Timers of one moment go off in the order in which they were set, which is that of the set.
      const [first] = due.sort((one, other) => one.atMs - other.atMs);
      if (first === undefined) break;
      this.#timers.delete(first);
      this.#nowMs = Math.max(this.#nowMs, first.atMs);
      first.act();
    }
    this.#nowMs = Math.max(this.#nowMs, targetMs);
  }
}
