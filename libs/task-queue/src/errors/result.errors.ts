import { TaskQueueError } from './task-queue.error.js';

/** The result was not there in time. The task itself goes on. */
export class ResultTimeoutError extends TaskQueueError {
  readonly code = 'RESULT_TIMEOUT';
  constructor(
    readonly taskId: string,
    readonly timeoutMs: number,
  ) {
    super(`Task ${taskId} had no result within ${timeoutMs} ms. The task itself goes on.`);
  }
}

/** No task has this id: it was never published, or its result has expired or was forgotten. */
export class ResultUnknownError extends TaskQueueError {
  readonly code = 'RESULT_UNKNOWN';
  constructor(readonly taskId: string) {
    super(
      `No task has the id ${taskId}: it was never published, or its result has expired or was forgotten.`,
    );
  }
}

/** A task waits for another task: with all slots of a worker waiting, nothing would ever move. */
export class WaitInsideTaskError extends TaskQueueError {
  readonly code = 'WAIT_INSIDE_TASK';
  constructor(readonly taskId: string) {
    super(
      `A running task waits for the result of task ${taskId}. When all slots of a worker wait like this, nothing ` +
        `moves any more. Let the canvas carry the value: chain(a, b), chord(members, callback) or signature.link(callback). ` +
        `If you know that it cannot deadlock, say get({ allowInsideTask: true }).`,
    );
  }
}

/** `currentTask()` was called where no task is running. */
export class OutsideTaskError extends TaskQueueError {
  readonly code = 'OUTSIDE_TASK';
}

/** The budget of a canvas was to be changed that was published without one: its members do not tell it of failures. */
export class NoBudgetError extends TaskQueueError {
  readonly code = 'NO_BUDGET';
  constructor(readonly taskId: string) {
    super(
      `${taskId} is no chord with a budget. Publish it with recovery: Tolerate({ … }) or failFast, and its budget can be changed.`,
    );
  }
}

/** The budget of a part of a canvas was to be changed that is not there yet: a later step, or a body. */
export class NotBegunError extends TaskQueueError {
  readonly code = 'NOT_BEGUN';
  constructor(readonly taskId: string) {
    super(
      `${taskId} has not begun: its canvas adds it when its turn has come. Change its budget then, or publish it with another one.`,
    );
  }
}
