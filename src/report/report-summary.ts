/** Counts what the report shows; knows nothing of how it looks. */
import { CATEGORIES, type LicenceCategory, type Obligation } from '../licences/licence-catalogue.js';
import type { LicenceFinding } from '../licences/licence-finding.js';

/** A package whose audit ended without a finding. */
export interface AuditFailure {
  package: string;
  version: string;
  /** How it ended: an error, a time limit, a lost worker, … */
  reason: string;
  /** Stable name of the error. */
  code: string;
  message: string;
  /** How often the audit was tried, if known. */
  attempts?: number;
}

/** A name with how many packages it concerns. */
export interface Count<T extends string = string> {
  name: T;
  packages: number;
}

/** The numbers of an audit. */
export interface AuditSummary {
  /** All packages: those with a finding and those that failed. */
  packages: number;
  consistent: number;
  contradictions: number;
  undeclared: number;
  failed: number;
  /** Packages of each category, from the freest on; categories without a package are left out. */
  categories: Count<LicenceCategory>[];
  /** Packages that hold each identified licence, most frequent first. */
  licences: Count[];
  /** Packages that ask for each obligation, most frequent first. */
  obligations: Count<Obligation>[];
  /** Failures of each error code, most frequent first. */
  failures: Count[];
}

/** Counts findings and failures. */
export function summarise(
  findings: readonly LicenceFinding[],
  failures: readonly AuditFailure[],
): AuditSummary {
  const withVerdict = (verdict: LicenceFinding['verdict']) =>
    findings.filter((finding) => finding.verdict === verdict).length;
  const categories = countBy(findings, ({ category }) => [category]);
  return {
    packages: findings.length + failures.length,
    consistent: withVerdict('consistent'),
    contradictions: withVerdict('contradiction'),
    undeclared: withVerdict('undeclared'),
    failed: failures.length,
    categories: categories.sort((a, b) => CATEGORIES.indexOf(a.name) - CATEGORIES.indexOf(b.name)),
    licences: countBy(findings, ({ identified }) => identified.map(({ id }) => id)),
    obligations: countBy(findings, ({ obligations }) => obligations),
    failures: countBy(failures, ({ code }) => [code]),
  };
}

/** How many items have each name, most frequent first; an item counts once for each of its names. */
function countBy<T, N extends string>(items: readonly T[], namesOf: (item: T) => readonly N[]): Count<N>[] {
  const counts = new Map<N, number>();
  for (const item of items) {
    for (const name of new Set(namesOf(item))) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts]
    .map(([name, packages]) => ({ name, packages }))
    .sort((a, b) => b.packages - a.packages || (a.name < b.name ? -1 : 1));
}
