import { InvalidTaskError } from '../../errors/configuration.errors.js';
import type { TaskOptions, TasksOptions } from '../../task/task-options.js';
import { declareCommon, declareTask } from './metadata.js';
import { ENTRY_PROVIDER_WATERMARK } from './nest-internals.js';
import { planParameters } from './parameter-plan.js';
import { readTaskOptions, readTasksOptions } from './read-task-options.js';
import { sourceOf } from './source-name.js';

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
    declareTask(target, method, {
      ...readTaskOptions(source, options),
      parameters: planParameters(target, method, handler as (...args: never[]) => unknown),
    });
    // Nest counts the request-scoped enhancers of an entry provider among its dependencies. Without the
    // mark, a request-scoped APP_GUARD would be passed over without a word.
    Reflect.defineMetadata(ENTRY_PROVIDER_WATERMARK, true, target.constructor);
  };
}

/**
 * Says what the tasks of a class have in common, those of classes that extend it included. `@Task` on a method wins.
 *
 * ```ts
 * @Injectable()
 * @Tasks({ connection: 'billing', queue: 'invoices' })
 * export class InvoiceTasks {}
 * ```
 *
 * @throws InvalidTaskError, when the class is loaded, for an option that cannot be read
 */
export function Tasks(options: TasksOptions): ClassDecorator {
  return (type) => declareCommon(type, readTasksOptions(type.name, options));
}
