import { InvalidOptionsError } from '../errors/configuration.errors.js';
import { type RedriveRefusal, RedriveRefusedError } from '../errors/redrive.errors.js';
import type { JsonValue } from '../primitives/json.js';
import type { AsyncResult } from '../results/async-result.js';

/** What became of a call to redrive a canvas. */
export interface RedriveOutcome<R = JsonValue> {
  /** The handle on the canvas, which waits for the end of its last generation. */
  readonly result: AsyncResult<R>;
  /** The generation that has begun. */
  readonly generation: number;
  /** Whether this call began it: somebody else may have been faster. */
  readonly begun: boolean;
  /**
   * Ids of the tasks that are run again. When somebody else has begun it: those that this call has put back, because he
   * had not come to it.
   */
  readonly rerun: readonly string[];
  /**
   * Ids of what failed and stays so: members that were revoked, that were removed by hand, and such as are not kept any more.
   * The new generation counts them as failed.
   */
  readonly left: readonly string[];
}

export function refused(id: string, reason: RedriveRefusal, why: string): RedriveRefusedError {
  return new RedriveRefusedError(id, reason, `Canvas ${id} is not redriven: ${why}.`);
}

/** Of a generation that is to be followed, and has not begun. */
export function notYet(after: number, last: number): InvalidOptionsError {
  return new InvalidOptionsError('after', `a generation that there is: the last one is ${last}`, after);
}
