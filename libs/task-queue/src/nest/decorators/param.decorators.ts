import type { ParameterDecoratorOptions } from '@nestjs/common';
import { InvalidTaskError } from '../../errors/configuration.errors.js';
import {
  assignMetadata,
  getParamArgsMetadata,
  isParameterDecoratorOptions,
  ROUTE_ARGS_METADATA,
} from './nest-internals.js';
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
 * Fills the first parameter with the Outcomes of the header that the task is the body of. Needed only where the build
 * emits no decorator metadata; elsewhere the type `Outcomes` says the same.
 */
export function HeaderOutcomes(): ParameterDecorator {
  return parameter(TASK_PARAM.OUTCOMES, []);
}

/** What runs on an argument, as Nest's own parameter decorators take it. */
export type ArgOptions = ParameterDecoratorOptions;

/**
 * Says that the parameter is an argument of the task, and which pipes run on it, after those of the
 * application, the class and the method. Parameters without a decorator are arguments anyway.
 *
 * With `{ schema }`, a Standard Schema (of zod, valibot or arktype, say), pipes get it as `metadata.schema`; Nest's
 * `StandardSchemaValidationPipe` validates by it.
 */
export function Arg(options: ArgOptions): ParameterDecorator;
export function Arg(...pipes: PipeRef[]): ParameterDecorator;
export function Arg(...given: (PipeRef | ArgOptions)[]): ParameterDecorator {
  const [options] = given;
  return isParameterDecoratorOptions(options)
    ? parameter(TASK_PARAM.ARGUMENT, options.pipes ?? [], options.schema)
    : parameter(TASK_PARAM.ARGUMENT, given as PipeRef[]);
}

function parameter(type: number, pipes: PipeRef[], schema?: ArgOptions['schema']): ParameterDecorator {
  return (target, method, index) => {
    if (method === undefined) {
      throw new InvalidTaskError(
        `${sourceOf(target, 'constructor')}: @Arg() and @Ctx() stand on task methods.`,
      );
    }
    // This key is the only one under which Nest looks for pipe classes that it has to instantiate.
    const args = getParamArgsMetadata(ROUTE_ARGS_METADATA, target, method, index);
    const entries = assignMetadata(args as never, type as never, index, {
      data: undefined,
      pipes,
      schema,
    } as never);
    Reflect.defineMetadata(ROUTE_ARGS_METADATA, entries, target.constructor, method);
  };
}
