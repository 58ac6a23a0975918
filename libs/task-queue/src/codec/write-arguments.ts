import type { CanvasData, ItemForm } from '../canvas/canvas-data.js';
import type { CanvasLimits } from '../canvas/canvas-size.js';
import { validateCanvas } from '../canvas/canvas-validate.js';
import { mapCanvas, visitCanvas } from '../canvas/canvas-walk.js';
import { InvalidCanvasError, UnserializableArgumentError } from '../errors/publish.errors.js';
import { TaskQueueError } from '../errors/task-queue.error.js';
import type { JsonValue } from '../primitives/json.js';
import type { StoredValues } from './stored-values.js';

/** Says where a path below the arguments stands. */
type Place = (path: string) => string;

/**
 * A canvas as it is stored: its arguments written, and all of it checked. Limits count what the codec has written.
 *
 * @throws InvalidCanvasError, UnserializableArgumentError, ArgumentTooLargeError, CanvasTooLargeError, InvalidIdError
 */
export function storedCanvas(canvas: CanvasData, limits: CanvasLimits, values: StoredValues): CanvasData {
  if (!values.areWritten) {
    validateCanvas(canvas, limits);
    return canvas;
  }
  validateCanvas(canvas, { ...limits, canvasBytes: Infinity, argumentsAside: true });
  const written = writeCanvas(canvas, values);
  validateCanvas(written, limits);
  return written;
}

function writeCanvas(canvas: CanvasData, values: StoredValues): CanvasData {
  // By the list of arguments: a node whose callbacks are rebuilt is another object, with the same list.
  const written = new Map<readonly unknown[], readonly JsonValue[]>();
  try {
    visitCanvas(canvas, (node, path) => {
      if (node.kind !== 'task' || node.args.length === 0 || written.has(node.args)) return;
      const place = path.toString();
      const at: Place = (below) => (place === 'root' ? below : `${place}.${below}`);
      written.set(node.args, writeCall(node.task, node.args, node.each, values, at));
    });
  } catch (error) {
    if (error instanceof TaskQueueError) throw error;
    // A getter or a proxy of the caller's threw.
    throw new InvalidCanvasError('root', 'it holds something that cannot be read');
  }
  return mapCanvas(canvas, (node) => {
    const args = node.kind === 'task' ? written.get(node.args) : undefined;
    return args === undefined ? node : Object.freeze({ ...node, args } as CanvasData);
  });
}

/** The arguments of a call as they are stored; of a list of items, those of each item. */
export function writeCall(
  task: string,
  args: readonly unknown[],
  each: ItemForm | undefined,
  values: StoredValues,
  at: Place = asIs,
): readonly JsonValue[] {
  const [items] = args;
  if (!values.areWritten || each === undefined || !Array.isArray(items) || args.length > 1)
    return writeArguments(task, args, values, at);
  const written =
    each === 'map'
      ? writeArguments(task, items, values, (path) => at(`args[0]${path.slice('args'.length)}`))
      : items.map((item: unknown, index) =>
          Array.isArray(item)
            ? [
                ...writeArguments(task, item, values, (path) =>
                  at(`args[0][${index}]${path.slice('args'.length)}`),
                ),
              ]
            : (item as JsonValue),
        );
  return Object.freeze([written as JsonValue]);
}

/** @throws UnserializableArgumentError with the task's name and the path of what the codec refuses */
export function writeArguments(
  task: string,
  args: readonly unknown[],
  values: StoredValues,
  at: Place = asIs,
): readonly JsonValue[] {
  if (!values.areWritten) return args as readonly JsonValue[];
  const written: JsonValue[] = [];
  for (let index = 0; index < args.length; index++) {
    const one = values.write(args[index]);
    if ('found' in one) throw new UnserializableArgumentError(task, at(`args[${index}]`), one.found);
    written.push(one.stored as JsonValue);
  }
  return Object.freeze(written);
}

const asIs: Place = (path) => path;
