import type { SerializedError } from '../failure/task-failure.js';
import type { JsonValue } from '../primitives/json.js';

/**
 * What followed a header with failed members, as it is stored: decided once, so that a crash after the
 * decision does not ask the strategy again.
 *
 * The built-in strategies are stored by the form in which the body reads the members, so that nothing is
 * copied; a strategy of the user's by the arguments that it gave.
 */
export interface ChordDecisionRecord {
  readonly strategy: string;
  readonly failed: number;
  readonly size: number;
  /** Members that had not ended when the header was closed. */
  readonly pending?: number;
  readonly next:
    | { readonly run: 'callback'; readonly members: 'successes' | 'outcomes' }
    | { readonly run: 'callback'; readonly args: readonly JsonValue[] }
    | { readonly run: 'errback' }
    | { readonly run: 'fail'; readonly error: SerializedError };
}
