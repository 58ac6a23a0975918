import type { LockManager } from 'bullmq';
import { PunctualLocks } from './punctual-locks.js';

const EVERY_MS = 1_000;

describe('PunctualLocks', () => {
  let now: number;
  let renewed: string[][];
  let answer: () => void;
  let locks: PunctualLocks;
  beforeEach(() => {
    jest.useFakeTimers();
    now = 0;
    renewed = [];
    const worker = {
      name: 'queue',
      emit: () => true,
      trace: (_kind: unknown, _name: unknown, _queue: unknown, run: () => unknown) => run(),
      extendJobLocks: (ids: string[]) => {
        renewed.push(ids);
        return new Promise<string[]>((resolve) => (answer = () => resolve([])));
      },
    } as unknown as ConstructorParameters<typeof LockManager>[0];
    locks = new PunctualLocks(
      worker,
      { lockRenewTime: 2 * EVERY_MS, lockDuration: 10_000, workerId: 'worker' },
      () => now,
    );
    locks.start();
  });
  afterEach(async () => {
    await locks.close();
    jest.useRealTimers();
  });

  const pass = (ms: number): void => {
    now += ms;
    jest.advanceTimersByTime(ms);
  };
  /** What a handler does that blocks: time goes by, and the timer rings once, late. */
  const block = (ms: number): void => {
    now += ms;
  };

  it('renews every lock in every round, but one that was just taken', () => {
    pass(900);
    locks.trackJob('a', 'token', 0);
    pass(100);
    expect(renewed).toEqual([]);
    pass(EVERY_MS);
    expect(renewed).toEqual([['a']]);
  });

  it('does not wait for the answer to one renewal before the next, and lets no more than two wait', async () => {
    locks.trackJob('a', 'token', 0);
    for (let round = 0; round < 5; round++) pass(EVERY_MS);
    expect(renewed).toEqual([['a'], ['a']]);
    answer();
    await jest.advanceTimersByTimeAsync(0);
    pass(EVERY_MS);
    expect(renewed).toHaveLength(3);
  });

  it('after the event loop was blocked, renews everything, and what was fetched meanwhile at once', () => {
    pass(EVERY_MS);
    locks.trackJob('a', 'token', 0);
    block(6_000);
    locks.trackJob('b', 'token', 0);
    expect(renewed).toEqual([['b']]);
    locks.tick();
    expect(renewed).toEqual([['b'], ['a', 'b']]);
    locks.trackJob('c', 'token', 0);
    expect(renewed.slice(2)).toEqual([['c']]);
    block(EVERY_MS);
    locks.tick();
    locks.trackJob('d', 'token', 0);
    expect(renewed.flat()).not.toContain('d');
  });

  it('a clock of the machine that jumps back holds no renewal up', () => {
    // BullMQ gives the time of the machine, which lies ahead of what it says later.
    locks.trackJob('a', 'token', Date.now() + 3_600_000);
    pass(EVERY_MS);
    expect(renewed).toEqual([['a']]);
  });

  it('is over once it is closed', async () => {
    locks.trackJob('a', 'token', 0);
    expect(locks.isRunning()).toBe(true);
    await locks.close();
    pass(2 * EVERY_MS);
    expect([renewed, locks.isRunning()]).toEqual([[], false]);
  });
});
