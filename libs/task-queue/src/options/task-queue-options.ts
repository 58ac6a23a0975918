import type { CodecRoles, TaskCodec } from '../codec/task-codec.js';
import type { RedactOption } from '../failure/redaction.js';
import type { Cluster, Redis, RedisOptions } from 'ioredis';
import type { ChordRecoveryType } from '../chords/chord-recovery.js';
import type { Duration } from '../primitives/duration.js';
import type { PoolOptions } from './pool-options.js';

/**
 * Which half of the work an application does: `producer` publishes and reads results and opens no blocking
 * connection, `worker` runs tasks, `both` does both. Tasks of a worker can publish in every role.
 */
export type TaskQueueRole = 'producer' | 'worker' | 'both';

/**
 * Where Redis is:
 *
 * - `{ url }`, a `redis://` or `rediss://` URL, with any option of ioredis beside it (what the URL says wins);
 * - options of ioredis (Sentinel among them), which must name a `host`, a `path` or `sentinels`;
 * - a client of your own, an ioredis `Redis` or `Cluster`. Its options are taken, for connections of the library's own;
 *   it is itself neither connected, nor used, nor closed.
 *
 * A `keyPrefix` is refused in all of them: the option `prefix` is the front of every key.
 */
export type TaskQueueConnection =
  ({ readonly url: string | undefined } & Partial<RedisOptions>) | RedisOptions | Redis | Cluster;

/** Options of one queue. */
export interface QueueOptions {
  /**
   * How many tasks of this queue one worker application runs at the same time; with several shards, of each.
   *
   * @defaultValue 10
   */
  readonly concurrency?: number;
  /**
   * How long the results and failures of this queue's tasks can be read, of tasks that stand alone;
   * milliseconds or a duration. A canvas goes by `defaults.resultExpires`.
   *
   * @defaultValue what `defaults.resultExpires` says
   */
  readonly resultExpires?: Duration;
  /**
   * Where the handlers of this queue's tasks run: `{ type: 'process', … }` in processes of their own.
   *
   * @defaultValue what `worker.pool` says
   */
  readonly pool?: PoolOptions;
}

/** What holds for every task that does not say otherwise itself. */
export interface TaskDefaults {
  /**
   * Time after which `task.signal` aborts with a SoftTimeLimitExceededError; milliseconds or a duration, at
   * most 24 days, and below `timeLimit`.
   *
   * @defaultValue no limit
   */
  readonly softTimeLimit?: Duration;
  /**
   * Time after which an attempt ends with a TimeLimitExceededError; milliseconds or a duration, at most 24
   * days.
   *
   * @defaultValue no limit
   */
  readonly timeLimit?: Duration;
  /**
   * How long results and failures can be read after their canvas has ended; milliseconds or a duration.
   *
   * @defaultValue '1d', as in Celery
   */
  readonly resultExpires?: Duration;
}

/** What holds for every chord that does not say otherwise itself. */
export interface ChordDefaults {
  /**
   * What follows a header with failed members.
   *
   * @defaultValue ErrbackOnly: the body does not run, the errbacks do
   */
  readonly recovery?: ChordRecoveryType;
}

/** How large one message may be, in bytes of JSON; `Infinity` is no limit. Redis and every worker hold each of them whole. */
export interface PayloadLimits {
  /**
   * All arguments of one call. More is refused where it is published, with an ArgumentTooLargeError.
   *
   * @defaultValue 4,194,304 (4 MiB)
   */
  readonly argumentBytes?: number;
  /**
   * What a task returns. More fails the task, with a ResultTooLargeError; it is not tried again. The list of a group is as
   * long as it is.
   *
   * @defaultValue 4,194,304 (4 MiB)
   */
  readonly resultBytes?: number;
  /**
   * What one chain, group or chord keeps for later: steps after the first, the body, callbacks. More is refused where it
   * is published, with a CanvasTooLargeError. Members that start at once lie in jobs of their own and do not count.
   *
   * @defaultValue 4,194,304 (4 MiB)
   */
  readonly canvasBytes?: number;
  /**
   * Up to which length of JSON, in characters, a value travels inside of its canvas: with the message of the next step, and
   * from a composite to the one above it. A longer one stays where it came about, once, and is read from there.
   *
   * @defaultValue 16,384
   */
  readonly inlineCharacters?: number;
}

/** What lines about tasks carry beside their text. */
export interface LoggingOptions {
  /**
   * How a line says what it is about (`taskId`, `task`, `queue`, `attempt`, `retries`, `workflowId`, `position`):
   *
   * - `params`: an object after the text, as Nest's own logger takes it, as JSON too;
   * - `object`: one object with the text in it, as loggers such as pino take it;
   * - `text`: not at all; the text has the task's name and id.
   *
   * @defaultValue 'params'
   */
  readonly form?: 'params' | 'object' | 'text';
  /** The key of the text, in the form `object`. @defaultValue 'msg' */
  readonly messageKey?: string;
  /** Whether lines of a task that is run carry its arguments, as far as `redact` leaves them. @defaultValue false */
  readonly args?: boolean;
}

