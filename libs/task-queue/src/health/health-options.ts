import type { Duration } from '../primitives/duration.js';

/**
 * From which value on something is `degraded`, and from which on it is `down`. `false` takes a limit away that there is
 * by default; what is left out keeps its default.
 */
export interface Limit<T> {
  readonly degraded?: T | false;
  readonly down?: T | false;
}

/** When Redis counts as impaired. */
export interface BrokerHealthOptions {
  /**
   * How long a PING may take; milliseconds or a duration.
   *
   * @defaultValue no limit but `timeout`
   */
  readonly latency?: Limit<Duration>;
  /**
   * How much of `maxmemory` may be used, as a part of 1. With `noeviction`, Redis is down when it is all used.
   *
   * @defaultValue degraded from 0.9
   */
  readonly memory?: Limit<number>;
  /**
   * Whether it is degraded when Redis keeps nothing on disk.
   *
   * @defaultValue 'required'
   */
  readonly persistence?: 'required' | 'any';
  /**
   * Whether it is degraded when Redis may throw tasks away.
   *
   * @defaultValue 'noeviction'
   */
  readonly maxmemoryPolicy?: 'noeviction' | 'any';
}

/** When the workers of this application count as impaired. */
export interface WorkersHealthOptions {
  /**
   * How long a fetch loop with a free slot may stand still, beyond the longest wait that it has a reason for (about
   * 10 s), while Redis answers; milliseconds or a duration.
   *
   * @defaultValue '15s'
   */
  readonly stuckAfter?: Duration;
  /**
   * For how long the event loop was blocked in one go within the last 10 seconds; milliseconds or a duration.
   *
   * @defaultValue degraded from '1s', down from '10s'
   */
  readonly eventLoopLag?: Limit<Duration>;
}

/** How much may wait in a queue. */
export interface QueueLimits {
  /**
   * How many tasks may wait that could begin at once.
   *
   * @defaultValue degraded from 10 000
   */
  readonly backlog?: Limit<number>;
  /**
   * How long the oldest of them may have been waiting; milliseconds or a duration.
   *
   * @defaultValue degraded from '10m'
   */
  readonly oldest?: Limit<Duration>;
}

/** When queues count as impaired. */
export interface QueuesHealthOptions extends QueueLimits {
  /** Limits of single queues, by name, over those of all. */
  readonly overrides?: Readonly<Record<string, QueueLimits>>;
  /**
   * What it is called when tasks wait in a queue that no living worker serves, in whatever process.
   *
   * @defaultValue 'degraded'
   */
  readonly unserved?: 'degraded' | 'down' | 'ignored';
}

/** When kept failures count as too many. */
export interface FailuresHealthOptions {
  /**
   * How many failures may be kept, of tasks that stand alone and of canvases.
   *
   * @defaultValue degraded from 100
   */
  readonly waiting?: Limit<number>;
}

/** When canvases count as stuck. */
export interface CanvasesHealthOptions {
  /**
   * How long a step may wait for what is below it; milliseconds or a duration. Longer than the longest group takes,
   * with its countdowns and retries.
   *
   * @defaultValue '1h'
   */
  readonly stuckAfter?: Duration;
  /**
   * How many steps may wait for longer than that.
   *
   * @defaultValue degraded from 1
   */
  readonly stuck?: Limit<number>;
}

/** What open breakers say of the health. */
export interface BreakersHealthOptions {
  /**
   * What it is called when a breaker is open. One that is half-open is degraded, unless they are ignored.
   *
   * @defaultValue 'degraded'
   */
  readonly open?: 'degraded' | 'down' | 'ignored';
}

/** How the health of a task queue is looked at. An option that cannot be read is refused with an InvalidOptionsError. */
export interface HealthOptions {
  /**
   * Which registration is looked at, by the name that its `TaskQueueModule.forRoot` was given.
   *
   * @defaultValue the one without a name, or the only one
   */
  readonly connection?: string;
  /**
   * How long Redis may take to answer one probe; milliseconds or a duration.
   *
   * @defaultValue '1s'
   */
  readonly timeout?: Duration;
  readonly broker?: BrokerHealthOptions;
  readonly workers?: WorkersHealthOptions;
  readonly queues?: QueuesHealthOptions;
  readonly failures?: FailuresHealthOptions;
  readonly canvases?: CanvasesHealthOptions;
  readonly breakers?: BreakersHealthOptions;
  /**
   * What terminus is told of what is degraded. `degraded` and `up` keep the answer at 200, `down` makes it 503. Plain
   * verdicts are not changed by it.
   *
   * @defaultValue 'degraded'
   */
  readonly degradedAs?: 'degraded' | 'up' | 'down';
}
