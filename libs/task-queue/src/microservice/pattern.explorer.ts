import { Inject, Injectable } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { InvalidOptionsError, InvalidTaskError } from '../errors/configuration.errors.js';
import { breakerOf, commonOf, retryOptionsOf } from '../nest/decorators/metadata.js';
import { compilePolicies } from '../nest/discovery/compile-policies.js';
import { connectionOf } from '../nest/discovery/registrations.js';
import { classOf, TaskProvider } from '../nest/discovery/task-provider.js';
import { type FoundTask, TaskSource } from '../nest/discovery/task-source.js';
import { DEFAULT_QUEUE } from '../options/resolve-options.js';
import { EventFanOut } from './event-fan-out.js';
import { ListenerMetadataExplorer, transformPatternToRoute } from './nest-microservices-internals.js';
import { PatternHandlerFactory, type PatternMethod } from './pattern-handler.factory.js';
import { readPatternOptions } from './pattern-options.js';
import { SERVER_OPTIONS, TaskQueueServer, type TaskQueueServerOptions } from './task-queue.server.js';

type Listeners = ReturnType<ListenerMetadataExplorer['explore']>;

interface Found extends PatternMethod {
  readonly listener: Listeners[number];
}

/** Finds the `@MessagePattern` and `@EventPattern` methods of all controllers, and makes tasks of them. */
@Injectable()
export class PatternExplorer extends TaskSource {
  readonly #listeners = new ListenerMetadataExplorer(new MetadataScanner());

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly handlers: PatternHandlerFactory,
    private readonly fanOut: EventFanOut,
    private readonly server: TaskQueueServer,
    @Inject(SERVER_OPTIONS) private readonly options: TaskQueueServerOptions,
  ) {
    super();
  }

  /**
   * A handler's task is named as its pattern. Of several handlers of one event each is a task of its own, so that each is
   * retried by itself; the task that is named as the pattern then publishes theirs.
   *
   * @throws InvalidTaskError when a handler cannot be served as it is declared
   * @throws InvalidOptionsError when the application has two servers
   */
  *find(names: readonly string[]): Generator<FoundTask> {
    this.#refuseSecondServer();
    const events = new Map<string, Found[]>();
    for (const found of this.#patterns(this.server.transportId)) {
      if (found.listener.isEventHandler) {
        events.set(found.route, [...(events.get(found.route) ?? []), found]);
      } else {
        yield this.#task(found, found.route, names);
      }
    }
    for (const [route, found] of events) yield* this.#eventTasks(route, found, names);
  }

  /** Nest makes a module of each `register()`, and every one of them would serve all handlers. */
  #refuseSecondServer(): void {
    const isServer = ({ instance }: { readonly instance: unknown }) => instance instanceof TaskQueueServer;
    const servers = new Set(this.discovery.getProviders().filter(isServer));
    if (servers.size === 1) return;
    throw new InvalidOptionsError(
      'TaskQueueMicroserviceModule',
      'one for the whole application: import it, or what one register() gave, wherever it is needed',
      `${servers.size} of them`,
    );
  }

  *#patterns(transport: unknown): Generator<Found> {
    for (const wrapper of this.discovery.getControllers()) {
      const type = classOf(wrapper);
      if (type === undefined) continue;
      const controller = new TaskProvider(wrapper, type);
      // What is explored is the prototype; a request-scoped controller has no instance.
      for (const listener of this.#listeners.explore(Object.create(type.prototype as object) as never)) {
        if (listener.transport !== undefined && (listener.transport as unknown) !== transport) continue;
        for (const pattern of listener.patterns) {
          const route = routeOf(pattern, `${type.name}.${listener.methodKey}`);
          yield { controller, method: listener.methodKey, route, listener };
        }
      }
    }
  }

  #eventTasks(route: string, found: readonly Found[], names: readonly string[]): FoundTask[] {
    const [first, ...others] = found;
    if (first === undefined) return [];
    if (others.length === 0) return [this.#task(first, route, names)];
    const tasks = found.map((each) => this.#task(each, `${route}#${sourceOf(each)}`, names));
    return [this.fanOut.find(route, tasks), ...tasks];
  }

  #task(found: Found, name: string, names: readonly string[]): FoundTask {
    const { controller, method, listener } = found;
    const source = sourceOf(found);
    const { queue, connection, options } = readPatternOptions(source, listener.extras);
    const common = commonOf(controller.type);
    const breaker = breakerOf(controller.type, method);
    const named = connection ?? common.connection ?? this.options.connection;
    return {
      name,
      source,
      connection: connectionOf(source, named, names),
      from: { provider: controller, method },
      define: () => ({
        name,
        queue: queue ?? common.queue ?? this.options.queue ?? DEFAULT_QUEUE,
        source,
        options,
        ...(breaker === undefined ? {} : { breaker }),
        policies: compilePolicies(source, retryOptionsOf(controller.type, method)),
        invoke: this.handlers.create(found, (context, handle) => this.server.around(context, handle)),
      }),
    };
  }
}

function sourceOf({ controller, method }: PatternMethod): string {
  return `${controller.type.name}.${method}`;
}

function routeOf(pattern: unknown, source: string): string {
  const route: unknown = transformPatternToRoute(pattern as never);
  if (typeof route === 'string' && route !== '') return route;
  throw new InvalidTaskError(
    `${source}: a pattern is a text, a number or an object, got ${String(pattern)}.`,
  );
}
