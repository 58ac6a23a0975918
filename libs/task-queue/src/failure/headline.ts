import type { TaskFailure } from './task-failure.js';

/** `Name: message`; the name in front keeps it apart from messages that BullMQ takes for control flow (H8). */
export function headline(failure: TaskFailure): string {
  return `${failure.error.name}: ${failure.error.message}`;
}
