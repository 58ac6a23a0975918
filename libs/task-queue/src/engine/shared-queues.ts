import { InvalidOptionsError } from '../errors/configuration.errors.js';
import { isSamePlace } from '../options/connection-place.js';
import type { TaskQueueEngine } from './task-queue-engine.js';

/**
 * Two registrations of one application that serve the same queue of the same Redis would take each other's tasks, and
 * fail them as unknown. To be called when all queues are known.
 *
 * @throws InvalidOptionsError naming both and the queue
 */
export function refuseSharedQueues(engines: readonly TaskQueueEngine[]): void {
  const serving = engines.filter(({ options }) => options.role !== 'producer');
  for (const [index, engine] of serving.entries()) {
    for (const other of serving.slice(0, index)) {
      if (engine.options.prefix !== other.options.prefix) continue;
      if (!isSamePlace(engine.options.connection, other.options.connection)) continue;
      const shared = engine.worker.queues().find((queue) => other.worker.queues().includes(queue));
      if (shared === undefined) continue;
      throw new InvalidOptionsError(
        'prefix',
        `another one for "${engine.options.name}" than for "${other.options.name}", or queues of its own: both serve ` +
          `the queue "${shared}" of the same Redis, and would fail each other's tasks as unknown`,
        engine.options.prefix,
      );
    }
  }
}
