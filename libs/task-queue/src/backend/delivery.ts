import type { JsonValue } from '../primitives/json.js';

/** One activation of one job, as the execution sees it: BullMQ's job without its methods. */
export interface Delivery {
  readonly id: string;
  /** The task's name, or the kind of a node. */
  readonly name: string;
  readonly queue: string;
  readonly data: unknown;
  /** Proves that this activation still owns the job; every write of ours is fenced by it. */
  readonly token: string;
  /** Attempts that ended in an error so far. */
  readonly attemptsMade: number;
  /**
   * Activations so far, this one included; a crash or a shutdown makes one more without an error. One that was turned
   * away before it began is none.
   */
  readonly activations: number;
  /** When this activation began, in epoch milliseconds. */
  readonly startedAtMs: number;
  /** How often a worker died, or lost its lock, while it ran this job. */
  readonly timesLost: number;
  /**
   * Puts the job back to wait for its children.
   *
   * @returns false when none is pending, in which case the job goes on
   */
  waitForChildren(): Promise<boolean>;
}

/** What the queue does with a job when its activation is over. */
export type Verdict = Deed & {
  /** Called once the queue has stored it; never where that was refused. It must not throw. */
  readonly onStored?: () => void;
};

type Deed =
  | { readonly do: 'complete'; readonly value: JsonValue }
  /** Failed for good. The full record has been written before; BullMQ keeps the message. */
  | { readonly do: 'fail'; readonly message: string; readonly stack?: string }
  /** Run again after a delay; counts as an attempt. */
  | { readonly do: 'retry'; readonly delayMs: number; readonly message: string; readonly stack?: string }
  /** Run again by whoever is free; counts as nothing. */
  | { readonly do: 'give-back'; readonly delayMs?: number }
  /** Nothing: the job waits for its children already, or belongs to somebody else by now. */
  | { readonly do: 'leave' };

/** Carries out one activation. It never throws: whatever happens is a verdict. */
export type Processor = (delivery: Delivery) => Promise<Verdict>;
