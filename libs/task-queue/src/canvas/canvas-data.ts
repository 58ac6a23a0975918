import type { JsonValue } from '../primitives/json.js';
import type { KeyRules } from '../task/idempotency.js';
import type { DeadlineData } from './deadline-rule.js';
import type { Budget } from './header-rules.js';

/**
 * A canvas as plain data: what is published, stored and sent. Four kinds of node, nested in each other
 * without a limit of shape. Values of this type are never changed; every operation makes a new one.
 *
 * Each node contributes exactly one value: a task what it returns, a chain the value of its last step, a
 * group the list of its members' values, a chord the value of its body.
 */
export type CanvasData = SignatureData | ChainData | GroupData | ChordData;

/** What becomes of late outcomes, as data: nothing where it is absent; the canvas is a callback that gets them. */
export type LateData = 'amend' | CanvasData;

/** How a call differs from what its task says. All durations are milliseconds, all times epoch milliseconds. */
export interface CallOptions {
  readonly countdownMs?: number;
  readonly eta?: number;
  readonly expires?: number;
  /**
   * An expiry that is counted from the moment when the node itself is released, as Celery counts it for a
   * chord's body. For what is released at once, publishing turns it into `expires`.
   */
  readonly expiresInMs?: number;
  readonly queue?: string;
  readonly priority?: number;
  readonly taskId?: string;
  readonly timeLimitMs?: number;
  readonly softTimeLimitMs?: number;
  readonly maxRetries?: number;
  readonly ignoreResult?: boolean;
  readonly headers?: Readonly<Record<string, JsonValue>>;
  /** Belongs to this one task, or to the canvas as a whole: parts do not inherit it. */
  readonly once?: CallKey;
}

/** An idempotency key that a call was given. */
export interface CallKey extends KeyRules {
  readonly key: string;
}

interface NodeData {
  readonly options?: CallOptions;
  /** Run once, with the node's value, when it succeeds. */
  readonly links?: readonly CanvasData[];
  /** Run once, with the node's failure, when it fails. */
  readonly errbacks?: readonly CanvasData[];
}

/** A call of one task. A partial one misses arguments; they go in front of the stored ones. */
export interface SignatureData extends NodeData {
  readonly kind: 'task';
  readonly task: string;
  readonly args: readonly JsonValue[];
  /** Ignores the value that a canvas would put in front of `args`. */
  readonly immutable?: boolean;
  /** One job that calls the task for one item of `args[0]` after the other; its value is the list of theirs. */
  readonly each?: ItemForm;
  /** Of a call for each item: one that fails is an outcome in the list, and the next one follows. */
  readonly settle?: boolean;
  /**
   * The queue that the task's declaration names, for whoever publishes the call without knowing the task: a
   * producer, or a worker that releases a step of another service. Weaker than a queue in any options.
   */
  readonly taskQueue?: string;
}

/** How a call is made of an item: `map` gives it the item, `starmap` spreads the item, a list of arguments. */
export type ItemForm = 'map' | 'starmap';

/** Steps one after the other; each gets the value of the one before. */
export interface ChainData extends NodeData {
  readonly kind: 'chain';
  readonly steps: readonly CanvasData[];
}

/** Members side by side. */
export interface GroupData extends NodeData {
  readonly kind: 'group';
  readonly members: readonly CanvasData[];
  /** Ends with the first member that fails. */
  readonly failFast?: boolean;
}

/** Members side by side, then a body that gets the list of their values. */
export interface ChordData extends NodeData {
  readonly kind: 'chord';
  readonly header: readonly CanvasData[];
  readonly body: CanvasData;
  /** Name of the recovery strategy; the module's default when absent. */
  readonly recovery?: string;
  /** How much may go wrong before the header is closed; without one all members are waited for. */
  readonly budget?: Budget;
  /** When it stops waiting for its members. */
  readonly deadline?: DeadlineData;
  /** What becomes of outcomes that come after a budget or the deadline has closed the header; they are dropped when absent. */
  readonly late?: LateData;
}
