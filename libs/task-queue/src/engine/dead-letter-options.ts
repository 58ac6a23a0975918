import type { LetterPosition, LetterQuery } from '../backend/failure-store.js';
import { InvalidOptionsError } from '../errors/configuration.errors.js';
import type { DeadLetterSummary } from '../failure/dead-letter.js';
import { readObject } from '../options/option-readers.js';
import type { Duration } from '../primitives/duration.js';
import { findNonJson, type JsonValue } from '../primitives/json.js';

/** Which dead letters are meant. Everything that is given has to hold; nothing given means all that are open. */
export interface DeadLetterFilter {
  /** The name of the task. */
  readonly task?: string;
  /** The queue that the task came from. */
  readonly queue?: string;
  /** The name or the code of the error. */
  readonly error?: string;
  /** Those whose tasks failed at this time or later: a Date, epoch milliseconds or an ISO 8601 text. */
  readonly from?: Date | number | string;
  /** Those whose tasks failed before this time. */
  readonly until?: Date | number | string;
  /** Those that are open (false), those that were retried (true), or both. @defaultValue false */
  readonly retried?: boolean | 'both';
}

/** Which page of which dead letters. */
export interface DeadLetterListOptions extends DeadLetterFilter {
  /** From 1 to 1,000. @defaultValue 50 */
  readonly limit?: number;
  /** Where the page before this one ended: its `cursor`. */
  readonly cursor?: string;
}

/** A page of dead letters, those whose tasks failed last first. */
export interface DeadLetterPage {
  readonly letters: readonly DeadLetterSummary[];
  /** Where the next page begins; undefined on the last one. */
  readonly cursor?: string;
}

/** How a dead letter's task is run again. */
export interface RetryLetterOptions {
  /** Arguments in place of those that failed, all of them. */
  readonly args?: readonly unknown[];
  /** A queue in place of the one that it came from. */
  readonly queue?: string;
  /** Time until it may start. @defaultValue 0 */
  readonly countdown?: Duration;
  /**
   * Redrives the canvas that the task is a part of, as `workflows.redrive` does: this task and whatever else failed in it
   * is run again, in its place, and the canvas goes on. It excludes the other options. @defaultValue false
   */
  readonly redrive?: boolean;
}

/** How the tasks of many dead letters are run again. */
export interface RetryLettersOptions {
  /** How many of them may start in a second: the others are delayed. @defaultValue 10 */
  readonly perSecond?: number;
  /** How many at most. @defaultValue all */
  readonly limit?: number;
}

const FILTER_KEYS: readonly (keyof DeadLetterFilter)[] = [
  'task',
  'queue',
  'error',
  'from',
  'until',
  'retried',
];
/** @throws InvalidOptionsError naming the part that cannot be read */
export function readFilter(given: DeadLetterFilter): LetterQuery {
  const { from, until, retried = false, ...names } = readObject('', given, FILTER_KEYS);
  for (const [name, value] of Object.entries(names)) {
    if (value !== undefined && (typeof value !== 'string' || value === '')) {
      throw new InvalidOptionsError(name, 'a text that is not empty', value);
    }
  }
  if (retried !== 'both' && typeof retried !== 'boolean') {
    throw new InvalidOptionsError('retried', "true, false or 'both'", retried);
  }
  return {
    ...names,
    ...(from === undefined ? {} : { fromMs: readTime('from', from) }),
    ...(until === undefined ? {} : { untilMs: readTime('until', until) }),
    ...(retried === 'both' ? {} : { retried }),
  };
}

function readTime(path: string, value: Date | number | string): number {
  const time = typeof value === 'number' ? value : new Date(value).getTime();
  if (Number.isFinite(time)) return Math.round(time);
  throw new InvalidOptionsError(path, 'a Date, epoch milliseconds or an ISO 8601 text', value);
}

/**
 * @param areWritten whether a codec writes them, which says itself what it cannot write
 * @throws InvalidOptionsError naming the place of what is no JSON
 */
export function readArgs(args: readonly unknown[], areWritten: boolean): readonly JsonValue[] {
  if (!Array.isArray(args)) throw new InvalidOptionsError('args', 'a list of arguments', args);
  const offence = areWritten ? undefined : findNonJson(args, 'args');
  if (offence) throw new InvalidOptionsError(offence.path, 'what can be sent as JSON', offence.found);
  return args as readonly JsonValue[];
}

export function cursorOf({ failedAt, id }: DeadLetterSummary): string {
  return `${Date.parse(failedAt)}:${id}`;
}

/** @throws InvalidOptionsError when it is none */
export function readCursor(cursor: string): LetterPosition {
  const [, time, id] = /^(\d{1,16}):(.+)$/.exec(cursor) ?? [];
  if (time === undefined || id === undefined) {
    throw new InvalidOptionsError('cursor', 'the cursor of a page', cursor);
  }
  return { atMs: Number(time), id };
}
