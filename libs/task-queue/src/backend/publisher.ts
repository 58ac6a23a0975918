import type { FlowPlan } from '../flow/flow-plan.js';
import type { Holder } from './ledger.js';

/** What became of a publication. */
export type Publication =
  /** It was carried out now. */
  | 'published'
  /** A canvas of this id exists; nothing was added. */
  | 'exists'
  /** The activation in whose name it was made has been superseded; nothing was added. */
  | 'superseded';

/** Puts flow plans into the queues. */
export interface Publisher {
  /**
   * Publishes a new canvas, whose id nobody else uses.
   *
   * @throws BrokerUnavailableError within the publish timeout; the publication may have happened
   */
  publish(plan: FlowPlan): Promise<Publication>;
  /** Publishes a canvas unless one of its id exists: for ids that callers chose, and for released callbacks. */
  publishOnce(plan: FlowPlan): Promise<Publication>;
  /** Adds a child to a running node, as long as the node's activation holds its lock. */
  publishUnder(holder: Holder, plan: FlowPlan): Promise<Publication>;
}
