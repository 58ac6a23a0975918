import { ErrbackOnly } from '../chords/built-in-recoveries.js';
import { ChordRecovery, type ChordRecoveryType } from '../chords/chord-recovery.js';
import type { CodecRoles } from '../codec/task-codec.js';
import { compileRedaction, type Redaction, type RedactOption } from '../failure/redaction.js';
import { InvalidOptionsError } from '../errors/configuration.errors.js';
import type { Duration } from '../primitives/duration.js';
import { deepFreeze, frozenMap } from './freeze.js';
import { isChildProcess } from './child-process.js';
import {
  isPlainObject,
  assertQueueName,
  join,
  readAge,
  readBoolean,
  readBytes,
  readDuration,
  readInteger,
  readObject,
} from './option-readers.js';
import type { PoolOptions, ResolvedProcessPool } from './pool-options.js';
import { type ResolvedDeadLetters, resolveDeadLetters } from './resolve-dead-letters.js';
import { type ResolvedConnection, resolveConnection } from './resolve-connection.js';
import { resolvePool } from './resolve-pool.js';
import type {
  ErrorClass,
  LoggingOptions,
  ResolvedLogging,
  PayloadLimits,
  QueueOptions,
  TaskQueueModuleOptions,
  TaskQueueRole,
  WorkerTuning,
} from './task-queue-options.js';
import { resolveCodec } from './resolve-codec.js';

/** Options of a queue after they were read. */
export interface ResolvedQueueOptions {
  readonly concurrency: number;
  readonly resultExpiresMs: number;
  /** undefined means in the worker's own process */
  readonly pool: ResolvedProcessPool | undefined;
}

/** Options of this application's worker after they were read. */
export interface ResolvedWorkerOptions {
  readonly lockDurationMs: number;
  readonly stalledIntervalMs: number;
  /** undefined: never. */
  readonly reconcileIntervalMs: number | undefined;
  readonly drainTimeoutMs: number;
  readonly maxTimesLost: number;
  readonly canvasConcurrency: number;
  readonly currentTask: boolean;
  readonly stuckAfterMs: number;
  readonly blockedAfterMs: number;
  /** As it was written, for queues that are declared later. */
  readonly pool: PoolOptions | undefined;
}

/** Options of the module after they were read: every default in its place, every duration in milliseconds. */
export interface ResolvedTaskQueueOptions {
  /** `default` where the registration has no name. */
  readonly name: string;
  readonly connection: ResolvedConnection;
  readonly role: TaskQueueRole;
  readonly prefix: string;
  readonly shards: number;
  /** By name; `default` is always among them. */
  readonly queues: ReadonlyMap<string, ResolvedQueueOptions>;
  readonly defaults: {
    /** undefined means no limit */
    readonly softTimeLimitMs: number | undefined;
    /** undefined means no limit */
    readonly timeLimitMs: number | undefined;
    readonly resultExpiresMs: number;
  };
  readonly chord: { readonly recovery: ChordRecoveryType };
  readonly deadLetters: ResolvedDeadLetters;
  readonly publishTimeoutMs: number;
  /** Bytes of JSON; Infinity is no limit. */
  readonly limits: Required<PayloadLimits>;
  readonly errors: readonly ErrorClass[];
  readonly codec: CodecRoles | undefined;
  readonly redact: Redaction;
  readonly logging: ResolvedLogging;
  readonly worker: ResolvedWorkerOptions;
}

/** The name of the registration that has none. */
export const DEFAULT_CONNECTION = 'default';

/** The queue of a task that names none. */
export const DEFAULT_QUEUE = 'default';

/** Every default, in one place. */
const DEFAULTS = {
  role: 'both',
  prefix: 'tq',
  shards: 1,
  concurrency: 10,
  resultExpires: '1d',
  publishTimeout: '5s',
  payloadBytes: 4 * 1024 * 1024,
  inlineCharacters: 16_384,
  lockDuration: '10s',
  stalledInterval: '3s',
  reconcileInterval: '30s',
  drainTimeout: '30s',
  maxTimesLost: 1,
  canvasConcurrency: 20,
  currentTask: true,
  stuckAfter: '10s',
  blockedAfter: '5s',
} as const;

