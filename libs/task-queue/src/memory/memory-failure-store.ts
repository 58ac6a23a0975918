import type { FailureStore, LetterEntry, LetterPosition, LetterQuery } from '../backend/failure-store.js';
import { type DeadLetter, type DeadLetterSummary, summaryOf } from '../failure/dead-letter.js';
import { CANVAS_QUEUE } from '../flow/ids.js';
import type { MemoryStore } from './memory-store.js';

/** Dead letters in memory, as JSON. */
export class MemoryFailureStore implements FailureStore {
  constructor(private readonly store: MemoryStore) {}

  async page(
    query: LetterQuery,
    limit: number,
    after?: LetterPosition,
  ): Promise<readonly DeadLetterSummary[]> {
    return this.#all()
      .filter((letter) => matches(letter, query))
      .filter(({ id, failedAt }) => after === undefined || isAfter(Date.parse(failedAt), id, after))
      .slice(0, limit);
  }

  async read(id: string): Promise<DeadLetter | undefined> {
    const kept = this.store.letters.get(id);
    if (kept === undefined) return undefined;
    const letter = JSON.parse(kept.json) as DeadLetter;
    if (!this.#isOver(letter)) return undefined;
    return { ...letter, ...(kept.retriedAs === undefined ? {} : { retriedAs: kept.retriedAs }) };
  }

  async count(): Promise<number> {
    return this.store.letters.size;
  }

  async markRetried(id: string, as: string): Promise<string | undefined> {
    const letter = this.store.letters.get(id);
    if (letter === undefined) return undefined;
    return (letter.retriedAs ??= as);
  }

  async remove(ids: readonly string[]): Promise<number> {
    return ids.filter((id) => this.store.letters.delete(id)).length;
  }

  /** Newest first. */
  #all(): DeadLetterSummary[] {
    const letters = [...this.store.letters.values()].flatMap(({ json, retriedAs }) => {
      const letter = JSON.parse(json) as DeadLetter;
      if (!this.#isOver(letter)) return [];
      return [{ ...summaryOf(letter), ...(retriedAs === undefined ? {} : { retriedAs }) }];
    });
    return letters.sort(
      (one, other) => Date.parse(other.failedAt) - Date.parse(one.failedAt) || (one.id < other.id ? 1 : -1),
    );
  }

  /** Before that, its worker is about to say so, or is lost. */
  #isOver({ id, failure }: DeadLetter): boolean {
    const job = this.store.job({ queue: failure.request.queue || CANVAS_QUEUE, id });
    return job === undefined || job.finishedOn !== undefined;
  }
}

/** Its task is run again under its own id. */
export function markLetterRetried(store: MemoryStore, id: string): void {
  const letter = store.letters.get(id);
  if (letter !== undefined) letter.retriedAs = id;
}

/** Keeps a letter, and no more than are to be kept. */
export function keepLetter(store: MemoryStore, { letter, bounds }: LetterEntry): void {
  const { letters } = store;
  letters.delete(letter.id); // the newest stands last
  letters.set(letter.id, { json: JSON.stringify(letter), atMs: Date.parse(letter.failure.at) });
  const oldestMs = store.clock.wallMs() - bounds.maxAgeMs;
  for (const [id, { atMs }] of letters) {
    if (atMs >= oldestMs && letters.size <= bounds.maxCount) break;
    letters.delete(id);
  }
}

function matches(letter: DeadLetterSummary, query: LetterQuery): boolean {
  const { task, queue, error, fromMs = -Infinity, untilMs = Infinity, retried } = query;
  const atMs = Date.parse(letter.failedAt);
  return (
    (task === undefined || letter.task === task) &&
    (queue === undefined || letter.queue === queue) &&
    (error === undefined || letter.error.name === error || letter.error.code === error) &&
    atMs >= fromMs &&
    atMs < untilMs &&
    (retried === undefined || retried === (letter.retriedAs !== undefined))
  );
}

function isAfter(atMs: number, id: string, after: LetterPosition): boolean {
  return atMs < after.atMs || (atMs === after.atMs && id < after.id);
}
