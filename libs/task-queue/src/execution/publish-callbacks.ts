import type { Publisher } from '../backend/publisher.js';
import { compileStored } from '../flow/compile-stored.js';
import type { FlowPlan } from '../flow/flow-plan.js';
import type { EngineLog } from './engine-log.js';
import type { CanvasAnnouncer } from './canvas-announcer.js';
import type { TaskFailure } from '../failure/task-failure.js';
import { compileCanvas, type CompileContext } from '../flow/compile-canvas.js';
import type { InputRef, NodeEnvelope } from '../flow/envelope.js';
import { releasedId } from '../flow/ids.js';
import type { JsonValue } from '../primitives/json.js';
import { generationOf } from '../task/redriven.js';

/**
 * Releases what hangs on the end of a node. Each callback is a canvas of its own with a fixed id, published
 * at most once, so a node that is run again after a crash releases nothing twice.
 */
export class CallbackRelease {
  constructor(
    private readonly publisher: Publisher,
    private readonly context: () => CompileContext,
    private readonly tell: CanvasAnnouncer,
    private readonly log: EngineLog,
  ) {}

  async links(node: NodeEnvelope, id: string, value: JsonValue): Promise<void> {
    const released = await this.#publish('link', node, id, { from: 'value', value });
    this.tell.callbacksReleased('callback.released', id, node, released);
  }

  async errbacks(node: NodeEnvelope, id: string, failure: TaskFailure): Promise<void> {
    const released = await this.#publish('errback', node, id, errbackInput(node, id, failure));
    this.tell.callbacksReleased('errback.released', id, node, released);
  }

  /** @returns the ids of those that were released; one that was forged is left out */
  async #publish(
    kind: 'link' | 'errback',
    node: NodeEnvelope,
    id: string,
    input: InputRef,
  ): Promise<string[]> {
    const released: string[] = [];
    const canvases = (kind === 'link' ? node.links : node.errbacks) ?? [];
    for (const [index, canvas] of canvases.entries()) {
      const callback = releasedId(id, kind, index, generationOf(node));
      let plan: FlowPlan;
      try {
        plan = compileStored(canvas, kind, (read) =>
          compileCanvas(read, callback, this.context(), input, node.redriven),
        );
      } catch (error) {
        this.log.error(`${callback} is not released: ${String(error)}`, undefined, { taskId: id });
        continue;
      }
      await this.publisher.publishOnce(plan);
      released.push(callback);
    }
    return released;
  }
}

/** Errbacks of a group or chord get all failures and all values; those are read when they run, not copied. */
function errbackInput(node: NodeEnvelope, id: string, failure: TaskFailure): InputRef {
  if ((node.node === 'group' || node.node === 'chord') && node.size > 0) {
    return { from: 'failure', failure, members: id, size: node.size };
  }
  return { from: 'value', value: failure as unknown as JsonValue };
}
