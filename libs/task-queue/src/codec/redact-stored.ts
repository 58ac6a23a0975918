import { REDACTED, type Redaction, type RedactRoot } from '../failure/redaction.js';
import type { StoredValues } from './stored-values.js';
import { isWritten } from './written-value.js';

/** How much of what a codec has read is looked through: references to one object can make a small text endless. */
const MAX_PARTS = 100_000;
/** Arguments that come as JSON are no deeper. */
const MAX_DEPTH = 512;

/**
 * What is stored without what is to be hidden: it is read, looked through by the names and paths that its user knows, and
 * written again where something was hidden. What cannot be looked through, or not be written again, is hidden as a whole.
 */
export function redactStored<T>(root: RedactRoot, stored: T, redact: Redaction, values: StoredValues): T {
  if (values.readIfPossible(stored) === stored) return redact(root, stored);
  const bounded = withoutEndless(stored, values);
  const read = values.readIfPossible(bounded);
  return merged(bounded, read, redact(root, read), values) as T;
}

/** What was stored, with what is shown in the place of what was read where the two differ. */
function merged(stored: unknown, read: unknown, shown: unknown, values: StoredValues): unknown {
  if (shown === read) return stored;
  if (!isObject(stored) || !isObject(read) || !isObject(shown)) return written(stored, shown, values);
  if (isWritten(stored)) return written(stored, shown, values);
  const entries = Object.entries(shown).map(
    ([key, part]: [string, unknown]) => [key, merged(stored[key], read[key], part, values)] as const,
  );
  return Array.isArray(shown) ? entries.map(([, part]) => part) : Object.fromEntries(entries);
}

function written(stored: unknown, shown: unknown, values: StoredValues): unknown {
  if (!isObject(stored) || !isWritten(stored)) return shown;
  return shown === REDACTED ? REDACTED : (values.writeIfPossible(shown) ?? REDACTED);
}

/** With what cannot be looked through hidden. */
function withoutEndless(stored: unknown, values: StoredValues): unknown {
  if (!isObject(stored)) return stored;
  if (isWritten(stored)) return isBounded(values.readIfPossible(stored)) ? stored : REDACTED;
  if (Array.isArray(stored)) return stored.map((part) => withoutEndless(part, values));
  return Object.fromEntries(
    Object.entries(stored).map(([key, part]: [string, unknown]) => [key, withoutEndless(part, values)]),
  );
}

function isBounded(value: unknown): boolean {
  let left = MAX_PARTS;
  const look = (part: unknown, depth: number): boolean => {
    if (!isObject(part)) return true;
    if (--left < 0 || depth > MAX_DEPTH) return false;
    return Object.values(part).every((inner) => look(inner, depth + 1));
  };
  return look(value, 0);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
