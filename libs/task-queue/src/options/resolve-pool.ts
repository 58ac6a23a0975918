import { availableParallelism } from 'node:os';
import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import { InvalidOptionsError } from '../errors/configuration.errors.js';
import { join, readDuration, readInteger, readObject } from './option-readers.js';
import type { PoolOptions, ProcessPoolOptions, ResolvedProcessPool } from './pool-options.js';

const KEYS = [
  'type',
  'module',
  'export',
  'size',
  'maxTasksPerChild',
  'maxMemoryPerChild',
  'startTimeout',
  'killGrace',
  'closeTimeout',
  'execArgv',
  'env',
];
const DEFAULTS = { startTimeout: '1m', killGrace: '5s', closeTimeout: '5s' } as const;
/** A task that counts a million children has mistaken the option. */
const MAX_SIZE = 1_024;
const UNITS: Readonly<Record<string, number>> = { b: 1, kb: 1_024, mb: 1_024 ** 2, gb: 1_024 ** 3 };

/**
 * Reads where the handlers of a queue run.
 *
 * @param pool what the queue says, over what the worker says for all queues
 * @param concurrency what the queue says
 * @returns undefined for the worker's own process
 * @throws InvalidOptionsError
 */
export function resolvePool(
  path: string,
  pool: PoolOptions | undefined,
  concurrency: number | undefined,
): ResolvedProcessPool | undefined {
  if (pool === undefined) return undefined;
  const { type } = readObject<{ type?: unknown }>(path, pool, KEYS);
  if (type === 'in-process') {
    readObject(path, pool, ['type']);
    return undefined;
  }
  if (type !== 'process')
    throw new InvalidOptionsError(join(path, 'type'), "'process' or 'in-process'", type);
  const given = pool as ProcessPoolOptions;
  const at = (key: keyof ProcessPoolOptions): string => join(path, key);
  const size = readInteger(at('size'), given.size ?? concurrency ?? availableParallelism(), 1, MAX_SIZE);
  if (concurrency !== undefined && concurrency > size) {
    throw new InvalidOptionsError(
      at('size'),
      `the queue's concurrency (${concurrency}) or more, since a child runs one task at a time`,
      given.size,
    );
  }
  return {
    type: 'process',
    module: readModule(at('module'), given.module),
    export: readExport(at('export'), given.export),
    size,
    maxTasksPerChild:
      given.maxTasksPerChild === undefined
        ? Infinity
        : readInteger(at('maxTasksPerChild'), given.maxTasksPerChild, 1),
    maxMemoryBytes:
      given.maxMemoryPerChild === undefined
        ? Infinity
        : readBytes(at('maxMemoryPerChild'), given.maxMemoryPerChild),
    startTimeoutMs: readDuration(at('startTimeout'), given.startTimeout ?? DEFAULTS.startTimeout),
    killGraceMs: readDuration(at('killGrace'), given.killGrace ?? DEFAULTS.killGrace, { min: 0 }),
    closeTimeoutMs: readDuration(at('closeTimeout'), given.closeTimeout ?? DEFAULTS.closeTimeout, { min: 0 }),
    execArgv: readTexts(at('execArgv'), given.execArgv) ?? process.execArgv.filter((arg) => !isDebugger(arg)),
    env: readEnv(at('env'), given.env ?? {}),
  };
}

/** Two processes cannot listen on one port, so a debugger of the worker's is not handed down. */
function isDebugger(argument: string): boolean {
  return /^--(?:inspect|debug)\b/.test(argument);
}

function readModule(path: string, module: unknown): string {
  const expected =
    "an absolute path or a file: URL, such as new URL('./app.module.js', import.meta.url) gives it";
  const text = module instanceof URL ? module.href : module;
  if (typeof text === 'string' && text.startsWith('file:') && URL.canParse(text)) return text;
  if (typeof text === 'string' && isAbsolute(text)) return pathToFileURL(text).href;
  throw new InvalidOptionsError(path, expected, text);
}

function readExport(path: string, name: unknown): string | undefined {
  if (name === undefined || (typeof name === 'string' && name !== '')) return name;
  throw new InvalidOptionsError(path, 'the name of an export', name);
}

function readBytes(path: string, value: unknown): number {
  if (typeof value === 'number') return readInteger(path, value, 1);
  const [, amount, unit = 'b'] =
    /^\s*(\d+(?:\.\d+)?)\s*(b|kb|mb|gb)\s*$/i.exec(typeof value === 'string' ? value : '') ?? [];
  const bytes = Math.round(Number(amount) * (UNITS[unit.toLowerCase()] ?? Number.NaN));
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new InvalidOptionsError(path, "bytes, or a text such as '512mb' or '1.5gb'", value);
}

function readTexts(path: string, texts: unknown): readonly string[] | undefined {
  if (texts === undefined) return undefined;
  if (Array.isArray(texts) && texts.every((text) => typeof text === 'string')) return [...texts];
  throw new InvalidOptionsError(path, 'a list of texts', texts);
}

function readEnv(path: string, env: object): Readonly<Record<string, string>> {
  const given = readObject(path, env as Record<string, unknown>, Object.keys(env));
  const wrong = Object.keys(given).find((key) => typeof given[key] !== 'string');
  if (wrong === undefined) return { ...given } as Record<string, string>;
  throw new InvalidOptionsError(join(path, wrong), 'a text', given[wrong]);
}