/** The same after it was read. */
export type ResolvedLogging = Required<LoggingOptions>;

/** How this application runs tasks. Ignored by a producer. */
export interface WorkerTuning {
  /**
   * How long a task that is running belongs to its worker without a sign of life; milliseconds or a
   * duration. The worker renews it after a tenth of this, so it has at least four fifths left. After a crash its tasks start
   * again once it has passed. A handler that blocks the event loop for longer than is left loses its task, and so do those
   * that run beside it: give it a process pool, or this a longer time. See docs/recovery.md.
   *
   * @defaultValue '10s'
   */
  readonly lockDuration?: Duration;
  /**
   * How often a worker looks for tasks whose worker has died; milliseconds or a duration, at most
   * `lockDuration`.
   *
   * @defaultValue '3s', or `lockDuration` where that is shorter
   */
  readonly stalledInterval?: Duration;
  /**
   * How long a shutdown waits for running tasks before it aborts their signals and gives them back;
   * milliseconds or a duration. 0 does not wait.
   *
   * @defaultValue '30s'
   */
  readonly drainTimeout?: Duration;
  /**
   * The poison limit: how often a task may lose its worker and be run again. One that loses it once more
   * fails with a WorkerLostError. 0 never runs it again.
   *
   * @defaultValue 1
   */
  readonly maxTimesLost?: number;
  /**
   * How many steps of canvases (joins of groups and chords, hand-overs between the steps of a chain) this
   * application handles at the same time. They take no slot of a queue.
   *
   * @defaultValue 20
   */
  readonly canvasConcurrency?: number;
  /**
   * Whether `currentTask()` works, and waiting inside a task is noticed. Both go through AsyncLocalStorage, which
   * makes every promise of the process dearer on Node.js 20 and 22 (bench/RESULTS.md), unless something else in the
   * application (tracing, nestjs-cls) has paid for it already. A `TaskContext` parameter works without.
   *
   * @defaultValue true
   */
  readonly currentTask?: boolean;
  /**
   * How long a handler may go on after it was told to end before it is reported as stuck, in the log, in health and to
   * `@OnStuck`; milliseconds or a duration.
   *
   * @defaultValue '10s'
   */
  readonly stuckAfter?: Duration;
  /**
   * How long a handler may block the event loop before the log says so; milliseconds or a duration.
   *
   * @defaultValue '5s'
   */
  readonly blockedAfter?: Duration;
  /**
   * How often damage from outside (evicted or deleted keys, jobs that something else moved) is looked for and healed, by one
   * worker of the prefix at a time; milliseconds or a duration, or `false` for never. See docs/doctor.md.
   *
   * @defaultValue '30s'
   */
  readonly reconcileInterval?: Duration | false;
  /**
   * Where handlers run, of every queue that does not say otherwise. Each queue has processes of its own.
   *
   * @defaultValue `{ type: 'in-process' }`: in the worker's own process
   */
  readonly pool?: PoolOptions;
}

/**
 * What becomes of the dead letters: final failures that no task declares expected. All applications of one prefix say the
 * same; each trims by what it says.
 */
export interface DeadLetterOptions {
  /**
   * How long a dead letter is kept; milliseconds or a duration.
   *
   * @defaultValue '30d'
   */
  readonly maxAge?: Duration;
  /**
   * How many dead letters are kept, with several shards in each of them: the oldest go first. 0 keeps none, and no
   * handler of dead letters runs.
   *
   * @defaultValue 10,000
   */
  readonly maxCount?: number;
  /**
   * Where letters are sent that this application's workers write: each to a task of another service, as a broker routes
   * them to a queue of its own. Handlers of this application (`@OnDeadLetter`) get them all the same.
   *
   * @defaultValue nowhere
   */
  readonly sendTo?: DeadLetterRoute | readonly DeadLetterRoute[];
}

/** Where dead letters are sent. */
export interface DeadLetterRoute {
  /** The name of a task that takes a `DeadLetter`. It need not be known here. */
  readonly task: string;
  /** The queue of that task. */
  readonly queue: string;
  /** Only letters of tasks of these queues. @defaultValue all */
  readonly from?: readonly string[];
}

