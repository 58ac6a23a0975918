import type { Publisher } from '../backend/publisher.js';
import type { CanvasAnnouncer } from './canvas-announcer.js';
import type { CanvasData } from '../canvas/canvas-data.js';
import type { TaskFailure } from '../failure/task-failure.js';
import { compileCanvas, type CompileContext } from '../flow/compile-canvas.js';
import type { InputRef, NodeEnvelope } from '../flow/envelope.js';
import { releasedId } from '../flow/ids.js';
import type { JsonValue } from '../primitives/json.js';

/**
 * Releases what hangs on the end of a node. Each callback is a canvas of its own with a fixed id, published
 * at most once, so a node that is run again after a crash releases nothing twice.
 */
export class CallbackRelease {
  constructor(
    private readonly publisher: Publisher,
    private readonly context: () => CompileContext,
    private readonly tell: CanvasAnnouncer,
  ) {}

  async links(node: NodeEnvelope, id: string, value: JsonValue): Promise<void> {
    const released: string[] = [];
    for (const [index, link] of (node.links ?? []).entries()) {
      released.push(await this.#publish(link, releasedId(id, 'link', index), { from: 'value', value }));
    }
    this.tell.callbacksReleased('callback.released', id, node.node, released);
  }

  async errbacks(node: NodeEnvelope, id: string, failure: TaskFailure): Promise<void> {
    const input = errbackInput(node, id, failure);
    const released: string[] = [];
    for (const [index, errback] of (node.errbacks ?? []).entries()) {
      released.push(await this.#publish(errback, releasedId(id, 'errback', index), input));
    }
    this.tell.callbacksReleased('errback.released', id, node.node, released);
  }

  async #publish(canvas: CanvasData, id: string, input: InputRef): Promise<string> {
    await this.publisher.publishOnce(compileCanvas(canvas, id, this.context(), input));
    return id;
  }
}

/** Errbacks of a group or chord get all failures and all values; those are read when they run, not copied. */
function errbackInput(node: NodeEnvelope, id: string, failure: TaskFailure): InputRef {
  if ((node.node === 'group' || node.node === 'chord') && node.size > 0) {
    return { from: 'failure', failure, members: id, size: node.size };
  }
  return { from: 'value', value: failure as unknown as JsonValue };
}
