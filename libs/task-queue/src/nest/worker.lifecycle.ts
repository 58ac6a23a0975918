import { Injectable, Module, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { refuseSharedQueues } from '../engine/shared-queues.js';
import type { TaskQueueEngine } from '../engine/task-queue-engine.js';

/**
 * The workers of one application, at the outer edge of its life: they start after every other hook of the start, and
 * are drained before any other hook of the end. A task may use whatever its providers open in `onModuleInit` or
 * `onApplicationBootstrap`, until they close it in `onModuleDestroy` or later.
 */
@Injectable()
export class WorkerLifecycle implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #engines = new Set<TaskQueueEngine>();

  /** Has the workers of an engine started and ended with the application. */
  add(engine: TaskQueueEngine): void {
    this.#engines.add(engine);
  }

  /** @throws InvalidOptionsError when two of them would serve one queue */
  onApplicationBootstrap(): void {
    refuseSharedQueues([...this.#engines]);
    for (const { options, worker } of this.#engines) if (options.role !== 'producer') worker.start();
  }

  /** Drains all at once: their drain times do not add up. */
  async onModuleDestroy(): Promise<void> {
    await Promise.all([...this.#engines].map(({ worker }) => worker.stop()));
  }
}

/** Below the distance of every module that an application has: the root's is 1. */
const OUTERMOST = -1;

/**
 * Nest runs the hooks of the start from the most distant module to the root, and those of the end the other way
 * round. Imports alone cannot put a module outside of the root, so this one says its distance itself, before the first
 * hook runs.
 */
@Module({ providers: [WorkerLifecycle], exports: [WorkerLifecycle] })
export class WorkerLifecycleModule {
  constructor(modules: ModulesContainer) {
    for (const module of modules.values()) {
      if (module.metatype === WorkerLifecycleModule) module.distance = OUTERMOST;
    }
  }
}
