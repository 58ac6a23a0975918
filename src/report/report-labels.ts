/** The words and number formats of the report. */
import type { LicenceCategory } from '../licences/licence-catalogue.js';
import type { LicenceVerdict } from '../licences/licence-finding.js';

/** Names of the categories. */
export const CATEGORY_LABELS: Readonly<Record<LicenceCategory, string>> = {
  'public-domain': 'Public domain',
  permissive: 'Permissive',
  'weak-copyleft': 'Weak copyleft',
  'strong-copyleft': 'Strong copyleft',
  proprietary: 'Proprietary',
  unknown: 'Unknown',
};

/** Names and signs of the verdicts; the sign tells them apart without colour. */
export const VERDICT_LABELS: Readonly<Record<LicenceVerdict, { label: string; sign: string }>> = {
  consistent: { label: 'Consistent', sign: '✓' },
  contradiction: { label: 'Contradiction', sign: '≠' },
  undeclared: { label: 'Undeclared', sign: '?' },
};

const FAILURE_LABELS: Readonly<Record<string, string>> = {
  MISSING_LICENCE_TEXT: 'No licence text',
  UNIDENTIFIED_LICENCE: 'Licence text not recognised',
  BROKEN_MANIFEST: 'Broken package.json',
};

/** What an error code means, in words; codes of others stand for themselves. */
export function failureLabel(code: string): string {
  return Object.hasOwn(FAILURE_LABELS, code) ? (FAILURE_LABELS[code] ?? code) : code;
}

/** "1 package", "548 packages". */
export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${formatNumber(count)} ${count === 1 ? one : many}`;
}

/** A whole number with its thousands set apart. */
export function formatNumber(value: number): string {
  return value.toLocaleString('en-GB');
}

/** A share as a percentage, which no line break may split; shares that would be rounded to nothing or all keep a decimal. */
export function formatShare(part: number, whole: number): string {
  if (whole === 0) return '0\u00A0%';
  const percent = (100 * part) / whole;
  const needsDecimal = (percent > 0 && percent < 1) || (percent > 99 && percent < 100);
  return `${percent.toFixed(needsDecimal ? 1 : 0)}\u00A0%`;
}

/** A moment, in a form that reads the same everywhere: "2026-08-07 09:30:00 UTC". */
export function formatMoment(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
}

/** "850 ms", "12.3 s", "4 min 20 s". */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
