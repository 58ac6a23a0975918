import type { Platform, Probe } from '../backend/backend.js';
import { PLAIN_VALUES, StoredValues } from '../codec/stored-values.js';
import type { CodecRoles, TaskCodec } from '../codec/task-codec.js';
import { InvalidOptionsError } from '../errors/configuration.errors.js';
import type { TaskFailure } from '../failure/task-failure.js';
import { isTask, Runner } from '../memory/runner.js';
import { MemoryServer } from '../memory/memory-server.js';
import { VirtualClock } from '../memory/virtual-clock.js';
import { readDuration, readInteger } from '../options/option-readers.js';
import { PLATFORM } from '../nest/task-queue.module.js';
import { systemClock, type TimerClock } from '../primitives/clock.js';
import type { Duration } from '../primitives/duration.js';
import type { TaskContext } from '../task/task-context.js';
import type { TaskDefinition } from '../task/task-definition.js';
import { type Fault, type FaultOptions, Faults } from './faults.js';
import { type PublishedTask, tasksOf } from './published-tasks.js';

/** How a test runs tasks. */
export interface TestTaskQueueOptions {
  /**
   * - `immediate`: publishing has run the canvas, as far as it is due, before it resolves;
   * - `stepwise`: nothing runs until the test says so: `drain()`, `step()`, `advance()`.
   *
   * @defaultValue 'immediate'
   */
  readonly mode?: 'immediate' | 'stepwise';
  /**
   * - `virtual`: the time stands still and `advance()` moves it, so that a week of retries takes milliseconds;
   * - `system`: the machine's.
   *
   * @defaultValue 'virtual'
   */
  readonly clock?: 'virtual' | 'system';
  /** Where a virtual clock stands at first. @defaultValue the machine's time when it is made */
  readonly startAt?: Date | string | number;
  /** How many jobs may be started while the time stands still; one more is taken for an endless loop. @defaultValue 20000 */
  readonly maxSteps?: number;
  /** How long a handler may take in real time before it is taken to wait for the virtual time. @defaultValue '250ms' */
  readonly patience?: Duration;
  /** How long everything may stand still in real time until a run is given up. @defaultValue '4s' */
  readonly stuckAfter?: Duration;
}

/** The part of Nest's `TestingModuleBuilder` that is needed. */
export interface OverridableModule {
  overrideProvider(token: string): { useValue(value: unknown): unknown };
}

/** A task by its name, or as `workflows.tasks(Class)` gives it. */
export type TaskRef = string | { readonly taskName: string };

/** Something that has not ended. */
export interface WaitingTask {
  readonly id: string;
  readonly task: string;
  readonly queue: string;
  readonly state: 'waiting' | 'delayed' | 'running';
  /** When a delayed one is due. */
  readonly dueAt?: Date;
}

/**
 * What a test has in place of Redis: it runs what the application publishes, says what was published and what failed,
 * makes attempts fail, and moves the time.
 */
export class TestTaskQueue {
  readonly mode: 'immediate' | 'stepwise';
  /** What engines stand on. @internal */
  readonly platform: Platform;
  readonly #clock: TimerClock;
  readonly #server: MemoryServer;
  readonly #runner: Runner;
  readonly #faults = new Faults();
  readonly #names = new Set<string>();
  /** Those of all applications that it serves, by id. */
  readonly #codecs = new Map<string, TaskCodec>();
  #values = PLAIN_VALUES;
  #published: PublishedTask[] = [];
  #failures: TaskFailure[] = [];

