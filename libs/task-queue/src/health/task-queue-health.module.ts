import { type DynamicModule, Module, type ModuleMetadata, type Provider } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { Registrations } from '../nest/discovery/registrations.js';
import type { HealthOptions } from './health-options.js';
import { resolveHealthOptions } from './resolve-health-options.js';
import { TaskQueueHealthIndicator } from './task-queue-health.indicator.js';
import { HEALTH_OPTIONS, TaskQueueHealth } from './task-queue-health.js';

/** Options of `TaskQueueHealthModule.forRootAsync`. */
export interface HealthAsyncOptions extends Pick<ModuleMetadata, 'imports'> {
  /** Tokens whose values `useFactory` gets, in this order. */
  readonly inject?: Extract<Provider, { useFactory: unknown }>['inject'];
  readonly useFactory: (...args: never[]) => HealthOptions | Promise<HealthOptions>;
}

/**
 * Provides `TaskQueueHealth` and, for terminus, `TaskQueueHealthIndicator`, beside `TaskQueueModule.forRoot`. As it
 * stands it goes by the defaults; `forRoot` changes them.
 *
 * ```ts
 * @Module({ imports: [TerminusModule, TaskQueueHealthModule], controllers: [HealthController] })
 * export class HealthModule {}
 * ```
 */
@Module({
  imports: [DiscoveryModule],
  providers: [Registrations, TaskQueueHealth, TaskQueueHealthIndicator],
  exports: [TaskQueueHealth, TaskQueueHealthIndicator],
})
export class TaskQueueHealthModule {
  /** @throws InvalidOptionsError at once when an option cannot be read */
  static forRoot(options: HealthOptions = {}): DynamicModule {
    resolveHealthOptions(options);
    return { module: TaskQueueHealthModule, providers: [{ provide: HEALTH_OPTIONS, useValue: options }] };
  }

  /** The same, with options that come from other providers. An option that cannot be read stops the start. */
  static forRootAsync({ imports = [], inject = [], useFactory }: HealthAsyncOptions): DynamicModule {
    const options: Provider = {
      provide: HEALTH_OPTIONS,
      inject,
      useFactory: useFactory as () => HealthOptions,
    };
    return { module: TaskQueueHealthModule, imports, providers: [options] };
  }
}
