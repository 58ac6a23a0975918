import { type DynamicModule, Inject, Module, type OnModuleInit, type Provider } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { Registrations } from '../nest/discovery/registrations.js';
import { readObject } from '../options/option-readers.js';
import { assertQueueName } from '../options/option-readers.js';
import { readConnectionName } from '../options/resolve-options.js';
import { EventFanOut } from './event-fan-out.js';
import { PatternExplorer } from './pattern.explorer.js';
import { PatternHandlerFactory } from './pattern-handler.factory.js';
import { TaskQueueClient, type TaskQueueClientDefaults } from './task-queue.client.js';
import { SERVER_OPTIONS, TaskQueueServer, type TaskQueueServerOptions } from './task-queue.server.js';

/** A client that uses the connection of the application. */
export interface TaskQueueClientRegistration extends TaskQueueClientDefaults {
  /** The token under which it is injected: `@Inject('BILLING') billing: TaskQueueClient`. */
  readonly name: string | symbol;
  /**
   * The registration whose connection is used.
   *
   * @defaultValue the one without a name, or the only one
   */
  readonly connection?: string;
}

/**
 * Adds `TaskQueueServer` to an application, beside `TaskQueueModule.forRoot`.
 *
 * ```ts
 * @Module({
 *   imports: [TaskQueueModule.forRoot(options), TaskQueueMicroserviceModule.register({ queue: 'billing' })],
 *   controllers: [BillingController],
 * })
 * export class AppModule {}
 * ```
 *
 * The pattern handlers of all controllers are then served by the workers of this application: those that name this
 * transport or none.
 */
@Module({
  imports: [DiscoveryModule],
  providers: [
    { provide: SERVER_OPTIONS, useValue: {} },
    Registrations,
    PatternHandlerFactory,
    EventFanOut,
    PatternExplorer,
    TaskQueueServer,
  ],
  exports: [TaskQueueServer],
})
export class TaskQueueMicroserviceModule {
  /** The same with options. @throws InvalidOptionsError when one cannot be read */
  static register(options: TaskQueueServerOptions = {}): DynamicModule {
    const { queue, connection } = readObject('', options, ['queue', 'connection']);
    if (queue !== undefined) assertQueueName('queue', queue);
    if (connection !== undefined) readConnectionName('connection', connection);
    return {
      module: TaskQueueMicroserviceModule,
      providers: [{ provide: SERVER_OPTIONS, useValue: options }],
    };
  }

  /**
   * Provides clients that publish over the connection of this application, where
   * `ClientsModule.register([{ customClass: TaskQueueClient }])` opens one of their own.
   *
   * @throws InvalidOptionsError when an option cannot be read, or, at the start, when there is no such registration
   */
  static registerClient(...clients: readonly TaskQueueClientRegistration[]): DynamicModule {
    const providers = clients.map(({ name, connection, ...defaults }): Provider => {
      if (defaults.queue !== undefined) assertQueueName('queue', defaults.queue);
      return {
        provide: name,
        inject: [Registrations],
        useFactory: (registrations: Registrations) =>
          new TaskQueueClient(defaults, () => registrations.choose(connection)),
      };
    });
    // A class of its own for each call: Nest would take two modules of one class for the same.
    @Module({ imports: [DiscoveryModule], providers: [Registrations] })
    class TaskQueueClientsModule implements OnModuleInit {
      constructor(@Inject(Registrations) private readonly registrations: Registrations) {}

      onModuleInit(): void {
        for (const { connection } of clients) this.registrations.choose(connection);
      }
    }
    return { module: TaskQueueClientsModule, providers, exports: providers };
  }
}