const ROLES: readonly TaskQueueRole[] = ['producer', 'worker', 'both'];
const MODULE_KEYS = [
  'name',
  'connection',
  'role',
  'prefix',
  'shards',
  'queues',
  'defaults',
  'chord',
  'deadLetters',
  'publishTimeout',
  'limits',
  'errors',
  'codec',
  'worker',
  'redact',
  'logging',
];
const WORKER_KEYS = [
  'lockDuration',
  'stalledInterval',
  'reconcileInterval',
  'drainTimeout',
  'maxTimesLost',
  'canvasConcurrency',
  'currentTask',
  'stuckAfter',
  'blockedAfter',
  'pool',
];

/**
 * Reads the options of the module: fills in defaults, turns durations into milliseconds, checks each option
 * and those that belong together. The result is frozen all the way down, except a client of the user's own.
 *
 * @param env where REDIS_URL is looked for
 * @throws InvalidOptionsError for the first option that cannot be read
 */
export function resolveOptions(
  options: TaskQueueModuleOptions,
  env: Readonly<Record<string, string | undefined>> = process.env,
): ResolvedTaskQueueOptions {
  if (!isPlainObject(options)) throw new InvalidOptionsError('options', 'an object', options);
  const given = readObject('', options as TaskQueueModuleOptions, MODULE_KEYS);
  const defaults = resolveDefaults(given.defaults);
  const worker = resolveWorker(given.worker);
  return deepFreeze({
    name: readConnectionName('name', given.name ?? DEFAULT_CONNECTION),
    connection: resolveConnection(given.connection, env),
    role: isChildProcess() ? 'producer' : readRole(given.role ?? DEFAULTS.role),
    prefix: readPrefix(given.prefix ?? DEFAULTS.prefix),
    shards: readInteger('shards', given.shards ?? DEFAULTS.shards, 1, 1024),
    queues: resolveQueues({ [DEFAULT_QUEUE]: {}, ...readQueues('queues', given.queues) }, defaults, worker),
    defaults,
    chord: { recovery: readRecovery(readObject('chord', given.chord, ['recovery']).recovery) },
    deadLetters: resolveDeadLetters(given.deadLetters),
    publishTimeoutMs: readDuration('publishTimeout', given.publishTimeout ?? DEFAULTS.publishTimeout),
    limits: resolveLimits(given.limits),
    redact: readRedact(given.redact),
    logging: resolveLogging(given.logging),
    errors: readErrors(given.errors ?? []),
    codec: resolveCodec(given.codec),
    worker,
  });
}

/**
 * The same options with more queues, as `forFeature` adds them. A queue may be declared again with the same
 * options.
 *
 * @throws InvalidOptionsError when a queue is declared again with other options, or cannot be read
 */
export function withQueues(
  options: ResolvedTaskQueueOptions,
  queues: Readonly<Record<string, QueueOptions>>,
): ResolvedTaskQueueOptions {
  const merged = new Map(options.queues);
  const { defaults, worker } = options;
  for (const [name, added] of resolveQueues(readQueues('queues', queues), defaults, worker)) {
    const known = merged.get(name);
    if (known && JSON.stringify(known) !== JSON.stringify(added)) {
      throw new InvalidOptionsError(
        join('queues', name),
        `the options it was declared with before, ${JSON.stringify(known)}`,
        added,
      );
    }
    merged.set(name, added);
  }
  return Object.freeze({ ...options, queues: frozenMap(merged) });
}

/** The options of a queue, also of one that only a task names. */
export function optionsOfQueue(
  { queues, worker }: ResolvedTaskQueueOptions,
  queue: string,
): Pick<ResolvedQueueOptions, 'concurrency' | 'pool'> {
  const declared = queues.get(queue);
  if (declared !== undefined) return declared;
  const pool = resolvePool('worker.pool', worker.pool, undefined);
  const concurrency = pool?.size ?? queues.get(DEFAULT_QUEUE)?.concurrency ?? DEFAULTS.concurrency;
  return { concurrency, pool };
}

