/** What JSON can carry. Arguments and results of tasks are of this shape once they have travelled. */
export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };

/** Where a value stops being JSON, and what stands there. */
export interface JsonOffence {
  /** Path of the offending value, e.g. `args[0].items[3].price`. */
  readonly path: string;
  /** What was found, with the remedy where there is one. */
  readonly found: string;
}

const MAX_DEPTH = 512;

/**
 * Looks for the first value that JSON would drop, change or refuse: BigInt, functions, symbols, cycles,
 * NaN and infinities, `undefined` inside arrays, Dates, Maps, Sets and instances of classes.
 *
 * `undefined` as a property of an object is allowed: leaving a property out is what `JSON.stringify` does
 * with it, and what the reader expects. Objects with a `toJSON` method of their own are refused like other
 * class instances, except that Date gets a remedy of its own.
 */
export function findNonJson(value: unknown, path: string): JsonOffence | undefined {
  try {
    return visit(value, path, new Set(), 0);
  } catch (error) {
    // A getter or a proxy of the caller's threw; what it throws may itself be anything.
    return {
      path,
      found: `something that cannot be read${error instanceof RangeError ? ' (too deep)' : ''}`,
    };
  }
}

function visit(value: unknown, path: string, above: Set<object>, depth: number): JsonOffence | undefined {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return undefined;
    case 'number':
      return Number.isFinite(value)
        ? undefined
        : { path, found: `${String(value)}, which JSON turns into null` };
    case 'bigint':
      return { path, found: 'a BigInt; send it as a string' };
    case 'function':
      return { path, found: `the function ${value.name || '(anonymous)'}` };
    case 'symbol':
      return { path, found: value.toString() };
    case 'undefined':
      return { path, found: 'undefined; send null' };
    case 'object':
      return value === null ? undefined : visitObject(value, path, above, depth);
  }
}

function visitObject(
  value: object,
  path: string,
  above: Set<object>,
  depth: number,
): JsonOffence | undefined {
  if (above.has(value)) return { path, found: 'a reference back to an object that contains it (a cycle)' };
  if (depth >= MAX_DEPTH) return { path, found: `nesting deeper than ${MAX_DEPTH} levels` };
  above.add(value);
  try {
    if (Array.isArray(value)) {
      for (let index = 0; index < value.length; index++) {
        const offence = visit(value[index], `${path}[${index}]`, above, depth + 1);
        if (offence) return offence;
      }
      return undefined;
    }
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null && !isObjectPrototype(prototype))
      return { path, found: describeInstance(value) };
    for (const [key, member] of Object.entries(value)) {
      if (member === undefined) continue;
      const offence = visit(member, `${path}.${key}`, above, depth + 1);
      if (offence) return offence;
    }
    return undefined;
  } finally {
    above.delete(value);
  }
}

/** `Object.prototype` of another realm: what Node's own modules read as JSON is of one, where a test runner has its own. */
function isObjectPrototype(prototype: unknown): boolean {
  return (
    Object.getPrototypeOf(prototype) === null &&
    Object.hasOwn(prototype as object, 'hasOwnProperty') &&
    Object.hasOwn(prototype as object, 'constructor')
  );
}

function describeInstance(value: object): string {
  if (value instanceof Date) return 'a Date; send value.toISOString() and read it back in the task';
  const name = value.constructor?.name || 'an unnamed class';
  return `an instance of ${name}; send a plain object, or its id`;
}
