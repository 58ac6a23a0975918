import { InvalidTaskError } from '../../errors/configuration.errors.js';
import type { RetryOptions } from '../../retry/retry-policy.js';
import { declareRetry } from './metadata.js';
import { sourceOf } from './source-name.js';

/**
 * Says when a task is run again. Without arguments: after any error, 3 times, with exponential backoff and
 * full jitter. It may stand several times on one method, each for its own errors with its own count and
 * backoff; the first one, top to bottom, that matches an error decides.
 *
 * The options are read when the application starts; those that cannot be read end it with an InvalidTaskError.
 */
export function Retry(options: RetryOptions = {}): MethodDecorator {
  return (target: object, method: string | symbol): void => {
    if (typeof target === 'function' || typeof method === 'symbol') {
      throw new InvalidTaskError(`${sourceOf(target, method)}: @Retry stands on a method that has @Task.`);
    }
    declareRetry(target, method, options);
  };
}
