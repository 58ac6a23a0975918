import { TaskQueueError } from './task-queue.error.js';

/** An option cannot be read. `path` says which, e.g. `queues.reports.concurrency`. */
export class InvalidOptionsError extends TaskQueueError {
  readonly code = 'INVALID_OPTIONS';
  constructor(
    readonly path: string,
    readonly expected: string,
    readonly found: unknown,
  ) {
    super(`Option ${path}: expected ${expected}, got ${show(found)}.`);
  }
}

/** Two methods claim the same task name. Both classes are named. */
export class DuplicateTaskError extends TaskQueueError {
  readonly code = 'DUPLICATE_TASK';
  constructor(
    readonly taskName: string,
    readonly first: string,
    readonly second: string,
  ) {
    super(
      `Task name "${taskName}" is declared by ${first} and again by ${second}. ` +
        `Give one of them a name of its own: @Task({ name: '…' }).`,
    );
  }
}

/** A `@Task` method cannot be served as it stands. */
export class InvalidTaskError extends TaskQueueError {
  readonly code = 'INVALID_TASK';
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'function') return `function ${value.name}`;
  return typeof value === 'object' && value !== null ? showObject(value) : String(value);
}

function showObject(value: object): string {
  for (const look of [() => JSON.stringify(value), () => Object.prototype.toString.call(value)]) {
    try {
      const shown = look();
      if (shown !== undefined) return shown;
    } catch {
      // A cycle; or a getter or a proxy of the caller's threw.
    }
  }
  return 'something that cannot be read';
}
