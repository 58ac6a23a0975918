import type { JsonValue } from '../primitives/json.js';
import type { Outcome } from './built-in-recoveries.js';

/** What one member came to after its header had been closed. */
export type LateOutcome<R = JsonValue> = Outcome<R> & {
  /** Its place in the header. */
  readonly index: number;
  readonly taskId: string;
};

/**
 * What the members of a chord came to that had not ended when a deadline or a budget closed its header: the first argument
 * of the callback under `late`. `R` is what a member returns.
 */
export interface LateOutcomes<R = JsonValue> {
  readonly chordId: string;
  /** In definition order. Members that were revoked have come to nothing, and are not among them. */
  readonly outcomes: readonly LateOutcome<R>[];
}
