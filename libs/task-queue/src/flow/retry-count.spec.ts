import { retriesMade, withRetry } from './envelope.js';

describe('the count of retries', () => {
  it('counts under each policy', () => {
    const first = withRetry(undefined, 0, 0, 5);
    const second = withRetry(first, 1, 1, 5);
    const third = withRetry(second, 0, 2, 5);
    expect(retriesMade(third, 3)).toEqual({ '0': 2, '1': 1 });
  });

  it('does not count a retry that was noted, but never made because the worker died', () => {
    const noted = withRetry(undefined, 0, 0, 5);
    expect(retriesMade(noted, 0)).toEqual({ '0': 0 });
    const again = withRetry(noted, 0, 0, 5);
    expect(retriesMade(again, 1)).toEqual({ '0': 1 });
  });

  it('is nothing for a task that was never retried', () => {
    expect(retriesMade(undefined, 4)).toEqual({});
  });
});
