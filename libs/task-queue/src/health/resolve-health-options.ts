import { InvalidOptionsError } from '../errors/configuration.errors.js';
import { isPlainObject, join, readDuration, readInteger, readObject } from '../options/option-readers.js';
import { readConnectionName } from '../options/resolve-options.js';
import type {
  BrokerHealthOptions,
  CanvasesHealthOptions,
  HealthOptions,
  Limit,
  QueueLimits,
  QueuesHealthOptions,
  WorkersHealthOptions,
} from './health-options.js';
import type { ResolvedLimit } from './verdict.js';

/** Limits of one queue after they were read. */
export interface ResolvedQueueLimits {
  readonly backlog: ResolvedLimit;
  readonly oldestMs: ResolvedLimit;
}

/** Options after they were read: every default in its place, every duration in milliseconds. */
export interface ResolvedHealthOptions {
  readonly connection: string | undefined;
  readonly timeoutMs: number;
  readonly broker: {
    readonly latencyMs: ResolvedLimit;
    readonly memory: ResolvedLimit;
    readonly persistence: 'required' | 'any';
    readonly maxmemoryPolicy: 'noeviction' | 'any';
  };
  readonly workers: { readonly stuckAfterMs: number; readonly eventLoopLagMs: ResolvedLimit };
  readonly queues: ResolvedQueueLimits & {
    readonly overrides: ReadonlyMap<string, ResolvedQueueLimits>;
    readonly unserved: 'degraded' | 'down' | 'ignored';
  };
  readonly failures: { readonly waiting: ResolvedLimit };
  readonly canvases: { readonly stuckAfterMs: number; readonly stuck: ResolvedLimit };
  readonly breakers: { readonly open: 'degraded' | 'down' | 'ignored' };
  readonly degradedAs: 'degraded' | 'up' | 'down';
}

const NO_LIMIT: ResolvedLimit = { degraded: undefined, down: undefined };
const from = (degraded: number, down?: number): ResolvedLimit => ({ degraded, down });

/** Every default, in one place. */
const DEFAULTS = {
  timeout: '1s',
  memory: from(0.9),
  stuckAfter: '15s',
  eventLoopLagMs: from(1_000, 10_000),
  queue: { backlog: from(10_000), oldestMs: from(600_000) },
  failures: from(100),
  canvasStuckAfter: '1h',
  canvasesStuck: from(1),
} as const;

const SECTIONS = ['broker', 'workers', 'queues', 'failures', 'canvases', 'breakers'] as const;

/**
 * Reads the options of health checks.
 *
 * @throws InvalidOptionsError for the first option that cannot be read
 */
export function resolveHealthOptions(options: HealthOptions = {}): ResolvedHealthOptions {
  const given = readObject('', options, ['connection', 'timeout', ...SECTIONS, 'degradedAs']);
  return {
    connection:
      given.connection === undefined ? undefined : readConnectionName('connection', given.connection),
    timeoutMs: readDuration('timeout', given.timeout ?? DEFAULTS.timeout),
    broker: readBroker(given.broker),
    workers: readWorkers(given.workers),
    queues: readQueues(given.queues),
    failures: {
      waiting: readLimit(
        'failures.waiting',
        readObject('failures', given.failures, ['waiting']).waiting,
        DEFAULTS.failures,
        count,
      ),
    },
    canvases: readCanvases(given.canvases),
    breakers: {
      open: oneOf('breakers.open', readObject('breakers', given.breakers, ['open']).open, [
        'degraded',
        'down',
        'ignored',
      ]),
    },
    degradedAs: oneOf('degradedAs', given.degradedAs, ['degraded', 'up', 'down']),
  };
}

/** Options of a call over those of the module, option by option. */
export function overrideOptions(options: HealthOptions, over: HealthOptions): HealthOptions {
  const sections = SECTIONS.map((section) => [section, { ...options[section], ...over[section] }]);
  return { ...options, ...over, ...(Object.fromEntries(sections) as HealthOptions) };
}

