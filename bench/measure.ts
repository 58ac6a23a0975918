import { type ChildProcess, fork } from 'node:child_process';
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

/** Longer than any measurement takes, Celery's on a busy machine among them. */
const LIMIT_MS = 15 * 60_000;

/**
 * Measures both sides in turn, each in a process of its own, so that what else the machine does meets both; who begins
 * changes from round to round. One round before is not counted.
 */
export async function compare(comparison: Comparison, rounds: number, profiles: boolean): Promise<Finding> {
  const sides = {
    reference: new Side(comparison, 'reference', profiles),
    ours: new Side(comparison, 'ours', profiles),
  };
  const finding: { reference: Cost[]; ours: Cost[] } = { reference: [], ours: [] };
  try {
    for (let round = 0; round <= rounds; round++) {
      const order = round % 2 === 0 ? (['reference', 'ours'] as const) : (['ours', 'reference'] as const);
      for (const side of order) {
        const cost = await sides[side].measure();
        if (round > 0) finding[side].push(cost);
      }
    }
  } finally {
    sides.reference.close();
    sides.ours.close();
  }
  return { comparison, ...finding };
}

/** The process of one side (`side.ts`). */
class Side {
  readonly #child: ChildProcess;

  constructor(
    comparison: Comparison,
    private readonly side: 'reference' | 'ours',
    profiles: boolean,
  ) {
    const args = [comparison.name, side, ...(profiles ? ['profile'] : [])];
    this.#child = fork(new URL('./side.js', import.meta.url), args, {
      execArgv: ['--expose-gc'],
      // A profile holds a Map, which JSON would lose.
      serialization: 'advanced',
    });
  }

  /** @throws Error when the process ends before it has answered, or does not answer */
  measure(): Promise<Cost> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        child.off('message', onCost).off('exit', onExit);
      };
      const onCost = (cost: unknown): void => {
        settle();
        resolve(cost as Cost);
      };
      const onExit = (code: number | null): void => {
        settle();
        reject(new Error(`the process of the ${this.side} side ended with ${code}`));
      };
      const timer = setTimeout(() => {
        settle();
        reject(new Error(`the ${this.side} side did not end within ${LIMIT_MS / 60_000} minutes`));
      }, LIMIT_MS);
      child.on('message', onCost).on('exit', onExit);
      child.send('measure');
    });
  }

  close(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? high) + high) / 2;
}
