import { InvalidOptionsError } from '../errors/configuration.errors.js';
import { readInteger, readObject } from '../options/option-readers.js';
import type { Extent } from './explainer.js';

/** Options of `workflows.explain()`. */
export interface ExplainOptions {
  /** How many of the tasks and composites below it are looked at, 1 to 1,000. The others are counted. @defaultValue 100 */
  readonly limit?: number;
  /** Where the page before ended: `explanation.cursor`. Pages go through the members of what is explained itself. */
  readonly cursor?: string;
}

/** @throws InvalidOptionsError naming the option */
export function readExtent(options: ExplainOptions | undefined): Extent {
  const { limit, cursor } = readObject('', options, ['limit', 'cursor']);
  if (cursor !== undefined && !/^\d{1,20}$/.test(cursor))
    throw new InvalidOptionsError('cursor', 'the cursor of an explanation', cursor);
  return { limit: readInteger('limit', limit ?? 100, 1, 1_000), cursor };
}