function resolveDefaults(given: TaskQueueModuleOptions['defaults']): ResolvedTaskQueueOptions['defaults'] {
  const options = readObject('defaults', given, ['softTimeLimit', 'timeLimit', 'resultExpires']);
  const softTimeLimitMs = optionalDuration('defaults.softTimeLimit', options.softTimeLimit);
  const timeLimitMs = optionalDuration('defaults.timeLimit', options.timeLimit);
  if (softTimeLimitMs !== undefined && timeLimitMs !== undefined && softTimeLimitMs >= timeLimitMs) {
    throw new InvalidOptionsError(
      'defaults.softTimeLimit',
      `less than defaults.timeLimit (${timeLimitMs} ms)`,
      options.softTimeLimit,
    );
  }
  const resultExpiresMs = readAge('defaults.resultExpires', options.resultExpires ?? DEFAULTS.resultExpires);
  return { softTimeLimitMs, timeLimitMs, resultExpiresMs };
}

function readQueues(
  path: string,
  queues: Readonly<Record<string, QueueOptions>> | undefined,
): Readonly<Record<string, QueueOptions>> {
  if (queues !== undefined && !isPlainObject(queues)) {
    throw new InvalidOptionsError(path, 'an object with the options of each queue under its name', queues);
  }
  return queues ?? {};
}

function resolveQueues(
  queues: Readonly<Record<string, QueueOptions>>,
  defaults: ResolvedTaskQueueOptions['defaults'],
  worker: ResolvedWorkerOptions,
): ReadonlyMap<string, ResolvedQueueOptions> {
  const resolved = new Map<string, ResolvedQueueOptions>();
  for (const [name, given] of Object.entries(queues)) {
    const path = join('queues', name);
    assertQueueName(path, name);
    const queue = readObject(path, given, ['concurrency', 'resultExpires', 'pool']);
    const concurrency =
      queue.concurrency === undefined ? undefined : readInteger(`${path}.concurrency`, queue.concurrency, 1);
    const pool = resolvePool(
      queue.pool === undefined ? 'worker.pool' : `${path}.pool`,
      queue.pool ?? worker.pool,
      concurrency,
    );
    resolved.set(name, {
      concurrency: concurrency ?? pool?.size ?? DEFAULTS.concurrency,
      pool,
      resultExpiresMs:
        queue.resultExpires === undefined
          ? defaults.resultExpiresMs
          : readAge(`${path}.resultExpires`, queue.resultExpires),
    });
  }
  return frozenMap(resolved);
}

/**
 * Reads the name of a registration, wherever one is given.
 *
 * @throws InvalidOptionsError when it cannot be one
 */
export function readConnectionName(path: string, name: unknown): string {
  if (typeof name === 'string' && /^[A-Za-z0-9_.-]{1,64}$/.test(name)) return name;
  throw new InvalidOptionsError(path, 'a name of 1 to 64 letters, digits, "_", "-" or "."', name);
}

function resolveLimits(given: PayloadLimits | undefined): Required<PayloadLimits> {
  const limits = readObject('limits', given, [
    'argumentBytes',
    'resultBytes',
    'canvasBytes',
    'inlineCharacters',
  ]);
  const read = (key: keyof PayloadLimits): number =>
    readBytes(`limits.${key}`, limits[key] ?? DEFAULTS.payloadBytes);
  return {
    argumentBytes: read('argumentBytes'),
    resultBytes: read('resultBytes'),
    canvasBytes: read('canvasBytes'),
    inlineCharacters: readBytes(
      'limits.inlineCharacters',
      limits.inlineCharacters ?? DEFAULTS.inlineCharacters,
    ),
  };
}

