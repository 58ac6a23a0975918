import {
  BREAKER_KEYS,
  type Breaker as Declared,
  type BreakerOptions,
  readBreaker,
} from '../../breaker/breaker-options.js';
import { InvalidOptionsError, InvalidTaskError } from '../../errors/configuration.errors.js';
import { readObject } from '../../options/option-readers.js';
import { declareBreaker } from './metadata.js';
import { sourceOf } from './source-name.js';

/**
 * Keeps a task away from a resource that does not work. When too many calls of the tasks that name the same breaker fail
 * with errors of the resource, nobody starts for a while: tasks are parked, without a slot and without spending an attempt.
 * Then a few probe whether it works again, and the others come back at a bounded rate. All workers of all applications
 * share a breaker, by the clock of Redis.
 *
 * ```ts
 * @Task()
 * @Breaker('payments-api')
 * @Retry(RetryPresets.serviceDown)
 * charge(order: Order): Promise<Receipt> { … }
 * ```
 *
 * @param name of the resource. Tasks of an application that name the same one give it the same numbers; `for` is their own
 * @throws InvalidTaskError, when the class is loaded, for an option that cannot be read
 */
export function Breaker(name: string, options: BreakerOptions = {}): MethodDecorator {
  return (target: object, method: string | symbol): void => {
    const source = sourceOf(target, method);
    if (typeof target === 'function' || typeof method === 'symbol') {
      throw new InvalidTaskError(`${source}: @Breaker stands on a method that has @Task.`);
    }
    declareBreaker(target, method, read(source, name, options));
  };
}

function read(source: string, name: string, options: BreakerOptions): Declared {
  try {
    return readBreaker(name, readObject('', options, BREAKER_KEYS));
  } catch (error) {
    if (!(error instanceof RangeError) && !(error instanceof InvalidOptionsError)) throw error;
    throw new InvalidTaskError(`@Breaker of ${source}: ${error.message.replace(/\.$/, '')}.`, {
      cause: error,
    });
  }
}
