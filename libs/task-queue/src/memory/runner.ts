import { DrainError } from '../errors/testing.errors.js';
import { CANVAS_QUEUE } from '../flow/ids.js';
import type { Clock } from '../primitives/clock.js';
import type { MemoryJob } from './memory-job.js';
import type { MemoryServer } from './memory-server.js';
import type { MemoryStore } from './memory-store.js';
import { endsWithin } from './real-time.js';
import { VirtualClock } from './virtual-clock.js';

/** Bounds of a run, so that a test which cannot come to its end says why. */
export interface RunLimits {
  /** How many jobs may be started while the time stands still. */
  readonly maxSteps: number;
  /** How long a handler runs, in real time, before it is taken to wait for something. */
  readonly patienceMs: number;
  /** How long everything may stand still, in real time. */
  readonly stuckAfterMs: number;
}

/** How far to go. */
interface Goal {
  /** The time to go on to, where the clock can be moved; what is due by then is run. */
  readonly untilMs: number;
  /** Run what is delayed as well, whenever it is due. */
  readonly delayed?: boolean;
  /** At most so many tasks. */
  readonly tasks?: number;
  /** What may still be running at the end: nothing; or whatever waits for a time after it. */
  readonly end: 'nothing-runs' | 'standstill' | 'background';
}

/** A handler that takes longer gets company: it may wait for what another one does. */
const COMPANY_MS = 20;

/**
 * Runs what waits in a server: one job after the other, in the order in which they became ready. What is due later
 * waits for the clock, which is moved from one instant at which something happens to the next.
 */
export class Runner {
  #last: Promise<unknown> = Promise.resolve();
  #waitingRuns = 0;
  #hasBackground = false;
  #trouble: Error | undefined;
  #alarm: NodeJS.Timeout | undefined;

  constructor(
    private readonly server: MemoryServer,
    private readonly clock: Clock,
    private readonly limits: RunLimits,
  ) {}

  /** Runs what is due now; with `delayed`, also what is due later. @returns how many tasks were started */
  drain(delayed = false): Promise<number> {
    const isMovable = this.clock instanceof VirtualClock;
    const untilMs = delayed && isMovable ? Infinity : this.clock.wallMs();
    return this.#inTurn({ untilMs, delayed, end: 'nothing-runs' });
  }

  /** Runs so many tasks that are due now, and what they lead to between tasks. */
  step(tasks: number): Promise<number> {
    return this.#inTurn({ untilMs: this.clock.wallMs(), tasks, end: 'nothing-runs' });
  }

  /** Moves the clock, and runs everything that comes due on the way. */
  advance(ms: number): Promise<number> {
    return this.#inTurn({ untilMs: this.clock.wallMs() + ms, end: 'standstill' });
  }

