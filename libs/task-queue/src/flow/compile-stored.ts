import { validateCanvas } from '../canvas/canvas-validate.js';
import type { CanvasData } from '../canvas/canvas-data.js';
import { UndecodablePayloadError } from '../errors/task.errors.js';
import type { FlowPlan } from './flow-plan.js';

/**
 * Compiles a canvas that a job has kept for later. It was checked before it was published, but whoever can write to the
 * queue may have put something else there: a node that cannot go on with what it holds would be taken up again for ever.
 *
 * @param what it is to the node, for the message
 * @throws UndecodablePayloadError when it is no canvas that can be published
 */
export function compileStored(
  canvas: CanvasData,
  what: string,
  compile: (canvas: CanvasData) => FlowPlan,
): FlowPlan {
  try {
    validateCanvas(canvas);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UndecodablePayloadError(`Its job keeps a ${what} that cannot be published: ${why}`, {
      cause,
    });
  }
  return compile(canvas);
}
