/**
 * Finds where in a text a reference lies, and how well it matches there.
 *
 * A file may hold several licences, or a licence inside other words, so comparing whole texts is not enough.
 * A window as long as the reference slides over the text; the similarity is the Dice coefficient of the grams
 * in the window and those of the reference, repeated ones counted.
 */
import type { LicenceReference } from './licence-index.js';

/** A stretch of a text, in grams, and how much it resembles a reference. */
export interface WindowMatch {
  readonly start: number;
  readonly end: number;
  /** 1 for the same wording, 0 for no common gram. */
  readonly similarity: number;
  /** How many grams window and reference share. */
  readonly shared: number;
}

/** A copy with additions is longer than its reference, so longer windows are tried too. */
const WINDOW_LENGTHS: readonly number[] = [1, 1.12, 1.3];

/** A text whose grams are numbered 0, 1, 2, … in order of first occurrence, so that counting is quick. */
export class NumberedGrams {
  private readonly numbers: Uint32Array;
  private readonly distinct: number[];

  constructor(grams: ArrayLike<number>) {
    const numberOf = new Map<number, number>();
    this.numbers = Uint32Array.from(grams, (gram) => {
      const number = numberOf.get(gram) ?? numberOf.size;
      numberOf.set(gram, number);
      return number;
    });
    this.distinct = [...numberOf.keys()];
  }

  /** The window that resembles the reference most. */
  bestWindow(reference: LicenceReference): WindowMatch {
    const wanted = Uint16Array.from(this.distinct, (gram) => reference.grams.get(gram) ?? 0);
    let best: WindowMatch = { start: 0, end: 0, similarity: 0, shared: 0 };
    for (const factor of WINDOW_LENGTHS) {
      const length = Math.min(Math.round(reference.size * factor), this.numbers.length);
      const match = this.trimmed(this.slide(wanted, length), wanted, reference.size);
      if (match.similarity > best.similarity) best = match;
      if (length === this.numbers.length) break;
    }
    return best;
  }

  /** Moves a window of fixed length over the text; answers where it shares most grams. */
  private slide(wanted: Uint16Array, length: number): { start: number; end: number; shared: number } {
    const inWindow = new Uint16Array(this.distinct.length);
    const best = { start: 0, end: length, shared: 0 };
    let shared = 0;
    for (let end = 0; end < this.numbers.length; end++) {
      const entering = this.numbers[end] ?? 0;
      if ((inWindow[entering] ?? 0) < (wanted[entering] ?? 0)) shared++;
      inWindow[entering] = (inWindow[entering] ?? 0) + 1;
      if (end >= length) {
        const leaving = this.numbers[end - length] ?? 0;
        inWindow[leaving] = (inWindow[leaving] ?? 0) - 1;
        if ((inWindow[leaving] ?? 0) < (wanted[leaving] ?? 0)) shared--;
      }
      if (shared > best.shared)
        Object.assign(best, { start: Math.max(end + 1 - length, 0), end: end + 1, shared });
    }
    return best;
  }

  /** Cuts off edges that the reference does not know: they only dilute the similarity. */
  private trimmed(
    { start, end, shared }: { start: number; end: number; shared: number },
    wanted: Uint16Array,
    size: number,
  ): WindowMatch {
    const isForeign = (at: number) => (wanted[this.numbers[at] ?? 0] ?? 0) === 0;
    while (start < end && isForeign(start)) start++;
    while (end > start && isForeign(end - 1)) end--;
    return { start, end, shared, similarity: (2 * shared) / (end - start + size) };
  }
}
