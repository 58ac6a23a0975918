import type { Duration } from '../primitives/duration.js';

/** Where the handlers of a queue run. */
export type PoolOptions = InProcessOptions | ProcessPoolOptions;

/** In the worker's own process, side by side on its event loop. The default. */
export interface InProcessOptions {
  readonly type: 'in-process';
}

/**
 * In processes of their own, one task at a time in each. The worker fetches, keeps the locks, and stores what came of
 * it; each child has bootstrapped the application once and runs nothing but handlers. So a task may keep its child's
 * event loop busy for as long as it likes, a hard limit ends it for good, and what it does to its process befalls no
 * other task.
 */
export interface ProcessPoolOptions {
  readonly type: 'process';
  /**
   * The file in which a child finds the application: an absolute path or a `file:` URL, as
   * `new URL('./app.module.js', import.meta.url)` or `require.resolve('./app.module')` makes it.
   *
   * It exports a Nest module, or a function that gives a module or an application that has been initialised, which may
   * be asynchronous. The module holds the providers of the queue's tasks and the `TaskQueueModule`, of which a child
   * makes a producer, whatever role it says.
   */
  readonly module: string | URL;
  /** The name of the export. @defaultValue `default`, or else the only one that is a class or a function */
  readonly export?: string;
  /**
   * How many children. Each runs one task at a time, so the queue's `concurrency` cannot be higher.
   *
   * @defaultValue the queue's `concurrency`; where that is not said either, the number of processors
   */
  readonly size?: number;
  /**
   * After how many tasks a child is replaced. The new one is started while the last task runs.
   *
   * @defaultValue no limit
   */
  readonly maxTasksPerChild?: number;
  /**
   * The resident memory above which a child is replaced, looked at after each task: bytes, or a text such as '512mb'. It
   * goes on until the new one is ready. A limit that ends a task belongs in `execArgv`: `--max-old-space-size=512`.
   *
   * @defaultValue no limit
   */
  readonly maxMemoryPerChild?: number | string;
  /**
   * How long a child may take to bootstrap the application; milliseconds or a duration.
   *
   * @defaultValue '1m'
   */
  readonly startTimeout?: Duration;
  /**
   * How long a task that is revoked with `terminate`, or has lost its lock, gets to end by itself before its child is
   * killed; milliseconds or a duration. A hard limit gives no time.
   *
   * @defaultValue '5s'
   */
  readonly killGrace?: Duration;
  /**
   * How long a child that is not needed any more gets to close its application before it is killed; milliseconds or a
   * duration.
   *
   * @defaultValue '5s'
   */
  readonly closeTimeout?: Duration;
  /** Options of Node for the children. @defaultValue those of the worker, without those of a debugger */
  readonly execArgv?: readonly string[];
  /** Environment variables of the children, over those of the worker. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Options of a process pool after they were read. */
export interface ResolvedProcessPool {
  readonly type: 'process';
  /** A `file:` URL. */
  readonly module: string;
  readonly export: string | undefined;
  readonly size: number;
  readonly maxTasksPerChild: number;
  readonly maxMemoryBytes: number;
  readonly startTimeoutMs: number;
  readonly killGraceMs: number;
  readonly closeTimeoutMs: number;
  readonly execArgv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}
