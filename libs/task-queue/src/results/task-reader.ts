import type { JobStore } from '../backend/job-store.js';
import type { HeaderStore } from '../backend/header-store.js';
import { type Ledger, type MemberRecord, type NodeRecord, publishedMembers } from '../backend/ledger.js';
import type { TaskEvents } from '../backend/task-events.js';
import type { MemberOutcome } from '../chords/chord-recovery.js';
import type { TaskFailure } from '../failure/task-failure.js';
import { hasChild, type NodeEnvelope } from '../flow/envelope.js';
import { childId, memberIndex, parentOf } from '../flow/ids.js';
import { type StoredValue, ValueRef } from '../flow/stored-value.js';
import { resolveValue, ValueGone } from './resolve-value.js';
import {
  failureFromReason,
  failureOfMissing,
  failureOfPending,
  failedSnapshot,
  failureOfSkipped,
  nodeOf,
  snapshotOf,
  type TaskSnapshot,
} from './task-snapshot.js';

/** Reads what became of tasks and canvases, by id alone, from any process. */
export class TaskReader {
  constructor(
    private readonly jobs: JobStore,
    private readonly ledger: Ledger,
    private readonly headers: HeaderStore,
    readonly events: TaskEvents,
  ) {}

  /** @throws BrokerUnavailableError when the store does not answer in time */
  async read(id: string): Promise<TaskSnapshot> {
    return this.#resolved(await this.look(id));
  }

  /** The same, but a large value may be missing. */
  async look(id: string): Promise<TaskSnapshot> {
    const reply = await this.jobs.look(id);
    switch (reply.source) {
      case 'job':
      case 'value':
      case 'failed':
        return snapshotOf(id, reply);
      case 'absent':
      case 'unknown':
        // Without a job, but with a record: it was taken out of its queue, and this is why.
        return reply.record ? failedSnapshot(id, '', reply.record) : this.#throughParent(id);
    }
  }

  /** A node's own description, or undefined when the id is no composite or has expired. */
  async node(id: string): Promise<NodeEnvelope | undefined> {
    const reply = await this.jobs.look(id);
    return reply.source === 'job' && reply.job.node ? nodeOf(reply.job.node) : undefined;
  }

  /** What every member of a group or chord header has come to so far, in definition order; pending ones are absent. */
  async outcomes(id: string): Promise<MemberOutcome[]> {
    const members: MemberOutcome[] = [];
    for await (const page of this.ledger.members(id)) {
      for (const record of page) members[record.index] = await this.#outcomeOf(record);
    }
    return members.filter((member) => member !== undefined);
  }

  /**
   * The same, with those that are in no list and have failed all the same.
   *
   * @param failed how many have failed, as far as is known
   */
  async endedOutcomes(id: string, failed: number): Promise<MemberOutcome[]> {
    const noted = await this.outcomes(id);
    if (noted.filter(({ status }) => status === 'rejected').length >= failed) return noted;
    const all = [...noted, ...(await this.#lostOutcomes(id))];
    return all.sort((one, other) => one.index - other.index);
  }

  /**
   * The same, complete, for a node whose members are terminal: a member that is in no list was revoked while it
   * waited, or removed by hand, or never published.
   */
  async settledOutcomes(id: string, size: number): Promise<MemberOutcome[]> {
    const members: MemberOutcome[] = [];
    for await (const page of this.settledPages(id, size)) for (const member of page) members.push(member);
    return members;
  }

  /** The same page by page, with memory for one of them. */
  async *settledPages(id: string, size: number): AsyncGenerator<MemberOutcome[]> {
    let record: NodeRecord | undefined;
    for await (const { from, to, members } of this.ledger.membersInOrder(id, size)) {
      const page: MemberOutcome[] = [];
      for (const record of members) page[record.index - from] = await this.#outcomeOf(record);
      const missing: number[] = [];
      for (let index = from; index < to; index++) if (page[index - from] === undefined) missing.push(index);
      if (missing.length > 0) {
        record ??= await this.ledger.readNode(id);
        const ids = missing.map((index) => childId(id, index));
        const failures = await this.#failuresOfMissing(id, ids, record);
        for (const [at, index] of missing.entries()) {
          const taskId = childId(id, index);
          page[index - from] = { status: 'rejected', index, taskId, failure: failures[at] as TaskFailure };
        }
      }
      yield page;
    }
  }

  async #resolved(snapshot: TaskSnapshot): Promise<TaskSnapshot> {
    if (!((snapshot.value as StoredValue | undefined) instanceof ValueRef)) return snapshot;
    try {
      return { ...snapshot, value: await resolveValue(snapshot.value as StoredValue, this.ledger) };
    } catch (error) {
      if (error instanceof ValueGone) return { id: snapshot.id, state: 'UNKNOWN' };
      throw error;
    }
  }

  async #outcomeOf(record: MemberRecord): Promise<MemberOutcome> {
    const { index, id: taskId } = record;
    if (!('value' in record)) {
      const failure = record.failure ?? failureFromReason(taskId, '', record.reason);
      return { status: 'rejected', index, taskId, failure };
    }
    try {
      return { status: 'fulfilled', index, taskId, value: await resolveValue(record.value, this.ledger) };
    } catch (error) {
      if (!(error instanceof ValueGone)) throw error;
      return { status: 'rejected', index, taskId, failure: failureOfMissing(taskId, false) };
    }
  }

