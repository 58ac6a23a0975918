import { readDuration, readInteger, readObject } from '../options/option-readers.js';
import type { Duration } from '../primitives/duration.js';
import type { MendableKind } from '../task/task-event.js';

export type { MendableKind };

/** One thing that was healed. */
export interface Mended {
  /** What was wrong. */
  readonly kind: MendableKind;
  readonly id: string;
  /** The task's name, or the kind of the composite; empty where nothing was stored about it. */
  readonly name: string;
  readonly queue: string;
  /** Where in its canvas it stands; empty for the canvas itself. */
  readonly position: string;
}

/** What reconciling has done. */
export interface ReconcileReport {
  /** What was healed; empty when nothing was wrong. */
  readonly mended: readonly Mended[];
  /** How many tasks and composites were looked at. */
  readonly examined: number;
}

/** What `workflows.reconcile()` goes through when it is not given an id. */
export interface ReconcileOptions {
  /** Only what has been waiting for longer; milliseconds or a duration. @defaultValue '1m' */
  readonly olderThan?: Duration;
  /** About how many tasks and composites are looked at. @defaultValue 10,000 */
  readonly limit?: number;
}

/** @throws InvalidOptionsError naming the option */
export function readScope(options: ReconcileOptions): { olderThanMs: number; limit: number } {
  const { olderThan, limit } = readObject('', options, ['olderThan', 'limit']);
  return {
    olderThanMs: readDuration('olderThan', olderThan ?? '1m', { min: 0, max: Number.MAX_SAFE_INTEGER }),
    limit: readInteger('limit', limit ?? 10_000, 1),
  };
}
