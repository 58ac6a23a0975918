import type { Budget } from '../canvas/header-rules.js';
import { breachOf, type HeaderLaw, type HeaderView, judgeHeader, type Judgement } from './judge-header.js';

const TEN: HeaderView = {
  size: 10,
  isSealed: true,
  succeeded: 0,
  failed: 0,
  byError: new Map(),
  isDue: false,
};
const after = (failed: number, more: Partial<HeaderView> = {}): HeaderView => ({ ...TEN, failed, ...more });
const errors = (counts: Readonly<Record<string, number>>): Partial<HeaderView> => ({
  byError: new Map(Object.entries(counts)),
});

describe('a breach', () => {
  it.each<[Budget, HeaderView, string | undefined]>([
    [{ count: 0 }, after(0), undefined],
    [{ count: 0 }, after(1), '1 member failed, and 0 may'],
    [{ count: 2 }, after(2), undefined],
    [{ count: 2 }, after(3), '3 members failed, and 2 may'],
    [{ percentage: 20 }, after(2), undefined],
    [{ percentage: 20 }, after(3), '3 of 10 members failed, and 20 % may'],
    [{ percentage: 0 }, after(1), '1 of 10 members failed, and 0 % may'],
    [{ percentage: 100 }, after(10), undefined],
    [{ minSuccesses: 8 }, after(2), undefined],
    [{ minSuccesses: 8 }, after(3), '7 of 10 members can still succeed, and 8 have to'],
    [{ minSuccesses: 11 }, after(0), '10 of 10 members can still succeed, and 11 have to'],
    [{ byError: { A: 1 } }, after(9, errors({ A: 1, B: 8 })), undefined],
    [{ byError: { A: 1 } }, after(9, errors({ A: 2, B: 7 })), '2 members failed with A, and 1 may'],
    [{ count: 5, byError: { A: 1 } }, after(6, errors({ A: 1 })), '6 members failed, and 5 may'],
    [{ count: 5, percentage: 10 }, after(2), '2 of 10 members failed, and 10 % may'],
  ])('of %j after %o: %s', (budget, view, message) => {
    expect(breachOf(budget, view)?.message).toBe(message);
  });

  it('of a share waits for the seal, one of a count does not', () => {
    const open = after(9, { isSealed: false });
    expect(breachOf({ percentage: 1, minSuccesses: 10 }, open)).toBeUndefined();
    expect(breachOf({ percentage: 1, count: 8 }, open)?.limit).toBe('count');
  });
});

describe('a judgement', () => {
  const deadline = { rest: 'leave' } as const;

  it.each<[string, Budget, HeaderView, Partial<Judgement>]>([
    ['waits while the budget holds', { count: 1 }, after(1, { succeeded: 8 }), { do: 'wait' }],
    [
      'asks the recovery when all have ended',
      { count: 1 },
      after(1, { succeeded: 9 }),
      { do: 'close', by: 'end', follow: 'recovery', rest: 'leave' },
    ],
    [
      'waits for the seal when all that are there have ended',
      { count: 1 },
      after(1, { succeeded: 9, isSealed: false }),
      { do: 'wait' },
    ],
    [
      'closes on a breach',
      { count: 0 },
      after(1),
      { do: 'close', by: 'budget', follow: 'errback', rest: 'revoke' },
    ],
    [
      'closes on a breach by the last member',
      { count: 0 },
      after(1, { succeeded: 9 }),
      { do: 'close', by: 'budget', follow: 'errback' },
    ],
    [
      'lets the recovery go on with what is there',
      { count: 0, onBreach: 'callback', rest: 'leave' },
      after(1),
      { do: 'close', by: 'budget', follow: 'recovery', rest: 'leave' },
    ],
    ['parks', { count: 0, onBreach: 'park' }, after(1), { do: 'park', why: '1 member failed, and 0 may' }],
  ])('%s', (_, budget, view, judgement) => {
    expect(judgeHeader({ budget, deadline: { rest: 'leave' }, recovery: 'ErrbackOnly' }, view)).toMatchObject(
      judgement,
    );
  });

  it.each<[string, HeaderLaw, HeaderView, Partial<Judgement>]>([
    ['waits before it', { deadline, recovery: 'ErrbackOnly' }, after(0), { do: 'wait' }],
    [
      'lets the body run with what is there',
      { deadline, recovery: 'ErrbackOnly' },
      after(0, { isDue: true, succeeded: 4 }),
      { do: 'close', by: 'deadline', follow: 'successes', rest: 'leave' },
    ],
    [
      'does not hide a failure from ErrbackOnly',
      { deadline, recovery: 'ErrbackOnly' },
      after(1, { isDue: true }),
      { do: 'close', by: 'deadline', follow: 'errback' },
    ],
    [
      'asks every other recovery',
      { deadline, recovery: 'CallbackWithOutcomes' },
      after(1, { isDue: true }),
      { do: 'close', by: 'deadline', follow: 'recovery' },
    ],
    [
      'holds the budget to what is there',
      { deadline, budget: { minSuccesses: 5 }, recovery: 'CallbackWithSuccesses' },
      after(0, { isDue: true, succeeded: 4, isSealed: false }),
      { do: 'close', by: 'budget', follow: 'errback' },
    ],
    [
      'takes what was published for the whole',
      { deadline, budget: { percentage: 20 }, recovery: 'CallbackWithSuccesses' },
      after(3, { isDue: true, isSealed: false }),
      { do: 'close', by: 'budget' },
    ],
    [
      'is too late when all have ended',
      { deadline, budget: { count: 1 }, recovery: 'ErrbackOnly' },
      after(0, { isDue: true, succeeded: 10 }),
      { do: 'close', by: 'end', follow: 'recovery' },
    ],
  ])('at the deadline %s', (_, law, view, judgement) => {
    expect(judgeHeader(law, view)).toMatchObject(judgement);
  });

  it('never goes back: more failures breach what fewer did', () => {
    const budgets: Budget[] = [
      { count: 3 },
      { percentage: 30 },
      { minSuccesses: 6 },
      { count: 5, minSuccesses: 7 },
    ];
    for (const budget of budgets) {
      const breached = Array.from(
        { length: 11 },
        (_, failed) => breachOf(budget, after(failed)) !== undefined,
      );
      expect(breached).toEqual(breached.toSorted((one, other) => Number(one) - Number(other)));
    }
  });
});
