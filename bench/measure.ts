import { Redis } from 'ioredis';
import { REDIS_URL } from './redis-url.js';
import type { Cost } from './stopwatch.js';

/** One measurement of a pair: lower is better. */
export type Measurement = () => Promise<Cost>;

/** Two ways of doing the same work, measured in turn. */
export interface Comparison {
  readonly name: string;
  readonly unit: string;
  readonly goal: string;
  /** How many units of work one measurement does. */
  readonly units: number;
  readonly reference: Measurement;
  readonly ours: Measurement;
}

/** What a comparison came to. A ratio is our time over the reference's, of one round. */
export interface Finding {
  readonly comparison: Comparison;
  readonly reference: readonly Cost[];
  readonly ours: readonly Cost[];
}

/** What is compared of a cost. */
export type Timed = Exclude<keyof Cost, 'shares'>;

/** Our cost over the reference's, round by round. */
export function ratios({ reference, ours }: Finding, of: Timed): number[] {
  return ours.flatMap((cost, round) => {
    const [mine, theirs] = [cost[of], reference[round]?.[of]];
    return mine === undefined || theirs === undefined ? [] : [mine / theirs];
  });
}

/**
 * Measures both sides in turn, so that what else the machine does meets both; who begins changes from round to
 * round. One round before is not counted.
 */
export async function compare(comparison: Comparison, rounds: number): Promise<Finding> {
  const reference: Cost[] = [];
  const ours: Cost[] = [];
  for (let round = 0; round <= rounds; round++) {
    const first = round % 2 === 0 ? comparison.reference : comparison.ours;
    const second = round % 2 === 0 ? comparison.ours : comparison.reference;
    const [a, b] = [await isolated(first), await isolated(second)];
    if (round === 0) continue;
    reference.push(round % 2 === 0 ? a : b);
    ours.push(round % 2 === 0 ? b : a);
  }
  return { comparison, reference, ours };
}

async function isolated(measure: Measurement): Promise<Cost> {
  const redis = new Redis(REDIS_URL);
  await redis.flushall();
  redis.disconnect();
  globalThis.gc?.();
  return measure();
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? high) + high) / 2;
}
