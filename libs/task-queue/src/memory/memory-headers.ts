import type { HeaderStore, Seen, Verdicted } from '../backend/header-store.js';
import type { JobRef } from '../backend/job-ref.js';
import type { Holder } from '../backend/ledger.js';
import type { Budget } from '../canvas/header-rules.js';
import { type ClosingRecord, type ParkedRecord, REVOKED_BY_CLOSING } from '../chords/closing-record.js';
import type { HeaderTimes } from '../chords/deadline.js';
import { CANVAS_QUEUE, childId } from '../flow/ids.js';
import { generationOfJob, isOver, keyOf, membersAmong, type MemoryJob, refOf } from './memory-job.js';
import { noteOutcome } from './memory-record.js';
import type { MemoryStore } from './memory-store.js';

/** Headers that are judged before all of their members have ended, in memory. */
export class MemoryHeaders implements HeaderStore {
  constructor(private readonly store: MemoryStore) {}

  async close(holder: Holder, closing: ClosingRecord, seen: Seen): Promise<Verdicted> {
    return this.#judge(holder, seen, (node, fields) => {
      if (fields.has(`c:${node.id}`)) return 'done';
      const waiter = closing.late === true ? this.#node(childId(node.id, 'late')) : undefined;
      if (closing.late === true && waiter === undefined) return 'changed';
      const members = membersAmong(node, node.pending);
      const ended = Math.max(0, seen.pending - members);
      const pending = Math.max(0, closing.pending - ended);
      // Without a member that is pending nobody comes late.
      const verdict = { ...closing, pending, ...(members === 0 ? { late: undefined } : {}) };
      fields.set(`c:${node.id}`, JSON.stringify(verdict));
      fields.delete(`p:${node.id}`);
      if (node.dispatch !== undefined) node.dispatch.end ??= 'closed';
      node.left = new Set(node.pending);
      node.pending.clear();
      if (waiter !== undefined) this.#handOver(node.left, waiter);
      return 'done';
    });
  }

  async park(holder: Holder, parked: ParkedRecord, seen: Seen): Promise<Verdicted> {
    return this.#judge(holder, seen, (node, fields) => {
      if (!fields.has(`p:${node.id}`)) fields.set(`p:${node.id}`, JSON.stringify(parked));
      return 'done';
    });
  }

  async wait(holder: Holder, seen: Seen): Promise<Verdicted> {
    return this.#judge(holder, seen, (node) => {
      if (node.failures.size > seen.failures) return 'changed';
      const members = node.values.size + node.failures.size + membersAmong(node, node.pending);
      if (members < seen.values + seen.failures + seen.pending) return 'changed';
      if (!seen.isDue && this.store.record(node.id)?.fields.has(`d:${node.id}`) === true) return 'changed';
      return this.store.waitForChildren(node) ? 'done' : 'changed';
    });
  }

  async setBudget(id: string, budget: Budget): Promise<boolean> {
    const node = this.#node(id);
    if (node === undefined || this.#isOver(node)) return false;
    const { fields } = this.store.openRecord(id);
    fields.set(`b:${id}`, JSON.stringify(budget));
    fields.delete(`p:${id}`);
    this.store.wake(node);
    return true;
  }

  async setDue(id: string, generation: number): Promise<void> {
    const node = this.#node(id);
    if (node === undefined || this.#isOver(node) || generationOfJob(node) !== generation) return;
    this.store.openRecord(id).fields.set(`d:${id}`, '1');
    this.store.wake(node);
  }

  async times(id: string, generation: number): Promise<HeaderTimes | 'over' | 'unknown'> {
    const node = this.#node(id);
    if (node === undefined || generationOfJob(node) < generation) return 'unknown';
    if (this.#isOver(node) || generationOfJob(node) > generation) return 'over';
    const { dispatch, timestamp } = node;
    const isEnded = dispatch === undefined || dispatch.end !== undefined;
    const sealedAt = dispatch?.sealedAt ?? (isEnded ? timestamp : undefined);
    const fields = this.store.record(id)?.fields;
    const [first, last] = [fields?.get(`first:${id}`), fields?.get(`last:${id}`)];
    return {
      dispatchMs: timestamp,
      ...(sealedAt === undefined ? {} : { sealMs: sealedAt }),
      ...(first === undefined ? {} : { firstOutcomeMs: Number(first) }),
      ...(last === undefined ? {} : { lastOutcomeMs: Number(last) }),
    };
  }

  async noteOutcome(member: Holder, id: string, nowMs: number): Promise<void> {
    if (this.store.job(member)?.token !== member.token) return;
    noteOutcome(this.store.openRecord(id).fields, id, nowMs);
  }

  async wake(id: string): Promise<void> {
    const node = this.#node(id);
    if (node !== undefined && !this.#isOver(node)) this.store.wake(node);
  }

  async failuresByName(id: string, names: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>();
    for (const reason of this.#node(id)?.failures.values() ?? []) {
      const begun = names.filter((one) => reason.startsWith(`${one}: `));
      const [name] = begun.toSorted((one, other) => other.length - one.length);
      if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return counts;
  }

  async *stragglers(id: string): AsyncGenerator<JobRef[]> {
    yield [...(this.#node(id)?.left ?? [])].map(refOf);
  }

  async cancelStraggler(id: string, member: JobRef): Promise<boolean> {
    if (this.#node(id)?.left?.has(keyOf(member)) !== true) return false;
    const { fields } = this.store.openRecord(id);
    const mark = `x:${member.id}`;
    if (!fields.has(mark)) fields.set(mark, REVOKED_BY_CLOSING);
    return true;
  }

  async keepLate(holder: Holder, id: string): Promise<boolean> {
    const waiter = this.store.job(holder);
    if (waiter === undefined || waiter.token !== holder.token) return false;
    const node = this.#node(id);
    if (node !== undefined) node.late = { values: waiter.values, failures: waiter.failures };
    return true;
  }

  async *lateMembers(id: string, end: 'returned' | 'failed'): AsyncGenerator<JobRef[]> {
    const late = this.#node(id)?.late;
    yield [...((end === 'returned' ? late?.values : late?.failures)?.keys() ?? [])].map(refOf);
  }

  async areStragglers(id: string, ids: readonly string[]): Promise<boolean[]> {
    const left = new Set([...(this.#node(id)?.left ?? [])].map((key) => refOf(key).id));
    return ids.map((one) => left.has(one));
  }

  #judge(
    holder: Holder,
    { budget }: Seen,
    write: (node: MemoryJob, fields: Map<string, string>) => Verdicted,
  ): Verdicted {
    const node = this.store.job(holder);
    if (node === undefined || node.token !== holder.token) return 'superseded';
    const { fields } = this.store.openRecord(holder.id);
    const now = fields.get(`b:${holder.id}`);
    if (now !== (budget === undefined ? undefined : JSON.stringify(budget))) return 'changed';
    return write(node, fields);
  }

  /** What had not ended is waited for by another job. */
  #handOver(left: ReadonlySet<string>, waiter: MemoryJob): void {
    for (const key of left) {
      const child = this.store.job(refOf(key));
      if (child === undefined || /\.(sentinel|hold)$/.test(key)) continue;
      child.parent = waiter;
      waiter.pending.add(key);
    }
  }

  /** Whether nothing waits for its members any more. */
  #isOver(node: MemoryJob): boolean {
    const fields = this.store.record(node.id)?.fields;
    const isDecided = ['c:', 'r:', 'f:'].some((field) => fields?.has(`${field}${node.id}`));
    return isOver(node) || node.stage !== undefined || isDecided;
  }

  #node(id: string): MemoryJob | undefined {
    return this.store.job({ queue: CANVAS_QUEUE, id });
  }
}
