import type { Delivery, Verdict } from '../backend/delivery.js';
import type { CanvasData } from '../canvas/canvas-data.js';
import type { TaskFailure } from '../failure/task-failure.js';
import { bodyName, type NodeEnvelope } from '../flow/envelope.js';
import { CANVAS_QUEUE, childId, positionOf, rootOf } from '../flow/ids.js';
import type { Clock } from '../primitives/clock.js';
import { type Redriven, generationIn } from '../task/redriven.js';
import type { TaskEvent } from '../task/task-event.js';
import type { EventBus } from './event-bus.js';

/** What is told about composites. */
export class CanvasAnnouncer {
  constructor(
    private readonly bus: EventBus,
    private readonly clock: Clock,
    /** Where a task goes whose call does not say. */
    private readonly queueOf: (task: string) => string,
  ) {}

  /** Something without callbacks, or a whole composite, is in its queues. */
  published(id: string, name: string, queue: string): void {
    const type = queue === CANVAS_QUEUE ? 'canvas.published' : 'published';
    if (this.bus.wants(type)) this.bus.emit({ type, ...this.#about(id, name, queue) });
  }

  /** All members of a header that was published in chunks are in their queues. */
  sealed(id: string, name: string, size: number): void {
    if (!this.bus.wants('canvas.sealed')) return;
    this.bus.emit({ type: 'canvas.sealed', ...this.#about(id, name), size });
  }

  /** What failed in a canvas is in its queues again. */
  redriven(id: string, name: string, { generation }: Redriven, rerun: number): void {
    if (!this.bus.wants('canvas.redriven')) return;
    this.bus.emit({ type: 'canvas.redriven', ...this.#about(id, name), generation, rerun });
  }

  /** A task was taken out of its queue before it ran. */
  withdrawn(id: string, name: string, queue: string, { error }: TaskFailure): void {
    if (!this.bus.wants('revoked')) return;
    this.bus.emit({ type: 'revoked', ...this.#about(id, name, queue), attempt: 0, retries: 0, error });
  }

  /** The body of a chord is in its queue. */
  bodyReleased(
    delivery: Delivery,
    body: string,
    recovered: { readonly strategy: string; readonly failed: number; readonly size: number } | undefined,
  ): void {
    const about = { ...this.#ofNode(delivery), body };
    if (this.bus.wants('chord.released')) this.bus.emit({ type: 'chord.released', ...about });
    if (recovered === undefined || !this.bus.wants('chord.recovered')) return;
    const { strategy, failed, size } = recovered;
    this.bus.emit({ type: 'chord.recovered', ...about, strategy, failed, size });
  }

  callbacksReleased(
    type: 'callback.released' | 'errback.released',
    id: string,
    node: NodeEnvelope,
    released: readonly string[],
  ): void {
    if (released.length > 0 && this.bus.wants(type)) {
      this.bus.emit({ type, ...this.#about(id, node.node), ...generation(node), released });
    }
  }

  success(verdict: Verdict, delivery: Delivery): Verdict {
    if (!this.bus.wants('canvas.success')) return verdict;
    return {
      ...verdict,
      onStored: () => this.bus.emit({ type: 'canvas.success', ...this.#ofNode(delivery) }),
    };
  }

  /** The end of a composite, and of what in it will never begin. @param stage how many one-by-one children had begun */
  failure(
    verdict: Verdict,
    delivery: Delivery,
    node: NodeEnvelope,
    stage: number,
    failure: TaskFailure,
  ): Verdict {
    const type = failure.reason === 'revoked' ? 'canvas.revoked' : 'canvas.failure';
    if (!this.bus.wants(type) && !this.bus.wants('skipped')) return verdict;
    return {
      ...verdict,
      onStored: () => {
        if (this.bus.wants('skipped')) {
          for (const skipped of this.#skipped(delivery.id, node, stage)) this.bus.emit(skipped);
        }
        if (this.bus.wants(type)) this.bus.emit(this.#ended(type, delivery, failure));
      },
    };
  }

  #ended(
    type: 'canvas.revoked' | 'canvas.failure',
    delivery: Delivery,
    { error, reason, failureCount }: TaskFailure,
  ): TaskEvent {
    const about = this.#ofNode(delivery);
    return type === 'canvas.revoked'
      ? { type, ...about, error }
      : { type, ...about, error, reason, ...(failureCount === undefined ? {} : { failed: failureCount }) };
  }

  /** Steps after the one that was last begun, and the body of a chord whose header has failed. */
  *#skipped(id: string, node: NodeEnvelope, stage: number): Generator<TaskEvent> {
    const skip = (child: string, canvas: CanvasData): TaskEvent => ({
      type: 'skipped',
      ...this.#about(child, nameOf(canvas), this.#queueOf(canvas)),
      ...generation(node),
      because: id,
    });
    if (node.node === 'chord' && stage === 0) yield skip(childId(id, bodyName(node)), node.body);
    if (node.node !== 'chain') return;
    for (const [at, step] of node.rest.entries()) {
      if (at + 1 > stage) yield skip(childId(id, at + 1), step);
    }
  }

  #queueOf(canvas: CanvasData): string {
    if (canvas.kind !== 'task') return CANVAS_QUEUE;
    return canvas.options?.queue ?? canvas.taskQueue ?? this.queueOf(canvas.task);
  }

  #ofNode({ id, name, data }: Delivery) {
    const own = generationIn(data);
    return { ...this.#about(id, name), ...(own === undefined ? {} : { generation: own }) };
  }

  #about(id: string, name: string, queue: string = CANVAS_QUEUE) {
    return {
      id,
      name,
      queue,
      workflowId: rootOf(id),
      position: positionOf(id),
      at: new Date(this.clock.wallMs()).toISOString(),
    };
  }
}

function generation({ redriven }: NodeEnvelope): { readonly generation?: number } {
  return redriven === undefined ? {} : { generation: redriven.generation };
}

/** The task, or the kind of the composite. */
export function nameOf(canvas: CanvasData): string {
  return canvas.kind === 'task' ? canvas.task : canvas.kind;
}
