import type { Holder } from '../backend/ledger.js';
import type {
  Addition,
  Dispatch,
  Publication,
  Publisher,
  Reopened,
  Reopening,
} from '../backend/publisher.js';
import { memberOfNode } from '../flow/compile-canvas.js';
import type { ChordNode, GroupNode } from '../flow/envelope.js';
import type { FlowPlan, PlannedJob } from '../flow/flow-plan.js';
import { CANVAS_QUEUE, childId, lineOf, membershipsOf } from '../flow/ids.js';
import { firstStepOf, type RefillSteps } from '../flow/refill.js';
import { MemoryDispatch } from './memory-dispatch.js';
import { generationOfJob, isOver } from './memory-job.js';
import { heldIn, leaveAside, putBack, tasksOf } from './memory-redrive.js';
import type { MemoryStore } from './memory-store.js';

/** Puts flow plans into the queues in memory. A tree is one step, however wide it is; only redrives take several. */
export class MemoryPublisher implements Publisher {
  #dispatches = 0;

  constructor(
    private readonly store: MemoryStore,
    /** Whoever publishes from outside waits for this: where publishing means running, it ends with the canvas. */
    private readonly published: (id: string) => Promise<void>,
    /** Whether it does so now. */
    private readonly isEager: () => boolean,
    /** How much a redrive puts back at a time. */
    private readonly steps: RefillSteps,
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

  async reopen({ rerun: whole, planned }: Reopening): Promise<Reopened> {
    // Where it runs at once nobody could go on: all of it is one step.
    const rerun = this.isEager() ? whole : firstStepOf(whole, this.steps);
    const { id } = rerun.job;
    const root = this.store.job(rerun.job);
    if (root?.data !== planned || !isOver(root)) return 'changed';
    if (tasksOf(rerun).some((task) => this.store.job(task)?.place !== 'failed')) return 'changed';
    this.store.stay(id);
    putBack(this.store, rerun, undefined).refills = heldIn(rerun);
    await this.published(id);
    return 'reopened';
  }

  async letGo(id: string, generation?: number): Promise<void> {
    const node = this.store.job({ queue: CANVAS_QUEUE, id });
    if (node === undefined || (generation ?? Infinity) < generationOfJob(node)) return;
    leaveAside(node);
    if (node.dispatch !== undefined) node.dispatch.end ??= 'let-go';
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
    const envelope = JSON.parse(node.data) as GroupNode | ChordNode;
    const published = envelope.size;
    if (published === 0 && node.dispatch !== undefined && node.dispatch.end === undefined)
      return { is: 'open' };
    const index = node.size ?? published;
    const id = childId(node.id, index);
    this.store.add(memberOfNode(envelope, compile(id)), node);
    node.size = index + 1;
    fields.set(note, String(index));
    return { is: 'added', id };
  }
}
