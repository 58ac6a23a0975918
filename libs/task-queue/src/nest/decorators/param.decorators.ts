import { InvalidTaskError } from '../../errors/configuration.errors.js';
import { assignMetadata, getParamArgsMetadata, ROUTE_ARGS_METADATA } from './nest-internals.js';
import { type PipeRef, TASK_PARAM } from './parameter-plan.js';
import { sourceOf } from './source-name.js';

/**
 * Fills the parameter with the TaskContext. Needed only where the build emits no decorator metadata;
 * elsewhere the type `TaskContext` says the same.
 */
export function Ctx(): ParameterDecorator {
  return parameter(TASK_PARAM.CONTEXT, []);
}

/**
 * Says that the parameter is an argument of the task, and which pipes run on it, after those of the
 * application, the class and the method. Parameters without a decorator are arguments anyway.
 */
export function Arg(...pipes: PipeRef[]): ParameterDecorator {
  return parameter(TASK_PARAM.ARGUMENT, pipes);
}

function parameter(type: number, pipes: PipeRef[]): ParameterDecorator {
  return (target, method, index) => {
    if (method === undefined) {
      throw new InvalidTaskError(
        `${sourceOf(target, 'constructor')}: @Arg() and @Ctx() stand on task methods.`,
      );
    }
    // This key is the only one under which Nest looks for pipe classes that it has to instantiate.
    const args = getParamArgsMetadata(ROUTE_ARGS_METADATA, target, method, index);
    const entries = assignMetadata(args as never, type as never, index, { data: undefined, pipes } as never);
    Reflect.defineMetadata(ROUTE_ARGS_METADATA, entries, target.constructor, method);
  };
}
