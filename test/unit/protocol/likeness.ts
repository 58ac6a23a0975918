import { keyOf } from '../../../libs/task-queue/src/memory/memory-job.js';
import type { CountingStore } from './counting-store.js';
import type { Activity } from './gates.js';

/*
 * What two worlds must have in common to go on alike: of everything that is there, what something that happens later can
 * depend on.
 */

/** Of jobs: where they are, what they hold, and who has them. */
export function likenessOfJobs(store: CountingStore, activities: readonly Activity[]): string[] {
  const jobs = [...store.all()].map((job) => [
    keyOf(job),
    job.place,
    activities.some((one) => one.job === job && !one.isOver && !one.isLost),
    job.data,
    inOrder(job.pending),
    inOrder(job.values),
    inOrder(job.failures),
    inOrder(job.left ?? []),
    job.late && [inOrder(job.late.values), inOrder(job.late.failures)],
    job.stage,
    job.size,
    job.refill && [job.refill.generation, inOrder(job.refill.aside)],
    job.refills,
    job.dispatch,
    job.timestamp,
    job.returnvalue,
    job.failedReason,
    job.attemptsMade,
    job.timesLost,
    job.dueMs,
  ]);
  return inOrder(jobs);
}

/** Of those who are at work: what they have heard is all that they know. */
export function likenessOfActivities(store: CountingStore, activities: readonly Activity[]): string[] {
  const going = activities
    .filter(({ isOver }) => !isOver)
    .map(({ job, name, heard, isLost, isDifferent, isResting, commands }) => [
      job?.id ?? name,
      job !== undefined && store.job(job) === job,
      isLost,
      isDifferent,
      isResting,
      heard,
      commands.map((command) => command.name),
    ]);
  return inOrder(going);
}

/** What is the same in any order. */
export function inOrder(things: Iterable<unknown>): string[] {
  return Array.from(things, (thing) => JSON.stringify(thing)).sort();
}
