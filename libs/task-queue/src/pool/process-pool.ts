import {
  describeExit,
  type HandlerHost,
  HandlerLostError,
  type HostDuty,
  type HostedAttempt,
  type HostedCall,
  type HostState,
  type Seat,
} from '../backend/handler-host.js';
import type { EngineLog } from '../execution/engine-log.js';
import { bounded } from '../primitives/bounded.js';
import type { TimerClock } from '../primitives/clock.js';
import type { Interruption } from '../task/interruption.js';
import { Child } from './child.js';
import type { LogLine } from './protocol.js';

/** What pools are made with, whatever queue they are for. */
export interface PoolSurroundings {
  /** The file that children run, a `file:` URL. */
  readonly entry: string;
  readonly clock: TimerClock;
  readonly log: EngineLog;
  readonly onLine: (line: LogLine) => void;
}

/** How long the pool waits after children could not start: doubled with each time. */
const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 30_000;
/** A child that dies sooner than this without having run anything counts as one that could not start. */
const SETTLED_MS = 10_000;

interface Waiter {
  readonly give: (child: Child) => void;
}

/**
 * The processes of one queue: as many as it is made for, started before they are needed, and replaced when they have
 * died or are worn out.
 *
 * A child that can be told to be worn (by the number of its tasks) has its replacement started while its last task runs;
 * one that is found to be (by its memory) goes on until its replacement is ready. A pool whose children cannot start
 * tries again with growing pauses, one pause for all of them.
 */
