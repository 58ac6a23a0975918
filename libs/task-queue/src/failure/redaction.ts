import type { JsonValue } from '../primitives/json.js';
import type { SerializedError, TaskFailure } from './task-failure.js';

/**
 * What to hide: names of keys and paths, or a function that is asked for every text, number and switch and gives what is
 * to stand there.
 *
 * A name hides the value under every key of that name, at any depth; case, `_` and `-` do not matter. A path begins with
 * `args`, `headers`, `progress` or `error` and hides one place: `args[0].card.number`, `args[*].pin`, `error.data.body`.
 */
export type RedactOption = false | readonly string[] | ((path: string, value: JsonValue) => JsonValue);

/** Where a value that is looked through stands. */
export type RedactRoot = 'args' | 'headers' | 'progress' | 'error' | 'payload';

/**
 * Data of which nobody knows what it is, without what is to be hidden: names find it anywhere, paths where the arguments
 * and headers of a call would be.
 */
export function redactForeign(data: JsonValue, redact: Redaction): JsonValue {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return redact('payload', data);
  const fields = redact('payload', data);
  const calls = (['args', 'headers'] as const).filter((key) => fields[key] !== undefined);
  if (calls.length === 0) return fields;
  return {
    ...fields,
    ...Object.fromEntries(calls.map((key) => [key, redact(key, fields[key] as JsonValue)])),
  };
}

/** Gives a value without what is to be hidden. The value itself is not changed. */
export type Redaction = <T>(root: RedactRoot, value: T) => T;

/** What stands in place of what is hidden. */
export const REDACTED = '[redacted]';

/** Keys that are hidden unless the option says otherwise. */
export const REDACTED_KEYS: readonly string[] = [
  'password',
  'passwd',
  'passphrase',
  'secret',
  'clientSecret',
  'token',
  'accessToken',
  'refreshToken',
  'idToken',
  'apiKey',
  'privateKey',
  'authorization',
  'cookie',
  'setCookie',
  'credentials',
  'cardNumber',
  'cvv',
  'ssn',
];

/** Deeper than arguments can be. */
const MAX_DEPTH = 600;

type Hide = (path: readonly (string | number)[], value: JsonValue) => JsonValue;

/** Reads the option once; what it gives is used on failure paths, for events that somebody hears, and for logs. */
export function compileRedaction(option: RedactOption = REDACTED_KEYS): Redaction {
  if (option === false) return (_root, value) => value;
  const hide = typeof option === 'function' ? byFunction(option) : byNames(option);
  return (root, value) => walk(value as JsonValue, [root], hide) as typeof value;
}

/** A failure without what is to be hidden: its arguments, headers and errors, those of its causes among them. */
export function redactFailure(failure: TaskFailure, redact: Redaction): TaskFailure {
  const { request, error } = failure;
  const { headers } = request;
  return {
    ...failure,
    request: {
      ...request,
      args: redact('args', request.args),
      ...(headers === undefined ? {} : { headers: redact('headers', headers) }),
    },
    error: redactError(error, redact),
  };
}

/** Paths of a cause are those of the error itself. */
function redactError({ cause, ...error }: SerializedError, redact: Redaction): SerializedError {
  return { ...redact('error', error), ...(cause === undefined ? {} : { cause: redactError(cause, redact) }) };
}

/** Copies only what changes. */
function walk(value: JsonValue, path: readonly (string | number)[], hide: Hide): JsonValue {
  const hidden = hide(path, value);
  if (hidden !== value || typeof value !== 'object' || value === null) return hidden;
  if (path.length > MAX_DEPTH) return REDACTED;
  let copy: JsonValue[] | Record<string, JsonValue> | undefined;
  for (const key of Object.keys(value)) {
    const at = Array.isArray(value) ? Number(key) : key;
    const member = (value as Readonly<Record<string, JsonValue>>)[key] as JsonValue;
    const next = walk(member, [...path, at], hide);
    if (next === member) continue;
    copy ??= Array.isArray(value) ? [...value] : { ...value };
    // Not an assignment: a key may be __proto__.
    Object.defineProperty(copy, key, { value: next, enumerable: true, writable: true, configurable: true });
  }
  return copy ?? value;
}

function byNames(entries: readonly string[]): Hide {
  const isPath = (entry: string): boolean => /^(?:args|headers|progress|error)[.[]/.test(entry);
  const names = new Set(entries.filter((entry) => !isPath(entry)).map(plain));
  const paths = entries.filter(isPath).map(segments);
  return (path, value) => {
    const key = path.at(-1);
    const isNamed = path.length > 1 && typeof key === 'string' && names.has(plain(key));
    return value !== null && (isNamed || paths.some((one) => matches(one, path))) ? REDACTED : value;
  };
}

/** What the function throws must not show what it was to hide. */
function byFunction(option: (path: string, value: JsonValue) => JsonValue): Hide {
  return (path, value) => {
    if (typeof value === 'object') return value;
    try {
      return option(textOf(path), value) ?? null;
    } catch {
      return REDACTED;
    }
  };
}

const plain = (key: string): string => key.replace(/[_-]/g, '').toLowerCase();

function segments(path: string): string[] {
  return path.split(/[.[\]]+/).filter((segment) => segment !== '');
}

function matches(pattern: readonly string[], path: readonly (string | number)[]): boolean {
  return (
    pattern.length === path.length &&
    pattern.every((segment, at) => segment === '*' || segment === String(path[at]))
  );
}

function textOf([root, ...path]: readonly (string | number)[]): string {
  return path.reduce<string>(
    (text, at) => (typeof at === 'number' ? `${text}[${at}]` : `${text}.${at}`),
    String(root),
  );
}
