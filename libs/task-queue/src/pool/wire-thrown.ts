import { PLAIN_VALUES, type StoredValues } from '../codec/stored-values.js';
import {
  type ControlFlow,
  IgnoreResult,
  isControlFlow,
  RejectTask,
  ReplaceTask,
  RetryTask,
} from '../errors/control-flow.js';
import { serializeError } from '../failure/serialize-error.js';
import type { SerializedError } from '../failure/task-failure.js';
import { findNonJson, type JsonValue } from '../primitives/json.js';
import { retryAfterMs } from '../retry/retry-after.js';

/** What a handler threw, on its way from one process to another. */
export type WireThrown =
  | { readonly kind: 'error'; readonly error: WireError }
  | { readonly kind: 'retry'; readonly options: WireOptions }
  | { readonly kind: 'reject'; readonly reason: string }
  | { readonly kind: 'ignore' }
  | { readonly kind: 'replace'; readonly canvas: object };

/** An option of a retry that the task asked for: a Date and an error are no JSON. */
export type WireOption =
  | { readonly as: 'json'; readonly value: JsonValue }
  /** Arguments that a codec has written. */
  | { readonly as: 'written'; readonly value: JsonValue }
  | { readonly as: 'date'; readonly ms: number }
  | { readonly as: 'error'; readonly error: WireError };

/** An error as data, and what its policy decides by: classes, and when the service asked to be called again. */
export interface WireError {
  readonly error: SerializedError;
  /** The names of its class and of those that this extends, from the most special one. */
  readonly lineage: readonly string[];
  readonly cause?: WireError;
  readonly retryAfterMs?: number;
}

/** Finds a class of errors by its name. */
export type ErrorClassLookup = (name: string) => (abstract new (...args: never[]) => Error) | undefined;

/** What the process knows that reads an error. */
interface Sight {
  readonly classOf: ErrorClassLookup;
  readonly values: StoredValues;
}

const MAX_CAUSES = 5;

/** What was thrown, as data. Never throws, whatever that was. */
export function toWire(thrown: unknown, nowMs: number, values = PLAIN_VALUES): WireThrown {
  if (isControlFlow(thrown)) {
    if (thrown instanceof IgnoreResult) return { kind: 'ignore' };
    if (thrown instanceof RejectTask) return { kind: 'reject', reason: thrown.reason };
    if (thrown instanceof ReplaceTask) return { kind: 'replace', canvas: thrown.canvas };
    if (thrown instanceof RetryTask)
      return { kind: 'retry', options: optionsToWire(thrown.options, nowMs, values) };
  }
  return { kind: 'error', error: errorToWire(thrown, nowMs, values) };
}

/** What was thrown, as the other process would have seen it if it had been thrown there. */
export function fromWire(
  thrown: WireThrown,
  classOf: ErrorClassLookup,
  values = PLAIN_VALUES,
): Error | ControlFlow {
  const sight = { classOf, values };
  switch (thrown.kind) {
    case 'error':
      return errorFromWire(thrown.error, sight);
    case 'retry':
      return new RetryTask(optionsFromWire(thrown.options, sight));
    case 'reject':
      return new RejectTask(thrown.reason);
    case 'ignore':
      return new IgnoreResult();
    case 'replace':
      return new ReplaceTask(thrown.canvas);
  }
}

type WireOptions = readonly (readonly [string, WireOption])[];

function optionsToWire(options: object, nowMs: number, values: StoredValues): WireOptions {
  return Object.entries(options)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]: [string, unknown]) => [key, optionToWire(key, value, nowMs, values)] as const);
}

function optionToWire(key: string, value: unknown, nowMs: number, values: StoredValues): WireOption {
  if (key === 'args' && values.areWritten && Array.isArray(value)) {
    const written = value.map((one: unknown) => values.writeIfPossible(one));
    // One that is refused is said by whoever reads the request.
    if (!written.includes(undefined)) return { as: 'written', value: written as JsonValue };
  }
  if (value instanceof Date) return { as: 'date', ms: value.getTime() };
  if (key === 'error' || findNonJson(value, key) !== undefined) {
    return { as: 'error', error: errorToWire(value, nowMs, values) };
  }
  return { as: 'json', value: value as JsonValue };
}

function optionsFromWire(options: WireOptions, sight: Sight): RetryTask['options'] {
  return Object.fromEntries(
    options.map(([key, option]) => {
      switch (option.as) {
        case 'json':
          return [key, option.value];
        case 'written':
          return [key, sight.values.read(option.value)];
        case 'date':
          return [key, new Date(option.ms)];
        case 'error':
          return [key, errorFromWire(option.error, sight)];
      }
    }),
  );
}

function errorToWire(thrown: unknown, nowMs: number, values: StoredValues, depth = 0): WireError {
  const write = (value: unknown): unknown => values.writeIfPossible(value);
  const { cause: _cause, ...error } = serializeError(thrown, write);
  const cause = depth < MAX_CAUSES ? safely(() => (thrown as { cause?: unknown }).cause) : undefined;
  const askedMs = safely(() => retryAfterMs(thrown, nowMs));
  return {
    error,
    lineage: safely(() => lineageOf(thrown)) ?? [],
    ...(cause === undefined || cause === null ? {} : { cause: errorToWire(cause, nowMs, values, depth + 1) }),
    ...(askedMs === undefined ? {} : { retryAfterMs: askedMs }),
  };
}

function lineageOf(thrown: unknown): string[] {
  const names: string[] = [];
  if (!(thrown instanceof Error)) return names;
  for (let at = prototypeOf(thrown); at !== null && names.length < 20; at = prototypeOf(at)) {
    const { name } = at.constructor;
    if (at === Object.prototype || name === 'Object') break;
    names.push(name);
  }
  return names;
}

/**
 * An error of its original class, as far as that is known here, else of one that has the names of its classes. No
 * constructor is called.
 */
function errorFromWire(wire: WireError, sight: Sight): Error {
  const revived = Object.create(prototypeNamed(wire.lineage, sight.classOf)) as Error;
  const set = (key: string, value: unknown, enumerable: boolean): void => {
    Object.defineProperty(revived, key, { value, enumerable, writable: true, configurable: true });
  };
  const { name, message, stack, code, data } = wire.error;
  for (const [key, value] of Object.entries(sight.values.readIfPossible(data ?? {}))) set(key, value, true);
  if (wire.retryAfterMs !== undefined && !Object.hasOwn(revived, 'retryAfter')) {
    set('retryAfter', wire.retryAfterMs / 1_000, false);
  }
  set('name', name, false);
  set('message', message, false);
  set('stack', stack, false);
  if (code !== undefined) set('code', code, true);
  if (wire.cause !== undefined) set('cause', errorFromWire(wire.cause, sight), false);
  return revived;
}

function prototypeNamed(lineage: readonly string[], classOf: ErrorClassLookup): object {
  let prototype: object = Error.prototype;
  for (const name of [...lineage].reverse()) {
    if (name === 'Error') continue;
    const known = classOf(name);
    prototype = (known?.prototype as object | undefined) ?? named(name, prototype);
  }
  return prototype;
}

/** A stand-in for the prototype of a class that is not known here. */
function named(name: string, base: object): object {
  return Object.create(base, { constructor: { value: { name } } }) as object;
}

function prototypeOf(value: object): object | null {
  return Object.getPrototypeOf(value) as object | null;
}

function safely<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
