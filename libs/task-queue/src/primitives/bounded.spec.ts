import { bounded, pause } from './bounded.js';

describe('bounded', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());
  const late = () => new Error('late');

  it.each<[what: string, promise: () => Promise<unknown>, outcome: unknown]>([
    ['a value', () => Promise.resolve(5), 5],
    ['an error', () => Promise.reject(new Error('own')), new Error('own')],
  ])('passes on %s, and leaves no timer', async (_what, promise, outcome) => {
    expect(await bounded(promise(), 1_000, late).catch((error: unknown) => error)).toEqual(outcome);
    await Promise.resolve();
    expect(jest.getTimerCount()).toBe(0);
  });

  it('gives up in time; what comes later is swallowed', async () => {
    let fail = (_error: Error): void => undefined;
    const result = bounded(new Promise((_, reject) => (fail = reject)), 1_000, late).catch(
      (error: unknown) => error,
    );

    jest.advanceTimersByTime(999);
    expect(jest.getTimerCount()).toBe(1);
    jest.advanceTimersByTime(1);

    expect(await result).toEqual(late());
    fail(new Error('nobody hears this'));
    await Promise.resolve();
  });
});

describe('pause', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  it('waits', async () => {
    const ended = jest.fn();
    const waiting = pause(500).then(() => ended());
    jest.advanceTimersByTime(499);
    await Promise.resolve();
    expect(ended).not.toHaveBeenCalled();
    jest.advanceTimersByTime(1);
    await waiting;
    expect(ended).toHaveBeenCalled();
  });

  it('ends early when its signal aborts, and leaves neither timer nor listener', async () => {
    const controller = new AbortController();
    const removed = jest.spyOn(controller.signal, 'removeEventListener');
    const waiting = pause(500, controller.signal);
    controller.abort();
    await waiting;
    expect(jest.getTimerCount()).toBe(0);
    expect(removed).toHaveBeenCalled();
  });

  it('does not begin when it has aborted before', async () => {
    await pause(500, AbortSignal.abort());
    expect(jest.getTimerCount()).toBe(0);
  });
});
