import type { JobRef } from '../backend/job-ref.js';
import type { FailedJob, FoundTask, JobStore, TaskQuery, WithdrawalRecord } from '../backend/job-store.js';
import type { Stage } from '../backend/ledger.js';
import type { JobFields, TaskReply } from '../backend/task-reply.js';
import { type ParkedRecord, REVOKED_BY_CLOSING } from '../chords/closing-record.js';
import type { ChordDecisionRecord } from '../chords/decision-record.js';
import { headline } from '../failure/headline.js';
import type { TaskFailure } from '../failure/task-failure.js';
import { foundIn, hasStamps, type TaskEnvelope } from '../flow/envelope.js';
import { CANVAS_QUEUE, parentOf } from '../flow/ids.js';
import type { JsonValue } from '../primitives/json.js';
import { besideOf, dispatchOf, isOver, keyOf, membersAmong, type MemoryJob } from './memory-job.js';
import { noteOutcome, revocationsOf } from './memory-record.js';
import type { MemoryStore } from './memory-store.js';

/** The jobs in memory, looked at from outside, and taken away. */
export class MemoryJobs implements JobStore {
  constructor(private readonly store: MemoryStore) {}

  async look(id: string): Promise<TaskReply> {
    const job = this.store.find(id);
    const kept = this.#kept(id);
    if (job) return { source: 'job', queue: job.queue, place: job.place, ...kept, job: this.#fieldsOf(job) };
    return this.#throughParent(id, kept);
  }

  async find(ref: JobRef): Promise<FoundTask | undefined> {
    const job = this.store.job(ref);
    if (job === undefined) return undefined;
    return {
      name: job.name,
      reports: job.reports,
      ...foundIn(JSON.parse(job.data) as Partial<TaskEnvelope>),
    };
  }

  async readFailed(tasks: readonly JobRef[]): Promise<readonly (FailedJob | undefined)[]> {
    return tasks.map((task) => {
      const job = this.store.job(task);
      if (job?.place !== 'failed') return undefined;
      const { name, data, priority } = job;
      return { name, data: JSON.parse(data) as unknown, text: data, ...(priority === 0 ? {} : { priority }) };
    });
  }

  async *search({ name, queue, stamp }: TaskQuery): AsyncGenerator<readonly JobRef[], void, number> {
    const jobs = [...this.store.unfinished()].filter(
      (job) =>
        job.queue !== CANVAS_QUEUE &&
        !/\.hook\.\d+$/.test(job.id) &&
        (name === undefined || job.name === name) &&
        (queue === undefined || job.queue === queue) &&
        (stamp === undefined || hasStamps((JSON.parse(job.data) as Partial<TaskEnvelope>).headers, stamp)),
    );
    if (jobs.length > 0) yield jobs.map(({ queue: one, id }) => ({ queue: one, id }));
  }

  async withdraw(ref: JobRef, kept?: WithdrawalRecord): Promise<boolean> {
    const job = this.store.job(ref);
    // What waits for a canvas in its place is revoked with that.
    const canGo = job !== undefined && !isOver(job) && job.place !== 'waiting-children';
    if (!canGo) return false;
    if (kept === undefined) return this.store.withdraw(ref);
    // As a worker would have failed it, where only the closing of a header revoked it: it may be run again.
    const { failure, ttlMs, timedBy } = kept;
    const marks = revocationsOf(this.store.record(ref.id), ref.id);
    if (marks.length === 0) return false;
    const isKept = marks.every((mark) => mark === REVOKED_BY_CLOSING);
    const reason = isKept ? headline(failure) : undefined;
    if (!this.store.withdraw(ref, reason)) return false;
    const record = this.store.openRecord(ref.id);
    if (timedBy !== undefined) noteOutcome(record.fields, timedBy, this.store.clock.wallMs());
    record.fields.set(`f:${ref.id}`, JSON.stringify(failure));
    if (ttlMs !== undefined) record.expiresAt = this.store.clock.wallMs() + ttlMs;
    return true;
  }

  async removeCanvas(id: string): Promise<void> {
    this.store.removeCanvas(id);
  }

  async removeTask(ref: JobRef): Promise<void> {
    this.store.removeTask(ref);
  }

  #fieldsOf(job: MemoryJob): JobFields {
    const fields = fieldsOf(job);
    const parked = this.store.record(job.id)?.fields.get(`p:${job.id}`);
    if (fields.node === undefined || parked === undefined) return fields;
    return { ...fields, node: { ...fields.node, parked: JSON.parse(parked) as ParkedRecord } };
  }

  #kept(id: string): { record?: TaskFailure; decision?: ChordDecisionRecord } {
    const fields = this.store.record(id)?.fields;
    const record = fields?.get(`f:${id}`);
    const decision = fields?.get(`r:${id}`);
    return {
      ...(record === undefined ? {} : { record: JSON.parse(record) as TaskFailure }),
      ...(decision === undefined ? {} : { decision: JSON.parse(decision) as ChordDecisionRecord }),
    };
  }

  /** A job that is gone left what it came to in its node. */
  #throughParent(
    id: string,
    { record, decision }: { record?: TaskFailure; decision?: ChordDecisionRecord },
  ): TaskReply {
    const why = record === undefined ? {} : { record };
    const node = this.store.job({ queue: CANVAS_QUEUE, id: parentOf(id) ?? '' });
    if (node === undefined) return { source: 'unknown', ...why };
    for (const queue of [...this.store.queues, CANVAS_QUEUE]) {
      const key = keyOf({ queue, id });
      const json = node.values.get(key);
      if (json !== undefined)
        return { source: 'value', queue, json, ...(decision === undefined ? {} : { decision }) };
      const reason = node.failures.get(key);
      if (reason !== undefined) return { source: 'failed', queue, reason, ...why };
    }
    return { source: 'absent', ...why };
  }
}

function fieldsOf(job: MemoryJob): JobFields {
  const { name, timestamp, processedOn, finishedOn, returnvalue, failedReason, attemptsMade, progress } = job;
  const fields = { name, timestamp, processedOn, finishedOn, returnvalue, failedReason, attemptsMade };
  return {
    ...withoutUndefined(fields),
    ...(progress === undefined ? {} : { progress: JSON.parse(progress) as JsonValue }),
    ...(job.queue === CANVAS_QUEUE ? { node: nodeFields(job) } : {}),
  };
}

function nodeFields(job: MemoryJob): NonNullable<JobFields['node']> {
  const { data, size, values, failures, pending, stage, left = new Set() } = job;
  const setAside = job.refill?.aside.size ?? 0;
  const dispatch = dispatchOf(job);
  const noted = stage === undefined ? undefined : (JSON.parse(stage) as Stage);
  const key = noted?.child && keyOf(noted.child);
  const end =
    key === undefined ? undefined : values.has(key) ? 'value' : failures.has(key) ? 'failure' : undefined;
  return {
    data,
    ...(size === undefined ? {} : { size }),
    ...(dispatch === undefined ? {} : { dispatch }),
    values: values.size,
    failures: failures.size,
    pending: pending.size,
    isHeld: pending.has(besideOf(job, 'hold')),
    ...(setAside === 0 ? {} : { setAside }),
    stragglers: membersAmong(job, left),
    stage: noted?.stage ?? 0,
    isAdding: noted?.state === 'adding',
    ...(end === undefined ? {} : { child: end }),
  };
}

function withoutUndefined<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
