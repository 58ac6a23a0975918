import type { Attempt } from './attempt.js';

/** The attempts whose handlers run in this process now, by task id. */
export class RunningAttempts {
  readonly #attempts = new Map<string, Attempt>();

  get size(): number {
    return this.#attempts.size;
  }

  add(attempt: Attempt): void {
    this.#attempts.set(attempt.delivery.id, attempt);
  }

  delete(attempt: Attempt): void {
    const { id } = attempt.delivery;
    if (this.#attempts.get(id) === attempt) this.#attempts.delete(id);
  }

  get(id: string): Attempt | undefined {
    return this.#attempts.get(id);
  }

  all(): Attempt[] {
    return [...this.#attempts.values()];
  }
}
