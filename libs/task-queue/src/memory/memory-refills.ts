import type { JobRef } from '../backend/job-ref.js';
import type { Refill, Refills } from '../backend/refills.js';
import { CANVAS_QUEUE, lineOf } from '../flow/ids.js';
import type { Rerun } from '../flow/redrive.js';
import type { RefillSteps } from '../flow/refill.js';
import { isOver, keyOf, type MemoryJob, refOf } from './memory-job.js';
import { jobsOf, leaveAside, putBack, renew } from './memory-redrive.js';
import type { MemoryStore } from './memory-store.js';

/** What a redrive has set aside, on its way back, in memory: page by page, each of them one step. */
export class MemoryRefills implements Refills {
  constructor(
    private readonly store: MemoryStore,
    private readonly steps: RefillSteps,
  ) {}

  async unfinished(root: string): Promise<readonly string[]> {
    const headers = this.#node(root)?.refills ?? [];
    return headers.filter((id) => this.#node(id)?.refill !== undefined);
  }

  async *setAside(node: string): AsyncGenerator<JobRef[]> {
    const keys = [...(this.#node(node)?.refill?.aside.keys() ?? [])];
    const { chunk } = this.steps;
    for (let at = 0; at < keys.length; at += chunk) yield keys.slice(at, at + chunk).map(refOf);
  }

  async putBack({ node: id, generation, rerun, left }: Refill): Promise<'open' | 'over'> {
    const node = this.#node(id);
    if (node?.refill?.generation !== generation) return rerun.length === 0 ? 'open' : 'over';
    for (const one of left) leave(node, keyOf(one));
    if (rerun.length === 0) return 'open';
    if (this.#isOver(node)) {
      leaveAside(node);
      return 'over';
    }
    const { aside } = node.refill;
    for (const member of rerun) {
      if (!aside.has(keyOf(member.job)) || !this.#hasEnded(member)) continue;
      putBack(this.store, member, node);
    }
    return 'open';
  }

  async finish(id: string, generation: number): Promise<'open' | 'over'> {
    const node = this.#node(id);
    if (node?.refill?.generation !== generation) return 'over';
    if (node.refill.aside.size > 0) return 'open';
    node.refill = undefined;
    this.store.letGo(node);
    return 'over';
  }

  async renew(nodes: readonly string[]): Promise<void> {
    for (const id of nodes) {
      const node = this.#node(id);
      if (node !== undefined) renew(this.store, node);
    }
  }

  async giveUp(id: string, generation?: number): Promise<void> {
    const node = this.#node(id);
    if (node === undefined || (generation ?? node.refill?.generation) !== node.refill?.generation) return;
    leaveAside(node);
  }

  /** Whether no more is put back: it was closed or revoked, or its lease is over. */
  #isOver(node: MemoryJob): boolean {
    const fields = this.store.record(node.id)?.fields;
    const isRevoked = lineOf(node.id).some((id) => fields?.has(`x:${id}`) === true);
    return isRevoked || fields?.has(`c:${node.id}`) === true || !this.store.isHeld(node);
  }

  /** Whether a member, and what is to be put back below it, has ended. */
  #hasEnded(member: Rerun): boolean {
    return jobsOf(member).every((planned) => {
      const job = this.store.job(planned);
      return job !== undefined && (planned.queue === CANVAS_QUEUE ? isOver(job) : job.place === 'failed');
    });
  }

  #node(id: string): MemoryJob | undefined {
    return this.store.job({ queue: CANVAS_QUEUE, id });
  }
}

/** A member stays failed. */
function leave(node: MemoryJob, key: string): void {
  const reason = node.refill?.aside.get(key);
  if (reason === undefined) return;
  node.failures.set(key, reason);
  node.refill?.aside.delete(key);
}
