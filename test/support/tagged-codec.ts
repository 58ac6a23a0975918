import type { TaskCodec } from 'nestjs-task-queue';

/** Deeper values are refused: they would be refused by their depth once they are written. */
const MAX_DEPTH = 200;

/**
 * A small, strict codec: what it takes it gives back exactly, and it reads nothing that it cannot have written. Everything
 * but texts, finite numbers and booleans is a list of a tag and its content, so that no key of anybody's is a key of what is
 * stored.
 */
export const tagged: TaskCodec = {
  id: 'tagged-1',
  encode: (value) => encode(value, 0),
  decode: (encoded) => decode(encoded),
};

function encode(value: unknown, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new RangeError('too deep');
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0)
        ? value
        : ['number', Object.is(value, -0) ? '-0' : String(value)];
    case 'bigint':
      return ['bigint', String(value)];
    case 'undefined':
      return ['undefined'];
    case 'object':
      return value === null ? ['null'] : encodeObject(value, depth + 1);
    case 'function':
    case 'symbol':
      throw new TypeError(`a ${typeof value}`);
  }
}

function encodeObject(value: object, depth: number): unknown {
  const parts = (list: readonly unknown[]): unknown[] => Array.from(list, (part) => encode(part, depth));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (Array.isArray(value)) {
    if (Object.keys(value).length !== value.length) throw new TypeError('a list with gaps');
    return ['list', ...parts(value)];
  }
  if (prototype === Date.prototype) {
    const time = (value as Date).getTime();
    if (Number.isNaN(time)) throw new RangeError('a Date of no day');
    return ['date', time];
  }
  if (prototype === Map.prototype) return ['map', ...parts([...(value as Map<unknown, unknown>)].flat(1))];
  if (prototype !== Object.prototype && prototype !== null) throw new TypeError('an instance of some class');
  return [prototype === null ? 'bare' : 'object', ...parts(Object.entries(value).flat(1))];
}

function decode(encoded: unknown): unknown {
  if (typeof encoded === 'string' || typeof encoded === 'boolean' || typeof encoded === 'number')
    return encoded;
  if (!Array.isArray(encoded)) throw new TypeError('not written by this codec');
  const [tag, ...content] = encoded as unknown[];
  const [first] = content;
  switch (tag) {
    case 'null':
      return null;
    case 'undefined':
      return undefined;
    case 'number':
      return Number(first);
    case 'bigint':
      return BigInt(first as string);
    case 'date':
      return new Date(first as number);
    case 'list':
      return content.map(decode);
    case 'map':
      return new Map(pairs(content));
    case 'object':
      return Object.fromEntries(pairs(content) as [string, unknown][]);
    case 'bare':
      return Object.setPrototypeOf(Object.fromEntries(pairs(content) as [string, unknown][]), null);
    default:
      throw new TypeError('not written by this codec');
  }
}

function pairs(content: readonly unknown[]): [unknown, unknown][] {
  if (content.length % 2 !== 0) throw new TypeError('a key without a value');
  return Array.from({ length: content.length / 2 }, (_, at) => [
    decode(content[2 * at]),
    decode(content[2 * at + 1]),
  ]);
}
