import { countIn, NO_COUNTS, type WindowCounts } from '../primitives/window-counts.js';
import { readRetryBudget, type RetryBudgetOptions, spendRetry } from './retry-budget.js';

const T = 1_700_000_000_000;

describe('a retry budget', () => {
  const bench = (options: RetryBudgetOptions) => {
    const { rule } = readRetryBudget(options);
    let kept: WindowCounts = NO_COUNTS;
    return {
      first: (nowMs: number, times = 1) => {
        for (let n = 0; n < times; n++) kept = countIn(kept, rule.partMs, nowMs, { all: 1, some: 0 });
      },
      spend: (nowMs: number) => {
        const [next, waitMs] = spendRetry(kept, rule, nowMs);
        kept = next;
        return waitMs;
      },
      granted(nowMs: number, asked: number) {
        return Array.from({ length: asked }, () => this.spend(nowMs)).filter((waitMs) => waitMs === undefined)
          .length;
      },
      get parts() {
        return kept.size;
      },
    };
  };

  it('grants its floor, and a share of the first attempts', () => {
    const budget = bench({ share: 0.1, floor: 3 });
    expect(budget.granted(T, 10)).toBe(3);
    budget.first(T, 50);
    expect(budget.granted(T, 100)).toBe(5);
  });

  it('counts over the last time only, and says when it is worth to ask again', () => {
    const budget = bench({ share: 0, floor: 2, per: '10s' });
    expect(budget.granted(T, 5)).toBe(2);
    expect(budget.spend(T + 300)).toBe(700);
    expect(budget.spend(T + 9_999)).toBe(1);
    expect(budget.granted(T + 10_000, 5)).toBe(2);
  });

  it('never lets a storm through, and keeps ten parts, whatever comes when', () => {
    const budget = bench({ share: 0.2, floor: 5, per: '10s' });
    let granted = 0;
    for (let second = 0; second < 100; second++) {
      budget.first(T + second * 1_000, 10);
      granted += budget.granted(T + second * 1_000, 500);
    }
    // A fifth of a thousand first attempts, and the floor in each of ten windows.
    expect(granted).toBeLessThanOrEqual(200 + 10 * 5);
    expect(granted).toBeGreaterThanOrEqual(200);
    expect(budget.parts).toBeLessThanOrEqual(10);
  });

  it('has defaults, and may be a name', () => {
    expect(readRetryBudget({})).toEqual({ over: 'fail', rule: { share: 0.1, floor: 10, partMs: 6_000 } });
    expect(readRetryBudget('api')).toMatchObject({ name: 'api', over: 'fail' });
  });

  it.each([
    [{ name: 'a b' }, 'budget.name'],
    [{ share: -1 }, 'budget.share'],
    [{ floor: 0.5 }, 'budget.floor'],
    [{ share: 0, floor: 0 }, 'budget.share or budget.floor'],
    [{ over: 'explode' as never }, 'budget.over'],
    [{ per: 0 }, 'budget.per'],
    [{ per: 'soon' }, 'expected milliseconds or a duration'],
  ])('is refused by name: %j', (options, message) => {
    expect(() => readRetryBudget(options)).toThrow(message);
  });
});
