import { InvalidCanvasError } from '../errors/publish.errors.js';
import type { CanvasSource } from './call-options.js';
import type { CanvasData, ChordData } from './canvas-data.js';
import { canvasDataOf, canvasListOf, isBare } from './canvas-node.js';

/**
 * Members side by side, then a body that gets the list of their values.
 *
 * A group given as the whole header lends its members. Anything else that is no list is one member: a chain
 * runs in sequence, unlike in Celery (B052).
 *
 * @param recovery name of the strategy for failed members; the module's default when absent
 * @throws InvalidCanvasError when the body is missing, or when the header is a group with options or
 *   callbacks of its own, which a chord has no place for
 */
export function makeChord(
  header: CanvasSource | Iterable<CanvasSource>,
  body: CanvasSource,
  { recovery }: { readonly recovery?: string } = {},
): ChordData {
  if (body === undefined || body === null) throw new InvalidCanvasError('body', NO_BODY);
  if (recovery === '') throw new InvalidCanvasError('recovery', NAMELESS);
  return Object.freeze({
    kind: 'chord',
    header: headerOf(header),
    body: canvasDataOf(body, 'body'),
    ...(recovery === undefined ? {} : { recovery }),
  });
}

/** What is wrong with a chord without a body. */
export const NO_BODY = 'a chord needs a body; without one it is a group';

const NAMELESS = 'a strategy is found by the name of its class, so the class needs one';

function headerOf(header: CanvasSource | Iterable<CanvasSource>): readonly CanvasData[] {
  if (isIterable(header)) return canvasListOf(header, 'header');
  const data = canvasDataOf(header, 'header');
  if (data.kind !== 'group') return Object.freeze([data]);
  if (isBare(data)) return data.members;
  throw new InvalidCanvasError('header', GROUP_WITH_EXTRAS);
}

const GROUP_WITH_EXTRAS =
  'a group with options or callbacks of its own cannot be a header; ' +
  'put those on its members or on the chord, or write chain(group, body)';

function isIterable(value: CanvasSource | Iterable<CanvasSource>): value is Iterable<CanvasSource> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value;
}
