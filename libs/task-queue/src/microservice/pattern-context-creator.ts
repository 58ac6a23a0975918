import type { ArgumentMetadata, PipeTransform } from '@nestjs/common';
import type { ExternalContextCreator } from '@nestjs/core';
import {
  type AnyHandler,
  applicationConfigOf,
  type ExceptionsHandler,
  resultOf,
  withFilters,
} from '../nest/discovery/task-context-creator.js';
import { TaskContext } from '../task/task-context.js';
import {
  ExceptionFiltersContext,
  GuardsConsumer,
  GuardsContextCreator,
  InterceptorsConsumer,
  InterceptorsContextCreator,
  PipesConsumer,
  PipesContextCreator,
  RpcContextCreator,
  RpcProxy,
} from './nest-microservices-internals.js';
import { TaskQueueContext } from './task-queue.context.js';

/** What an ExecutionContext of a pattern handler says it is, as on every transport. */
const RPC = 'rpc';

/**
 * Nest's own pipeline around pattern handlers, made anew for the same container and configuration, with two
 * differences.
 *
 * - An error stays what it is. Nest's default turns all but RpcExceptions into "Internal server error", and retries by
 *   class, failure records and errbacks would have nothing to go by.
 * - A parameter of type TaskContext gets the task instead of the context of the message.
 */
export function patternContextCreator(externalContext: ExternalContextCreator): RpcContextCreator {
  const container = externalContext['container'];
  const config = applicationConfigOf(externalContext);
  return new PatternContextCreator(
    new FailingProxy(),
    new ExceptionFiltersContext(container, config as never),
    new PipesContextCreator(container, config),
    new PipesConsumer(),
    new GuardsContextCreator(container, config),
    new GuardsConsumer(),
    new InterceptorsContextCreator(container, config),
    new InterceptorsConsumer(),
    config,
  );
}

class PatternContextCreator extends RpcContextCreator {
  override getParamValue<T>(value: T, metadata: ArgumentMetadata, pipes: PipeTransform[]): Promise<unknown> {
    if (value instanceof TaskQueueContext && (metadata.metatype as unknown) === TaskContext) {
      return Promise.resolve(value.getTask());
    }
    return super.getParamValue(value, metadata, pipes);
  }
}

/** Where Nest answers an error with a message to the caller, the task fails with it. */
class FailingProxy extends RpcProxy {
  override create(target: AnyHandler, handler: unknown): ReturnType<RpcProxy['create']> {
    const toEnd = async (...args: unknown[]): Promise<unknown> => resultOf(await target(...args));
    const filters: ExceptionsHandler = {
      // Of this kind of context it gives null where no filter is for the error.
      invokeCustomFilters: (thrown, host) =>
        (handler as ExceptionsHandler).invokeCustomFilters(thrown, host) ?? undefined,
    };
    return withFilters(toEnd, filters, RPC) as ReturnType<RpcProxy['create']>;
  }
}
