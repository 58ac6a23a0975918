import type { Holder } from '../backend/ledger.js';
import type { Publication, Publisher } from '../backend/publisher.js';
import type { FlowPlan } from '../flow/flow-plan.js';
import type { MemoryStore } from './memory-store.js';

/** Puts flow plans into the queues in memory, each in one step, however wide it is. */
export class MemoryPublisher implements Publisher {
  constructor(
    private readonly store: MemoryStore,
    /** Whoever publishes from outside waits for this: where publishing means running, it ends with the canvas. */
    private readonly published: (id: string) => Promise<void>,
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
}
