import type { Dispatch, Standing } from '../backend/publisher.js';
import type { SerializedError } from '../failure/task-failure.js';
import type { FlowPlan, PlannedJob } from '../flow/flow-plan.js';
import { lineOf } from '../flow/ids.js';
import type { MemoryJob } from './memory-job.js';
import type { MemoryStore } from './memory-store.js';

/** What dispatches in memory work with. */
export interface MemoryDispatchTools {
  readonly store: MemoryStore;
  readonly published: (id: string) => Promise<void>;
  readonly eager: boolean;
}

/** The dispatch of one node's members, in memory. Each step is one step there, so nothing has to be fenced but the turn. */
export class MemoryDispatch implements Dispatch {
  readonly begin: Standing;
  readonly eager: boolean;

  private constructor(
    private readonly node: MemoryJob,
    private readonly by: number,
    private readonly countsMembers: boolean,
    private readonly tools: MemoryDispatchTools,
  ) {
    this.eager = tools.eager;
    this.begin = this.#look();
  }

  static open(
    job: PlannedJob,
    total: number | undefined,
    by: number,
    tools: MemoryDispatchTools,
  ): MemoryDispatch {
    const { store } = tools;
    let node = store.job(job);
    if (node === undefined) {
      node = store.addHeld(job);
      node.dispatch = { by, dispatched: 0 };
      if (total === undefined) node.size = 0;
    } else if (node.dispatch !== undefined && node.dispatch.end === undefined) {
      node.dispatch.by = by;
    }
    return new MemoryDispatch(node, by, total === undefined, tools);
  }

  prepare(): void {}

  async add(members: readonly FlowPlan[]): Promise<Standing> {
    const { node } = this;
    const standing = this.#look();
    if (standing.is !== 'open' || node.dispatch === undefined) return standing;
    for (const member of members) this.tools.store.add(member, node);
    node.dispatch.dispatched += members.length;
    if (this.countsMembers) node.size = node.dispatch.dispatched;
    return this.#look();
  }

  /** A tree is added in one step here: none is ever cut off. */
  async complete(): Promise<void> {}

  async renew(): Promise<Standing> {
    return this.#look();
  }

  seal(): Promise<Standing> {
    return this.#end('sealed');
  }

  fail(error: SerializedError): Promise<Standing> {
    return this.#end({ error });
  }

  async #end(end: 'sealed' | { readonly error: SerializedError }): Promise<Standing> {
    const { node, tools } = this;
    const standing = this.#look();
    if (standing.is !== 'open' || node.dispatch === undefined) return standing;
    node.dispatch.end = end;
    if (end === 'sealed') node.dispatch.sealedAt = tools.store.clock.wallMs();
    tools.store.letGo(node);
    if (tools.eager) await tools.published(node.id);
    return this.#look();
  }

  #look(): Standing {
    const { node, tools } = this;
    const { dispatch } = node;
    const cursor = dispatch?.dispatched ?? 0;
    const pending = node.pending.size - (tools.store.isHeld(node) ? 1 : 0);
    return { cursor, pending, is: this.#state() };
  }

  #state(): Standing['is'] {
    const { node, tools } = this;
    const { dispatch } = node;
    if (dispatch === undefined || dispatch.end === 'sealed') return 'sealed';
    const fields = tools.store.record(node.id)?.fields;
    if (fields !== undefined && lineOf(node.id).some((id) => fields.has(`x:${id}`))) return 'revoked';
    if (dispatch.end === 'closed' || fields?.has(`c:${node.id}`)) return 'closed';
    if (dispatch.end !== undefined) return 'over';
    return dispatch.by === this.by ? 'open' : 'superseded';
  }
}
