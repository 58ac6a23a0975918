import { type DynamicModule, Inject, Logger, Module, type OnModuleInit, type Provider } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import type { Platform } from '../backend/backend.js';
import { redisPlatform } from '../broker/redis-backend.js';
import { TaskQueueEngine } from '../engine/task-queue-engine.js';
import { InvalidOptionsError } from '../errors/configuration.errors.js';
import {
  DEFAULT_CONNECTION,
  readConnectionName,
  type ResolvedTaskQueueOptions,
  resolveOptions,
} from '../options/resolve-options.js';
import type {
  QueueOptions,
  TaskQueueModuleAsyncOptions,
  TaskQueueModuleOptions,
  TaskQueueOptionsFactory,
} from '../options/task-queue-options.js';
import { processPools } from './process-pools.js';
import { NestLog } from './nest-log.js';
import { HandlerFactory } from './discovery/handler.factory.js';
import { RecoveryExplorer } from './discovery/recovery.explorer.js';
import { Registrations } from './discovery/registrations.js';
import { TaskExplorer } from './discovery/task.explorer.js';
import { getTaskQueueEngineToken, getWorkflowServiceToken } from './injection.js';
import { TaskQueueLifecycle } from './task-queue.lifecycle.js';
import { WorkerLifecycle, WorkerLifecycleModule } from './worker.lifecycle.js';
import { WorkflowService } from './workflow.service.js';

/** Token of the options as the user wrote them. */
const OPTIONS = 'TASK_QUEUE:OPTIONS';
/** Token of what engines stand on: Redis, unless a test puts something else in its place. @internal */
export const PLATFORM = 'TASK_QUEUE:PLATFORM';
/** What engines stand on, unless a test says otherwise. */
const PRODUCTION: Platform = { ...redisPlatform, hosts: processPools() };
const MODULES = [DiscoveryModule, WorkerLifecycleModule];

/**
 * Adds task queues to an application.
 *
 * ```ts
 * @Module({ imports: [TaskQueueModule.forRoot({ connection: { url: process.env.REDIS_URL } })] })
 * export class AppModule {}
 * ```
 *
 * The module is global: `WorkflowService` can be injected everywhere, and the `@Task` methods of every provider
 * in every module are served.
 *
 * It may stand several times in an application, under names: each registration has its own connection, options, workers
 * and `WorkflowService`, which `@InjectWorkflows(name)` injects.
 */
@Module({})
export class TaskQueueModule {
  /** @throws InvalidOptionsError at once when an option cannot be read */
  static forRoot(options: TaskQueueModuleOptions = {}): DynamicModule {
    const resolved = resolveOptions(options);
    return rootModule(resolved.name, { inject: [], useFactory: () => resolved });
  }

  /**
   * The same, with options that come from other providers. An option that cannot be read stops the start.
   *
   * @throws InvalidOptionsError at once when `name` cannot be one, or nothing makes the options
   */
  static forRootAsync(options: TaskQueueModuleAsyncOptions): DynamicModule {
    const name = readConnectionName('name', options.name ?? DEFAULT_CONNECTION);
    const resolve = (given: TaskQueueModuleOptions): ResolvedTaskQueueOptions => {
      const resolved = resolveOptions(given);
      if (given.name === undefined || resolved.name === name) return { ...resolved, name };
      throw new InvalidOptionsError('name', `${JSON.stringify(name)}, as forRootAsync says`, given.name);
    };
    const module = rootModule(name, { inject: [OPTIONS], useFactory: resolve });
    return {
      ...module,
      imports: [...(module.imports ?? []), ...(options.imports ?? [])],
      providers: [...optionsProviders(options), ...(module.providers ?? [])],
    };
  }

  /**
   * Adds queues from a feature module.
   *
   * @param options.connection the name of the registration that gets them; by default the one without a name, or the
   *   only one
   * @throws InvalidOptionsError when the application starts and an option cannot be read, two modules give one queue
   *   different options, or there is no such registration
   */
  static forFeature(
    queues: Readonly<Record<string, QueueOptions>>,
    options: { readonly connection?: string } = {},
  ): DynamicModule {
    const { connection } = options;
    // A class of its own for each call: Nest would take two modules of one class for the same.
    @Module({ imports: [DiscoveryModule], providers: [Registrations] })
    class TaskQueueFeatureModule implements OnModuleInit {
      constructor(@Inject(Registrations) private readonly registrations: Registrations) {}

      onModuleInit(): void {
        this.registrations.choose(connection).addQueues(queues);
      }
    }
    return { module: TaskQueueFeatureModule };
  }
}

/** Where the read options of a registration come from. */
interface OptionsSource {
  readonly inject: string[];
  readonly useFactory: (given: TaskQueueModuleOptions) => ResolvedTaskQueueOptions;
}

/**
 * Only what has the registration's name is seen outside of the module, so that registrations do not meet: what they
 * share a class for, each has for itself.
 */
function rootModule(name: string, { inject, useFactory }: OptionsSource): DynamicModule {
  const engineToken = getTaskQueueEngineToken(name);
  const workflowsToken = getWorkflowServiceToken(name);
  const logger = name === DEFAULT_CONNECTION ? 'TaskQueue' : `TaskQueue:${name}`;
  return {
    module: TaskQueueModule,
    global: true,
    imports: MODULES,
    providers: [
      { provide: PLATFORM, useValue: PRODUCTION },
      {
        provide: engineToken,
        inject: [PLATFORM, ...inject],
        useFactory: (platform: Platform, given: TaskQueueModuleOptions) => {
          const options = useFactory(given);
          return new TaskQueueEngine(options, new NestLog(new Logger(logger), options.logging), platform);
        },
      },
      {
        provide: workflowsToken,
        inject: [engineToken],
        useFactory: (engine: TaskQueueEngine) => new WorkflowService(engine),
      },
      HandlerFactory,
      Registrations,
      TaskExplorer,
      RecoveryExplorer,
      {
        provide: TaskQueueLifecycle,
        inject: [engineToken, Registrations, TaskExplorer, RecoveryExplorer, WorkerLifecycle],
        useFactory: (...parts: ConstructorParameters<typeof TaskQueueLifecycle>) =>
          new TaskQueueLifecycle(...parts),
      },
    ],
    exports: [workflowsToken, engineToken],
  };
}

/** The same module on another platform. @internal */
export function onPlatform(module: DynamicModule, platform: Platform): DynamicModule {
  const others = (module.providers ?? []).filter(
    (provider) => !('provide' in provider && provider.provide === PLATFORM),
  );
  return { ...module, providers: [...others, { provide: PLATFORM, useValue: platform }] };
}

function optionsProviders({
  inject = [],
  useFactory,
  useClass,
  useExisting,
}: TaskQueueModuleAsyncOptions): Provider[] {
  if (useFactory)
    return [{ provide: OPTIONS, inject, useFactory: useFactory as () => TaskQueueModuleOptions }];
  const fromFactory = (token: Exclude<typeof useExisting, undefined>): Provider => ({
    provide: OPTIONS,
    inject: [token],
    useFactory: (factory: TaskQueueOptionsFactory) => factory.createTaskQueueOptions(),
  });
  if (useClass) return [useClass, fromFactory(useClass)];
  if (useExisting) return [fromFactory(useExisting)];
  throw new InvalidOptionsError('forRootAsync', 'one of useFactory, useClass and useExisting', undefined);
}
