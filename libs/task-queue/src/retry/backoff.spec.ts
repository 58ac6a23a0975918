import { compileBackoff, type BackoffOptions } from './backoff.js';

const half = () => 0.5;
const delays = (options: BackoffOptions, count: number, random = half) => {
  const backoff = compileBackoff(options);
  return Array.from({ length: count }, (_, retries) => backoff(retries, new Error('x'), random));
};

describe('compileBackoff', () => {
  it.each<[what: string, options: BackoffOptions, delays: number[]]>([
    ['fixed', { type: 'fixed', delay: '2s' }, [2_000, 2_000, 2_000]],
    ['fixed by default', { type: 'fixed' }, [1_000, 1_000]],
    ['fixed with jitter', { type: 'fixed', delay: 100, jitter: true }, [50, 50]],
    ['exponential', { type: 'exponential', delay: 100, jitter: false }, [100, 200, 400, 800]],
    ['exponential by default: from a second, with full jitter', { type: 'exponential' }, [500, 1_000, 2_000]],
    ['exponential with a factor', { type: 'exponential', delay: 10, factor: 3, jitter: false }, [10, 30, 90]],
    ['a factor of 1 does not grow', { type: 'exponential', delay: 10, factor: 1, jitter: false }, [10, 10]],
    [
      'exponential with a cap',
      { type: 'exponential', delay: 100, max: 300, jitter: false },
      [100, 200, 300, 300],
    ],
    ['the cap comes before the jitter', { type: 'exponential', delay: 100, max: 300 }, [50, 100, 150, 150]],
    ['a delay of nothing', { type: 'exponential', delay: 0, jitter: false }, [0, 0]],
    [
      'a factor that is no whole number',
      { type: 'exponential', delay: 10, factor: 1.25, jitter: false },
      [10, 13, 16],
    ],
    ['a function', (retries) => `${retries + 1}s`, [1_000, 2_000, 3_000]],
  ])('%s', (_what, options, expected) => {
    expect(delays(options, expected.length)).toEqual(expected);
  });

  it('caps at ten minutes by default, also where the power is infinite', () => {
    const backoff = compileBackoff({ type: 'exponential', jitter: false });
    expect([backoff(20, undefined, half), backoff(5_000, undefined, half)]).toEqual([600_000, 600_000]);
  });

  it('jitter reaches from nothing to the whole delay', () => {
    expect(delays({ type: 'exponential', delay: 100 }, 2, () => 0)).toEqual([0, 0]);
    expect(delays({ type: 'exponential', delay: 100 }, 2, () => 0.9999)).toEqual([100, 200]);
  });

  it('a function sees the retries so far and the error', () => {
    const seen: unknown[] = [];
    const backoff = compileBackoff((retries, error) => {
      seen.push(retries, error);
      return 5;
    });
    expect(backoff(3, 'the error', half)).toBe(5);
    expect(seen).toEqual([3, 'the error']);
  });

  it.each<[what: string, options: unknown, message: RegExp]>([
    ['a delay that is none', { type: 'fixed', delay: 'soon' }, /duration/],
    ['a negative delay', { type: 'fixed', delay: -1 }, /0 or more/],
    ['a cap that is none', { type: 'exponential', max: 'ages' }, /duration/],
    ['a factor below 1', { type: 'exponential', factor: 0.5 }, /factor of 1 or more/],
    ['a factor that is no number', { type: 'exponential', factor: NaN }, /factor/],
    ['another type', { type: 'linear' }, /'fixed' or 'exponential'.*"linear"/],
    ['no type', {}, /'fixed' or 'exponential'/],
  ])('refuses %s', (_what, options, message) => {
    expect(() => compileBackoff(options as BackoffOptions)).toThrow(message);
    expect(() => compileBackoff(options as BackoffOptions)).toThrow(RangeError);
  });

  it('what a function gives has to be a duration', () => {
    expect(() => compileBackoff(() => 'soon')(0, undefined, half)).toThrow(RangeError);
  });
});
