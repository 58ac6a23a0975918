import type { Rerun } from '../flow/redrive.js';
import type { JobRef } from './job-ref.js';

/** Members that have been set aside, on their way back. */
export interface Refill {
  readonly node: string;
  /** The generation that they are put back for. */
  readonly generation: number;
  readonly rerun: readonly Rerun[];
  /** Such as stay failed. */
  readonly left: readonly JobRef[];
}

/**
 * Redrives that are too wide for one step. `Publisher.reopen` has put the wide headers back and set aside what failed in
 * them; here it follows. A header is held back meanwhile by a lease: when that runs out, what is still set aside counts as
 * failed, as it did before.
 *
 * Whoever puts back asks at each step whether that still holds, so that several who do it put back each member once.
 */
export interface Refills {
  /** The headers of a canvas in which something is still set aside. */
  unfinished(root: string): Promise<readonly string[]>;
  /** What is set aside in a header, page by page. */
  setAside(node: string): AsyncIterable<JobRef[]>;
  /**
   * Puts members back, in steps of a few hundred jobs. Such as somebody else has put back are passed over.
   *
   * @returns 'over' when no more is put back into this header: it was closed, revoked or let go, or is in another generation
   */
  putBack(refill: Refill): Promise<'open' | 'over'>;
  /** Lets a header go in which nothing is set aside any more. @returns 'open' when there is */
  finish(node: string, generation: number): Promise<'open' | 'over'>;
  /** Makes the leases of these headers begin anew, where that is due. */
  renew(nodes: readonly string[]): Promise<void>;
  /**
   * Nobody goes on: what is still set aside counts as failed. The header is not let go by that.
   *
   * @param generation for which it was set aside: of a later one somebody else may be putting it back
   * @defaultValue any: for a revocation, which holds for all of them
   */
  giveUp(node: string, generation?: number): Promise<void>;
}
