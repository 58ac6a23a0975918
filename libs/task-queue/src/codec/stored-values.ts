import { UndecodablePayloadError } from '../errors/task.errors.js';
import type { JsonValue } from '../primitives/json.js';
import { codecOf, contentOf, isWritten, type WrittenValue, writtenBy } from './written-value.js';
import type { CodecRoles, TaskCodec } from './task-codec.js';

/** Deeper than what this library makes around values of others. */
const MAX_DEPTH = 512;
/** How much of what a codec threw stands in an error. */
const REASON_CHARACTERS = 300;

/** A codec has refused a value: `found` says what, for the end of a sentence. */
export interface Refused {
  readonly found: string;
}

/**
 * How values of users are written and read: as JSON, or by a codec.
 *
 * Inside of the library a value is always as it is stored. It is written where it comes in, and read where it goes out: to a
 * handler, a hook, a strategy, a handle. What lies between carries it, counts its bytes and never looks into it.
 */
export class StoredValues {
  readonly #write: TaskCodec | undefined;
  readonly #readers: ReadonlyMap<string, TaskCodec>;

  constructor({ write, read = [] }: CodecRoles = {}) {
    this.#write = write;
    const readers = write === undefined ? read : [...read, write];
    this.#readers = new Map(readers.map((codec) => [codec.id, codec]));
  }

  /** Whether a codec writes. Without one a value is stored as it is. */
  get areWritten(): boolean {
    return this.#write !== undefined;
  }

  /** Whether there is a codec at all. Without one nothing is looked through. */
  get areRead(): boolean {
    return this.#readers.size > 0;
  }

  /** The value as it is stored. What JSON cannot carry is in it still where there is no codec. `null` is `null`. */
  write(value: unknown): { readonly stored: unknown } | Refused {
    const codec = this.#write;
    if (codec === undefined || value === null) return { stored: value };
    try {
      return { stored: writtenBy(codec.id, codec.encode(value) as JsonValue) };
    } catch (error) {
      return { found: `something that the codec "${codec.id}" refuses: ${reasonOf(error)}` };
    }
  }

  /** The same for what may be left out: undefined where the codec refuses it. */
  writeIfPossible(value: unknown): unknown {
    const written = this.write(value);
    return 'found' in written ? undefined : written.stored;
  }

  /** A list that was written as one value, as the list of its parts, each written by the same codec; else what was given. */
  parts(stored: JsonValue): JsonValue {
    if (typeof stored !== 'object' || stored === null || !isWritten(stored)) return stored;
    const list = this.#decode(stored);
    const codec = this.#readers.get(codecOf(stored));
    if (codec === undefined || !Array.isArray(list)) return stored;
    const own = new StoredValues({ write: codec });
    return list.map((part: unknown) => (own.writeIfPossible(part) ?? null) as JsonValue);
  }

  /**
   * A value as it was before it was stored. Inside of lists and of what else this library makes of values, each of them is
   * read; what was stored without a codec stays as it is.
   *
   * @throws UndecodablePayloadError when its codec is not known here, or refuses it
   */
  read(stored: unknown): unknown {
    return this.#read(stored, 0, (written) => this.#decode(written));
  }

  /** The same, but what cannot be read stays as it is stored: in what is told about a failure, which has to be told. */
  readIfPossible<T>(stored: T): T {
    if (!this.areRead) return stored;
    return this.#read(stored, 0, (written) => this.#decodeOrLeave(written)) as T;
  }

  #read(stored: unknown, depth: number, decode: (written: WrittenValue) => unknown): unknown {
    if (typeof stored !== 'object' || stored === null || depth > MAX_DEPTH) return stored;
    if (Array.isArray(stored)) return this.#readList(stored, depth, decode);
    if (isWritten(stored)) return decode(stored);
    if (this.areRead) return isMade(stored) ? this.#readParts(stored, depth, decode) : stored;
    return isFulfilled(stored) ? { ...stored, value: this.#read(stored.value, depth + 1, decode) } : stored;
  }

  /** Copied only where something in it was written: a list of numbers costs a look at each. */
  #readList(list: readonly unknown[], depth: number, decode: (written: WrittenValue) => unknown): unknown {
    let copy: unknown[] | undefined;
    for (let index = 0; index < list.length; index++) {
      const part = list[index];
      if (typeof part !== 'object' || part === null) continue;
      const read = this.#read(part, depth + 1, decode);
      if (read !== part) (copy ??= [...(list as unknown[])])[index] = read;
    }
    return copy ?? list;
  }

  #readParts(object: object, depth: number, decode: (written: WrittenValue) => unknown): unknown {
    const isTold = isFailure(object);
    const inside = isTold ? (written: WrittenValue) => this.#decodeOrLeave(written) : decode;
    let changed = false;
    const entries = Object.entries(object).map(([key, part]: [string, unknown]) => {
      const read = isLeftAlone(key, object) ? part : this.#read(part, depth + 1, inside);
      changed ||= read !== part;
      return [key, read] as const;
    });
    // Not by assignment: a key may be __proto__.
    return changed ? Object.fromEntries(entries) : object;
  }

  #decodeOrLeave(written: WrittenValue): unknown {
    try {
      return this.#decode(written);
    } catch {
      return written;
    }
  }

  #decode(written: WrittenValue): unknown {
    const id = codecOf(written);
    const codec = this.#readers.get(id);
    if (codec === undefined) throw new UndecodablePayloadError(this.#unknown(id));
    let value: unknown;
    try {
      value = codec.decode(contentOf(written));
    } catch (error) {
      throw new UndecodablePayloadError(
        `The codec "${id}" could not read what was stored as its own: ${reasonOf(error)}`,
        { cause: error },
      );
    }
    if (!(value instanceof Promise)) return value;
    value.catch(() => undefined);
    throw new UndecodablePayloadError(
      `The codec "${id}" answered with a promise; decode() has to answer at once.`,
    );
  }

  #unknown(id: string): string {
    const known = [...this.#readers.keys()].map((known) => `"${known}"`).join(' and ');
    const here = known === '' ? 'has no codec' : `reads ${known}`;
    const shown = JSON.stringify(id.slice(0, 64));
    return `A value was written by the codec ${shown}, and this application ${here}. Add it to codec.read.`;
  }
}

/** Values as JSON alone. */
export const PLAIN_VALUES = new StoredValues();

function reasonOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error).slice(0, REASON_CHARACTERS);
  } catch {
    return 'it threw something that cannot be read';
  }
}

/** Whether it is data, and not an instance that stands in its place: those of handlers that read page by page. */
function isMade(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Headers are JSON, and what a dead letter shows of a job is what the job held. */
function isLeftAlone(key: string, object: object): boolean {
  return key === 'headers' || (key === 'payload' && 'failure' in object);
}

/** What is told to errbacks, hooks and handlers of dead letters. */
function isFailure(value: object): boolean {
  return 'request' in value && 'error' in value && 'reason' in value;
}

/** The outcome of a member or item that returned. */
function isFulfilled(value: object): value is { readonly status: 'fulfilled'; readonly value: unknown } {
  return 'status' in value && value.status === 'fulfilled' && 'value' in value;
}
