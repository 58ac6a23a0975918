import { InvalidOptionsError } from '../errors/configuration.errors.js';
import type { LetterHandler } from '../task/task-definition.js';
import { assertQueueName, readAge, readInteger, readObject } from './option-readers.js';
import type { DeadLetterOptions, DeadLetterRoute } from './task-queue-options.js';

/** What becomes of dead letters, after it was read. */
export interface ResolvedDeadLetters {
  readonly maxAgeMs: number;
  readonly maxCount: number;
  readonly sendTo: readonly LetterHandler[];
}

const DEFAULTS = { maxAge: '30d', maxCount: 10_000 } as const;

/** @throws InvalidOptionsError for the first option that cannot be read */
export function resolveDeadLetters(given: DeadLetterOptions | undefined): ResolvedDeadLetters {
  const { maxAge, maxCount, sendTo = [] } = readObject('deadLetters', given, KEYS);
  return {
    maxAgeMs: readAge('deadLetters.maxAge', maxAge ?? DEFAULTS.maxAge),
    maxCount: readInteger('deadLetters.maxCount', maxCount ?? DEFAULTS.maxCount, 0),
    sendTo: Array.isArray(sendTo)
      ? sendTo.map((route: DeadLetterRoute, at) => readRoute(`deadLetters.sendTo[${at}]`, route))
      : [readRoute('deadLetters.sendTo', sendTo as DeadLetterRoute)],
  };
}

const KEYS = ['maxAge', 'maxCount', 'sendTo'];

function readRoute(path: string, given: DeadLetterRoute): LetterHandler {
  const { task, queue, from } = readObject(path, given, ['task', 'queue', 'from']);
  if (typeof task !== 'string' || task === '')
    throw new InvalidOptionsError(`${path}.task`, 'the name of a task', task);
  assertQueueName(`${path}.queue`, queue);
  if (from !== undefined) {
    if (!Array.isArray(from)) throw new InvalidOptionsError(`${path}.from`, 'a list of queue names', from);
    from.forEach((name, at) => assertQueueName(`${path}.from[${at}]`, name));
  }
  return { task, queue, tasks: undefined, ...(from === undefined ? {} : { queues: from }) };
}
