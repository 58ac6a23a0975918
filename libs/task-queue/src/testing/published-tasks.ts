import type { CallOptions, CanvasData } from '../canvas/canvas-data.js';
import { mapCanvas, visitCanvas } from '../canvas/canvas-walk.js';
import type { StoredValues } from '../codec/stored-values.js';
import type { JsonValue } from '../primitives/json.js';

/** A call of a task in a canvas that was published. */
export interface PublishedTask {
  /** The id of the canvas, as its handle has it. */
  readonly id: string;
  readonly task: string;
  /** The arguments that the call itself has; what a canvas puts in front of them is not there yet. */
  readonly args: readonly JsonValue[];
  /** Options of this call, times and lengths of time in milliseconds. Those of the whole canvas stand in `canvas`. */
  readonly options: CallOptions;
  /** Where it stands in the canvas: `root`, or e.g. `header[2]`, `body`, `steps[1]`, `errbacks[0]`. */
  readonly path: string;
  readonly canvas: CanvasData;
}

/** Every call of a task in a canvas, callbacks and errbacks among them. */
export function tasksOf(id: string, canvas: CanvasData, values: StoredValues): PublishedTask[] {
  const found: PublishedTask[] = [];
  // What was published is looked at as it was sent.
  const sent = mapCanvas(JSON.parse(JSON.stringify(canvas)) as CanvasData, (node) =>
    node.kind === 'task' ? { ...node, args: values.readIfPossible(node.args) } : node,
  );
  visitCanvas(sent, (node, path) => {
    if (node.kind !== 'task') return;
    const { task, args, options = {} } = node;
    found.push({ id, task, args, options, path: String(path), canvas: sent });
  });
  return found;
}
