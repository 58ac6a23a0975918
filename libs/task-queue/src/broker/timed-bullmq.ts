import { type BackendFactory, createRedisBackend, type RedisQueueBackend } from 'bullmq';
import type { ServerClock } from './server-clock.js';

/**
 * Which argument of BullMQ's scripts is the time that it is, keys counted. By it they make due what is delayed, say from
 * when on a delay counts, and note when something happened.
 */
const TIME_AT: Readonly<Record<string, number>> = {
  moveToActive: 12,
  moveToDelayed: 12,
  moveToFinished: 15,
  moveToWaitingChildren: 9,
  retryJob: 12,
  changeDelay: 5,
  releaseParentIfNoPendingDependencies: 4,
};
/** Scripts that say when to look again, which BullMQ compares with the clock of the machine. */
const FETCHES = new Set(['moveToActive', 'moveToDelayed', 'moveToFinished']);
/** Where the answer of these says so. */
const NEXT_AT = 3;
/** An argument that is no such time is left alone: another release of BullMQ may have its arguments in another order. */
const YEAR_MS = 365 * 86_400_000;

/**
 * BullMQ's access to Redis, by the clock of Redis. By itself BullMQ goes by that of the machine: one that is an hour ahead
 * has everything begin an hour too early that any of the others has delayed.
 */
export function timedBullmq(clock: ServerClock): BackendFactory<RedisQueueBackend> {
  return (name, options, wants) => goBy(clock, createRedisBackend(name, options, wants));
}

function goBy(clock: ServerClock, backend: RedisQueueBackend): RedisQueueBackend {
  const execCommand = backend.execCommand.bind(backend);
  const addJobToTransaction = backend.addJobToTransaction.bind(backend);
  const waitForJob = backend.waitForJob.bind(backend);

  backend.execCommand = (client, command, args: unknown[]) => {
    const at = TIME_AT[command];
    if (at !== undefined && isTime(args[at])) args[at] = clock.wallMs();
    const answer: unknown = execCommand(client, command, args);
    // One promise less for every task where the clocks agree.
    return clock.isMachines || !FETCHES.has(command) ? answer : byMachine(clock, answer);
  };
  backend.waitForJob = async (timeout) => {
    const woken = await waitForJob(timeout);
    if (woken !== null && woken.score > 0) woken.score = clock.machineMs(woken.score);
    return woken;
  };
  backend.addJobToTransaction = (client, job, ...others) => {
    job.timestamp = clock.wallMs();
    return addJobToTransaction(client, job, ...others);
  };
  return backend;
}

/** The answer of a script that fetches, with the time to look again as the machine will say it. */
async function byMachine(clock: ServerClock, answer: unknown): Promise<unknown> {
  const reply = await answer;
  const next: unknown = Array.isArray(reply) ? reply[NEXT_AT] : undefined;
  if (typeof next === 'number' && next > 0) (reply as unknown[])[NEXT_AT] = clock.machineMs(next);
  return reply;
}

function isTime(value: unknown): boolean {
  return Math.abs(Number(value) - Date.now()) < YEAR_MS;
}
