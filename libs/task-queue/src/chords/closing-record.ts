import type { RestPolicy } from '../canvas/header-rules.js';
import type { ClosedBy, Follow } from './judge-header.js';

/**
 * That a header is closed, as it is stored: once, in one step with the moment from which nothing more is heard of the
 * members that have not ended.
 */
export interface ClosingRecord {
  readonly by: ClosedBy;
  readonly follow: Follow;
  readonly rest: RestPolicy;
  /** In words. */
  readonly why: string;
  /** Members that had not ended. */
  readonly pending: number;
  /** `<node>.late` waits for them, so that what they come to is known when somebody asks for it. */
  readonly late?: true;
  /** Epoch milliseconds. */
  readonly atMs: number;
}

/** The mark of a revocation that nobody asked for: its header was closed, and the rest cancelled. Scripts have it as well. */
export const REVOKED_BY_CLOSING = 'closed';

/** That a header waits for somebody to decide. */
export interface ParkedRecord {
  readonly why: string;
  /** Epoch milliseconds. */
  readonly atMs: number;
}
