import { Injectable, Logger } from '@nestjs/common';
import { type ContextId, ExternalContextCreator } from '@nestjs/core';
import { InvalidTaskError } from '../../errors/configuration.errors.js';
import type { JsonValue } from '../../primitives/json.js';
import type { TaskContext } from '../../task/task-context.js';
import type { HookDefinition, HookKind, TaskDefinition } from '../../task/task-definition.js';
import type { TaskEventHandler } from '../../task/task-event.js';
import { ROUTE_ARGS_METADATA } from '../decorators/nest-internals.js';
import { type ParameterPlan, placeArguments } from '../decorators/parameter-plan.js';
import { hasGlobalEnhancers, hasScopedGlobalEnhancers, localEnhancers } from './enhancers.js';
import { withRefusalNamed } from './refused-arguments.js';
import { applicationConfigOf, resultOf, taskContextCreator } from './task-context-creator.js';
import { TaskParamsFactory } from './task-params.factory.js';
import type { TaskProvider } from './task-provider.js';
import { type EventRequest, type HookRequest, TASK_CONTEXT_TYPE, type TaskRequest } from './task-request.js';

/** Parameters that are known; the others were refused. */
type ServedPlan = Exclude<ParameterPlan, { kind: 'unknown' }>;
type Args = readonly JsonValue[];
type Run = (args: Args, context: TaskContext) => unknown;

interface Handler {
  readonly provider: TaskProvider;
  readonly method: string;
  readonly plan: ServedPlan;
}

/**
 * Makes task methods and hooks callable.
 *
 * A task runs through its guards, interceptors, pipes and filters, on an instance of its own where its
 * provider is scoped. Where there is nothing of all that, its method is called directly.
 */
@Injectable()
export class HandlerFactory {
  readonly #contexts: ExternalContextCreator;
  readonly #params = new TaskParamsFactory();
  readonly #logger = new Logger('TaskQueue');

  constructor(private readonly externalContext: ExternalContextCreator) {
    this.#contexts = taskContextCreator(externalContext);
  }

  /**
   * @throws InvalidTaskError when Nest would pass over an enhancer without a word, because a factory or a
   * value provides the class
   */
  createTask(provider: TaskProvider, method: string, plan: ServedPlan): TaskDefinition['invoke'] {
    this.#refuseLostEnhancers(provider, method);
    let run: Run | undefined;
    const missesContext = this.#warnOnce(provider, method, plan);
    return (args, context) => {
      missesContext?.(args);
      // Decided at the first call, not at boot: useGlobalGuards() and its kind come after the discovery.
      run ??= this.#runOf({ provider, method, plan });
      return run(args, context);
    };
  }

  createHook(provider: TaskProvider, method: string, kind: HookKind): HookDefinition['invoke'] {
    return async (payload) => {
      const request: HookRequest = { hook: kind, payload, headers: headersOf(payload) ?? {} };
      const instance = provider.scoped ? (await provider.resolve(request)).instance : provider.instance;
      return resultOf(instance[method]?.(payload));
    };
  }

  createEventHandler(provider: TaskProvider, method: string): TaskEventHandler['invoke'] {
    return async (event) => {
      const request: EventRequest = { event, headers: event.headers ?? {} };
      const instance = provider.scoped ? (await provider.resolve(request)).instance : provider.instance;
      await resultOf(instance[method]?.(event));
    };
  }