function resolveWorker(given: WorkerTuning | undefined): ResolvedWorkerOptions {
  const worker = readObject('worker', given, WORKER_KEYS);
  const lockDurationMs = readDuration('worker.lockDuration', worker.lockDuration ?? DEFAULTS.lockDuration);
  const stalledIntervalMs =
    worker.stalledInterval === undefined
      ? Math.min(lockDurationMs, readDuration('worker.stalledInterval', DEFAULTS.stalledInterval))
      : readDuration('worker.stalledInterval', worker.stalledInterval);
  if (stalledIntervalMs > lockDurationMs) {
    throw new InvalidOptionsError(
      'worker.stalledInterval',
      `at most worker.lockDuration (${lockDurationMs} ms)`,
      worker.stalledInterval,
    );
  }
  return {
    lockDurationMs,
    stalledIntervalMs,
    reconcileIntervalMs:
      worker.reconcileInterval === false
        ? undefined
        : readDuration('worker.reconcileInterval', worker.reconcileInterval ?? DEFAULTS.reconcileInterval),
    drainTimeoutMs: readDuration('worker.drainTimeout', worker.drainTimeout ?? DEFAULTS.drainTimeout, {
      min: 0,
    }),
    maxTimesLost: readInteger('worker.maxTimesLost', worker.maxTimesLost ?? DEFAULTS.maxTimesLost, 0),
    canvasConcurrency: readInteger(
      'worker.canvasConcurrency',
      worker.canvasConcurrency ?? DEFAULTS.canvasConcurrency,
      1,
    ),
    currentTask: readBoolean('worker.currentTask', worker.currentTask ?? DEFAULTS.currentTask),
    stuckAfterMs: readDuration('worker.stuckAfter', worker.stuckAfter ?? DEFAULTS.stuckAfter),
    blockedAfterMs: readDuration('worker.blockedAfter', worker.blockedAfter ?? DEFAULTS.blockedAfter),
    pool: worker.pool,
  };
}

function readRedact(redact: unknown): Redaction {
  const isList = Array.isArray(redact) && redact.every((entry) => typeof entry === 'string' && entry !== '');
  if (redact === undefined || redact === false || typeof redact === 'function' || isList) {
    return compileRedaction(redact as RedactOption | undefined);
  }
  throw new InvalidOptionsError('redact', 'names of keys and paths, a function, or false', redact);
}

function resolveLogging(given: LoggingOptions | undefined): ResolvedLogging {
  const { form = 'params', messageKey = 'msg', args = false } = readObject('logging', given, LOGGING_KEYS);
  if (!LOG_FORMS.includes(form))
    throw new InvalidOptionsError('logging.form', "'params', 'object' or 'text'", form);
  if (typeof messageKey !== 'string' || messageKey === '') {
    throw new InvalidOptionsError('logging.messageKey', 'the name of a key', messageKey);
  }
  return { form, messageKey, args: readBoolean('logging.args', args) };
}

const LOGGING_KEYS = ['form', 'messageKey', 'args'];
const LOG_FORMS: readonly string[] = ['params', 'object', 'text'];

function readErrors(errors: unknown): readonly ErrorClass[] {
  const classes = Array.isArray(errors) ? (errors as unknown[]) : undefined;
  const at = classes?.findIndex((type) => typeof type !== 'function' || !(type.prototype instanceof Error));
  if (classes === undefined || at === undefined) {
    throw new InvalidOptionsError('errors', 'a list of error classes', errors);
  }
  if (at >= 0) throw new InvalidOptionsError(`errors[${at}]`, 'a class that extends Error', classes[at]);
  return Object.freeze([...(classes as ErrorClass[])]);
}

function readRole(role: unknown): TaskQueueRole {
  const known = ROLES.find((candidate) => candidate === role);
  if (known === undefined) throw new InvalidOptionsError('role', "'producer', 'worker' or 'both'", role);
  return known;
}

function readPrefix(prefix: unknown): string {
  // Braces would move the hash tag that keeps a canvas on one node of a cluster.
  if (typeof prefix === 'string' && /^[A-Za-z0-9_.:-]{1,64}$/.test(prefix)) return prefix;
  throw new InvalidOptionsError('prefix', '1 to 64 letters, digits, "_", "-", "." or ":"', prefix);
}

function readRecovery(recovery: unknown): ChordRecoveryType {
  if (recovery === undefined) return ErrbackOnly;
  if (typeof recovery === 'function' && recovery.prototype instanceof ChordRecovery) {
    return recovery as ChordRecoveryType;
  }
  throw new InvalidOptionsError('chord.recovery', 'a class that extends ChordRecovery', recovery);
}

const optionalDuration = (path: string, value: Duration | undefined): number | undefined =>
  value === undefined ? undefined : readDuration(path, value);
