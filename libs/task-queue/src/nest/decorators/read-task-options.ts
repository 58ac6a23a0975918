import { InvalidOptionsError, InvalidTaskError } from '../../errors/configuration.errors.js';
import { readDuration, readInteger, readObject } from '../../options/option-readers.js';
import { assertQueueName } from '../../options/option-readers.js';
import { readConnectionName } from '../../options/resolve-options.js';
import type { Duration } from '../../primitives/duration.js';
import { type ErrorMatcher, matchersProblem } from '../../retry/retry-policy.js';
import { type RateLimit, type RateLimitOptions, readRate } from '../../rate-limit/rate-limit.js';
import type { TaskOptions, TasksOptions } from '../../task/task-options.js';
import type { TaskDeclaration, TaskPlace } from './metadata.js';

const RATE_KEYS: readonly (keyof RateLimitOptions)[] = ['limit', 'per', 'burst', 'key', 'name'];
const PLACE_KEYS: readonly (keyof TasksOptions)[] = ['queue', 'connection'];
const TASK_KEYS: readonly (keyof TaskOptions)[] = [
  'name',
  ...PLACE_KEYS,
  'softTimeLimit',
  'timeLimit',
  'ignoreResult',
  'priority',
  'expected',
  'rateLimit',
];
/** The lowest priority that the queue can hold. */
const LAST_PRIORITY = 2_097_152;

/**
 * Reads the options of `@Task` on a method, or of another decorator that makes a task of it.
 *
 * @throws InvalidTaskError naming the method, for the first option that cannot be read
 */
export function readTaskOptions(
  source: string,
  given: TaskOptions,
  decorator = '@Task',
): Omit<TaskDeclaration, 'parameters'> {
  return naming(`${decorator} of ${source}`, () => {
    const { name, ignoreResult, priority, expected, rateLimit, ...others } = readObject('', given, TASK_KEYS);
    if (name !== undefined) assertTaskName(name);
    if (ignoreResult !== undefined && typeof ignoreResult !== 'boolean') {
      throw new InvalidOptionsError('ignoreResult', 'true or false', ignoreResult);
    }
    return {
      name,
      ...readPlace(others),
      options: {
        ...readLimits(others.softTimeLimit, others.timeLimit),
        ignoreResult: ignoreResult ?? false,
        ...(priority === undefined ? {} : { priority: readInteger('priority', priority, 1, LAST_PRIORITY) }),
        ...(expected === undefined ? {} : { expected: readMatchers('expected', expected) }),
        ...(rateLimit === undefined ? {} : { rateLimit: readRateLimit(rateLimit) }),
      },
    };
  });
}

/**
 * Reads the options of `@Tasks` on a class.
 *
 * @throws InvalidTaskError naming the class, for the first option that cannot be read
 */
export function readTasksOptions(source: string, given: TasksOptions): TaskPlace {
  return naming(`@Tasks of ${source}`, () => readPlace(readObject('', given, PLACE_KEYS)));
}

function naming<T>(where: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof InvalidOptionsError)) throw error;
    throw new InvalidTaskError(`${where}: ${error.message}`, { cause: error });
  }
}

function readPlace({ queue, connection }: TasksOptions): TaskPlace {
  if (queue !== undefined) assertQueueName('queue', queue);
  if (connection !== undefined) readConnectionName('connection', connection);
  return { queue, connection };
}

function readLimits(
  soft: Duration | undefined,
  hard: Duration | undefined,
): { softTimeLimitMs?: number; timeLimitMs?: number } {
  const softTimeLimitMs = soft === undefined ? undefined : readDuration('softTimeLimit', soft);
  const timeLimitMs = hard === undefined ? undefined : readDuration('timeLimit', hard);
  if (softTimeLimitMs !== undefined && timeLimitMs !== undefined && softTimeLimitMs >= timeLimitMs) {
    throw new InvalidOptionsError('softTimeLimit', `less than timeLimit (${timeLimitMs} ms)`, soft);
  }
  return {
    ...(softTimeLimitMs === undefined ? {} : { softTimeLimitMs }),
    ...(timeLimitMs === undefined ? {} : { timeLimitMs }),
  };
}

function readMatchers(path: string, given: readonly ErrorMatcher[]): readonly ErrorMatcher[] {
  const problem = matchersProblem(path, given);
  if (problem === undefined) return given;
  throw new InvalidOptionsError(problem.path, problem.expected, problem.found);
}

function readRateLimit(given: string | RateLimitOptions): RateLimit {
  const { name, key, ...rate } =
    typeof given === 'string' ? ({} as Partial<RateLimitOptions>) : readObject('rateLimit', given, RATE_KEYS);
  if (name !== undefined) assertName('rateLimit.name', name);
  if (key !== undefined && typeof key !== 'function') {
    throw new InvalidOptionsError('rateLimit.key', 'a function of the arguments', key);
  }
  try {
    const read = readRate(typeof given === 'string' ? given : (rate as RateLimitOptions));
    return { name, key: key as RateLimit['key'], rate: read };
  } catch (error) {
    const expected = error instanceof Error ? error.message : String(error);
    throw new InvalidOptionsError('rateLimit', expected, given);
  }
}

function assertTaskName(name: unknown): void {
  assertName('name', name);
}

function assertName(path: string, name: unknown): void {
  if (typeof name === 'string' && /^\S{1,200}$/.test(name)) return;
  throw new InvalidOptionsError(path, '1 to 200 characters without spaces', name);
}
