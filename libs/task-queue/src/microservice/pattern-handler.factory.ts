import { Injectable } from '@nestjs/common';
import { type ContextId, ExternalContextCreator } from '@nestjs/core';
import type { RequestContext } from '@nestjs/microservices';
import type { TaskProvider } from '../nest/discovery/task-provider.js';
import type { TaskRequest } from '../nest/discovery/task-request.js';
import type { JsonValue } from '../primitives/json.js';
import type { TaskDefinition } from '../task/task-definition.js';
import { RequestContextHost, type RpcContextCreator } from './nest-microservices-internals.js';
import { patternContextCreator } from './pattern-context-creator.js';
import { TaskQueueContext } from './task-queue.context.js';

type Handle = (payload: JsonValue | undefined, context: TaskQueueContext) => Promise<unknown>;

/** What a transport does around the handling of each message. */
export type AroundHandling = (context: TaskQueueContext, handle: () => Promise<unknown>) => Promise<unknown>;

/** One method of a controller, for one of its patterns. */
export interface PatternMethod {
  readonly controller: TaskProvider;
  readonly method: string;
  /** The pattern as a text. */
  readonly route: string;
}

/** What `@Inject(REQUEST)` gives in a request-scoped provider below a pattern handler: one object per attempt. */
export type PatternRequest = RequestContext<JsonValue | undefined, TaskQueueContext> & TaskRequest;

/** Makes pattern handlers callable as tasks: through their guards, interceptors, pipes and filters. */
@Injectable()
export class PatternHandlerFactory {
  readonly #contexts: RpcContextCreator;

  constructor(externalContext: ExternalContextCreator) {
    this.#contexts = patternContextCreator(externalContext);
  }

  create(handler: PatternMethod, around: AroundHandling): TaskDefinition['invoke'] {
    let handle: Handle | undefined;
    return async (args, task) => {
      // Decided at the first call, not at boot: useGlobalGuards() and its kind come after the discovery.
      const run = (handle ??= this.#handleOf(handler));
      const context = new TaskQueueContext([task, handler.route]);
      return around(context, () => run(args[0], context));
    };
  }

  #handleOf(handler: PatternMethod): Handle {
    const { controller, route } = handler;
    if (!controller.scoped) return this.#pipeline(controller.instance, handler);
    return async (payload, context) => {
      const { instance, contextId } = await controller.resolve(requestOf(route, payload, context));
      return this.#pipeline(instance, handler, contextId)(payload, context);
    };
  }

  #pipeline(
    instance: TaskProvider['instance'],
    { controller, method }: PatternMethod,
    contextId?: ContextId,
  ): Handle {
    return this.#contexts.create(
      instance,
      instance[method] as never,
      controller.moduleKey,
      method,
      contextId,
      contextId && controller.id,
    ) as Handle;
  }
}

function requestOf(route: string, payload: JsonValue | undefined, context: TaskQueueContext): PatternRequest {
  const task = context.getTask();
  return Object.assign(RequestContextHost.create(route, payload, context), {
    task,
    args: task.args,
    headers: task.headers,
  });
}
