/**
 * When a task was fetched, and from whom. Handlers begin in another order: BullMQ's workers fetch as many tasks as they have
 * slots before they begin any, so one may begin long after it was fetched where the next fetch has to wait.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { type Job, Worker } from 'bullmq';
import type { Redis } from 'ioredis';

/** A fetch of a task. */
export interface Fetch {
  /** The how-manieth of this job, as far as the Redis knew that answered. */
  readonly nr: number;
  /** The port of that Redis. */
  readonly from: number;
}

const answered = new WeakMap<Job, Fetch>();
const running = new AsyncLocalStorage<Fetch | undefined>();

/** Which fetch brought the task whose handler asks. */
export const fetchedHere = (): Fetch | undefined => running.getStore();

/** The steps of BullMQ's worker at which a fetch is answered and at which what was fetched begins. */
interface Steps {
  readonly opts: { readonly connection: Redis };
  nextJobFromJobData: (this: Steps, ...answer: unknown[]) => Promise<Job | undefined>;
  callProcessJob: (this: Steps, job: Job, ...rest: unknown[]) => Promise<unknown>;
}

/** From now on every handler of this process can ask which fetch it runs for. */
export function watchFetches(): void {
  const steps = Worker.prototype as unknown as Steps;
  const { nextJobFromJobData, callProcessJob } = steps;
  steps.nextJobFromJobData = async function (...answer) {
    // Right after the answer: the connection is still the one that it came by.
    const from = this.opts.connection.stream.remotePort ?? 0;
    const job = await nextJobFromJobData.apply(this, answer);
    if (job !== undefined) answered.set(job, { nr: job.attemptsStarted, from });
    return job;
  };
  steps.callProcessJob = function (job, ...rest) {
    return running.run(answered.get(job), () => callProcessJob.call(this, job, ...rest));
  };
}
