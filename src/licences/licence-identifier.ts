import { Injectable } from '@nestjs/common';
import { NumberedGrams, type WindowMatch } from './best-window.js';
import { LicenceIndex, type LicenceReference } from './licence-index.js';
import { licenceWords } from './licence-words.js';

/** A licence that was recognised in a text. */
export interface LicenceMatch {
  /** The SPDX id of the best match. */
  id: string;
  /** How closely the wording matches, from 0 to 1. */
  confidence: number;
  /** Other licences that the same words could nearly as well be, best first. */
  alternatives: { id: string; confidence: number }[];
}

/** What was found in one text. */
export interface LicenceIdentification {
  /** The recognised licences in order of appearance; empty when the text is unidentified. */
  matches: LicenceMatch[];
  /** Which share of the words belongs to a recognised licence, from 0 to 1. */
  coverage: number;
  /** For an unidentified text: the licence that it resembles most, if any comes near. */
  closest?: { id: string; confidence: number };
}

/** Similarity from which a match counts: copies are edited a little, other licences differ by more. */
const CONFIDENCE_THRESHOLD = 0.8;

/** A reference is compared closely when the text holds at least this share of its grams. */
const CANDIDATE_SHARE = 0.5;
const CANDIDATE_LIMIT = 24;

/** A licence this little behind the best one is named as an alternative. */
const ALTERNATIVE_MARGIN = 0.02;

/** A remainder shorter than this many grams cannot hold another licence. */
const SMALLEST_SPAN = 20;

/** Words beyond this many are not looked at: no licence file is that long. */
const LONGEST_TEXT_WORDS = 30_000;

interface Candidate extends WindowMatch {
  readonly reference: LicenceReference;
}

/** Recognises licence texts by comparing them with the SPDX licence list. */
@Injectable()
export class LicenceIdentifier {
  private index: Promise<LicenceIndex> | undefined;

  /** Recognises every licence in the text. The first call builds the index, later ones take milliseconds. */
  async identify(text: string): Promise<LicenceIdentification> {
    const index = await (this.index ??= LicenceIndex.load());
    const grams = index.gramsOf(licenceWords(text).slice(0, LONGEST_TEXT_WORDS));
    const ranked = rank(index, grams);
    if (!isMatch(ranked[0])) return unidentified(ranked);
    const found = identifySpan(index, grams, ranked);
    const covered = found.reduce((sum, { grams: length }) => sum + length, 0);
    return {
      matches: merge(found.map(({ match }) => match)),
      coverage: round(Math.min(covered / grams.length, 1)),
    };
  }
}

function isMatch(candidate: Candidate | undefined): candidate is Candidate {
  return candidate !== undefined && candidate.similarity >= CONFIDENCE_THRESHOLD;
}

function unidentified(ranked: readonly Candidate[]): LicenceIdentification {
  const [closest] = [...ranked].sort((a, b) => b.similarity - a.similarity);
  const hint = closest && { closest: { id: idOf(closest), confidence: round(closest.similarity) } };
  return { matches: [], coverage: 0, ...hint };
}

/** The best match of a span, with what is found in the words before and after it. */
function identifySpan(
  index: LicenceIndex,
  grams: Int32Array,
  ranked = rank(index, grams),
): { match: LicenceMatch; grams: number }[] {
  const best = ranked[0];
  if (!isMatch(best)) return [];
  const before = grams.subarray(0, best.start);
  const after = grams.subarray(best.end);
  return [
    ...(before.length < SMALLEST_SPAN ? [] : identifySpan(index, before)),
    { match: toMatch(best, ranked), grams: best.end - best.start },
    ...(after.length < SMALLEST_SPAN ? [] : identifySpan(index, after)),
  ];
}

/**
 * The plausible references of a span, best first. Similarity alone would prefer a short licence that is part
 * of a longer one, length alone a longer one that merely resembles the text; so both count.
 */
function rank(index: LicenceIndex, grams: Int32Array): Candidate[] {
  const text = new NumberedGrams(grams);
  return index
    .candidates(grams, CANDIDATE_LIMIT, CANDIDATE_SHARE)
    .map((reference) => ({ reference, ...text.bestWindow(reference) }))
    .sort((a, b) => weight(b) - weight(a));
}

function weight({ similarity, shared }: Candidate): number {
  return similarity >= CONFIDENCE_THRESHOLD ? 1 + similarity ** 4 * shared : similarity;
}

function toMatch(best: Candidate, ranked: readonly Candidate[]): LicenceMatch {
  const id = idOf(best);
  const alternatives = new Map<string, number>();
  for (const { reference, similarity, start, end } of [best, ...ranked]) {
    if (similarity < best.similarity - ALTERNATIVE_MARGIN || start >= best.end || end <= best.start) continue;
    for (const other of reference.ids) {
      if (other !== id && !alternatives.has(other)) alternatives.set(other, round(similarity));
    }
  }
  return {
    id,
    confidence: round(best.similarity),
    alternatives: [...alternatives]
      .map(([other, confidence]) => ({ id: other, confidence }))
      .sort((a, b) => b.confidence - a.confidence),
  };
}

/** One entry per licence, with the confidence of its best occurrence. */
function merge(matches: readonly LicenceMatch[]): LicenceMatch[] {
  const byId = new Map<string, LicenceMatch>();
  for (const match of matches) {
    const known = byId.get(match.id);
    if (known === undefined || known.confidence < match.confidence) byId.set(match.id, match);
  }
  return [...byId.values()];
}

function idOf({ reference }: Candidate): string {
  return reference.ids[0] ?? '';
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
