import { findNonJson, type JsonValue } from '../primitives/json.js';
import type { SerializedError } from './task-failure.js';

/** Bounds of a stored error, in characters; a failure must never be what fills Redis. */
const LIMITS = { message: 4_000, stack: 8_000, data: 16_000, causes: 5 } as const;
const STANDARD = new Set(['name', 'message', 'stack', 'cause', 'code']);

/**
 * Turns whatever was thrown into data. Anything can be thrown: a string, `undefined`, an object whose
 * `message` getter throws. Nothing here throws, because BullMQ leaves the job active for ever when it meets
 * such a value (hole H8).
 */
export function serializeError(
  thrown: unknown,
  write: (value: unknown) => unknown = asIs,
  depth = 0,
): SerializedError {
  if (typeof thrown !== 'object' || thrown === null) {
    return { name: 'NonError', message: clip(`a task threw ${describe(thrown)}`, LIMITS.message) };
  }
  const read = (key: string): unknown => safely(() => (thrown as Record<string, unknown>)[key]);
  const className = text(safely(() => thrown.constructor.name));
  const name = (inheritsName(thrown) ? className : undefined) ?? text(read('name')) ?? className ?? 'Error';
  const message = text(read('message')) ?? `a task threw ${describe(thrown)}`;
  const code = read('code');
  const stack = text(read('stack'));
  const cause = read('cause');
  const data = ownData(thrown, write);
  return {
    name: clip(name, 200),
    message: clip(message, LIMITS.message),
    ...(typeof code === 'string' || typeof code === 'number' ? { code: clip(String(code), 200) } : {}),
    ...(stack === undefined ? {} : { stack: clip(stack, LIMITS.stack) }),
    ...(cause === undefined || cause === null || depth >= LIMITS.causes
      ? {}
      : { cause: serializeError(cause, write, depth + 1) }),
    ...(data === undefined ? {} : { data }),
  };
}

/** Whether its name is that of a class which its own extends: many error classes give themselves none. */
function inheritsName(thrown: object): boolean {
  return (
    safely(
      () =>
        thrown instanceof Error &&
        !Object.hasOwn(thrown, 'name') &&
        !Object.hasOwn(Object.getPrototypeOf(thrown) as object, 'name'),
    ) ?? false
  );
}

/** Own enumerable properties that JSON can carry; an HttpException's response body is one of them. */
function ownData(thrown: object, write: (value: unknown) => unknown): Record<string, JsonValue> | undefined {
  const data: Record<string, JsonValue> = {};
  for (const key of safely(() => Object.keys(thrown)) ?? []) {
    if (STANDARD.has(key) || key === '__proto__') continue;
    const value = safely(() => (thrown as Record<string, unknown>)[key]);
    if (value === undefined || typeof value === 'function') continue;
    const stored = write(value);
    if (stored === undefined || findNonJson(stored, key)) continue;
    data[key] = stored as JsonValue;
  }
  const json = safely(() => JSON.stringify(data));
  if (json === undefined || json === '{}') return undefined;
  return json.length <= LIMITS.data ? data : { truncated: `${json.length} characters of own properties` };
}

const asIs = (value: unknown): unknown => value;

function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(clip(value, 500));
  if (typeof value === 'object' && value !== null) {
    return clip(safely(() => JSON.stringify(value)) ?? 'an object that cannot be shown', 500);
  }
  return safely(() => String(value)) ?? typeof value;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value.length > 0 ? value : undefined;
}

function clip(value: string, length: number): string {
  return value.length <= length ? value : `${value.slice(0, length)}… (${value.length} characters)`;
}

function safely<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
