import type { LetterEntry } from '../backend/failure-store.js';
import type { JobRef } from '../backend/job-ref.js';
import type {
  ChildRecord,
  Holder,
  Ledger,
  MemberPage,
  MemberRecord,
  NodeRecord,
  Stage,
} from '../backend/ledger.js';
import type { Budget } from '../canvas/header-rules.js';
import { type ClosingRecord, type ParkedRecord, REVOKED_BY_CLOSING } from '../chords/closing-record.js';
import type { ChordDecisionRecord } from '../chords/decision-record.js';
import type { TaskFailure } from '../failure/task-failure.js';
import type { TaskEnvelope } from '../flow/envelope.js';
import { CANVAS_QUEUE, childId, memberIndex, parentOf } from '../flow/ids.js';
import { readStored, type StoredValue } from '../flow/stored-value.js';
import type { JsonValue } from '../primitives/json.js';
import { keepLetter } from './memory-failure-store.js';
import { besideOf, dispatchOf, keyOf, type MemoryJob, refOf } from './memory-job.js';
import { revocationsOf } from './memory-record.js';
import type { MemoryStore } from './memory-store.js';

/** What is kept beside the jobs, in memory. */
export class MemoryLedger implements Ledger {
  constructor(private readonly store: MemoryStore) {}

  async readNode(id: string): Promise<NodeRecord> {
    const node = this.#node(id);
    const setAside = node?.refill?.aside.size ?? 0;
    return {
      stage: parse<Stage>(node?.stage),
      size: node?.size,
      values: node?.values.size ?? 0,
      failures: node?.failures.size ?? 0,
      pending: node?.pending.size ?? 0,
      dispatch: dispatchOf(node),
      failure: this.#read<TaskFailure>(id, `f:${id}`),
      decision: this.#read<ChordDecisionRecord>(id, `r:${id}`),
      revoked: await this.isRevoked(id),
      closing: this.#read<ClosingRecord>(id, `c:${id}`),
      parked: this.#read<ParkedRecord>(id, `p:${id}`),
      budget: this.#read<Budget>(id, `b:${id}`),
      isDue: this.store.record(id)?.fields.has(`d:${id}`) === true,
      isHeld: node?.pending.has(besideOf(node, 'hold')) === true,
      isLateKept: node?.late !== undefined,
      ...(setAside === 0 ? {} : { setAside }),
    };
  }

  async readChild(child: JobRef, parent?: JobRef): Promise<ChildRecord> {
    const node = parent ? this.store.job(parent) : this.#node(parentOf(child.id) ?? '');
    const key = keyOf(child);
    const value = node?.values.get(key);
    if (value !== undefined) return { end: 'succeeded', value: readStored(child.queue, value) };
    const reason = node?.failures.get(key);
    if (reason !== undefined) return { end: 'failed', reason };
    return { end: node?.pending.has(key) === true ? 'pending' : 'missing' };
  }

  async readFailure(id: string): Promise<TaskFailure | undefined> {
    return this.#read<TaskFailure>(id, `f:${id}`);
  }

