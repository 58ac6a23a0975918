import { retryAfterMs } from './retry-after.js';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const IN_90_S = 'Thu, 01 Jan 2026 00:01:30 GMT';

describe('retryAfterMs', () => {
  it.each<[what: string, error: unknown, ms: number | undefined]>([
    ['seconds', { retryAfter: 7 }, 7_000],
    ['a part of a second', { retryAfter: 0.25 }, 250],
    ['no seconds', { retryAfter: 0 }, 0],
    ['seconds as a text', { retryAfter: ' 12 ' }, 12_000],
    ['a Date', { retryAfter: new Date(NOW + 5) }, 5],
    ['a Date that has passed', { retryAfter: new Date(NOW - 5) }, 0],
    ['an HTTP date', { retryAfter: IN_90_S }, 90_000],
    ['an error', Object.assign(new Error('429'), { retryAfter: 1 }), 1_000],
    ['a header of the response', { response: { headers: { 'retry-after': '3' } } }, 3_000],
    ['a header in any case', { response: { headers: { 'Retry-After': '3' } } }, 3_000],
    ['a header given as a list', { response: { headers: { 'retry-after': ['4', '5'] } } }, 4_000],
    ['a header of the error', { headers: { 'retry-after': '6' } }, 6_000],
    ['Headers', { response: { headers: new Headers({ 'Retry-After': IN_90_S }) } }, 90_000],
    ['a Map', { headers: new Map([['Retry-After', '8']]) }, 8_000],
    [
      'its own before the response, and that before its headers',
      { retryAfter: 1, response: { headers: { 'retry-after': '2' } }, headers: { 'retry-after': '3' } },
      1_000,
    ],
    ['what can be read before what cannot', { retryAfter: 'soon', headers: { 'retry-after': '3' } }, 3_000],

    ['nothing', undefined, undefined],
    ['null', null, undefined],
    ['a text', 'retryAfter', undefined],
    ['an error without it', new Error('x'), undefined],
    ['a negative number', { retryAfter: -1 }, undefined],
    ['NaN', { retryAfter: NaN }, undefined],
    ['Infinity', { retryAfter: Infinity }, undefined],
    ['an invalid Date', { retryAfter: new Date(NaN) }, undefined],
    ['a text that is no date', { retryAfter: 'soon' }, undefined],
    ['another type', { retryAfter: {} }, undefined],
    ['a response without headers', { response: null }, undefined],
    ['headers without it', { response: { headers: { 'content-type': 'text/plain' } } }, undefined],
  ])('%s', (_what, error, ms) => {
    expect(retryAfterMs(error, NOW)).toBe(ms);
  });
});
