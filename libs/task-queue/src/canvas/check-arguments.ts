import { ArgumentTooLargeError, UnserializableArgumentError } from '../errors/publish.errors.js';
import { findNonJson } from '../primitives/json.js';
import { heaviestPath, jsonBound, jsonBytes } from '../primitives/json-size.js';

/**
 * Refuses arguments that cannot travel, wherever they come in: with a call, with a retry, with a dead letter that is run
 * again. What is far from the limit costs no more than a look.
 *
 * @param limit bytes of JSON that they may take together
 * @param at makes the path of what is wrong out of its path below `args`
 * @throws UnserializableArgumentError with the task's name and the path of the value
 * @throws ArgumentTooLargeError with the path of what makes them large
 */
export function checkArguments(
  task: string,
  args: readonly unknown[],
  limit: number,
  at: (path: string) => string = (path) => path,
): void {
  const bound = jsonBound(args);
  if (bound >= 0 && bound <= limit) return;
  // The slow look keeps book of the path. With 100,000 members that book would be most of the time.
  const offence = bound < 0 ? findNonJson(args, 'args') : undefined;
  if (offence) throw new UnserializableArgumentError(task, at(offence.path), offence.found);
  const bytes = limit === Infinity ? 0 : jsonBytes(args);
  if (bytes > limit) throw new ArgumentTooLargeError(task, at(heaviestPath(args, 'args')), bytes, limit);
}
