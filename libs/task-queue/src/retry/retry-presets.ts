import { ErrorKinds } from './error-kinds.js';
import type { RetryOptions } from './retry-policy.js';

const { network, timeout, rateLimit, databaseLock, serviceDown, invalidData, notFound, authentication } =
  ErrorKinds;

/**
 * Policies for what happens most, ready for `@Retry`:
 *
 * ```ts
 * @Retry(RetryPresets.rateLimit)
 * @Retry(RetryPresets.network)
 * @Retry({ ...RetryPresets.serviceDown, maxRetries: 50 })
 * @Retry(RetryPresets.invalidData)
 * ```
 *
 * Each says which errors it is for, so they stand beside each other and beside policies of one's own; `for` replaces them.
 * The last three fail at once, whatever policy is beside them: without `expected` that is an error in the log and a dead
 * letter.
 */
export const RetryPresets = {
  /** Exponential backoff with jitter, from a second to a minute, 6 retries. */
  network: {
    for: [network],
    maxRetries: 6,
    backoff: { type: 'exponential', delay: '1s', max: '1m', jitter: true },
  },
  /** As the other side says (Retry-After), else every 30 s; 10 retries. */
  rateLimit: {
    for: [rateLimit],
    maxRetries: 10,
    backoff: { type: 'fixed', delay: '30s' },
    honourRetryAfter: true,
  },
  /** Soon and seldom: after 1, 2 and 4 s. */
  databaseLock: {
    for: [databaseLock],
    maxRetries: 3,
    backoff: { type: 'exponential', delay: '1s', max: '5s', jitter: false },
  },
  /** Patient: from a minute to half an hour, for up to a day. */
  serviceDown: {
    for: [serviceDown],
    maxRetries: Infinity,
    maxElapsed: '1d',
    backoff: { type: 'exponential', delay: '1m', max: '30m', jitter: true },
  },
  /** Three more times; the task may give itself more time, by `task.retries`. */
  timeout: {
    for: [timeout],
    maxRetries: 3,
    backoff: { type: 'exponential', delay: '5s', max: '1m', jitter: true },
  },
  /** Not again. */
  invalidData: { for: [invalidData], never: [invalidData], maxRetries: 0 },
  /** Not again: what is not there will mostly not come. */
  notFound: { for: [notFound], never: [notFound], maxRetries: 0 },
  /** Not again: somebody has to look. */
  authentication: { for: [authentication], never: [authentication], maxRetries: 0 },
} as const satisfies Readonly<Record<string, RetryOptions>>;
