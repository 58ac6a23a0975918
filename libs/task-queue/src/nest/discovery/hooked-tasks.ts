import { InvalidTaskError } from '../../errors/configuration.errors.js';
import { didYouMean } from '../../options/did-you-mean.js';
import type { TaskClass } from '../decorators/metadata.js';
import type { FoundTask } from './task-source.js';

const EVERY_TASK = '*';

/**
 * Full names of the tasks that a hook is for. A method of the class wins over a task of the same name.
 *
 * @param source of the hook, for messages
 * @param named what its decorator names; nothing means every task of the class, and `*` every one of the application
 * @param tasks all of the application, by name
 * @throws InvalidTaskError when there is no such task
 */
export function hookedTasks(
  source: string,
  type: TaskClass,
  named: readonly string[],
  tasks: ReadonlyMap<string, FoundTask>,
): string[] {
  const own = tasksByMethod(type, tasks.values());
  if (named.length === 0) {
    if (own.size > 0) return [...own.values()].flat();
    throw new InvalidTaskError(`${source} is a hook of a class without tasks: name the tasks it is for.`);
  }
  const names = named.flatMap((task) => {
    if (task === EVERY_TASK) return [...tasks.keys()];
    const found = tasks.get(task);
    const names = own.get(task) ?? (found && [found.name, ...(found.members ?? [])]);
    if (names !== undefined) return names;
    throw new InvalidTaskError(
      `${source} is a hook of ${JSON.stringify(task)}, which is neither a task method of ${type.name} ` +
        `nor the name of a task of this application${didYouMean(task, [...own.keys(), ...tasks.keys()])}.`,
    );
  });
  return [...new Set(names)];
}

/** The tasks of a class by the method that serves them; a handler of several patterns serves several. */
function tasksByMethod(type: TaskClass, tasks: Iterable<FoundTask>): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const { name, from } of tasks) {
    if (from?.provider.type === type) found.set(from.method, [...(found.get(from.method) ?? []), name]);
  }
  return found;
}