/** Options of `TaskQueueModule.forRoot`. An option that cannot be read is refused with an InvalidOptionsError. */
export interface TaskQueueModuleOptions {
  /**
   * Which of several registrations this is, for `@InjectWorkflows(name)` and `@Task({ connection: name })`. Letters,
   * digits, `_`, `-`, `.`; each name once in an application. `forRootAsync` takes it beside its factory.
   *
   * @defaultValue 'default', whose `WorkflowService` is injected by its class
   */
  readonly name?: string;
  /**
   * Where Redis is.
   *
   * @defaultValue the URL in the environment variable REDIS_URL. With neither, the application does not start.
   */
  readonly connection?: TaskQueueConnection;
  /**
   * What this application does.
   *
   * @defaultValue 'both'
   */
  readonly role?: TaskQueueRole;
  /**
   * Front of every Redis key. Applications that work together share it. Letters, digits, `_`, `-`, `.`, `:`.
   *
   * @defaultValue 'tq'
   */
  readonly prefix?: string;
  /**
   * Over how many hash tags canvases are spread, 1 to 1024. All applications of one prefix say the same
   * number. More than 1 pays with a Redis Cluster only.
   *
   * @defaultValue 1
   */
  readonly shards?: number;
  /**
   * The queues, by name: letters, digits, `_`, `-`, `.`, not beginning with `_`. A worker serves
   * these and those that its tasks name; `default`, which is always there, only where a task is in it.
   *
   * @defaultValue one queue, `default`
   */
  readonly queues?: Readonly<Record<string, QueueOptions>>;
  /** What holds for every task that does not say otherwise itself. */
  readonly defaults?: TaskDefaults;
  /** What holds for every chord that does not say otherwise itself. */
  readonly chord?: ChordDefaults;
  /** How long and how many dead letters are kept. */
  readonly deadLetters?: DeadLetterOptions;
  /**
   * How long a publication waits for Redis before it ends with a BrokerUnavailableError; milliseconds or a
   * duration. It may have happened all the same: repeat it with the same task id.
   *
   * @defaultValue '5s'
   */
  readonly publishTimeout?: Duration;
  /** How large arguments, results and canvases may be. */
  readonly limits?: PayloadLimits;
  /**
   * Error classes of the application that `get()` throws again as what they were, so that `instanceof` works on a
   * failure that happened in another process. The library's own and JavaScript's are known. Constructors are not
   * called; own properties that JSON can carry are there.
   *
   * @defaultValue none
   */
  readonly errors?: readonly ErrorClass[];
  /**
   * Writes arguments, results, progress and own properties of errors that JSON cannot carry, and reads them: for all
   * applications of a prefix the same. `{ write, read }` where one codec writes and others are read as well: see
   * docs/codecs.md.
   *
   * @defaultValue none: values are JSON
   */
  readonly codec?: TaskCodec | CodecRoles;
  /** How this application runs tasks. */
  readonly worker?: WorkerTuning;
  /**
   * What is hidden before it is stored in the record of a failure, told in an event or logged: names of keys and paths
   * such as `args[0].card.number`, a function, or `false` for nothing. A list of your own takes the place of the usual
   * one; `REDACTED_KEYS` is to be spread into it. Arguments stay whole where tasks need them: in their jobs, and in dead
   * letters.
   *
   * @defaultValue REDACTED_KEYS: password, secret, token, authorization, cookie, apiKey and their like
   */
  readonly redact?: RedactOption;
  /** What the lines of the library and of `task.logger` carry. */
  readonly logging?: LoggingOptions;
}

/** A class of errors. */
export type ErrorClass = abstract new (...args: never[]) => Error;

/** A provider that makes the options, for `forRootAsync({ useClass })` and `useExisting`. */
export interface TaskQueueOptionsFactory {
  createTaskQueueOptions(): TaskQueueModuleOptions | Promise<TaskQueueModuleOptions>;
}

/** Options of `TaskQueueModule.forRootAsync`. Exactly one of the three `use…` is given. */
export interface TaskQueueModuleAsyncOptions {
  /**
   * As in `forRoot`. Here, and not in the options that are made: what is injected hangs on it.
   *
   * @defaultValue 'default'
   */
  readonly name?: string;
  /** Modules that export what `inject`, `useClass` or `useExisting` needs. */
  readonly imports?: ImportedModule[];
  /** Tokens whose values `useFactory` gets, in this order. */
  readonly inject?: (InjectedToken | { token: InjectedToken; optional: boolean })[];
  /** Makes the options from what `inject` names. */
  readonly useFactory?: (...args: never[]) => TaskQueueModuleOptions | Promise<TaskQueueModuleOptions>;
  /** A class that is instantiated for this purpose only. */
  readonly useClass?: new (...args: never[]) => TaskQueueOptionsFactory;
  /** A provider of one of `imports`. */
  readonly useExisting?: (abstract new (...args: never[]) => TaskQueueOptionsFactory) | string | symbol;
}

/** What Nest takes in `imports`, spelt without Nest, which only the layer above knows. */
export type ImportedModule = ModuleForm | Promise<DynamicModuleForm>;
type ModuleClass = new (...args: never[]) => object;
type DynamicModuleForm = { module: ModuleClass };
type ModuleForm = ModuleClass | DynamicModuleForm | { forwardRef: () => unknown };

/** What Nest takes as the token of a provider. */
export type InjectedToken = (abstract new (...args: never[]) => unknown) | string | symbol;
