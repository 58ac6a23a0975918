import { InvalidCanvasError } from '../errors/publish.errors.js';
import type { CanvasData, ChordData, GroupData } from './canvas-data.js';
import { canvasDataOf, withStamp } from './canvas-node.js';
import { settleExpiry, withInput } from './prepare-call.js';
import type { CanvasSource } from './call-options.js';
import type { JsonValue } from '../primitives/json.js';

/** What gives members one after the other, or a function that begins to give them. */
export type MemberStream<T> = AsyncIterable<T> | (() => AsyncIterable<T> | Iterable<T>);

/** A group or chord whose members are read while it is published. It is no data: what it holds has yet to be read. */
export interface CanvasStream {
  /** Everything but the members. */
  readonly canvas: GroupData | ChordData;
  /** Begins to read. @throws InvalidCanvasError when a source that can be read once has been read */
  readonly source: () => AsyncIterable<unknown> | Iterable<unknown>;
  /** Makes a member of what the source gave. @throws InvalidCanvasError when it is none */
  readonly read: (item: unknown, index: number) => CanvasData;
  readonly window: number;
}

/** Whether a header is to be read while it is published. */
export function isStream(header: unknown): header is MemberStream<unknown> {
  if (typeof header === 'function') return true;
  return typeof header === 'object' && header !== null && Symbol.asyncIterator in header;
}

/** A source as it can be begun to be read. */
export function streamSource(members: MemberStream<unknown>): CanvasStream['source'] {
  let hasBegun = false;
  return () => {
    const source = typeof members === 'function' ? members() : members;
    if (hasBegun && typeof members !== 'function' && isSpent(source))
      throw new InvalidCanvasError('source', READ_BEFORE);
    hasBegun = true;
    return source;
  };
}

/** Whether a source that has been read gives nothing any more: one that is its own iterator. */
function isSpent(source: AsyncIterable<unknown> | Iterable<unknown>): boolean {
  const iterator: unknown =
    Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  return iterator === source;
}

const READ_BEFORE =
  'it has been read before, and can be read only once; give the function that makes it, so that it can begin anew';

/** A member as the source gave it. */
export function readMember(item: unknown, index: number): CanvasData {
  return canvasDataOf(item as CanvasSource, `members[${index}]`);
}

/** The stream with arguments in front of those of every member. */
export function withStreamInput(stream: CanvasStream, args: readonly unknown[]): CanvasStream {
  return args.length === 0 ? stream : mapMembers(stream, (member) => withInput(member, args));
}

/** The stream with headers on every task of it. */
export function withStreamStamp(
  stream: CanvasStream,
  headers: Readonly<Record<string, JsonValue>>,
): CanvasStream {
  const canvas = withStamp(stream.canvas, headers);
  return mapMembers({ ...stream, canvas }, (member) => withStamp(member, headers));
}

/** The stream whose members count the time until they expire from when they are read. */
export function withStreamExpiry(stream: CanvasStream, nowMs: () => number): CanvasStream {
  return mapMembers(stream, (member) => settleExpiry(member, nowMs()));
}

function mapMembers(stream: CanvasStream, change: (member: CanvasData) => CanvasData): CanvasStream {
  return { ...stream, read: (item, index) => change(stream.read(item, index)) };
}
