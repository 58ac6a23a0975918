import type { CanvasData } from '../canvas/canvas-data.js';
import { canvasDataOf } from '../canvas/canvas-node.js';
import type { CanvasLimits } from '../canvas/canvas-size.js';
import { AMENDED_PART } from '../canvas/late-rule.js';
import type { StoredValues } from '../codec/stored-values.js';
import { storedCanvas } from '../codec/write-arguments.js';
import { InvalidCanvasError } from '../errors/publish.errors.js';
import type { CompleteCanvas } from '../task/task-context.js';

/**
 * A canvas that becomes a part of the one around a running task, as it can be published.
 *
 * @param idProblem what is wrong with an id of its own
 * @throws InvalidCanvasError, UnserializableArgumentError, ArgumentTooLargeError, CanvasTooLargeError
 */
export function innerCanvas(
  canvas: CompleteCanvas,
  limits: CanvasLimits,
  values: StoredValues,
  idProblem: string,
): CanvasData {
  const data = storedCanvas(canvasDataOf(canvas as { toJSON(): CanvasData }, 'root'), limits, values);
  if (data.options?.taskId !== undefined) throw new InvalidCanvasError('options.taskId', idProblem);
  if (data.kind === 'chord' && data.late === 'amend') throw new InvalidCanvasError('late', AMENDED_PART);
  return data;
}
