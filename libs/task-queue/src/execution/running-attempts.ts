import type { Attempt } from './attempt.js';

/** The attempts whose handlers run in this process now, by task id. */
export class RunningAttempts {
  readonly #attempts = new Map<string, Attempt>();
  #ended: Attempt | undefined;

  get size(): number {
    return this.#attempts.size;
  }

  add(attempt: Attempt): void {
    this.#attempts.set(attempt.delivery.id, attempt);
  }

  delete(attempt: Attempt): void {
    this.#ended = attempt;
    const { id } = attempt.delivery;
    if (this.#attempts.get(id) === attempt) this.#attempts.delete(id);
  }

  /** Those that run, and of those that have ended since it was asked before, the last one. */
  sinceLastLook(): Attempt[] {
    const ended = this.#ended;
    this.#ended = undefined;
    return ended === undefined ? this.all() : [...this.all(), ended];
  }

  get(id: string): Attempt | undefined {
    return this.#attempts.get(id);
  }

  all(): Attempt[] {
    return [...this.#attempts.values()];
  }
}
