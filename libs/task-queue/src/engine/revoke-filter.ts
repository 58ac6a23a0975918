import type { TaskQuery } from '../backend/job-store.js';
import { InvalidOptionsError } from '../errors/configuration.errors.js';
import { assertQueueName, readObject } from '../options/option-readers.js';

/** Which tasks are revoked in bulk. One of them has to be given, and everything that is has to hold. */
export interface RevokeFilter {
  /** The name of the task. */
  readonly name?: string;
  /** The queue that it waits or runs in. */
  readonly queue?: string;
  /**
   * Headers that it was stamped or called with: texts, numbers, switches. Where the header is a list, one of its
   * elements. A canvas that has all of them on everything it still keeps is revoked as a whole.
   */
  readonly stamp?: Readonly<Record<string, string | number | boolean>>;
}

/** @throws InvalidOptionsError naming the part that cannot be read; nothing at all is no filter */
export function readRevokeFilter(given: RevokeFilter): TaskQuery {
  const filter = readObject('', given, ['name', 'queue', 'stamp']);
  const { name, queue, stamp } = filter;
  if (name !== undefined && (typeof name !== 'string' || name === ''))
    throw new InvalidOptionsError('name', 'the name of a task', name);
  if (queue !== undefined) assertQueueName('queue', queue);
  if (stamp !== undefined) readStamps(stamp);
  if (name === undefined && queue === undefined && stamp === undefined) {
    throw new InvalidOptionsError(
      'filter',
      'a name, a queue or a stamp; to revoke everything is not offered',
      given,
    );
  }
  return filter;
}

function readStamps(stamp: unknown): void {
  const isObject = typeof stamp === 'object' && stamp !== null && !Array.isArray(stamp);
  if (!isObject || Object.keys(stamp).length === 0)
    throw new InvalidOptionsError('stamp', 'an object with one header or more', stamp);
  for (const [key, value] of Object.entries(stamp)) {
    const isPlain = typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
    if (!isPlain) throw new InvalidOptionsError(`stamp.${key}`, 'a text, a number, true or false', value);
  }
}
