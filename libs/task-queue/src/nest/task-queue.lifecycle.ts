import type { BeforeApplicationShutdown, OnApplicationShutdown, OnModuleInit } from '@nestjs/common';
import type { TaskQueueEngine } from '../engine/task-queue-engine.js';
import type { RecoveryExplorer } from './discovery/recovery.explorer.js';
import type { Registrations } from './discovery/registrations.js';
import type { TaskExplorer } from './discovery/task.explorer.js';
import type { WorkerLifecycle } from './worker.lifecycle.js';

/**
 * When what happens, from the first to the last:
 *
 * - `onModuleInit`, before that of other modules: tasks are found, so that a mistake in a declaration stops the start;
 * - `onApplicationBootstrap`, after all others: workers start ({@link WorkerLifecycle}), those of a microservice once
 *   that listens as well;
 * - `onModuleDestroy`, before all others: nothing more is fetched, what runs is drained and may still publish;
 * - `beforeApplicationShutdown`: who waits for a result is told, so that no HTTP request keeps the server open;
 * - `onApplicationShutdown`, after that of other modules: connections close.
 */
export class TaskQueueLifecycle implements OnModuleInit, BeforeApplicationShutdown, OnApplicationShutdown {
  #found = false;

  constructor(
    private readonly engine: TaskQueueEngine,
    private readonly registrations: Registrations,
    private readonly tasks: TaskExplorer,
    private readonly recoveries: RecoveryExplorer,
    private readonly workers: WorkerLifecycle,
  ) {}

  /** Nest calls the hooks of a microservice that is initialised before it listens twice. */
  onModuleInit(): void {
    if (this.#found) return;
    this.#found = true;
    const { directory, registry } = this.engine;
    const all = this.registrations.explore();
    directory.others = [...all.values()]
      .map((engine) => engine.directory)
      .filter((other) => other !== directory);
    this.tasks.explore(registry, directory.name, [...all.keys()]);
    for (const [name, strategy] of this.recoveries.explore()) this.engine.strategies.set(name, strategy);
    this.workers.add(this.engine);
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.engine.worker.stop();
    await this.engine.bus.close();
    this.engine.hub.close();
    await this.engine.events.close();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.engine.close();
  }
}
