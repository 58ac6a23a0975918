import { InvalidTaskError } from '../../errors/configuration.errors.js';
import { didYouMean, unknownKey } from '../../options/did-you-mean.js';
import { isPlainObject, kindOf } from '../../options/option-readers.js';
import { compileRetryPolicy, type RetryOptions, type RetryPolicy } from '../../retry/retry-policy.js';

const KEYS: readonly (keyof RetryOptions)[] = ['for', 'never', 'maxRetries', 'backoff', 'honourRetryAfter'];

/**
 * Reads the `@Retry` options of one method, in the order in which they stand.
 *
 * @throws InvalidTaskError naming the method, for the first option that cannot be read
 */
export function compilePolicies(source: string, retries: readonly RetryOptions[]): RetryPolicy[] {
  return retries.map((options, index) => {
    const where = retries.length === 1 ? '@Retry' : `@Retry number ${index + 1}`;
    try {
      checkShape(options);
      return compileRetryPolicy(options);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new InvalidTaskError(`${where} of ${source}: ${error.message}.`, { cause: error });
    }
  });
}

function checkShape(options: RetryOptions): void {
  if (!isPlainObject(options)) throw new RangeError(`expected an object, got ${kindOf(options)}`);
  const unknown = unknownKey(options, KEYS);
  if (unknown !== undefined) {
    throw new RangeError(
      `expected the options ${KEYS.join(', ')}, got ${JSON.stringify(unknown)}${didYouMean(unknown, KEYS)}`,
    );
  }
  for (const key of ['for', 'never'] as const) {
    const matchers: unknown = options[key];
    if (matchers === undefined) continue;
    if (!Array.isArray(matchers)) throw new RangeError(`expected ${key} to be a list of error classes`);
    const wrong = matchers.findIndex(
      (matcher) => typeof matcher !== 'function' && typeof matcher !== 'string',
    );
    if (wrong >= 0) {
      // undefined is what a class is as long as the module that declares it is still being loaded.
      throw new RangeError(
        `expected ${key}[${wrong}] to be an error class or its name, got ${kindOf(matchers[wrong])}` +
          (matchers[wrong] === undefined ? ' (do two modules import each other?)' : ''),
      );
    }
  }
}
