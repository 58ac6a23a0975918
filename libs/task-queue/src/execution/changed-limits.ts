import type { Limit } from '../backend/rate-limiter.js';
import type { LimitStore, StoredLimits } from '../backend/limit-store.js';
import type { TaskEnvelope } from '../flow/envelope.js';
import type { TaskDefinition } from '../task/task-definition.js';
import type { Limits } from './attempt-limits.js';
import type { EngineLog } from './engine-log.js';
import type { RunningAttempts } from './running-attempts.js';

/** What the following of changed limits needs. */
export interface ChangedLimitsDeps {
  readonly store: LimitStore;
  readonly running: RunningAttempts;
  /** Those of the module. */
  readonly defaults: Limits;
  readonly log: EngineLog;
  /** They were read, or could not be. */
  readonly onRead: () => void;
}

/** How often they are read again: a worker that was reconnecting has missed that they were changed. */
const READ_EVERY_MS = 30_000;

/**
 * The limits that hold in this worker: as they are declared, or as somebody has changed them while it ran. They are read
 * when it starts, when somebody says that they were changed, and now and then; tasks ask nobody.
 */
export class ChangedLimits {
  #changed: ReadonlyMap<string, StoredLimits> = new Map();
  #timer: NodeJS.Timeout | undefined;
  /** The first reading, which tasks wait for. */
  #first: Promise<void> | undefined;

  constructor(private readonly deps: ChangedLimitsDeps) {}

  start(): void {
    this.#first = this.refresh().finally(() => (this.#first = undefined));
    this.#timer = setInterval(() => void this.refresh(), READ_EVERY_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** What a task waits for before it begins, when it is among the first. */
  get reading(): Promise<void> | undefined {
    return this.#first;
  }

  /** Reads them again; attempts that run follow. Never throws. */
  async refresh(): Promise<void> {
    try {
      const before = this.#changed;
      this.#changed = await this.deps.store.read();
      if (before.size > 0 || this.#changed.size > 0) this.#follow(before);
    } catch (error) {
      this.deps.log.debug(`Changed limits could not be read: ${String(error)}`);
    }
    this.deps.onRead();
  }

  /** The time limits of an attempt: call over what was changed, over task, over module. */
  timeLimits(
    envelope: Pick<TaskEnvelope, 'softTimeLimitMs' | 'timeLimitMs'>,
    { name, options }: TaskDefinition,
  ): Limits {
    const { defaults } = this.deps;
    const changed = this.#changed.get(name);
    return {
      softMs: envelope.softTimeLimitMs ?? changed?.softMs ?? options.softTimeLimitMs ?? defaults.softMs,
      hardMs: envelope.timeLimitMs ?? changed?.hardMs ?? options.timeLimitMs ?? defaults.hardMs,
    };
  }

  /** Whether a task has a rate limit that it does not declare. */
  limits({ name }: TaskDefinition): boolean {
    return this.#changed.size > 0 && this.#changed.get(name)?.rate !== undefined;
  }

  /** A rate limit with the rate that holds: of its key, else of its name, else as it is declared. */
  rateLimit(base: string, limit: Limit | undefined): Limit | undefined {
    if (this.#changed.size === 0) return limit;
    const rate = this.#changed.get(limit?.name ?? base)?.rate ?? this.#changed.get(base)?.rate;
    return rate === undefined ? limit : { name: limit?.name ?? base, rate };
  }

  /** How many tasks of a queue may run at a time, if somebody has changed it. */
  concurrency(queue: string): number | undefined {
    return this.#changed.get(queue)?.concurrency;
  }

  #follow(before: ReadonlyMap<string, StoredLimits>): void {
    for (const attempt of this.deps.running.all()) {
      const { name } = attempt.delivery;
      const [was, is] = [before.get(name), this.#changed.get(name)];
      if (was?.softMs === is?.softMs && was?.hardMs === is?.hardMs) continue;
      attempt.changeTimeLimits(attempt.limitsBy(this));
    }
  }
}
