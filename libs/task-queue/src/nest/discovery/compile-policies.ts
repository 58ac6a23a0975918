import { InvalidTaskError } from '../../errors/configuration.errors.js';
import { didYouMean, unknownKey } from '../../options/did-you-mean.js';
import { isPlainObject, kindOf } from '../../options/option-readers.js';
import { BUDGET_KEYS } from '../../retry/retry-budget.js';
import {
  compileRetryPolicy,
  matchersProblem,
  type RetryOptions,
  type RetryPolicy,
} from '../../retry/retry-policy.js';

const KEYS: readonly (keyof RetryOptions)[] = [
  'for',
  'never',
  'maxRetries',
  'maxElapsed',
  'budget',
  'backoff',
  'honourRetryAfter',
];

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
  const { budget } = options;
  if (budget !== undefined && typeof budget !== 'string') {
    if (!isPlainObject(budget))
      throw new RangeError(`expected budget to be a name or options, got ${kindOf(budget)}`);
    const wrong = unknownKey(budget, BUDGET_KEYS);
    if (wrong !== undefined) {
      throw new RangeError(
        `expected the options ${BUDGET_KEYS.join(', ')} of budget, got ${JSON.stringify(wrong)}${didYouMean(wrong, BUDGET_KEYS)}`,
      );
    }
  }
  for (const key of ['for', 'never'] as const) {
    const problem = options[key] === undefined ? undefined : matchersProblem(key, options[key]);
    if (problem === undefined) continue;
    const { path, expected, found } = problem;
    if (path === key) throw new RangeError(`expected ${path} to be ${expected}`);
    // undefined is what a class is as long as the module that declares it is still being loaded.
    const hint = found === undefined ? ' (do two modules import each other?)' : '';
    throw new RangeError(`expected ${path} to be ${expected}, got ${kindOf(found)}${hint}`);
  }
}
