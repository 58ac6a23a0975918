import type { DynamicModule, INestApplicationContext, LoggerService, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { InvalidOptionsError } from '../errors/configuration.errors.js';
import { didYouMean } from '../options/did-you-mean.js';
import type { ChildApplication } from '../pool/child-runtime.js';
import type { ChildStart } from '../pool/protocol.js';
import { getTaskQueueEngineToken } from './injection.js';

/** What Nest stores about a class that is a module. */
const MODULE_KEYS = ['imports', 'controllers', 'providers', 'exports'];

type ModuleForm = Type | DynamicModule;

/**
 * Bootstraps the application of a child, once.
 *
 * @throws InvalidOptionsError when the file does not hold one
 */
export async function bootstrapChild(start: ChildStart, logger: LoggerService): Promise<ChildApplication> {
  const found = exportOf((await import(start.module)) as Record<string, unknown>, start);
  const made = isModule(found) ? found : await callFactory(found as () => unknown, start);
  const app = isApplication(made)
    ? made
    : await NestFactory.createApplicationContext(made, { logger, abortOnError: false });
  const engine = app.get(getTaskQueueEngineToken(start.connection), { strict: false });
  const { registry, log, clock, locks, ledger, members, reader, options, values } = engine;
  const { limits } = options;
  return { registry, log, clock, locks, ledger, members, reader, limits, values, close: () => app.close() };
}

/** What is to be bootstrapped. A CommonJS file that is imported has its exports in `default` as well. */
function exportOf(exported: Record<string, unknown>, { module, export: name }: ChildStart): unknown {
  const inner = exported['default'];
  const all = isNamespace(inner)
    ? { ...inner, ...withoutDefault(exported), default: inner['default'] }
    : exported;
  const usable = Object.entries(all).filter(([, value]) => typeof value === 'function' || isModule(value));
  const chosen =
    name === undefined
      ? (usable.find(([key]) => key === 'default') ?? (usable.length === 1 ? usable[0] : undefined))
      : usable.find(([key]) => key === name);
  if (chosen !== undefined) return chosen[1];
  const names = usable.map(([key]) => key);
  throw new InvalidOptionsError(
    name === undefined ? 'pool.module' : 'pool.export',
    name === undefined
      ? `a file with a default export, or with one class or function; say which with pool.export: ${names.join(', ') || 'it exports none'}`
      : `the name of a class or function that the file exports: ${names.join(', ') || 'there is none'}${didYouMean(name, names)}`,
    name ?? module,
  );
}

function withoutDefault({ default: _default, ...named }: Record<string, unknown>): Record<string, unknown> {
  return named;
}

async function callFactory(
  factory: () => unknown,
  { module }: ChildStart,
): Promise<ModuleForm | INestApplicationContext> {
  const made = await factory();
  if (isModule(made) || isApplication(made)) return made;
  throw new InvalidOptionsError(
    'pool.module',
    'a function that gives a Nest module or an application',
    `${module}, whose function gives ${made === null ? 'null' : typeof made}`,
  );
}

function isModule(value: unknown): value is ModuleForm {
  if (typeof value === 'object' && value !== null) return 'module' in value && isModule(value.module);
  if (typeof value !== 'function') return false;
  return (
    /^class\b/.test(Function.prototype.toString.call(value)) ||
    MODULE_KEYS.some((key) => Reflect.hasMetadata(key, value))
  );
}

function isApplication(value: unknown): value is INestApplicationContext {
  return typeof value === 'object' && value !== null && 'get' in value && 'close' in value;
}

function isNamespace(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !isModule(value);
}
