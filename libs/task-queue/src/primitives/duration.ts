/**
 * A length of time at the border of the library: milliseconds as a number, or a
 * string such as `'250ms'`, `'30s'`, `'5m30s'`, `'2h'`, `'1d'`.
 *
 * Inside the library a duration is always a plain number whose name ends in `Ms`.
 */
export type Duration = number | string;

/** A longer wait than this is a point in time that was given by mistake: `Date.now() + …`. */
export const LONGEST_WAIT_MS = 10 * 365 * 86_400_000;

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};
const PART = /(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/y;

/**
 * Reads a duration.
 *
 * @returns whole milliseconds, never negative
 * @throws RangeError when the value cannot be read; the message says what was expected
 */
export function toMilliseconds(value: Duration): number {
  if (typeof value === 'number') {
    if (Number.isFinite(value) && value >= 0) return Math.round(value);
    throw new RangeError(`expected milliseconds of 0 or more, got ${String(value)}`);
  }
  const text = typeof value === 'string' ? value.replaceAll(/\s+/g, '') : '';
  let total = 0;
  PART.lastIndex = 0;
  while (PART.lastIndex < text.length) {
    const part = PART.exec(text);
    if (part === null) break;
    total += Number(part[1]) * (UNIT_MS[part[2] ?? ''] ?? 0);
    if (PART.lastIndex === text.length) return Math.round(total);
  }
  throw new RangeError(
    `expected milliseconds or a duration such as '30s' or '5m30s', got ${JSON.stringify(value)}`,
  );
}

const WORDS: readonly [ms: number, name: string][] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
];

/** A length of time for people: `90 s` is `1.5 min`. */
export function inWords(ms: number): string {
  const [unit, name] = WORDS.find(([size]) => ms >= size) ?? [1, 'ms'];
  return `${Math.round((ms / unit) * 10) / 10} ${name}`;
}