  async readFailures(ids: readonly string[]): Promise<(TaskFailure | undefined)[]> {
    return ids.map((id) => this.#read<TaskFailure>(id, `f:${id}`));
  }

  async markRevoked(id: string, ttlMs: number | undefined): Promise<void> {
    this.#write(id, `x:${id}`, true, ttlMs);
  }

  async markRevokedByHand(id: string): Promise<boolean> {
    const marks = revocationsOf(this.store.record(id), id);
    if (marks.length === 0 || marks.some((mark) => mark !== REVOKED_BY_CLOSING)) return false;
    return this.#write(id, `x:${id}`, true, undefined);
  }

  async isRevoked(id: string): Promise<boolean> {
    return revocationsOf(this.store.record(id), id).length > 0;
  }

  async areRevokedByHand(ids: readonly string[]): Promise<boolean[]> {
    return ids.map((id) =>
      revocationsOf(this.store.record(id), id).some((mark) => mark !== REVOKED_BY_CLOSING),
    );
  }

  async *pendingChildren(node: string): AsyncGenerator<JobRef[]> {
    yield [...(this.#node(node)?.pending ?? [])].map(refOf);
  }

  async *failedChildren(node: string): AsyncGenerator<JobRef[]> {
    yield [...(this.#node(node)?.failures.keys() ?? [])].map(refOf);
  }

  async *members(id: string): AsyncGenerator<MemberRecord[]> {
    const node = this.#node(id);
    const members: MemberRecord[] = [];
    for (const [key, json] of node?.values ?? []) {
      const child = refOf(key).id;
      members.push({ index: memberIndex(child), id: child, value: readStored(refOf(key).queue, json) });
    }
    for (const [key, reason] of node?.failures ?? []) {
      const child = refOf(key).id;
      const failure = this.#read<TaskFailure>(child, `f:${child}`);
      members.push({ index: memberIndex(child), id: child, reason, failure });
    }
    yield members.filter(({ index }) => Number.isInteger(index));
  }

  async *lostMembers(id: string, published: number): AsyncGenerator<string[]> {
    const node = this.#node(id);
    const { values, failures, pending, refill, late } = node ?? {};
    const lists = [values, failures, pending, refill?.aside, late?.values, late?.failures];
    const there = new Set(lists.flatMap((list) => [...(list?.keys() ?? [])].map((key) => refOf(key).id)));
    const members = Array.from({ length: published }, (_, index) => childId(id, index));
    yield members.filter((member) => !there.has(member));
  }

  async holds(holder: Holder): Promise<boolean> {
    return this.#inNameOf(holder, () => true) === true;
  }

  async *membersInOrder(id: string, size: number): AsyncGenerator<MemberPage> {
    const members: MemberRecord[] = [];
    for await (const page of this.members(id)) members.push(...page);
    yield { from: 0, to: size, members: members.sort((one, other) => one.index - other.index) };
  }

  async setStage(holder: Holder, stage: Stage): Promise<boolean> {
    return this.#inNameOf(holder, (job) => (job.stage = JSON.stringify(stage))) !== undefined;
  }

  async setData(holder: Holder, data: TaskEnvelope): Promise<boolean> {
    return this.#inNameOf(holder, (job) => (job.data = JSON.stringify(data))) !== undefined;
  }

  async setReplaced(holder: Holder, data: TaskEnvelope, by: JobRef): Promise<boolean> {
    const written = this.#inNameOf(holder, (job) => {
      job.data = JSON.stringify(data);
      // A task that stands alone has no record which would go with it; its job says what has taken its place.
      if (parentOf(holder.id) !== undefined)
        this.store.openRecord(holder.id).fields.set(`i:${by.id}`, by.queue);
      return true;
    });
    return written !== undefined;
  }

  async settleValue(holder: Holder, value: StoredValue): Promise<boolean> {
    return this.#inNameOf(holder, (job) => (job.returnvalue = JSON.stringify(value))) !== undefined;
  }

  async recordFailure(
    holder: Holder,
    failure: TaskFailure,
    ttlMs: number | undefined,
    entry?: LetterEntry,
  ): Promise<boolean> {
    const { id } = holder;
    const written = this.#inNameOf(holder, () => {
      if (entry !== undefined) keepLetter(this.store, entry);
      return this.#write(id, `f:${id}`, failure, ttlMs);
    });
    return written !== undefined;
  }

  async withdrawLetter(holder: Holder): Promise<boolean> {
    return this.#inNameOf(holder, () => (this.store.letters.delete(holder.id), true)) !== undefined;
  }

  async settleFailure(holder: Holder, failure: TaskFailure): Promise<TaskFailure | undefined> {
    return this.#once(holder, `f:${holder.id}`, failure);
  }

  async decideOnce(holder: Holder, decision: ChordDecisionRecord): Promise<ChordDecisionRecord | undefined> {
    return this.#once(holder, `r:${holder.id}`, decision);
  }

  async startExpiry(holder: Holder, nowMs: number, ttlMs: number): Promise<boolean> {
    return this.#inNameOf(holder, () => (this.store.expire(holder.id, nowMs + ttlMs), true)) !== undefined;
  }

  async setProgress(holder: Holder, progress: JsonValue): Promise<boolean> {
    const stored = this.#inNameOf(holder, (job) => {
      job.progress = JSON.stringify(progress);
      this.store.changed(job);
      return true;
    });
    return stored !== undefined;
  }

  #node(id: string): MemoryJob | undefined {
    return this.store.job({ queue: CANVAS_QUEUE, id });
  }

  #read<T>(id: string, field: string): T | undefined {
    return parse<T>(this.store.record(id)?.fields.get(field));
  }

  #write(id: string, field: string, value: unknown, ttlMs: number | undefined): true {
    const record = this.store.openRecord(id);
    record.fields.set(field, JSON.stringify(value));
    if (ttlMs !== undefined) record.expiresAt = this.store.clock.wallMs() + ttlMs;
    return true;
  }

  /** What stands first stands for good. */
  #once<T>(holder: Holder, field: string, value: T): T | undefined {
    return this.#inNameOf(holder, () => {
      const { fields } = this.store.openRecord(holder.id);
      if (!fields.has(field)) fields.set(field, JSON.stringify(value));
      return parse<T>(fields.get(field));
    });
  }

  /** Writes only as long as the activation owns its job. @returns undefined when it has been superseded */
  #inNameOf<T>(holder: Holder, write: (job: MemoryJob) => T): T | undefined {
    const job = this.store.job(holder);
    return job?.token === holder.token ? write(job) : undefined;
  }
}

function parse<T>(json: string | undefined): T | undefined {
  return json === undefined ? undefined : (JSON.parse(json) as T);
}
