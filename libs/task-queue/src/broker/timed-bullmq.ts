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

  backend.execCommand = (client, command, args: unknown[]) => {
    const at = TIME_AT[command];
    if (at !== undefined && isTime(args[at])) args[at] = clock.wallMs();
    return execCommand(client, command, args) as unknown;
  };
  backend.addJobToTransaction = (client, job, ...others) => {
    job.timestamp = clock.wallMs();
    return addJobToTransaction(client, job, ...others);
  };
  return backend;
}

function isTime(value: unknown): boolean {
  return Math.abs(Number(value) - Date.now()) < YEAR_MS;
}
