import type { Envelope } from './envelope.js';

/**
 * How long a job stays after it has ended.
 *
 * - `parent`: not at all once it has a value, which lives in its node's hash, atomically with its end; one that failed
 *   stays at most as long as its canvas, for those who look into its queue;
 * - `canvas`: until its canvas expires, because children's values hang on it;
 * - `age`: until results of its queue expire.
 */
export type Retention = 'parent' | 'canvas' | 'age';

/** Jobs that are published in one step, all or nothing. The members of wider nodes follow in chunks. */
export const MAX_TREE = 1_000;

const SMALLEST_CHUNK = 100;
const LARGEST_CHUNK = 500;

/**
 * How many members of a wide node are published at a time. Few at first, so that workers have something to do; more than
 * 500 gain nothing, and keep the store and the event loop from others for longer.
 */
export function chunkSize(published: number): number {
  return Math.min(LARGEST_CHUNK, Math.max(SMALLEST_CHUNK, published));
}

/** One job to be published. */
export interface PlannedJob {
  readonly id: string;
  readonly queue: string;
  readonly name: string;
  readonly data: Envelope;
  readonly retention: Retention;
  readonly delayMs?: number;
  readonly priority?: number;
  /** Ahead of everything that waits; for hooks, which belong to work that is over. */
  readonly lifo?: boolean;
  /** Its node hears of its failure at once, not only when all have ended. */
  readonly reports?: boolean;
  /** Goes into its queue before this one does, and stands beside it. */
  readonly timer?: PlannedJob;
}

/**
 * A canvas made ready to publish: our own form, independent of BullMQ. A job with children is released when
 * all of them are terminal, whatever became of them.
 */
export interface FlowPlan {
  readonly job: PlannedJob;
  readonly children: readonly FlowPlan[];
  /** Jobs in this tree, this one included. */
  readonly size: number;
}
