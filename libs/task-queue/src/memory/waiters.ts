import type { Wake } from '../backend/task-events.js';
import { isOver, type MemoryJob } from './memory-job.js';

/** Those who wait for something to happen to a task, by its id. */
export class Waiters {
  readonly #waiters = new Map<string, Set<Wake>>();

  /** @returns ends the waiting */
  add(id: string, wake: Wake): () => void {
    const waiters = this.#waiters.get(id) ?? new Set();
    this.#waiters.set(id, waiters.add(wake));
    return () => {
      waiters.delete(wake);
      if (waiters.size === 0) this.#waiters.delete(id);
    };
  }

  wakeAll(): void {
    for (const waiters of this.#waiters.values()) for (const wake of [...waiters]) wake();
  }

  /** Something has happened to a job. The end of a node is an end for parts of it that never were. */
  wake(job: MemoryJob): void {
    if (this.#waiters.size === 0) return;
    for (const [id, waiters] of this.#waiters) {
      if (id === job.id || (isOver(job) && id.startsWith(`${job.id}.`)))
        for (const wake of [...waiters]) wake();
    }
  }
}
