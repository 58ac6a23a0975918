import type { Clock } from '../primitives/clock.js';
import { type ApplyOptions, type CanvasSource, readCallOptions } from './call-options.js';
import type { CanvasData } from './canvas-data.js';
import { canvasDataOf, withErrback, withLink, withOptions } from './canvas-node.js';
import { mapEntryNodes } from './canvas-walk.js';
import { copyArguments } from './signature.js';

/**
 * The canvas with partial arguments put in, as its first input: in front of the stored ones of a task, of
 * every member of a group, of every header member of a chord (never of its body), of the first step of a
 * chain. An immutable task drops them (Celery B002, B005, B016, B028, B054).
 */
export function withInput<Data extends CanvasData>(canvas: Data, args: readonly unknown[]): Data {
  const input = copyArguments(args);
  if (input.length === 0) return canvas;
  return mapEntryNodes(canvas, (node) =>
    node.kind !== 'task' || node.immutable === true
      ? node
      : Object.freeze({ ...node, args: Object.freeze([...input, ...node.args]) }),
  ) as Data;
}

/** The canvas with its input closed: every task that would get the value put into it ignores it. */
export function withoutInput<Data extends CanvasData>(canvas: Data): Data {
  return mapEntryNodes(canvas, (node) =>
    node.kind !== 'task' || node.immutable === true ? node : Object.freeze({ ...node, immutable: true }),
  ) as Data;
}

/**
 * The canvas at the moment of its publication: for every node that is released now, a length of time until
 * it expires becomes a point in time. Later steps and bodies keep theirs until they are released (B152).
 */
export function settleExpiry<Data extends CanvasData>(canvas: Data, nowMs: number): Data {
  return mapEntryNodes(canvas, (node) =>
    node.options?.expiresInMs === undefined
      ? node
      : withOptions(node, { expires: nowMs + node.options.expiresInMs }),
  ) as Data;
}

/**
 * The canvas with options as a user writes them, callbacks among them.
 *
 * @param clock where the canvas is published now; see `readCallOptions`
 * @throws InvalidCanvasError, InvalidIdError when an option cannot be read
 */
export function withApplyOptions<Data extends CanvasData>(
  canvas: Data,
  options: ApplyOptions,
  clock?: Clock,
): Data {
  const read = readCallOptions(options, clock);
  let next = Object.keys(read).length === 0 ? canvas : withOptions(canvas, read);
  for (const link of sourcesOf(options.link)) next = withLink(next, canvasDataOf(link, 'options.link'));
  for (const errback of sourcesOf(options.linkError)) {
    next = withErrback(next, canvasDataOf(errback, 'options.linkError'));
  }
  return next;
}

/**
 * What a call publishes: the canvas with the arguments, options and callbacks that were given with the call.
 *
 * @throws InvalidCanvasError, InvalidIdError when an option cannot be read
 */
export function prepareCall<Data extends CanvasData>(
  canvas: Data,
  args: readonly unknown[],
  options: ApplyOptions,
  clock: Clock,
): Data {
  return settleExpiry(withApplyOptions(withInput(canvas, args), options, clock), clock.wallMs());
}

function sourcesOf(
  given: CanvasSource | readonly CanvasSource[] | null | undefined,
): readonly CanvasSource[] {
  if (given === undefined || given === null) return [];
  return Array.isArray(given) ? (given as readonly CanvasSource[]) : [given as CanvasSource];
}