  /** @throws InvalidOptionsError when an option cannot be read */
  constructor(options: TestTaskQueueOptions = {}) {
    this.mode = oneOf('mode', options.mode ?? 'immediate', ['immediate', 'stepwise']);
    const clock = oneOf('clock', options.clock ?? 'virtual', ['virtual', 'system']);
    this.#clock = clock === 'system' ? systemClock : new VirtualClock(timeOf(options.startAt));
    this.#server = new MemoryServer(this.#clock, {
      runsAtOnce: this.mode === 'immediate',
      ready: () => this.mode === 'immediate' && this.#runner.runInBackground(),
      published: async (store, id) => {
        if (this.mode === 'immediate') await this.#runner.quiet(store, id);
      },
      failed: (store, job) => {
        const json = isTask(job) ? store.record(job.id)?.fields.get(`f:${job.id}`) : undefined;
        if (json !== undefined)
          this.#failures.push(this.#values.readIfPossible(JSON.parse(json) as TaskFailure));
      },
    });
    this.#runner = new Runner(this.#server, this.#clock, {
      maxSteps: readInteger('maxSteps', options.maxSteps ?? 20_000, 1),
      patienceMs: readDuration('patience', options.patience ?? '250ms'),
      stuckAfterMs: readDuration('stuckAfter', options.stuckAfter ?? '4s'),
    });
    const probe: Probe = {
      published: (id, canvas) => void this.#published.push(...tasksOf(id, canvas, this.#values)),
      task: (definition) => this.#withFaults(definition),
    };
    this.platform = {
      random: Math.random,
      probe,
      backend: (resolved) => {
        this.#reads(resolved.codec);
        return this.#server.backend(resolved);
      },
    };
  }

  #reads({ write, read = [] }: CodecRoles = {}): void {
    for (const codec of write === undefined ? read : [...read, write]) this.#codecs.set(codec.id, codec);
    this.#values = new StoredValues({ read: [...this.#codecs.values()] });
  }

  /**
   * Takes Redis' place in modules that have not been compiled yet. Applications that share a test queue share what it
   * holds, as if they had one Redis.
   */
  serveIn(builder: OverridableModule): void {
    builder.overrideProvider(PLATFORM).useValue(this.platform);
  }

  /** The time by which countdowns, limits and expiries go. */
  now(): Date {
    return new Date(this.#clock.wallMs());
  }

  /**
   * Runs everything that is due, until nothing is left to do. With `delayed`, also what is due later: countdowns and
   * retries in their order, a virtual clock going on to each of them.
   *
   * @returns how many attempts of tasks were begun
   * @throws DrainError when it would never come to an end
   */
  drain(options: { readonly delayed?: boolean } = {}): Promise<number> {
    return this.#runner.drain(options.delayed);
  }

  /** Runs the next attempt that is due, or so many. @returns how many there were @throws DrainError */
  step(attempts = 1): Promise<number> {
    return this.#runner.step(attempts);
  }

  /**
   * Moves a virtual clock on, and runs everything that comes due on the way, each at its time.
   *
   * @returns how many attempts of tasks were begun
   * @throws DrainError when it would never come to an end; InvalidOptionsError on the machine's clock
   */
  async advance(time: Duration): Promise<number> {
    if (!(this.#clock instanceof VirtualClock)) {
      throw new InvalidOptionsError('clock', `'virtual', so that it can be moved`, 'system');
    }
    return this.#runner.advance(readDuration('time', time, { min: 0, max: Number.MAX_SAFE_INTEGER }));
  }

  /** The calls that were published so far, in their order: all of them, or those of one task. */
  published(task?: TaskRef): PublishedTask[] {
    const name = task === undefined ? undefined : this.#nameOf(task);
    return this.#published.filter((call) => name === undefined || call.task === name);
  }

  /** The tasks that have failed for good or were revoked so far, in their order. */
  failures(task?: TaskRef): TaskFailure[] {
    const name = task === undefined ? undefined : this.#nameOf(task);
    return this.#failures.filter(({ request }) => name === undefined || request.name === name);
  }

  /** The tasks that wait, are delayed or run now. */
  waiting(task?: TaskRef): WaitingTask[] {
    const name = task === undefined ? undefined : this.#nameOf(task);
    return this.#server.stores
      .flatMap((store) => [...store.unfinished()])
      .filter((job) => isTask(job) && (name === undefined || job.name === name))
      .map(({ id, name: task, queue, place, dueMs }) => ({
        id,
        task,
        queue,
        state: place === 'active' ? 'running' : place === 'delayed' ? 'delayed' : 'waiting',
        ...(place === 'delayed' ? { dueAt: new Date(dueMs) } : {}),
      }));
  }

  /** Whether nothing waits, is delayed or runs: no task, no join of a canvas and no hook. */
  get idle(): boolean {
    return this.#server.stores.every((store) => store.unfinished().next().done === true);
  }

  /**
   * Lets attempts of a task fail in place of running their handler: the next one, or those that the options name.
   *
   * @throws InvalidOptionsError when the application has no such task
   */
  fail(task: TaskRef, options: FaultOptions & { readonly error?: unknown } = {}): void {
    const name = this.#nameOf(task);
    const error = (): unknown => ('error' in options ? options.error : new Error(`${name} was made to fail`));
    this.#faults.add(name, options, { do: 'throw', error });
  }

  /**
   * Lets the worker die while it runs attempts of a task. Nothing that such an attempt does is heard, and the task is
   * there to be run again at once, as often as `worker.maxTimesLost` allows.
   *
   * @param options.after whether the handler has run to its end when it happens. By default it has not begun
   * @throws InvalidOptionsError when the application has no such task
   */
  loseWorker(task: TaskRef, options: FaultOptions & { readonly after?: boolean } = {}): void {
    this.#faults.add(this.#nameOf(task), options, { do: 'lose-worker', after: options.after ?? false });
  }

  /** Forgets everything: what waits, what was published, what failed, what is to fail. The time stays what it is. */
  reset(): void {
    this.#server.clear();
    this.#runner.reset();
    this.#faults.clear();
    this.#published = [];
    this.#failures = [];
  }

  #nameOf(task: TaskRef): string {
    const name = typeof task === 'string' ? task : task.taskName;
    const isKnown = this.#names.has(name) || this.#published.some((call) => call.task === name);
    if (isKnown || this.#names.size === 0) return name;
    throw new InvalidOptionsError('task', `one of the tasks ${[...this.#names].sort().join(', ')}`, name);
  }

  #withFaults(definition: TaskDefinition): TaskDefinition {
    this.#names.add(definition.name);
    return {
      ...definition,
      invoke: (args, context) => {
        const fault = this.#faults.strike(context);
        const run = (): unknown => definition.invoke(args, context);
        return fault === undefined ? run() : this.#strike(fault, context, run);
      },
    };
  }

  #strike(fault: Fault, context: TaskContext, run: () => unknown): unknown {
    switch (fault.do) {
      case 'throw':
        throw fault.error();
      case 'lose-worker':
        return this.#lose(context, fault.after ? run : () => undefined);
    }
  }

  async #lose({ id }: TaskContext, run: () => unknown): Promise<unknown> {
    try {
      return await run();
    } finally {
      this.#server.lose(id);
    }
  }
}

function oneOf<T extends string>(path: string, found: T, allowed: readonly T[]): T {
  if (allowed.includes(found)) return found;
  throw new InvalidOptionsError(path, allowed.map((one) => `'${one}'`).join(' or '), found);
}

function timeOf(startAt: TestTaskQueueOptions['startAt']): number {
  const ms = startAt === undefined ? Date.now() : new Date(startAt).getTime();
  if (Number.isNaN(ms)) throw new InvalidOptionsError('startAt', 'a date', startAt);
  return ms;
}
