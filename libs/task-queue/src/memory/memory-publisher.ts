import type { Holder } from '../backend/ledger.js';
import type { Addition, Dispatch, Publication, Publisher } from '../backend/publisher.js';
import { reporting } from '../flow/compile-canvas.js';
import type { ChordNode, GroupNode } from '../flow/envelope.js';
import type { FlowPlan, PlannedJob } from '../flow/flow-plan.js';
import { CANVAS_QUEUE, childId, lineOf, membershipsOf } from '../flow/ids.js';
import { MemoryDispatch } from './memory-dispatch.js';
import type { MemoryStore } from './memory-store.js';

/** Puts flow plans into the queues in memory. A tree is one step, however wide it is. */
export class MemoryPublisher implements Publisher {
  #dispatches = 0;

  constructor(
    private readonly store: MemoryStore,
    /** Whoever publishes from outside waits for this: where publishing means running, it ends with the canvas. */
    private readonly published: (id: string) => Promise<void>,
    /** Whether it does so now. */
    private readonly isEager: () => boolean,
  ) {}

  async publish(plan: FlowPlan): Promise<Publication> {
    this.store.add(plan);
    await this.published(plan.job.id);
    return 'published';
  }

  async publishOnce(plan: FlowPlan): Promise<Publication> {
    if (this.store.job(plan.job)) return 'exists';
    return this.publish(plan);
  }

  async publishUnder(holder: Holder, plan: FlowPlan): Promise<Publication> {
    const node = this.store.job(holder);
    if (node === undefined || node.token !== holder.token) return 'superseded';
    this.store.add(plan, node);
    return 'published';
  }

  async open(job: PlannedJob, total: number | undefined): Promise<Dispatch> {
    const { store, published } = this;
    return MemoryDispatch.open(job, total, ++this.#dispatches, { store, published, eager: this.isEager() });
  }

  async letGo(id: string): Promise<void> {
    const node = this.store.job({ queue: CANVAS_QUEUE, id });
    if (node?.dispatch === undefined) return;
    node.dispatch.end ??= 'let-go';
    this.store.letGo(node);
  }

  async addMember(holder: Holder, call: string, compile: (id: string) => FlowPlan): Promise<Addition> {
    if (this.store.job(holder)?.token !== holder.token) return { is: 'superseded' };
    const nodes = membershipsOf(holder.id).map((id) => this.store.job({ queue: CANVAS_QUEUE, id }));
    const node = nodes.find((one) => one?.name === 'group' || one?.name === 'chord');
    if (node === undefined) return { is: 'nowhere' };
    const { fields } = this.store.openRecord(node.id);
    const note = `a:${holder.id}:${call}`;
    const known = fields.get(note);
    if (known !== undefined) return { is: 'exists', id: childId(node.id, Number(known)) };
    if (lineOf(node.id).some((above) => fields.has(`x:${above}`))) return { is: 'revoked' };
    if (fields.has(`c:${node.id}`)) return { is: 'closed' };
    const { size: published, budget } = JSON.parse(node.data) as GroupNode | ChordNode;
    if (published === 0 && node.dispatch !== undefined && node.dispatch.end === undefined)
      return { is: 'open' };
    const index = node.size ?? published;
    const id = childId(node.id, index);
    this.store.add(budget === undefined ? compile(id) : reporting(compile(id)), node);
    node.size = index + 1;
    fields.set(note, String(index));
    return { is: 'added', id };
  }
}
