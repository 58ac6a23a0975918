import { InvalidOptionsError, InvalidTaskError } from '../../errors/configuration.errors.js';
import type { JsonValue } from '../../primitives/json.js';
import { type IdempotentOptions, readKey, readKeyRules, type TaskKey } from '../../task/idempotency.js';
import { declareIdempotent } from './metadata.js';
import { sourceOf } from './source-name.js';

/**
 * Makes all calls of a task with one key have one effect, whoever publishes them: a second call gets the handle of the
 * first one where the class is known, and where it was published by name, or as a part of a canvas, it ends with the first
 * one's value instead of calling the method. While the first one has not ended, it waits, without a slot.
 *
 * The key is made of the arguments as they travelled. The method still runs at least once: until it has returned, an attempt
 * that was cut off is followed by another. Items of `map`, `starmap` and `chunks` have no keys.
 *
 * @throws InvalidTaskError, when the class is loaded, for an option that cannot be read
 */
export function Idempotent<Args extends readonly unknown[]>(
  options: IdempotentOptions<Args>,
): MethodDecorator {
  return (target: object, method: string | symbol): void => {
    const source = sourceOf(target, method);
    if (typeof target === 'function' || typeof method === 'symbol') {
      throw new InvalidTaskError(`${source}: @Idempotent stands on a method that has @Task.`);
    }
    declareIdempotent(target, method, readTaskKey(source, options));
  };
}

function readTaskKey<Args extends readonly unknown[]>(
  source: string,
  options: IdempotentOptions<Args>,
): TaskKey {
  try {
    const rules = readKeyRules(options, ['key']);
    if (typeof options.key !== 'function')
      throw new RangeError('expected key to be a function of the arguments');
    const make = options.key as unknown as (...args: readonly JsonValue[]) => unknown;
    return { ...rules, of: (args) => keyOf(source, make(...args)) };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new InvalidTaskError(`@Idempotent of ${source}: ${error.message}.`, { cause: error });
  }
}

function keyOf(source: string, made: unknown): string {
  try {
    return readKey(made);
  } catch {
    throw new InvalidOptionsError(`key of @Idempotent of ${source}`, 'a text of 1 to 1000 characters', made);
  }
}
