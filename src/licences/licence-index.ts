/**
 * The searchable form of the SPDX licence list.
 *
 * Every reference text is kept as numbered words. Beside them stands one inverted list, from each pair of
 * neighbouring words (a gram) to the references that hold it, so that a handful of plausible references can
 * be picked for a text without comparing it to all seven hundred.
 */
import spdxIds from 'spdx-license-ids/index.json' with { type: 'json' };
import { LICENCE_NOTICES, TERMS_END } from './licence-notices.js';
import { licenceWords } from './licence-words.js';

/** One known wording of one or more licences. */
export interface LicenceReference {
  /** Every SPDX id that stands for this very wording, such as `GPL-2.0-only` and `GPL-2.0-or-later`. */
  readonly ids: readonly string[];
  /** How many grams the wording has, repeated ones counted. */
  readonly size: number;
  /** How often each gram occurs in it. */
  readonly grams: ReadonlyMap<number, number>;
}

/** A gram that holds a word which no reference knows. */
export const UNKNOWN_GRAM = -1;

/** Grams are pairs of word numbers packed into one small integer; the SPDX list knows about 10,500 words. */
const VOCABULARY_LIMIT = 2 ** 15;

/** Texts shorter than this say too little to be recognised by. */
const SMALLEST_REFERENCE = 8;

/** Finds the references that a text may hold. Build it once, with `LicenceIndex.load()`. */
export class LicenceIndex {
  private readonly vocabulary = new Map<string, number>();
  private readonly references: LicenceReference[] = [];
  private readonly holders = new Map<number, number[]>();

  private constructor() {}

  /** Reads the SPDX list and indexes it: a few hundred milliseconds, once. */
  static async load(): Promise<LicenceIndex> {
    const { default: licences } = await import('spdx-license-list/full.js');
    const index = new LicenceIndex();
    const wordings = new Map<string, { words: string[]; ids: Set<string> }>();
    const add = (id: string, text: string) => {
      const words = licenceWords(text);
      if (words.length <= SMALLEST_REFERENCE) return;
      const key = words.join(' ');
      const known = wordings.get(key) ?? { words, ids: new Set<string>() };
      wordings.set(key, known);
      known.ids.add(id);
    };
    for (const id of spdxIds) {
      const text = licences[id]?.licenseText;
      if (text === undefined) continue;
      add(id, text);
      const end = TERMS_END.exec(text);
      if (end) add(id, text.slice(0, end.index));
      // Copies of the ISC licence say "the author" where the original names its publisher.
      if (id === 'ISC') add(id, text.replace(/\bISC\b/g, 'the author'));
    }
    for (const { id, text } of LICENCE_NOTICES) add(id, text);
    for (const { words, ids } of wordings.values()) index.add([...ids], words);
    return index;
  }

  /** The grams of a text, in order. */
  gramsOf(words: readonly string[]): Int32Array {
    const grams = new Int32Array(Math.max(words.length - 1, 0));
    let left = this.vocabulary.get(words[0] ?? '');
    for (let at = 1; at < words.length; at++) {
      const right = this.vocabulary.get(words[at] ?? '');
      grams[at - 1] = left === undefined || right === undefined ? UNKNOWN_GRAM : pack(left, right);
      left = right;
    }
    return grams;
  }

  /** The references of which the grams hold the largest share, best first. */
  candidates(grams: ArrayLike<number>, limit: number, smallestShare: number): LicenceReference[] {
    const hits = new Uint32Array(this.references.length);
    for (const gram of new Set(Array.from(grams))) {
      for (const holder of this.holders.get(gram) ?? []) hits[holder] = (hits[holder] ?? 0) + 1;
    }
    return this.references
      .map((reference, at) => ({ reference, share: (hits[at] ?? 0) / reference.grams.size }))
      .filter(({ share }) => share >= smallestShare)
      .sort((a, b) => b.share - a.share || b.reference.size - a.reference.size)
      .slice(0, limit)
      .map(({ reference }) => reference);
  }

  private add(ids: string[], words: readonly string[]): void {
    const grams = new Map<number, number>();
    for (let at = 1; at < words.length; at++) {
      const gram = pack(this.numberOf(words[at - 1] ?? ''), this.numberOf(words[at] ?? ''));
      grams.set(gram, (grams.get(gram) ?? 0) + 1);
    }
    const position = this.references.push({ ids, size: words.length - 1, grams }) - 1;
    for (const gram of grams.keys()) {
      const holders = this.holders.get(gram);
      if (holders) holders.push(position);
      else this.holders.set(gram, [position]);
    }
  }

  private numberOf(word: string): number {
    const known = this.vocabulary.get(word);
    if (known !== undefined) return known;
    this.vocabulary.set(word, this.vocabulary.size);
    return this.vocabulary.size - 1;
  }
}

function pack(left: number, right: number): number {
  return left * VOCABULARY_LIMIT + right;
}
