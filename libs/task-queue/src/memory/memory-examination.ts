import type { Examination, JobCondition, PendingPage } from '../backend/examination.js';
import type { JobRef } from '../backend/job-ref.js';
import { refOf } from './memory-job.js';
import type { MemoryStore } from './memory-store.js';

/** Looks closely at jobs in memory. */
export class MemoryExamination implements Examination {
  constructor(private readonly store: MemoryStore) {}

  async conditions(jobs: readonly JobRef[]): Promise<readonly JobCondition[]> {
    return jobs.map((job) => this.#condition(job));
  }

  async pendingPage(job: JobRef, limit: number, cursor = '0'): Promise<PendingPage> {
    const keys = [...(this.store.job(job)?.pending ?? [])];
    const from = Number(cursor);
    const children = keys.slice(from, from + limit).map(refOf);
    return from + limit < keys.length ? { children, cursor: String(from + limit) } : { children };
  }

  #condition({ queue, id }: JobRef): JobCondition {
    const job = this.store.job({ queue, id });
    if (job === undefined) {
      const nothing = { attemptsMade: 0, activations: 0, timesLost: 0, priority: 0, pending: 0 };
      return { queue, id, place: 'gone', name: '', isPaused: false, ...nothing };
    }
    const { place, name, data, timestamp, processedOn, failedReason, token } = job;
    const ahead = this.store.line(queue).indexOf(job);
    return {
      queue,
      id,
      place,
      name,
      data,
      publishedAtMs: timestamp,
      attemptsMade: job.attemptsMade,
      activations: job.activations,
      timesLost: job.timesLost,
      priority: job.priority,
      pending: job.pending.size,
      isPaused: false,
      ...(processedOn === undefined ? {} : { startedAtMs: processedOn }),
      ...(ahead < 0 ? {} : { ahead }),
      ...(place === 'delayed' ? { atMs: job.dueMs } : {}),
      ...(place === 'waiting-children' ? { atMs: processedOn ?? timestamp } : {}),
      // Nobody dies here: an activation keeps its job until it has ended.
      ...(token === undefined ? {} : { lockMs: Infinity }),
      ...(failedReason === undefined ? {} : { failedReason }),
    };
  }
}
