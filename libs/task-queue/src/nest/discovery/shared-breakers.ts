import { InvalidTaskError } from '../../errors/configuration.errors.js';
import type { TaskDefinition } from '../../task/task-definition.js';

/**
 * One breaker is one for all tasks that name it, so its numbers are, too: whoever asks first would decide otherwise.
 *
 * @throws InvalidTaskError naming two tasks that say different ones
 */
export function refuseDifferentBreakers(tasks: Iterable<TaskDefinition>): void {
  const first = new Map<string, TaskDefinition>();
  for (const task of tasks) {
    if (task.breaker === undefined) continue;
    const { name, rule } = task.breaker;
    const other = first.get(name);
    if (other === undefined) first.set(name, task);
    else if (JSON.stringify(other.breaker?.rule) !== JSON.stringify(rule)) {
      throw new InvalidTaskError(
        `${other.source} and ${task.source} name the breaker ${JSON.stringify(name)} and give it different numbers. ` +
          `Keep them in one constant; only "for" may differ.`,
      );
    }
  }
}
