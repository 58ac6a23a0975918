import type { Duration } from '../primitives/duration.js';
import type { ErrorMatcher } from '../retry/retry-policy.js';
import type { RateLimit, RateLimitOptions } from '../rate-limit/rate-limit.js';

/** Options of `@Task`. What a call says wins over what the task says, and that over the module's defaults. */
export interface TaskOptions {
  /** Unique in the app. @defaultValue `ClassName.methodName` */
  readonly name?: string;
  /** @defaultValue what `@Tasks` on the class says, else 'default' */
  readonly queue?: string;
  /**
   * The name of the registration that it belongs to, where an application has several.
   *
   * @defaultValue what `@Tasks` on the class says, else the registration without a name, else the only one
   */
  readonly connection?: string;
  /** Aborts `task.signal` with a SoftTimeLimitExceededError. The task may catch it, clean up and return. */
  readonly softTimeLimit?: Duration;
  /** Ends the attempt with a TimeLimitExceededError, whatever the handler still does. */
  readonly timeLimit?: Duration;
  /** Keep no result. A canvas that needs the value still gets it. @defaultValue false */
  readonly ignoreResult?: boolean;
  /** 1 (first) to 2,097,152 (last); tasks without a priority come before all of them. */
  readonly priority?: number;
  /**
   * Errors that are an ordinary outcome of the task, such as an order that cannot be paid: final at once, whatever
   * `@Retry` says, logged as a warning, and no dead letter. Hooks and errbacks run as ever. @defaultValue none
   */
  readonly expected?: readonly ErrorMatcher[];
  /**
   * How often it may be started, by all workers together: `'10/m'`, or options. A task whose time has not come gives its
   * place to others and comes back at it; that is no attempt. Every attempt counts as a start.
   *
   * @defaultValue no limit
   */
  readonly rateLimit?: string | RateLimitOptions;
}

/** Options of `@Tasks`. What `@Task` on a method says wins. */
export type TasksOptions = Pick<TaskOptions, 'queue' | 'connection'>;

/** Options of a task after they were read: no strings, no undefined defaults left. */
export interface ResolvedTaskOptions {
  readonly softTimeLimitMs?: number;
  readonly timeLimitMs?: number;
  readonly ignoreResult: boolean;
  readonly priority?: number;
  readonly expected?: readonly ErrorMatcher[];
  readonly rateLimit?: RateLimit;
}