  /** What became of members of a header that were revoked while they waited, or removed by hand. */
  async #lostOutcomes(id: string): Promise<MemberOutcome[]> {
    const node = await this.node(id);
    if (node?.node !== 'group' && node?.node !== 'chord') return [];
    const record = await this.ledger.readNode(id);
    const lost: MemberOutcome[] = [];
    for await (const ids of this.ledger.lostMembers(id, publishedMembers(node.size, record.dispatch))) {
      const failures = await this.#failuresOfMissing(id, ids, record);
      for (const [at, failure] of failures.entries()) {
        const taskId = ids[at] ?? '';
        if (failure.reason !== 'pending')
          lost.push({ status: 'rejected', index: memberIndex(taskId), taskId, failure });
      }
    }
    return lost;
  }

  /** What became of members that are in no list of their node. */
  async #failuresOfMissing(
    node: string,
    ids: readonly string[],
    { closing, dispatch }: NodeRecord,
  ): Promise<TaskFailure[]> {
    const records = await this.ledger.readFailures(ids);
    if (closing === undefined || closing.by === 'end') {
      const isIncomplete = dispatch !== undefined && dispatch.state !== 'sealed';
      return ids.map((id, at) => records[at] ?? failureOfMissing(id, isIncomplete));
    }
    // What a straggler came to afterwards is not what the header came to. One that was removed before is none.
    const areStragglers = await this.headers.areStragglers(node, ids);
    const published = dispatch === undefined || dispatch.state === 'sealed' ? Infinity : dispatch.dispatched;
    return ids.map((id, at) => {
      if (areStragglers[at] === true || memberIndex(id) >= published)
        return failureOfPending(id, closing.atMs);
      return records[at] ?? failureOfMissing(id, false);
    });
  }

  async #failureOfMissing(node: string, id: string): Promise<TaskFailure> {
    const [failure] = await this.#failuresOfMissing(node, [id], await this.ledger.readNode(node));
    return failure ?? failureOfMissing(id, false);
  }

  /** A task that nothing is stored about: not there yet, skipped or removed, as its node says. */
  async #throughParent(id: string): Promise<TaskSnapshot> {
    const parent = parentOf(id);
    if (parent === undefined) return { id, state: 'UNKNOWN' };
    const above = await this.look(parent);
    const node = await this.node(parent);
    if (node !== undefined && !hasChild(node, id)) return { id, state: 'UNKNOWN' };
    switch (above.state) {
      case 'UNKNOWN':
        return { id, state: 'UNKNOWN' };
      case 'SUCCESS':
        return { id, state: 'FAILURE', failure: await this.#failureOfMissing(parent, id) };
      case 'FAILURE':
      case 'REVOKED': {
        const isMember =
          (above.name === 'group' || above.name === 'chord') && Number.isInteger(memberIndex(id));
        const failure =
          isMember || above.failure === undefined
            ? await this.#failureOfMissing(parent, id)
            : failureOfSkipped(id, above.failure);
        return { id, state: above.state, failure };
      }
      case 'PENDING':
      case 'RECEIVED':
      case 'STARTED':
      case 'RETRY':
        return { id, state: 'PENDING' };
    }
  }
}
