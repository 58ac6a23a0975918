import type { Holder, Stage } from '../backend/ledger.js';
import type { Addition, Dispatch, Publication, Publisher, Reopening } from '../backend/publisher.js';
import { memberOfNode } from '../flow/compile-canvas.js';
import type { ChordNode, GroupNode } from '../flow/envelope.js';
import type { FlowPlan, PlannedJob } from '../flow/flow-plan.js';
import { CANVAS_QUEUE, childId, lineOf, membershipsOf } from '../flow/ids.js';
import type { Rerun } from '../flow/redrive.js';
import { MemoryDispatch } from './memory-dispatch.js';
import { markLetterRetried } from './memory-failure-store.js';
import { isOver, type MemoryJob } from './memory-job.js';
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

  async reopen({ rerun, planned }: Reopening): Promise<'reopened' | 'changed'> {
    const { id } = rerun.job;
    const root = this.store.job(rerun.job);
    if (root?.data !== planned || !isOver(root)) return 'changed';
    if (tasksOf(rerun).some((task) => this.store.job(task)?.place !== 'failed')) return 'changed';
    this.store.stay(id);
    this.#putBack(rerun, undefined);
    await this.published(id);
    return 'reopened';
  }

  /** Children before the node that waits for them: it may be that it waits for none. */
  #putBack(
    { job, children, stage, size, drops, keepsDecision, takesLate }: Rerun,
    parent: MemoryJob | undefined,
  ): void {
    const { store } = this;
    const record = store.openRecord(job.id);
    record.fields.delete(`f:${job.id}`);
    if (keepsDecision !== true) for (const field of JUDGED) record.fields.delete(`${field}:${job.id}`);
    if (job.queue !== CANVAS_QUEUE) markLetterRetried(store, job.id);
    const back = store.putBack(job, parent);
    if (stage !== undefined) back.stage = JSON.stringify({ ...stage, state: 'added' } satisfies Stage);
    if (size !== undefined) back.size = size;
    if (drops !== undefined) store.drop(drops, back);
    if (takesLate === true) this.#takeLate(back);
    for (const child of children) this.#putBack(child, back);
    store.start(back);
  }

  /** What the late members of a chord came to becomes what its header came to. */
  #takeLate(chord: MemoryJob): void {
    const waiter = this.store.job({ queue: CANVAS_QUEUE, id: childId(chord.id, 'late') });
    for (const [key, value] of waiter?.values ?? []) chord.values.set(key, value);
    for (const [key, reason] of waiter?.failures ?? []) chord.failures.set(key, reason);
    chord.left = undefined;
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

/** What was decided for a header, by its recovery and by its budget, and what its deadline counts from. */
const JUDGED = ['r', 'c', 'p', 'd', 'first', 'last'] as const;

function tasksOf({ job, children }: Rerun): PlannedJob[] {
  return [...(job.queue === CANVAS_QUEUE ? [] : [job]), ...children.flatMap(tasksOf)];
}
