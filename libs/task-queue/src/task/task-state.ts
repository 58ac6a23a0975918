/**
 * The states of a task or a canvas, as in Celery, and one that Celery lacks: `UNKNOWN` tells an id that was
 * never published (or whose result has expired) apart from one that waits (Celery B156).
 */
export const TASK_STATES = [
  'UNKNOWN',
  'PENDING',
  'RECEIVED',
  'STARTED',
  'RETRY',
  'SUCCESS',
  'FAILURE',
  'REVOKED',
] as const;

export type TaskState = (typeof TASK_STATES)[number];

/** States that never change any more. */
export type TerminalState = 'SUCCESS' | 'FAILURE' | 'REVOKED';

export function isTerminal(state: TaskState): state is TerminalState {
  return state === 'SUCCESS' || state === 'FAILURE' || state === 'REVOKED';
}
