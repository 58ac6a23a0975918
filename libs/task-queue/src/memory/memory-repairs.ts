import type { JobRef } from '../backend/job-ref.js';
import type { Repairs, Telling } from '../backend/repairs.js';
import type { MemoryStore } from './memory-store.js';

/**
 * Repairs of jobs in memory. There are none to be made: a job and the list that it is in are one thing here, its parent hears
 * of its end in the same step, and nobody deletes anything past the store.
 */
export class MemoryRepairs implements Repairs {
  readonly needed = false;

  constructor(private readonly store: MemoryStore) {}

  async waitingSince(beforeMs: number, from: number, limit: number): Promise<readonly JobRef[]> {
    const sinceOf = ({ processedOn, timestamp }: { processedOn?: number; timestamp: number }): number =>
      processedOn ?? timestamp;
    return [...this.store.all()]
      .filter((job) => job.place === 'waiting-children' && sinceOf(job) < beforeMs)
      .sort((one, other) => sinceOf(one) - sinceOf(other))
      .slice(from, from + limit)
      .map(({ queue, id }) => ({ queue, id }));
  }

  /** Whoever fails a node here has recorded why. */
  async failedNodes(): Promise<readonly never[]> {
    return [];
  }

  async tell(_parent: JobRef, children: readonly JobRef[]): Promise<Telling> {
    return { heard: children.map(() => 'known' as const), letGo: false };
  }

  async putBack(): Promise<boolean> {
    return false;
  }

  async attend(): Promise<boolean> {
    return false;
  }

  async settle(): Promise<boolean> {
    return false;
  }

  async drop(): Promise<boolean> {
    return false;
  }
}
