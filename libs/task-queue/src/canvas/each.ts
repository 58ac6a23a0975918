import { InvalidCanvasError } from '../errors/publish.errors.js';
import type { GroupData, ItemForm, SignatureData } from './canvas-data.js';
import { makeGroup } from './group.js';
import { makeSignature, type SignatureTraits } from './signature.js';

/**
 * A call that runs its task for each item of a list. With the items it ignores the value that a canvas puts in, as in
 * Celery (B107); without them that value is the list.
 *
 * @throws InvalidCanvasError when the items are no list
 */
export function makeEach(
  each: ItemForm,
  task: string,
  items: Iterable<unknown> | undefined,
  traits: EachTraits = {},
): SignatureData {
  return items === undefined
    ? makeSignature(task, [], { each, ...traits })
    : makeSignature(task, [listOf(items, each)], { each, immutable: true, ...traits });
}

/** What a call for each item says beside its form. */
export type EachTraits = Pick<SignatureTraits, 'taskQueue' | 'settle'>;

/**
 * The calls of these lists of arguments, so many to a job; the last job may hold fewer.
 *
 * @throws InvalidCanvasError when the size is not a whole number of 1 or more, or when there is no list
 */
export function makeChunks(
  task: string,
  argLists: Iterable<readonly unknown[]>,
  size: number,
  traits: EachTraits = {},
): GroupData {
  if (!Number.isSafeInteger(size) || size < 1) {
    throw new InvalidCanvasError(
      'root',
      `the size of a chunk has to be a whole number of 1 or more, got ${size}`,
    );
  }
  const lists = listOf(argLists, 'chunks');
  const count = Math.ceil(lists.length / size);
  return makeGroup(
    Array.from({ length: count }, (_, at) =>
      makeEach('starmap', task, lists.slice(at * size, (at + 1) * size), traits),
    ),
  );
}

/** A text is a list of characters, which nobody means. */
function listOf(items: Iterable<unknown>, what: string): unknown[] {
  if (typeof items === 'object' && items !== null && Symbol.iterator in items) return [...items];
  throw new InvalidCanvasError(
    'root',
    `${what} expects a list, got ${items === null ? 'null' : typeof items}`,
  );
}
