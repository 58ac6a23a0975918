import { readErrorDecision } from './error-decision.js';

describe('what a hook answers to an error', () => {
  const error = new Error('as it was');
  const other = new Error('another');

  it.each([
    [
      { do: 'retry', after: '2s' },
      { do: 'retry', afterMs: 2_000 },
    ],
    [
      { do: 'retry', after: 0 },
      { do: 'retry', afterMs: 0 },
    ],
    [{ do: 'fail' }, { do: 'fail', error }],
    [
      { do: 'fail', error: other },
      { do: 'fail', error: other },
    ],
    [{ do: 'fail-as-expected' }, { do: 'fail-as-expected', error }],
    [{ do: 'ignore' }, { do: 'ignore', value: null }],
    [
      { do: 'ignore', value: { a: 1 } },
      { do: 'ignore', value: { a: 1 } },
    ],
  ])('is read: %j', (answer, read) => {
    expect(readErrorDecision(answer, error)).toEqual(read);
  });

  it.each([
    ['yes', 'expected nothing, or'],
    [null, 'expected nothing, or'],
    [{ do: 'explode' }, 'got {"do":"explode"}'],
    [{ do: 'retry' }, 'expected milliseconds or a duration'],
    [{ do: 'retry', after: -1 }, 'expected milliseconds of 0 or more'],
    [{ do: 'ignore', value: () => 1 }, 'expected JSON, but value is'],
  ])('is refused with what was expected: %j', (answer, message) => {
    expect(() => readErrorDecision(answer, error)).toThrow(message);
  });
});
