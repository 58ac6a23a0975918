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

/** The arguments of one call are larger than `limits.argumentBytes`. Nothing was published. */
export class ArgumentTooLargeError extends TaskQueueError {
  readonly code = 'ARGUMENT_TOO_LARGE';
  constructor(
    readonly taskName: string,
    /** What makes them large, e.g. `args[0].rows`. */
    readonly path: string,
    /** Bytes of JSON of all arguments of the call. */
    readonly bytes: number,
    readonly limit: number,
  ) {
    super(
      `Task "${taskName}": its arguments take ${bytes} bytes of JSON, most of it at ${path}; the limit is ${limit}. ` +
        `Store large data elsewhere and send its id, or raise limits.argumentBytes.`,
    );
  }
}

/** One job would have to hold more of a canvas than `limits.canvasBytes`. Nothing was published. */
export class CanvasTooLargeError extends TaskQueueError {
  readonly code = 'CANVAS_TOO_LARGE';
  constructor(
    readonly path: string,
    /** Bytes of JSON of what would be kept for later: steps after the first, body, callbacks. */
    readonly bytes: number,
    readonly limit: number,
  ) {
    super(
      `Canvas at ${path}: what it keeps for later (steps after the first, body, callbacks) takes ${bytes} bytes of JSON; ` +
        `the limit is ${limit}. Make the arguments smaller, or raise limits.canvasBytes.`,
    );
  }
}

/** A member cannot be added to the group or header around a running task: `problem` of the message says why. */
export class CannotAddMemberError extends TaskQueueError {
  readonly code = 'CANNOT_ADD_MEMBER';
  constructor(
    readonly taskId: string,
    problem: string,
  ) {
    super(`Task ${taskId} cannot add a member: ${problem}.`);
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
