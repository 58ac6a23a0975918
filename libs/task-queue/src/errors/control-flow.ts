import type { Duration } from '../primitives/duration.js';

const CONTROL = Symbol.for('nestjs-task-queue:control-flow');

/**
 * Throws that steer a task. They are no failures: they are never logged as such and they are not
 * TaskQueueErrors. A handler that catches everything must let them pass (`isControlFlow`).
 */
export abstract class ControlFlow extends Error {
  readonly [CONTROL] = true;
  constructor(message: string) {
    super(message);
    this.name = new.target.name;
  }
}

/** What a task says when it asks for another attempt. */
export interface RetryRequest {
  /** Time until the next attempt. Not together with `eta`. @defaultValue the backoff of the task's policy */
  readonly countdown?: Duration;
  /** When the next attempt may begin: a Date, epoch milliseconds or an ISO 8601 text. Not together with `countdown`. */
  readonly eta?: Date | number | string;
  /** Why: recorded as the error of this attempt, and what the task fails with when its retries are used up. */
  readonly error?: unknown;
  /** The arguments of the next attempt and of those after it, in place of the ones it has now: all of them. */
  readonly args?: readonly unknown[];
  /** Retries of the task that this request allows, in place of what the call or the policy says. */
  readonly maxRetries?: number;
}

/** Ends this attempt and asks for another one. `task.retry()` throws it. */
export class RetryTask extends ControlFlow {
  constructor(readonly options: RetryRequest = {}) {
    super('the task asks for another attempt');
  }
}

/** Fails the task at once, without a retry. */
export class RejectTask extends ControlFlow {
  constructor(readonly reason: string) {
    super(reason);
  }
}

/** Ends the task as a success whose value is null. */
export class IgnoreResult extends ControlFlow {
  constructor() {
    super('the task ends without a result');
  }
}

/** Ends this attempt and puts a canvas in the task's place. `task.replace()` throws it. */
export class ReplaceTask extends ControlFlow {
  constructor(
    /** The canvas as plain data. */
    readonly canvas: object,
  ) {
    super('the task is replaced by another canvas');
  }
}

/** Whether something thrown steers a task rather than fails it; works across two copies of the package. */
export function isControlFlow(thrown: unknown): thrown is ControlFlow {
  return typeof thrown === 'object' && thrown !== null && CONTROL in thrown;
}
