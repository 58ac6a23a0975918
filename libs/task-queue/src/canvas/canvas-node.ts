import { isDeepStrictEqual } from 'node:util';
import { InvalidCanvasError } from '../errors/publish.errors.js';
import type { JsonValue } from '../primitives/json.js';
import type { CanvasSource } from './call-options.js';
import type { CallOptions, CanvasData } from './canvas-data.js';
import { mapCanvas } from './canvas-walk.js';
import { copyArguments } from './signature.js';

/** The node with these options over its own. A later one wins; `undefined` leaves what is there. */
export function withOptions<Data extends CanvasData>(node: Data, options: CallOptions): Data {
  const merged: Record<string, unknown> = { ...node.options };
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined) continue;
    const rival = RIVALS[key];
    if (rival !== undefined) delete merged[rival];
    merged[key] = key === 'headers' ? Object.freeze({ ...node.options?.headers, ...options.headers }) : value;
  }
  return extend(node, { options: Object.freeze(merged) });
}

/** Two ways to say one thing: the one that is said later replaces the other. */
const RIVALS: Readonly<Record<string, string>> = {
  countdownMs: 'eta',
  eta: 'countdownMs',
  expires: 'expiresInMs',
  expiresInMs: 'expires',
};

/** The node with one more callback. An equal one that is there already counts once (Celery B008). */
export function withLink<Data extends CanvasData>(node: Data, link: CanvasData): Data {
  return extend(node, { links: addOnce(node.links, link) });
}

/** The node with one more errback. An equal one that is there already counts once (Celery B008). */
export function withErrback<Data extends CanvasData>(node: Data, errback: CanvasData): Data {
  return extend(node, { errbacks: addOnce(node.errbacks, errback) });
}

/**
 * The canvas with these headers on every task in it: steps, members, bodies, and the callbacks and errbacks
 * that are linked by now (Celery B180, B181). A key that is there already is replaced.
 */
export function withStamp<Data extends CanvasData>(
  node: Data,
  headers: Readonly<Record<string, JsonValue>>,
): Data {
  return mapCanvas(node, (at) => (at.kind === 'task' ? withOptions(at, { headers }) : at)) as Data;
}

/** The same, but a key that a task has already stays as it is. */
export function withInheritedHeaders<Data extends CanvasData>(
  node: Data,
  headers: Readonly<Record<string, JsonValue>> | undefined,
): Data {
  if (headers === undefined) return node;
  return mapCanvas(node, (at) =>
    at.kind === 'task' ? withOptions(at, { headers: { ...headers, ...at.options?.headers } }) : at,
  ) as Data;
}

/** A frozen copy of data that somebody else made. The values of arguments and headers are shared, not copied. */
export function copyCanvas(data: CanvasData): CanvasData {
  return mapCanvas(data, (node) => {
    const options = node.options && Object.freeze({ ...node.options });
    const copy = { ...node, ...(options ? { options } : {}) };
    return Object.freeze(copy.kind === 'task' ? { ...copy, args: copyArguments(copy.args) } : copy);
  });
}

/** Whether two canvases say the same. The order of properties does not count. */
export function equalCanvases(a: CanvasData, b: CanvasData): boolean {
  return a === b || isDeepStrictEqual(a, b);
}

/** Whether a node says anything of its own, beside its children. */
export function isBare(node: CanvasData): boolean {
  const { options, links, errbacks } = node;
  return (options === undefined || Object.keys(options).length === 0) && !links?.length && !errbacks?.length;
}

/**
 * The data of whatever was given as a part of a canvas.
 *
 * @throws InvalidCanvasError at `path` when it is no canvas, with the remedy for what is often mistaken for one
 */
export function canvasDataOf(source: CanvasSource, path: string): CanvasData {
  const given: unknown = source;
  if (typeof given === 'object' && given !== null) {
    const data: unknown = 'toJSON' in given && typeof given.toJSON === 'function' ? given.toJSON() : given;
    if (typeof data === 'object' && data !== null && 'kind' in data) return data as CanvasData;
    if ('then' in given) {
      throw new InvalidCanvasError(path, `${EXPECTED}, got a promise; .delay() publishes, .s() does not`);
    }
  }
  if (typeof given === 'object' && given !== null && 's' in given) {
    throw new InvalidCanvasError(path, `${EXPECTED}, got a task itself; call its .s(…)`);
  }
  throw new InvalidCanvasError(path, `${EXPECTED}, got ${given === null ? 'null' : typeof given}`);
}

const EXPECTED = 'expected a signature, chain, group or chord';

/** The data of a list of parts, frozen. */
export function canvasListOf(sources: Iterable<CanvasSource>, field: string): readonly CanvasData[] {
  if (typeof sources !== 'object' || sources === null || !(Symbol.iterator in sources)) {
    throw new InvalidCanvasError(field, 'expected a list of signatures, chains, groups or chords');
  }
  const made: CanvasData[] = [];
  for (const source of sources) made.push(canvasDataOf(source, `${field}[${made.length}]`));
  return Object.freeze(made);
}

/** A spread forgets which of the four kinds it copies; this says that it stays the same. */
function extend<Data extends CanvasData>(node: Data, part: Partial<CanvasData>): Data {
  return Object.freeze({ ...node, ...part }) as unknown as Data;
}

function addOnce(list: readonly CanvasData[] = [], canvas: CanvasData): readonly CanvasData[] {
  return list.some((other) => equalCanvases(other, canvas)) ? list : Object.freeze([...list, canvas]);
}
