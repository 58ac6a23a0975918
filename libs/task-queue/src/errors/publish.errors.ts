import { TaskQueueError } from './task-queue.error.js';

/** A canvas has a shape that cannot run. `path` says where in the canvas. */
export class InvalidCanvasError extends TaskQueueError {
  readonly code = 'INVALID_CANVAS';
  constructor(
    readonly path: string,
    problem: string,
  ) {
    super(`Canvas at ${path}: ${problem}`);
  }
}

/** An argument cannot travel as JSON. Nothing was published. */
export class UnserializableArgumentError extends TaskQueueError {
  readonly code = 'UNSERIALIZABLE_ARGUMENT';
  constructor(
    readonly taskName: string,
    readonly path: string,
    found: string,
  ) {
    super(`Task "${taskName}": ${path} cannot be sent as JSON: it is ${found}.`);
  }
}

/** An id that a caller chose cannot be used. */
export class InvalidIdError extends TaskQueueError {
  readonly code = 'INVALID_ID';
  constructor(readonly id: string) {
    super(
      `Id ${JSON.stringify(id)} cannot be used: expected 1 to 128 letters, digits, "_" or "-", ` +
        `not digits only (the queue reserves those).`,
    );
  }
}

/**
 * Redis did not answer within the bound, or refused.
 *
 * A publication that ended so may have happened all the same: the answer may have been lost on the way.
 * `taskId` is the id under which it was sent; publishing again with `{ taskId }` never doubles the work.
 */
export class BrokerUnavailableError extends TaskQueueError {
  readonly code = 'BROKER_UNAVAILABLE';
  constructor(
    message: string,
    readonly taskId?: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}