  #runOf(handler: Handler): Run {
    const { provider } = handler;
    const direct = this.#isDirect(handler);
    if (!provider.scoped) {
      return direct
        ? (args, context) => callDirectly(provider.instance, handler, args, context)
        : this.#pipeline(provider.instance, handler);
    }
    return async (args, context) => {
      const request: TaskRequest = { task: context, args, headers: context.headers };
      const { instance, contextId } = await provider.resolve(request).catch(rethrowNamed);
      return direct
        ? callDirectly(instance, handler, args, context)
        : this.#pipeline(instance, handler, contextId)(args, context);
    };
  }

  /** Whether nothing runs around the method. A configuration that cannot be read may hold something. */
  #isDirect({ provider, method, plan }: Handler): boolean {
    const config = applicationConfigOf(this.externalContext);
    return (
      config !== undefined &&
      !hasGlobalEnhancers(config) &&
      !(plan.kind === 'declared' && plan.enhanced) &&
      localEnhancers(provider.type, method).length === 0
    );
  }

  #pipeline(instance: TaskProvider['instance'], handler: Handler, contextId?: ContextId): Run {
    const { provider, method, plan } = handler;
    const callback = instance[method] as (...args: unknown[]) => unknown;
    return this.#contexts.create(
      instance,
      // Nest fills only parameters that it knows of; without any it would pass on its own two arguments.
      plan.kind === 'declared' && plan.roles.length > 0 ? callback : spreading(callback, plan),
      method,
      ROUTE_ARGS_METADATA,
      this.#params,
      contextId,
      contextId && provider.id,
      { guards: true, interceptors: true, filters: true },
      TASK_CONTEXT_TYPE,
    );
  }

  /** A parameter that looks like the context gets nothing where callers, who know its type, give it nothing. */
  #warnOnce(provider: TaskProvider, method: string, plan: ServedPlan): ((args: Args) => void) | undefined {
    if (plan.kind !== 'declared' || plan.likelyContext === undefined) return undefined;
    const { roles, likelyContext } = plan;
    let isSaid = false;
    return (args) => {
      if (isSaid || args.length >= roles.filter((role) => role === 'argument').length) return;
      isSaid = true;
      this.#logger.warn(
        `${provider.type.name}.${method} got nothing for its parameter ${likelyContext}. If that is to be the ` +
          `TaskContext: import the class without "type", so that the compiler leaves a trace of it, or put @Ctx() on it.`,
      );
    };
  }

  #refuseLostEnhancers(provider: TaskProvider, method: string): void {
    const lost = localEnhancers(provider.type, method).find(
      (enhancer) => typeof enhancer === 'function' && !provider.instantiates(enhancer),
    ) as { readonly name: string } | undefined;
    const config = applicationConfigOf(this.externalContext);
    const lostGlobals = !provider.isEntry && config !== undefined && hasScopedGlobalEnhancers(config);
    if (lost === undefined && !lostGlobals) return;
    throw new InvalidTaskError(
      `${provider.type.name}.${method}: a factory or a value provides ${provider.type.name} in ${provider.module}, ` +
        `and Nest would then leave out ${lost?.name ?? 'the request-scoped global guards, pipes, interceptors and filters'}. ` +
        `Provide the class itself, or by useClass.`,
    );
  }
}

function headersOf(payload: HookRequest['payload']): HookRequest['headers'] | undefined {
  if ('request' in payload) return payload.request.headers;
  return 'failure' in payload ? payload.failure.request.headers : payload.headers;
}

function callDirectly(
  instance: TaskProvider['instance'],
  { method, plan }: Handler,
  args: readonly JsonValue[],
  context: TaskContext,
): unknown {
  let returned: unknown;
  try {
    returned = instance[method]?.(...placeArguments(plan, args, context));
  } catch (thrown) {
    throw withRefusalNamed(thrown);
  }
  return isPlain(returned) ? returned : resultOf(returned).catch(rethrowNamed);
}

/** Whether something returned is the value itself: neither a promise nor an Observable. */
function isPlain(returned: unknown): boolean {
  return (
    typeof returned !== 'object' || returned === null || !('then' in returned || 'subscribe' in returned)
  );
}

function rethrowNamed(thrown: unknown): never {
  throw withRefusalNamed(thrown);
}

/** The method, for a caller that gives the list of arguments and the context instead of the arguments. */
function spreading(method: (...args: unknown[]) => unknown, plan: ServedPlan) {
  const spread = function (this: unknown, args: readonly JsonValue[], context: TaskContext): unknown {
    return method.apply(this, placeArguments(plan, args, context));
  };
  // Metadata is looked up along the prototypes, so guards that read the handler's find the method's.
  Object.setPrototypeOf(spread, method);
  return Object.defineProperty(spread, 'name', { value: method.name }) as (...args: unknown[]) => unknown;
}
