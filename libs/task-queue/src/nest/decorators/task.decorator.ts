import { InvalidOptionsError, InvalidTaskError } from '../../errors/configuration.errors.js';
import { readDuration, readInteger, readObject } from '../../options/option-readers.js';
import { assertQueueName } from '../../options/resolve-options.js';
import type { Duration } from '../../primitives/duration.js';
import type { ResolvedTaskOptions, TaskOptions } from '../../task/task-options.js';
import { declareTask } from './metadata.js';
import { ENTRY_PROVIDER_WATERMARK } from './nest-internals.js';
import { planParameters } from './parameter-plan.js';
import { sourceOf } from './source-name.js';

const KEYS: readonly (keyof TaskOptions)[] = [
  'name',
  'queue',
  'softTimeLimit',
  'timeLimit',
  'ignoreResult',
  'priority',
];
/** The lowest priority that the queue can hold. */
const LAST_PRIORITY = 2_097_152;

/**
 * Makes a method of a provider a task.
 *
 * Its parameters are the task's arguments, except one of type `TaskContext`, which the library fills. The
 * compiler must see the class for that: after `import type { TaskContext }`, or where the type is a union,
 * put `@Ctx()` on the parameter.
 *
 * Guards, interceptors, pipes and filters apply as on a controller; pipes run once per argument, with its
 * type. A method with a rest parameter gets its arguments as they are, without pipes.
 *
 * @throws InvalidTaskError, when the class is loaded, for an option that cannot be read
 */
export function Task(options: TaskOptions = {}): MethodDecorator {
  return (target: object, method: string | symbol, descriptor: PropertyDescriptor): void => {
    const source = sourceOf(target, method);
    const handler: unknown = descriptor?.value;
    if (typeof target === 'function' || typeof method === 'symbol' || typeof handler !== 'function') {
      throw new InvalidTaskError(
        `${source}: @Task stands on a method of an instance whose name is a string; ` +
          `not on a static method, an accessor, a property or a symbol.`,
      );
    }
    const { name, queue, ...resolved } = readTaskOptions(source, options);
    declareTask(target, method, {
      name,
      queue,
      options: resolved,
      parameters: planParameters(target, method, handler as (...args: never[]) => unknown),
    });
    // Nest counts the request-scoped enhancers of an entry provider among its dependencies. Without the
    // mark, a request-scoped APP_GUARD would be passed over without a word.
    Reflect.defineMetadata(ENTRY_PROVIDER_WATERMARK, true, target.constructor);
  };
}

function readTaskOptions(
  source: string,
  given: TaskOptions,
): ResolvedTaskOptions & { readonly name: string | undefined; readonly queue: string | undefined } {
  try {
    const { name, queue, ignoreResult, priority, ...limits } = readObject('', given, KEYS);
    if (name !== undefined) assertTaskName(name);
    if (queue !== undefined) assertQueueName('queue', queue);
    if (ignoreResult !== undefined && typeof ignoreResult !== 'boolean') {
      throw new InvalidOptionsError('ignoreResult', 'true or false', ignoreResult);
    }
    return {
      name,
      queue,
      ...readLimits(limits.softTimeLimit, limits.timeLimit),
      ignoreResult: ignoreResult ?? false,
      ...(priority === undefined ? {} : { priority: readInteger('priority', priority, 1, LAST_PRIORITY) }),
    };
  } catch (error) {
    if (!(error instanceof InvalidOptionsError)) throw error;
    throw new InvalidTaskError(`@Task of ${source}: ${error.message}`, { cause: error });
  }
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

function assertTaskName(name: unknown): void {
  if (typeof name === 'string' && /^\S{1,200}$/.test(name)) return;
  throw new InvalidOptionsError('name', '1 to 200 characters without spaces', name);
}
