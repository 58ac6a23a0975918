import { keyOf, type MemoryJob, originOf, refOf } from './memory-job.js';

/** Which jobs come of which canvas that somebody published: those of the canvas itself, and of all that it released. */
export class Families {
  readonly #keys = new Map<string, Set<string>>();

  add(job: MemoryJob): void {
    const origin = originOf(job.id);
    const keys = this.#keys.get(origin);
    if (keys === undefined) this.#keys.set(origin, new Set([keyOf(job)]));
    else keys.add(keyOf(job));
  }

  delete(key: string): void {
    const origin = originOf(refOf(key).id);
    const keys = this.#keys.get(origin);
    if (keys?.delete(key) === true && keys.size === 0) this.#keys.delete(origin);
  }

  /** The keys of the jobs of an id's family. */
  of(id: string): Iterable<string> {
    return this.#keys.get(originOf(id)) ?? [];
  }

  clear(): void {
    this.#keys.clear();
  }
}
