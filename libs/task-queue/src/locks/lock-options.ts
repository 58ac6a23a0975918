import { InvalidOptionsError } from '../errors/configuration.errors.js';
import { readDuration, readObject } from '../options/option-readers.js';
import type { LockOptions } from '../task/lock.js';

const DEFAULT_TTL_MS = 30_000;
const DEFAULT_WAIT_MS = 5_000;
/** A lock that is renewed more often than this does little else. */
const SHORTEST_TTL_MS = 100;
const LONGEST_NAME = 200;

/** Options of a lock after they were read. */
export interface ResolvedLockOptions {
  readonly ttlMs: number;
  readonly waitMs: number;
}

/** @throws InvalidOptionsError for a name or an option that cannot be read */
export function readLockOptions(name: string, options: LockOptions): ResolvedLockOptions {
  if (typeof name !== 'string' || name === '' || name.length > LONGEST_NAME) {
    throw new InvalidOptionsError('lock.name', `a text of 1 to ${LONGEST_NAME} characters`, name);
  }
  const { ttl, wait } = readObject('lock', options, ['ttl', 'wait']);
  return {
    ttlMs: ttl === undefined ? DEFAULT_TTL_MS : readDuration('lock.ttl', ttl, { min: SHORTEST_TTL_MS }),
    waitMs: wait === undefined ? DEFAULT_WAIT_MS : readDuration('lock.wait', wait, { min: 0 }),
  };
}
