import { SoftTimeLimitExceededError, TimeLimitExceededError } from '../errors/task.errors.js';
import type { TimerClock } from '../primitives/clock.js';
import { Deadline } from './deadline.js';

/** The limits that hold for one attempt. */
export interface Limits {
  readonly softMs: number | undefined;
  readonly hardMs: number | undefined;
}

/** Is told when a limit has passed. */
export type OnLimit = (error: SoftTimeLimitExceededError | TimeLimitExceededError) => void;

/** The two deadlines of an attempt, which can be moved while its handler runs. */
export class AttemptLimits {
  #soft: Deadline | undefined;
  #hard: Deadline | undefined;
  #beganMs: number | undefined;
  /** What it was given before it began. */
  #early: Limits | undefined;

  constructor(
    private readonly clock: TimerClock,
    private readonly onLimit: OnLimit,
  ) {}

  /** They count from now on; from before, where some time has gone by already. */
  begin(limits: Limits, elapsedMs = 0): void {
    const { softMs, hardMs } = this.#early ?? limits;
    this.#beganMs = performance.now() - elapsedMs;
    if (softMs !== undefined) this.#soft = this.#softDeadline(softMs, elapsedMs);
    if (hardMs !== undefined) this.#hard = this.#hardDeadline(hardMs, elapsedMs);
  }

  /** The length of the soft one, and how much of it has gone by. */
  get soft(): Deadline['course'] | undefined {
    return this.#soft?.course;
  }

  /** Other limits, counted from the same moment; without one there is none from now on. One that has passed stays so. */
  change(limits: Limits): void {
    this.#early = limits;
    if (this.#beganMs === undefined) return;
    const elapsedMs = performance.now() - this.#beganMs;
    this.#soft = changed(this.#soft, limits.softMs, (ms) => this.#softDeadline(ms, elapsedMs));
    this.#hard = changed(this.#hard, limits.hardMs, (ms) => this.#hardDeadline(ms, elapsedMs));
  }

  /** Moves both on. */
  extend(ms: number): void {
    this.#soft?.extend(ms);
    this.#hard?.extend(ms);
  }

  /** Says at once that the soft one has passed, for a handler that keeps its timer from doing it. */
  check(): void {
    this.#soft?.check();
  }

  stop(): void {
    this.#soft?.stop();
    this.#hard?.stop();
  }

  #softDeadline(softMs: number, elapsedMs: number): Deadline {
    const pass = (limitMs: number): void => this.onLimit(new SoftTimeLimitExceededError(limitMs));
    return new Deadline(softMs, this.clock, pass, elapsedMs);
  }

  #hardDeadline(hardMs: number, elapsedMs: number): Deadline {
    const pass = (limitMs: number): void => this.onLimit(new TimeLimitExceededError(limitMs));
    return new Deadline(hardMs, this.clock, pass, elapsedMs);
  }
}

/** A deadline with another length, a new one, or none. */
function changed(
  deadline: Deadline | undefined,
  limitMs: number | undefined,
  begin: (limitMs: number) => Deadline,
): Deadline | undefined {
  if (limitMs === undefined) {
    deadline?.stop();
    return undefined;
  }
  if (deadline === undefined) return begin(limitMs);
  deadline.change(limitMs);
  return deadline;
}