function readBroker(given: BrokerHealthOptions | undefined): ResolvedHealthOptions['broker'] {
  const broker = readObject('broker', given, ['latency', 'memory', 'persistence', 'maxmemoryPolicy']);
  return {
    latencyMs: readLimit('broker.latency', broker.latency, NO_LIMIT, readDuration),
    memory: readLimit('broker.memory', broker.memory, DEFAULTS.memory, ratio),
    persistence: oneOf('broker.persistence', broker.persistence, ['required', 'any']),
    maxmemoryPolicy: oneOf('broker.maxmemoryPolicy', broker.maxmemoryPolicy, ['noeviction', 'any']),
  };
}

function readWorkers(given: WorkersHealthOptions | undefined): ResolvedHealthOptions['workers'] {
  const workers = readObject('workers', given, ['stuckAfter', 'eventLoopLag']);
  return {
    stuckAfterMs: readDuration('workers.stuckAfter', workers.stuckAfter ?? DEFAULTS.stuckAfter),
    eventLoopLagMs: readLimit(
      'workers.eventLoopLag',
      workers.eventLoopLag,
      DEFAULTS.eventLoopLagMs,
      readDuration,
    ),
  };
}

function readQueues(given: QueuesHealthOptions | undefined): ResolvedHealthOptions['queues'] {
  const queues = readObject('queues', given, ['backlog', 'oldest', 'overrides', 'unserved']);
  const limits = readQueueLimits('queues', queues, DEFAULTS.queue);
  const { overrides = {} } = queues;
  if (!isPlainObject(overrides)) {
    throw new InvalidOptionsError(
      'queues.overrides',
      'an object with the limits of queues by name',
      overrides,
    );
  }
  const resolved = Object.entries(overrides as Readonly<Record<string, QueueLimits>>).map(
    ([name, own]): [string, ResolvedQueueLimits] => {
      const path = join('queues.overrides', name);
      return [name, readQueueLimits(path, readObject(path, own, ['backlog', 'oldest']), limits)];
    },
  );
  return {
    ...limits,
    overrides: new Map(resolved),
    unserved: oneOf('queues.unserved', queues.unserved, ['degraded', 'down', 'ignored']),
  };
}

function readQueueLimits(path: string, given: QueueLimits, base: ResolvedQueueLimits): ResolvedQueueLimits {
  return {
    backlog: readLimit(join(path, 'backlog'), given.backlog, base.backlog, count),
    oldestMs: readLimit(join(path, 'oldest'), given.oldest, base.oldestMs, readDuration),
  };
}

function readCanvases(given: CanvasesHealthOptions | undefined): ResolvedHealthOptions['canvases'] {
  const canvases = readObject('canvases', given, ['stuckAfter', 'stuck']);
  return {
    stuckAfterMs: readDuration('canvases.stuckAfter', canvases.stuckAfter ?? DEFAULTS.canvasStuckAfter, {
      max: Number.MAX_SAFE_INTEGER,
    }),
    stuck: readLimit('canvases.stuck', canvases.stuck, DEFAULTS.canvasesStuck, count),
  };
}

function readLimit<T>(
  path: string,
  given: Limit<T> | undefined,
  base: ResolvedLimit,
  read: (path: string, value: T) => number,
): ResolvedLimit {
  const limit = readObject(path, given, ['degraded', 'down']);
  const one = (key: 'degraded' | 'down'): number | undefined => {
    const value = limit[key];
    if (value === false) return undefined;
    return value === undefined ? base[key] : read(join(path, key), value);
  };
  const resolved = { degraded: one('degraded'), down: one('down') };
  if (resolved.degraded !== undefined && resolved.down !== undefined && resolved.degraded > resolved.down) {
    throw new InvalidOptionsError(
      join(path, 'degraded'),
      `at most ${path}.down (${resolved.down})`,
      resolved.degraded,
    );
  }
  return resolved;
}

const count = (path: string, value: number): number => readInteger(path, value, 1);

function ratio(path: string, value: number): number {
  if (typeof value === 'number' && value > 0 && value <= 1) return value;
  throw new InvalidOptionsError(path, 'a part of 1, above 0', value);
}

/** One of a few words, of which the first is the default. */
function oneOf<const T extends string>(path: string, value: T | undefined, words: readonly [T, ...T[]]): T {
  const known = words.find((word) => word === (value ?? words[0]));
  if (known !== undefined) return known;
  throw new InvalidOptionsError(path, `one of ${words.map((word) => `'${word}'`).join(', ')}`, value);
}