  /** Runs what is due now, as long as nobody else does. */
  runInBackground(): void {
    if (this.#hasBackground) return;
    this.#hasBackground = true;
    void Promise.resolve()
      .then(() => this.#inTurn({ untilMs: this.clock.wallMs(), end: 'background' }, true))
      .catch((error: unknown) => {
        this.#trouble = error instanceof Error ? error : new Error(String(error));
        this.server.poke();
      })
      .finally(() => {
        this.#hasBackground = false;
        if (this.#trouble !== undefined) return;
        if (this.server.next()) this.runInBackground();
        else this.#wakeWhenDue();
      });
  }

  /** Waits until nothing of a canvas runs or could be run now. */
  async quiet(store: MemoryStore, id: string): Promise<void> {
    while (this.#hasBusy(store, id)) {
      this.#throwTrouble();
      const hasChanged = await this.server.change(this.limits.patienceMs, id);
      // What waits behind others is not stuck as long as those come to their ends.
      if (!hasChanged && this.server.stillForMs >= this.limits.stuckAfterMs) throw this.#stuck();
    }
  }

  reset(): void {
    this.#trouble = undefined;
  }

  /** On the machine's clock, what is delayed comes by itself. */
  #wakeWhenDue(): void {
    const dueMs = this.server.nextDueMs;
    if (this.clock instanceof VirtualClock || dueMs === undefined) return;
    clearTimeout(this.#alarm);
    // A test that has ended is not kept waiting for what it left behind.
    this.#alarm = setTimeout(() => this.runInBackground(), Math.max(1, dueMs - this.clock.wallMs())).unref();
  }

  #hasBusy(store: MemoryStore, id: string): boolean {
    for (const job of store.unfinished(id)) if (this.#isBusy(store, job)) return true;
    return false;
  }

  #isBusy(store: MemoryStore, { place, queue, dueMs }: MemoryJob): boolean {
    switch (place) {
      case 'active':
        return true;
      case 'waiting':
        return this.server.serves(store, queue);
      case 'delayed':
        return dueMs <= this.clock.wallMs() && this.server.serves(store, queue);
      case 'waiting-children':
      case 'completed':
      case 'failed':
        return false;
    }
  }

  /** One run at a time. One in the background makes room for whoever asks. */
  async #inTurn(goal: Goal, isBackground = false): Promise<number> {
    if (this.server.isInside && !isBackground) {
      throw new DrainError('A task cannot run the queues that it runs in: let the test do it.');
    }
    if (!isBackground) {
      this.#throwTrouble();
      this.#waitingRuns += 1;
      this.server.poke();
    }
    const run = this.#last.then(() => {
      if (!isBackground) this.#waitingRuns -= 1;
      return this.#run(goal);
    });
    this.#last = run.catch(() => undefined);
    return run;
  }

  async #run(goal: Goal): Promise<number> {
    let tasks = 0;
    let steps = 0;
    let waitedMs = 0;
    const isWanted = (job: MemoryJob): boolean => tasks < (goal.tasks ?? Infinity) || !isTask(job);
    for (;;) {
      if (goal.end === 'background' && this.#waitingRuns > 0) return tasks;
      this.#promote(goal);
      const next = this.server.next(isWanted);
      if (next) {
        if (++steps > this.limits.maxSteps) throw this.#endless(next.job);
        if (isTask(next.job)) tasks += 1;
        await endsWithin(this.server.start(next), COMPANY_MS);
        waitedMs = 0;
        continue;
      }
      const isRunning = this.server.running.size > 0;
      if (isRunning && (await this.server.change(this.limits.patienceMs))) {
        waitedMs = 0;
        continue;
      }
      if (this.#move(goal, isRunning)) {
        if (goal.untilMs !== Infinity) steps = 0;
        waitedMs = 0;
        continue;
      }
      if (!isRunning) break;
      if (goal.end === 'standstill') break;
      waitedMs += this.limits.patienceMs;
      if (goal.end === 'nothing-runs' && waitedMs >= this.limits.stuckAfterMs) throw this.#stuck();
    }
    if (this.clock instanceof VirtualClock && goal.untilMs !== Infinity) this.clock.moveTo(goal.untilMs);
    return tasks;
  }

  #promote({ delayed }: Goal): void {
    this.server.promote(this.clock.wallMs());
    // The machine's clock cannot be moved: what is delayed comes early instead, in its order.
    if (delayed !== true || this.clock instanceof VirtualClock || this.server.next()) return;
    const dueMs = this.server.nextDueMs;
    if (dueMs !== undefined) this.server.promote(dueMs);
  }

  /** Moves the clock to the next instant at which something happens. @returns whether there was one */
  #move({ untilMs }: Goal, isRunning: boolean): boolean {
    if (!(this.clock instanceof VirtualClock)) return false;
    const { nextDueMs } = this.server;
    // Without an end in sight, timers of those who merely wait for a result are no reason to go on.
    const timerMs = isRunning || untilMs !== Infinity ? this.clock.nextTimerMs : undefined;
    const instantMs = Math.min(nextDueMs ?? Infinity, timerMs ?? Infinity);
    if (instantMs === Infinity || instantMs > untilMs) return false;
    this.clock.moveTo(instantMs);
    return true;
  }

  #throwTrouble(): void {
    const trouble = this.#trouble;
    if (trouble === undefined) return;
    this.#trouble = undefined;
    throw trouble;
  }

  #endless({ name, id }: MemoryJob): DrainError {
    return new DrainError(
      `${this.limits.maxSteps} jobs were started and there is still one to start, ${name} ${id}. A task may be ` +
        `publishing itself for ever; if there are so many, raise maxSteps.`,
    );
  }

  #stuck(): DrainError {
    const running = [...this.server.running].map(({ name, id }) => `${name} ${id}`).join(', ');
    return new DrainError(
      `Nothing has happened for ${this.limits.stuckAfterMs} ms of real time, and ${running || 'nothing'} is running. ` +
        `A handler that waits for its time limit, or for a signal that comes later, ends with advance(); ` +
        `for one that really takes so long, raise stuckAfter.`,
    );
  }
}

/** Joins of canvases and hooks run along with tasks. */
export function isTask({ queue, id }: MemoryJob): boolean {
  return queue !== CANVAS_QUEUE && !/\.hook\.\d+$/.test(id);
}
