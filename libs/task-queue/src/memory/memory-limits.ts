import type { LimitStore, StoredLimits } from '../backend/limit-store.js';
import type { MemoryStore } from './memory-store.js';

/** Changed limits in memory, shared by the applications of one prefix. */
export class MemoryLimits implements LimitStore {
  constructor(private readonly store: MemoryStore) {}

  async read(): Promise<ReadonlyMap<string, StoredLimits>> {
    return new Map(this.store.limits);
  }

  async write(name: string, limits: StoredLimits): Promise<void> {
    this.store.limits.set(name, limits);
  }

  async remove(name: string): Promise<boolean> {
    return this.store.limits.delete(name);
  }
}
