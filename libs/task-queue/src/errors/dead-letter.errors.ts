import { TaskQueueError } from './task-queue.error.js';

/** There is no dead letter of this id: there never was, it was discarded, or it was too old or one too many. */
export class DeadLetterUnknownError extends TaskQueueError {
  readonly code = 'DEAD_LETTER_UNKNOWN';
  constructor(readonly id: string) {
    super(`There is no dead letter of task ${id}: its task has not failed, or the letter is gone.`);
  }
}
