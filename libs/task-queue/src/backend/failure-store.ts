import type { DeadLetter, DeadLetterSummary } from '../failure/dead-letter.js';

/** Which dead letters are meant. Everything that is given has to hold. */
export interface LetterQuery {
  readonly task?: string;
  readonly queue?: string;
  /** The name or the code of the error. */
  readonly error?: string;
  /** Those whose tasks failed at this time or later, in epoch milliseconds. */
  readonly fromMs?: number;
  /** Those whose tasks failed before this time. */
  readonly untilMs?: number;
  /** Only those that were retried, or only those that were not. */
  readonly retried?: boolean;
}

/** Where a page begins: after this letter. */
export interface LetterPosition {
  readonly atMs: number;
  readonly id: string;
}

/** A dead letter on its way into the store, and what the store keeps beside it. */
export interface LetterEntry {
  readonly letter: DeadLetter;
  readonly bounds: LetterBounds;
}

/** How long and how many dead letters are kept. */
export interface LetterBounds {
  readonly maxAgeMs: number;
  readonly maxCount: number;
}

/**
 * The dead letters. A letter has the id of its task, so that a task has one at most. It is written together with the
 * failure that it is about, by `Ledger.recordFailure`, and shows as soon as its task has ended: one whose worker died
 * between the two shows nowhere, and is taken back when the task is run again.
 */
export interface FailureStore {
  /** One page of letters, those whose tasks failed last first. */
  page(query: LetterQuery, limit: number, after?: LetterPosition): Promise<readonly DeadLetterSummary[]>;
  read(id: string): Promise<DeadLetter | undefined>;
  /** How many letters there are, those that were retried included. */
  count(): Promise<number>;
  /** Notes that a letter's task was run again. What was noted first stands. @returns undefined when there is no letter */
  markRetried(id: string, as: string): Promise<string | undefined>;
  /** @returns how many of them were there */
  remove(ids: readonly string[]): Promise<number>;
}
