import { compileRetryPolicy, matchesAny, type RetryOptions } from './retry-policy.js';

class Overloaded extends Error {}
class Unreachable extends Overloaded {
  override name = 'E_UNREACHABLE';
}

describe('compileRetryPolicy', () => {
  it('by default: every error, 3 retries, exponential from a second with full jitter, Retry-After honoured', () => {
    const policy = compileRetryPolicy();
    expect(policy).toMatchObject({ explicit: false, maxRetries: 3, honourRetryAfter: true });
    expect([policy.matches('anything'), policy.never(new Error('x'))]).toEqual([true, false]);
    expect([0, 1, 2].map((retries) => policy.backoff(retries, undefined, () => 1))).toEqual([
      1_000, 2_000, 4_000,
    ]);
  });

  it('with a list it is explicit, and matches nothing else', () => {
    const policy = compileRetryPolicy({
      for: [Overloaded],
      never: ['TypeError'],
      maxRetries: 0,
      honourRetryAfter: false,
    });
    expect(policy).toMatchObject({ explicit: true, maxRetries: 0, honourRetryAfter: false });
    expect([
      policy.matches(new Unreachable()),
      policy.matches(new Error('x')),
      policy.never(new TypeError('x')),
    ]).toEqual([true, false, true]);
  });

  it('an empty list matches nothing', () => {
    expect(compileRetryPolicy({ for: [] }).matches(new Error('x'))).toBe(false);
  });

  it('maxRetries may be Infinity', () => {
    expect(compileRetryPolicy({ maxRetries: Infinity }).maxRetries).toBe(Infinity);
  });

  it.each([-1, 1.5, NaN, -Infinity, '3', null])('refuses maxRetries %p', (maxRetries) => {
    const options = { maxRetries } as unknown as RetryOptions;
    if (maxRetries === null) expect(compileRetryPolicy(options).maxRetries).toBe(3);
    else expect(() => compileRetryPolicy(options)).toThrow(RangeError);
  });

  it('refuses a backoff that cannot be read', () => {
    expect(() => compileRetryPolicy({ backoff: { type: 'fixed', delay: 'soon' } })).toThrow(RangeError);
  });
});

describe('matchesAny', () => {
  it.each<[error: unknown, matcher: RetryOptions['for'], matches: boolean]>([
    [new Overloaded(), [Overloaded], true],
    [new Unreachable(), [Overloaded], true],
    [new Error('x'), [Overloaded], false],
    [new Error('x'), [TypeError, Error], true],
    [new Unreachable(), ['E_UNREACHABLE'], true],
    [new Unreachable(), ['Unreachable'], true],
    [new Unreachable(), ['Overloaded'], true],
    [new Unreachable(), ['Error'], true],
    [new Unreachable(), ['TypeError'], false],
    [{ name: 'Overloaded' }, ['Overloaded'], true],
    [{ name: 'Overloaded' }, [Overloaded], false],
    ['Overloaded', ['Overloaded'], false],
    [undefined, ['undefined', 'Error'], false],
    [null, [Error], false],
    [Object.create(null), ['Object'], false],
    [new Error('x'), [], false],
  ])('%p and %p: %p', (error, matchers, matches) => {
    expect(matchesAny(error, matchers ?? [])).toBe(matches);
  });
});
