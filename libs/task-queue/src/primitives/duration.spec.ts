import { toMilliseconds } from './duration.js';

describe('toMilliseconds', () => {
  it.each<[value: number | string, ms: number]>([
    [0, 0],
    [1, 1],
    [1.6, 2],
    [86_400_000, 86_400_000],
    ['0ms', 0],
    ['250ms', 250],
    ['30s', 30_000],
    ['1.5s', 1_500],
    ['5m', 300_000],
    ['5m30s', 330_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    ['2w', 1_209_600_000],
    ['1w2d3h4m5s6ms', 788_645_006],
    [' 5 m 30 s ', 330_000],
    ['1s1s', 2_000],
    ['0.4ms', 0],
  ])('reads %j as %d', (value, ms) => {
    expect(toMilliseconds(value)).toBe(ms);
  });

  it.each<unknown>([
    -1,
    NaN,
    Infinity,
    -Infinity,
    '',
    ' ',
    '5',
    '5 minutes',
    'm5',
    '5m30',
    '-5s',
    '1e3s',
    '5S',
    's',
    '5.s',
    '.5s',
    null,
    undefined,
    {},
    [],
    true,
  ])('refuses %p, and says what was expected', (value) => {
    expect(() => toMilliseconds(value as never)).toThrow(RangeError);
    expect(() => toMilliseconds(value as never)).toThrow(/expected milliseconds/);
  });
});
