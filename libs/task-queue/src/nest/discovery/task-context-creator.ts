import type { ArgumentMetadata, PipeTransform } from '@nestjs/common';
import type { ApplicationConfig, ExternalContextCreator } from '@nestjs/core';
import { isObservable, lastValueFrom } from 'rxjs';
import { isControlFlow } from '../../errors/control-flow.js';
import { TaskContext } from '../../task/task-context.js';
import { ExecutionContextHost } from '../decorators/nest-internals.js';
import { withRefusalNamed } from './refused-arguments.js';

export type AnyHandler = (...args: unknown[]) => unknown;
/** What Nest's handlers of exceptions have in common, whatever the kind of context. */
export interface ExceptionsHandler {
  invokeCustomFilters(exception: unknown, host: ExecutionContextHost): unknown;
}

/**
 * Nest's ExternalContextCreator with three answers that suit tasks better. It is derived from the
 * application's own, which stays as it is for others that use it.
 *
 * - An Observable that ends without a value gives null instead of an EmptyError.
 * - Pipes do not run on the TaskContext: a global one that rebuilds objects would take it apart.
 * - A throw that steers the task (a retry, say) passes by the filters, a filter that gives undefined, also
 *   later, has not handled the error, and an unhandled one is left to us to log, once, when it is final.
 *
 * The last one replaces a private collaborator of Nest's. Where a version of Nest lacks it, its own error
 * handling stays in place; a test tells.
 */
export function taskContextCreator(creator: ExternalContextCreator): ExternalContextCreator {
  const getParamValue = creator.getParamValue.bind(creator);
  return Object.create(creator, {
    transformToResult: { value: valueOf },
    getParamValue: {
      value: (value: unknown, metadata: ArgumentMetadata, pipes: PipeTransform[]): unknown =>
        value instanceof TaskContext ? value : getParamValue(value, metadata, pipes),
    },
    externalErrorProxy: { value: { createProxy: withFilters } },
  }) as ExternalContextCreator;
}

/** What a handler comes to: the last value of an Observable, null for an empty one. */
export async function resultOf(returned: unknown): Promise<unknown> {
  return valueOf(await returned);
}

function valueOf(returned: unknown): unknown {
  return isObservable(returned) ? lastValueFrom(returned, { defaultValue: null }) : returned;
}

/**
 * The application's configuration with its global enhancers; the injector does not offer it.
 *
 * @returns undefined where a version of Nest keeps it elsewhere: then nothing is known about globals
 */
export function applicationConfigOf(creator: ExternalContextCreator): ApplicationConfig | undefined {
  return (creator['container'] as { applicationConfig?: ApplicationConfig } | undefined)?.applicationConfig;
}

/**
 * A handler with its filters around it: what they answer is its value. A throw that steers the task passes by them, and
 * a filter that gives undefined has not handled the error. What pipes refuse is named as an InvalidArgumentsError.
 */
export function withFilters(target: AnyHandler, filters: ExceptionsHandler, type: string): AnyHandler {
  return async (...args) => {
    try {
      return await target(...args);
    } catch (thrown) {
      return answerOf(thrown, filters, type, args);
    }
  };
}

/** What filters make of an error. @throws what is not handled, with a refusal of arguments named */
async function answerOf(
  thrown: unknown,
  filters: ExceptionsHandler,
  type: string,
  args: unknown[],
): Promise<unknown> {
  if (isControlFlow(thrown)) throw thrown;
  const host = new ExecutionContextHost(args);
  host.setType(type);
  let answer: unknown;
  try {
    answer = await resultOfFilter(filters.invokeCustomFilters(thrown, host));
  } catch (verdict) {
    throw withRefusalNamed(causedBy(thrown, verdict));
  }
  if (answer === undefined) throw withRefusalNamed(thrown);
  return answer;
}

/**
 * What a filter threw, with what it had caught as its cause unless it says another one. A filter that was written for
 * HTTP throws a TypeError here, and what went wrong in the task has to be found in its record all the same.
 */
function causedBy(caught: unknown, verdict: unknown): unknown {
  // Any object: Nest's own filter for microservices throws plain ones.
  if (typeof verdict !== 'object' || verdict === null || isControlFlow(verdict)) return verdict;
  if (!Object.isExtensible(verdict) || ('cause' in verdict && verdict.cause !== undefined)) return verdict;
  // A filter may have unwrapped what it caught: no error is to be a cause of itself.
  if (causesOf(caught).includes(verdict)) return verdict;
  return Object.defineProperty(verdict, 'cause', { value: caught, configurable: true, writable: true });
}

function causesOf(error: unknown, depth = 5): unknown[] {
  return error instanceof Error && depth > 0 ? [error, ...causesOf(error.cause, depth - 1)] : [];
}

/** Filters written for microservices answer with an Observable; one without a value has not handled anything. */
async function resultOfFilter(returned: unknown): Promise<unknown> {
  const answer = await returned;
  return isObservable(answer) ? lastValueFrom(answer, { defaultValue: undefined }) : answer;
}
