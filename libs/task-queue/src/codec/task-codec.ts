/**
 * Writes values as JSON that JSON itself cannot carry, and reads them back: Dates, Maps, BigInt, classes of your own.
 *
 * ```ts
 * import { deserialize, serialize } from 'superjson';
 * const codec: TaskCodec = { id: 'superjson', encode: serialize, decode: deserialize };
 * ```
 *
 * Both are called for each value by itself: one argument, one result, one property of an error. Both answer at once, no
 * promise; what they throw is an error that names the value.
 */
export interface TaskCodec {
  /**
   * Stands beside everything that it has written, so it stays for as long as that is read: another format is another id,
   * such as `money-2`. 1 to 64 letters, digits, `_`, `-`, `.`, `:`, `/` or `@`.
   */
  readonly id: string;
  /** Anything that a task was given or has returned, as JSON. Equal values are written equally. */
  encode(value: unknown): unknown;
  /** What `encode` has written, after it was stored and read. Anybody may have written it. */
  decode(encoded: unknown): unknown;
}

/** Which codec writes, and which ones are read, where that is not the same: while one is brought in or replaced. */
export interface CodecRoles {
  /** Writes; what it has written is read as well. @defaultValue none: values are written as JSON */
  readonly write?: TaskCodec;
  /** What these have written is read. @defaultValue none */
  readonly read?: readonly TaskCodec[];
}
