import type { TaskReply } from '../backend/task-reply.js';
import type { EndedGeneration } from '../flow/envelope.js';

/** How much of an error a generation remembers. */
const ERROR_CHARACTERS = 500;

/** What a canvas remembers of a generation that has ended. */
export function endedGeneration(
  generation: number,
  { record, place, job }: Extract<TaskReply, { source: 'job' }>,
  nowMs: number,
): EndedGeneration {
  const error = record && `${record.error.name}: ${record.error.message}`;
  return {
    generation,
    state: place === 'completed' ? 'SUCCESS' : 'FAILURE',
    ...(error === undefined ? {} : { error: error.slice(0, ERROR_CHARACTERS) }),
    finishedAt: new Date(job.finishedOn ?? nowMs).toISOString(),
    rerun: 0,
  };
}
