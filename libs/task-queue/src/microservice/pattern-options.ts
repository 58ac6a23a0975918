import { readTaskOptions } from '../nest/decorators/read-task-options.js';
import type { TaskOptions } from '../task/task-options.js';

/**
 * What a pattern handler may say about its tasks, as the extras of its decorator. Extras of other transports may stand
 * beside them.
 *
 * ```ts
 * @MessagePattern('invoice.create', { queue: 'billing', timeLimit: '30s' } satisfies TaskPatternOptions)
 * ```
 */
export type TaskPatternOptions = Omit<TaskOptions, 'name'>;

const KEYS: readonly (keyof TaskPatternOptions)[] = [
  'queue',
  'connection',
  'softTimeLimit',
  'timeLimit',
  'ignoreResult',
  'priority',
];

/** @throws InvalidTaskError naming the method, for the first option that cannot be read */
export function readPatternOptions(
  source: string,
  extras: Readonly<Record<string, unknown>> = {},
): ReturnType<typeof readTaskOptions> {
  const ours = Object.fromEntries(KEYS.filter((key) => key in extras).map((key) => [key, extras[key]]));
  return readTaskOptions(source, ours, 'the pattern extras');
}
