/** Deeper than this may be a cycle. */
const CERTAIN_DEPTH = 32;
/** A character takes at most this much: one that has to be escaped is written as `\u0000`. */
const BYTES_OF_A_CHARACTER = 6;
const BYTES_OF_A_NUMBER = 25;
/** Quotes, colon and comma around a key, or the brackets of a list. */
const PUNCTUATION = 4;
/** How far the path of what is too large leads down. */
const MAX_STEPS = 16;

/** Whether a value is JSON cannot be said without a closer look. */
const UNCERTAIN = -1;

/**
 * At most how many bytes a value takes as JSON, without making the text, so that what is far from a limit costs no more
 * than a look at it. Negative when in doubt whether JSON carries the value at all.
 */
export function jsonBound(value: unknown, depth = 0): number {
  switch (typeof value) {
    case 'string':
      return PUNCTUATION + BYTES_OF_A_CHARACTER * value.length;
    case 'number':
      return Number.isFinite(value) ? BYTES_OF_A_NUMBER : UNCERTAIN;
    case 'boolean':
      return PUNCTUATION + 1;
    case 'object':
      break;
    case 'bigint':
    case 'function':
    case 'symbol':
    case 'undefined':
      return UNCERTAIN;
  }
  if (value === null) return PUNCTUATION;
  if (depth > CERTAIN_DEPTH) return UNCERTAIN;
  return Array.isArray(value) ? boundOfList(value, depth) : boundOfObject(value, depth);
}

function boundOfList(list: readonly unknown[], depth: number): number {
  let bytes = PUNCTUATION;
  // By index, because every() and forEach() step over holes.
  for (let index = 0; index < list.length; index++) {
    const part = jsonBound(list[index], depth + 1);
    if (part < 0) return UNCERTAIN;
    bytes += part + 1;
  }
  return bytes;
}

function boundOfObject(value: object, depth: number): number {
  if (Object.getPrototypeOf(value) !== Object.prototype) return UNCERTAIN;
  let bytes = PUNCTUATION;
  for (const key in value) {
    const member = (value as Readonly<Record<string, unknown>>)[key];
    if (member === undefined) continue;
    const part = jsonBound(member, depth + 1);
    if (part < 0) return UNCERTAIN;
    bytes += part + PUNCTUATION + BYTES_OF_A_CHARACTER * key.length;
  }
  return bytes;
}

/** How many bytes a value takes as JSON in UTF-8. */
export function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value) ?? '');
}

/** The path to what makes a value large: down to where no single part is most of it. */
export function heaviestPath(value: unknown, path: string): string {
  let at = value;
  let where = path;
  for (let step = 0; step < MAX_STEPS && typeof at === 'object' && at !== null; step++) {
    const half = jsonBytes(at) / 2;
    const isList = Array.isArray(at);
    const heavy = Object.entries(at).find(([, part]) => jsonBytes(part) > half);
    if (heavy === undefined) break;
    const [key, part] = heavy;
    where += isList ? `[${key}]` : `.${key}`;
    at = part;
  }
  return where;
}
