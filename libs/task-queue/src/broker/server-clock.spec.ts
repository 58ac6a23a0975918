import { ServerClock } from './server-clock.js';

const HOUR_MS = 3_600_000;

/** A machine whose clocks stand still, and a clock on it. */
function machine(machineMs: number) {
  let [wallMs, monotonicMs] = [machineMs, 1_000];
  jest.spyOn(Date, 'now').mockImplementation(() => wallMs);
  jest.spyOn(performance, 'now').mockImplementation(() => monotonicMs);
  const refresh = jest.fn();
  return {
    clock: new ServerClock(refresh),
    refresh,
    pass: (ms: number): void => {
      wallMs += ms;
      monotonicMs += ms;
    },
    jump: (ms: number): void => {
      wallMs += ms;
    },
  };
}

afterEach(() => jest.restoreAllMocks());

describe('the clock of the server', () => {
  it('is that of the machine until the server has said what time it is', () => {
    const { clock, refresh } = machine(50_000);
    expect([clock.isSettled, clock.wallMs()]).toEqual([false, 50_000]);
    expect(refresh).not.toHaveBeenCalled();
  });

  it('goes on from what the server says, in the middle between question and answer', async () => {
    const { clock, pass } = machine(50_000);
    await clock.ask({
      time: () => {
        pass(10);
        return Promise.resolve([HOUR_MS / 1_000, 500_000]);
      },
    });
    expect([clock.isSettled, clock.wallMs()]).toEqual([true, HOUR_MS + 505]);
    pass(1_000);
    expect(clock.wallMs()).toBe(HOUR_MS + 1_505);
  });

  it('is that of the machine as long as this agrees with what the server says', () => {
    const { clock, pass, jump } = machine(HOUR_MS);
    const askedAt = performance.now();
    pass(100);
    clock.learn(askedAt, HOUR_MS + 30);
    expect(clock.wallMs()).toBe(HOUR_MS + 100);
    jump(10);
    expect(clock.wallMs()).toBe(HOUR_MS + 110);
    jump(HOUR_MS);
    expect(clock.wallMs()).toBe(HOUR_MS + 100);
    clock.learn(performance.now(), 2 * HOUR_MS + 110);
    expect(clock.wallMs()).toBe(2 * HOUR_MS + 110);
  });

  it('goes on when the clock of the machine jumps, and asks once whether that is right', () => {
    const { clock, refresh, jump, pass } = machine(50_000);
    clock.learn(performance.now(), HOUR_MS);
    for (const ms of [HOUR_MS, -2 * HOUR_MS]) {
      jump(ms);
      pass(10);
      clock.wallMs();
      clock.wallMs();
    }
    expect(clock.wallMs()).toBe(HOUR_MS + 20);
    expect(refresh).toHaveBeenCalledTimes(2);
  });

  it('stays as it is where an answer allows it, and is set to the nearest moment elsewhere', () => {
    const { clock, pass } = machine(50_000);
    clock.learn(performance.now(), HOUR_MS);
    const answer = (tookMs: number, serverMs: number): number => {
      const askedAt = performance.now();
      pass(tookMs);
      clock.learn(askedAt, serverMs);
      return clock.wallMs() - HOUR_MS;
    };
    expect(answer(4_000, HOUR_MS + 100)).toBe(4_000);
    expect(answer(1_000, HOUR_MS + 6_000)).toBe(6_000);
    expect(answer(1_000, HOUR_MS + 4_000)).toBe(5_000);
  });

  it('is asked for again when an answer is old', () => {
    const { clock, refresh, pass } = machine(50_000);
    clock.learn(performance.now(), HOUR_MS);
    pass(59_000);
    clock.wallMs();
    expect(refresh).not.toHaveBeenCalled();
    pass(2_000);
    clock.wallMs();
    clock.wallMs();
    expect(refresh).toHaveBeenCalledTimes(1);
  });

  it('stays that of the machine where the server may not be asked, and fails where it cannot', async () => {
    const { clock } = machine(50_000);
    await expect(
      clock.ask({ time: () => Promise.reject(new Error('Connection is closed.')) }),
    ).rejects.toThrow('Connection is closed.');
    expect(clock.isSettled).toBe(false);
    const refusal = Object.assign(new Error('NOPERM'), { name: 'ReplyError' });
    await clock.ask({ time: () => Promise.reject(refusal) });
    expect([clock.isSettled, clock.wallMs()]).toEqual([true, 50_000]);
  });

  it('says what the machine says at a time', () => {
    const { clock, pass } = machine(50_000);
    clock.learn(performance.now(), HOUR_MS);
    pass(500);
    expect(clock.machineMs(HOUR_MS + 2_000)).toBe(52_001);
  });
});
