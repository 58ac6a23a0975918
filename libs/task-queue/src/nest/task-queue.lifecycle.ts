import type {
  BeforeApplicationShutdown,
  OnApplicationBootstrap,
  OnApplicationShutdown,
  OnModuleInit,
} from '@nestjs/common';
import type { TaskQueueEngine } from '../engine/task-queue-engine.js';
import type { RecoveryExplorer } from './discovery/recovery.explorer.js';
import type { Registrations } from './discovery/registrations.js';
import type { TaskExplorer } from './discovery/task.explorer.js';

/**
 * When what happens:
 *
 * - `onModuleInit`: tasks are found, so that a mistake in a declaration stops the start;
 * - `onApplicationBootstrap`: workers start, when every provider is ready and not earlier;
 * - `beforeApplicationShutdown`: nothing more is fetched, what runs is drained and may still publish;
 * - `onApplicationShutdown`: connections close.
 */
export class TaskQueueLifecycle
  implements OnModuleInit, OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown
{
  /** Those of all registrations of the application. */
  #engines: readonly TaskQueueEngine[];

  constructor(
    private readonly engine: TaskQueueEngine,
    private readonly registrations: Registrations,
    private readonly tasks: TaskExplorer,
    private readonly recoveries: RecoveryExplorer,
  ) {
    this.#engines = [engine];
  }

  onModuleInit(): void {
    const { directory, registry } = this.engine;
    const all = this.registrations.explore();
    this.#engines = [...all.values()];
    directory.others = this.#engines.map((engine) => engine.directory).filter((other) => other !== directory);
    this.tasks.explore(registry, directory.name, [...all.keys()]);
    for (const [name, strategy] of this.recoveries.explore()) this.engine.strategies.set(name, strategy);
  }

  onApplicationBootstrap(): void {
    if (this.engine.options.role !== 'producer') this.engine.worker.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    // All of them at once: Nest asks one module after the other, and their drain times would add up.
    await Promise.all(this.#engines.map((engine) => engine.worker.stop()));
  }

  async onApplicationShutdown(): Promise<void> {
    await this.engine.close();
  }
}
