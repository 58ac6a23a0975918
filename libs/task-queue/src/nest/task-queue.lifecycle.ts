import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { TaskQueueEngine } from '../engine/task-queue-engine.js';
import { RecoveryExplorer } from './discovery/recovery.explorer.js';
import { TaskExplorer } from './discovery/task.explorer.js';

/**
 * When what happens:
 *
 * - `onModuleInit`: tasks are found, so that a mistake in a declaration stops the start;
 * - `onApplicationBootstrap`: workers start, when every provider is ready and not earlier;
 * - `beforeApplicationShutdown`: nothing more is fetched, what runs is drained and may still publish;
 * - `onApplicationShutdown`: connections close.
 */
@Injectable()
export class TaskQueueLifecycle
  implements OnModuleInit, OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown
{
  constructor(
    @Inject(TaskQueueEngine) private readonly engine: TaskQueueEngine,
    private readonly tasks: TaskExplorer,
    private readonly recoveries: RecoveryExplorer,
  ) {}

  onModuleInit(): void {
    this.tasks.explore(this.engine.registry);
    for (const [name, strategy] of this.recoveries.explore()) this.engine.strategies.set(name, strategy);
  }

  onApplicationBootstrap(): void {
    if (this.engine.options.role !== 'producer') this.engine.worker.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.engine.worker.stop();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.engine.close();
  }
}