export class ProcessPool implements HandlerHost {
  /** Those that are to stay. */
  readonly #strong = new Set<Child>();
  /** Those that end after the task they run, or as soon as there is a replacement. */
  readonly #worn = new Set<Child>();
  /** Those that have bootstrapped the application. */
  readonly #usable = new Set<Child>();
  readonly #idle: Child[] = [];
  readonly #waiting = new Set<Waiter>();
  readonly #onFull: (() => void)[] = [];
  #full = false;
  #failures = 0;
  #problem: string | undefined;
  #callOffPause: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    private readonly duty: HostDuty,
    private readonly around: PoolSurroundings,
  ) {}

  get state(): HostState {
    const ready = this.#usable.size;
    return {
      size: this.duty.pool.size,
      ready,
      busy: ready - this.#idle.length,
      problem: this.#problem,
    };
  }

  /** The processes that there are. */
  get pids(): number[] {
    return [...this.#strong, ...this.#worn].flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  }

  start(): void {
    this.#fill();
  }

  ready(): Promise<void> {
    return this.#full ? Promise.resolve() : new Promise((resolve) => this.#onFull.push(resolve));
  }

  seat(signal: AbortSignal): Promise<Seat> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      const idle = this.#idle.pop();
      if (idle !== undefined) return resolve(this.#seatIn(idle));
      const waiter: Waiter = {
        give: (child) => {
          signal.removeEventListener('abort', leave);
          resolve(this.#seatIn(child));
        },
      };
      const leave = (): void => {
        this.#waiting.delete(waiter);
        reject(signal.reason as Error);
      };
      this.#waiting.add(waiter);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#callOffPause?.();
    const { closeTimeoutMs } = this.duty.pool;
    await Promise.all([...this.#strong, ...this.#worn].map((child) => child.end(closeTimeoutMs)));
  }

  #seatIn(child: Child): Seat {
    return new ChildSeat(child, this.duty.pool.killGraceMs, this.around.clock, {
      begins: () => this.#begins(child),
      released: () => this.#offer(child),
    });
  }

  /** Starts what is missing, unless children could not start lately. */
  #fill(): void {
    if (this.#closing !== undefined || this.#callOffPause !== undefined) return;
    while (this.#strong.size < this.duty.pool.size && this.#callOffPause === undefined) {
      try {
        this.#watch(this.#fork());
      } catch (error) {
        this.#failed(undefined, messageOf(error)); // no memory or no process is left
      }
    }
  }

  #fork(): Child {
    const { pool, connection, currentTask } = this.duty;
    const named = pool.export === undefined ? {} : { export: pool.export };
    return new Child({
      entry: this.around.entry,
      execArgv: pool.execArgv,
      env: pool.env,
      start: { module: pool.module, ...named, connection, currentTask },
      errorClass: (name) => this.duty.errorClass(name),
      values: this.duty.values,
      onLine: this.around.onLine,
    });
  }

  #watch(child: Child): void {
    const { pool } = this.duty;
    const { clock } = this.around;
    this.#strong.add(child);
    const startedMs = clock.wallMs();
    void child.gone.then((exit) => {
      const wasUsable = this.#usable.has(child);
      this.#forget(child);
      if (this.#closing !== undefined) return;
      if (!wasUsable) return; // whoever waits for it to be ready says so
      if (child.calls === 0 && clock.wallMs() - startedMs < SETTLED_MS) {
        this.#failed(child, `a child ${describeExit(exit)}`);
      } else {
        this.around.log.warn(
          `Process pool of queue ${this.duty.queue}: child ${child.pid} ${describeExit(exit)}`,
        );
        this.#fill();
      }
    });
    const late = (): Error => new Error(`it was not ready within ${pool.startTimeoutMs} ms`);
    bounded(child.ready, pool.startTimeoutMs, late).then(
      (tasks) => this.#started(child, tasks),
      (error: unknown) => {
        child.kill();
        const why = error instanceof HandlerLostError ? describeExit(error.exit) : messageOf(error);
        void child.gone.then(() => this.#failed(child, why));
      },
    );
  }

  #started(child: Child, tasks: readonly string[]): void {
    const missing = this.duty.tasks().filter((task) => !tasks.includes(task));
    if (missing.length > 0) {
      const why =
        `the module it was given (${this.duty.pool.module}) has no task ${missing.map((task) => `"${task}"`).join(', ')}, ` +
        `which this application serves from the queue`;
      void child.end(this.duty.pool.closeTimeoutMs).then(() => this.#failed(child, why));
      return;
    }
    this.#usable.add(child);
    this.#problem = undefined;
    this.#retire();
    this.#offer(child);
    if (this.#full || this.#usable.size < this.duty.pool.size) return;
    this.#full = true;
    for (const listener of this.#onFull.splice(0)) listener();
  }

  /** One more child that could not start. Those that were on their way at the same time make no longer pause. */
  #failed(child: Child | undefined, why: string): void {
    if (child !== undefined) this.#forget(child);
    if (this.#closing !== undefined) return;
    this.#problem = why;
    if (this.#callOffPause !== undefined) return;
    const pauseMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures++);
    this.around.log.error(
      `Process pool of queue ${this.duty.queue}: a child could not start: ${why}. The next try is in ${pauseMs} ms.`,
      child?.testament,
    );
    this.#callOffPause = this.around.clock.after(pauseMs, () => {
      this.#callOffPause = undefined;
      this.#fill();
    });
  }

  #forget(child: Child): void {
    this.#strong.delete(child);
    this.#worn.delete(child);
    this.#usable.delete(child);
    const at = this.#idle.indexOf(child);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  #begins(child: Child): void {
    if (child.calls + 1 >= this.duty.pool.maxTasksPerChild) this.#wear(child);
  }

  #wear(child: Child): void {
    if (!this.#strong.delete(child)) return;
    this.#worn.add(child);
    this.#fill();
  }

  /** A child has nothing to do. */
  #offer(child: Child): void {
    if (!child.alive || this.#closing !== undefined) return;
    if (child.calls > 0) this.#failures = 0;
    if (child.rssBytes > this.duty.pool.maxMemoryBytes) this.#wear(child);
    if (child.calls >= this.duty.pool.maxTasksPerChild || (this.#worn.has(child) && this.#enough())) {
      this.#dismiss(child);
      return;
    }
    const [waiter] = this.#waiting;
    if (waiter === undefined) {
      this.#idle.push(child);
      return;
    }
    this.#waiting.delete(waiter);
    waiter.give(child);
  }

  /** A replacement is ready: one that is worn and has nothing to do goes. */
  #retire(): void {
    const worn = this.#idle.find((child) => this.#worn.has(child));
    if (worn !== undefined && this.#enough()) this.#dismiss(worn);
  }

  #enough(): boolean {
    return [...this.#strong].filter((child) => this.#usable.has(child)).length >= this.duty.pool.size;
  }

  #dismiss(child: Child): void {
    this.#usable.delete(child);
    const at = this.#idle.indexOf(child);
    if (at >= 0) this.#idle.splice(at, 1);
    void child.end(this.duty.pool.closeTimeoutMs);
  }
}

interface SeatEvents {
  readonly begins: () => void;
  readonly released: () => void;
}

class ChildSeat implements Seat {
  #callOff: (() => void) | undefined;

  constructor(
    private readonly child: Child,
    private readonly graceMs: number,
    private readonly clock: TimerClock,
    private readonly pool: SeatEvents,
  ) {}

  run(call: HostedCall, attempt: HostedAttempt): Promise<unknown> {
    this.pool.begins();
    return this.child.run(call, attempt);
  }

  interrupt(interruption: Interruption): void {
    this.child.interrupt(interruption);
  }

  limit(softMs: number | undefined): void {
    this.child.limit(softMs);
  }

  end(grace: 'none' | 'some'): void {
    this.#callOff?.();
    if (grace === 'none' || this.graceMs === 0) this.child.kill();
    else this.#callOff = this.clock.after(this.graceMs, () => this.child.kill());
  }

  release(): void {
    this.#callOff?.();
    this.pool.released();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
