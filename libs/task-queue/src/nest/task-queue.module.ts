import { type DynamicModule, Inject, Logger, Module, type OnModuleInit, type Provider } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { redisBackend } from '../broker/redis-backend.js';
import { TaskQueueEngine } from '../engine/task-queue-engine.js';
import { InvalidOptionsError } from '../errors/configuration.errors.js';
import { resolveOptions } from '../options/resolve-options.js';
import type {
  QueueOptions,
  TaskQueueModuleAsyncOptions,
  TaskQueueModuleOptions,
  TaskQueueOptionsFactory,
} from '../options/task-queue-options.js';
import { HandlerFactory } from './discovery/handler.factory.js';
import { RecoveryExplorer } from './discovery/recovery.explorer.js';
import { TaskExplorer } from './discovery/task.explorer.js';
import { TaskQueueLifecycle } from './task-queue.lifecycle.js';
import { WorkflowService } from './workflow.service.js';

/** Token of the options as the user wrote them. */
const OPTIONS = 'TASK_QUEUE:OPTIONS';

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
 */
@Module({})
export class TaskQueueModule {
  /** @throws InvalidOptionsError at once when an option cannot be read */
  static forRoot(options: TaskQueueModuleOptions = {}): DynamicModule {
    const resolved = resolveOptions(options);
    return rootModule([
      {
        provide: TaskQueueEngine,
        useFactory: () => new TaskQueueEngine(resolved, new Logger('TaskQueue'), redisBackend),
      },
    ]);
  }

  /** The same, with options that come from other providers. An option that cannot be read stops the start. */
  static forRootAsync(options: TaskQueueModuleAsyncOptions): DynamicModule {
    const engine: Provider = {
      provide: TaskQueueEngine,
      inject: [OPTIONS],
      useFactory: (given: TaskQueueModuleOptions) =>
        new TaskQueueEngine(resolveOptions(given), new Logger('TaskQueue'), redisBackend),
    };
    return {
      ...rootModule([...optionsProviders(options), engine]),
      imports: [DiscoveryModule, ...(options.imports ?? [])],
    };
  }

  /**
   * Adds queues from a feature module.
   *
   * @throws InvalidOptionsError when the application starts and an option cannot be read, or two modules give
   *   one queue different options
   */
  static forFeature(queues: Readonly<Record<string, QueueOptions>>): DynamicModule {
    // A class of its own for each call: Nest would take two modules of one class for the same.
    @Module({})
    class TaskQueueFeatureModule implements OnModuleInit {
      constructor(@Inject(TaskQueueEngine) private readonly engine: TaskQueueEngine) {}

      onModuleInit(): void {
        this.engine.addQueues(queues);
      }
    }
    return { module: TaskQueueFeatureModule };
  }
}

function rootModule(providers: Provider[]): DynamicModule {
  return {
    module: TaskQueueModule,
    global: true,
    imports: [DiscoveryModule],
    providers: [
      ...providers,
      HandlerFactory,
      TaskExplorer,
      RecoveryExplorer,
      TaskQueueLifecycle,
      WorkflowService,
    ],
    exports: [WorkflowService, TaskQueueEngine],
  };
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
