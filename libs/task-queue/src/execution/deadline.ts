import type { TimerClock } from '../primitives/clock.js';

/** The longest a timer of Node can wait; a longer one fires at once. */
const MAX_TIMER_MS = 2_147_483_647;

/** A time limit that runs, and can be moved on while it does. */
export class Deadline {
  readonly #startedMs: number;
  #callOff: (() => void) | undefined;
  /** What was added since the timer was set. */
  #addedMs = 0;

  /**
   * @param act is done once, with the length of the limit in the end
   * @param elapsedMs how much of it has gone by already
   */
  constructor(
    private limitMs: number,
    private readonly clock: TimerClock,
    private readonly act: (limitMs: number) => void,
    elapsedMs = 0,
  ) {
    this.#startedMs = performance.now() - elapsedMs;
    this.#wait(Math.max(0, limitMs - elapsedMs));
  }

  /** Its length as it is now, and how much of it has gone by. */
  get course(): { limitMs: number; elapsedMs: number } {
    return { limitMs: this.limitMs, elapsedMs: performance.now() - this.#startedMs };
  }

  /** Moves it on. One that has passed stays so. */
  extend(ms: number): void {
    if (this.#callOff === undefined) return;
    this.limitMs += ms;
    this.#addedMs += ms;
  }

  /** Gives it another length. One that has passed stays so. */
  change(limitMs: number): void {
    if (this.#callOff === undefined) return;
    this.#callOff();
    this.limitMs = limitMs;
    this.#wait(Math.max(0, limitMs - this.course.elapsedMs));
  }

  /** Does at once what is due, for a caller who keeps the timer from doing it. */
  check(): void {
    if (this.#callOff !== undefined && performance.now() - this.#startedMs >= this.limitMs) this.#pass();
  }

  stop(): void {
    this.#callOff?.();
    this.#callOff = undefined;
  }

  #wait(ms: number): void {
    const now = Math.min(ms, MAX_TIMER_MS);
    this.#addedMs = ms - now;
    this.#callOff = this.clock.after(now, () =>
      this.#addedMs > 0 ? this.#wait(this.#addedMs) : this.#pass(),
    );
  }

  #pass(): void {
    this.stop();
    this.act(this.limitMs);
  }
}
