import { FetchPulse } from './fetch-pulse.js';

function pulseAt(): { pulse: FetchPulse; pass: (ms: number) => void } {
  let now = 1_000;
  return { pulse: new FetchPulse(() => now), pass: (ms) => (now += ms) };
}

describe('the pulse of a fetch loop', () => {
  it('is overdue from the moment at which it stops moving', () => {
    const { pulse, pass } = pulseAt();
    pass(700);
    expect(pulse.overdueMs(1)).toBe(700);
    pulse.moves();
    expect(pulse.overdueMs(1)).toBe(0);
    pass(30);
    expect([pulse.overdueMs(1), pulse.movedAgoMs]).toEqual([30, 30]);
  });

  it('is not overdue while it waits for as long as it said', () => {
    const { pulse, pass } = pulseAt();
    pulse.waits(5_000);
    pass(5_000);
    expect([pulse.overdueMs(1), pulse.movedAgoMs]).toEqual([0, 5_000]);
    pass(1);
    expect(pulse.overdueMs(1)).toBe(1);
  });

  it('may wait on when a slot moves in the meantime', () => {
    const { pulse, pass } = pulseAt();
    pulse.waits(5_000);
    pass(1_000);
    pulse.moves();
    pass(4_000);
    expect(pulse.overdueMs(1)).toBe(0);
  });

  it('is never overdue while every slot is taken, and has time again from the end of a handler on', () => {
    const { pulse, pass } = pulseAt();
    pulse.begins();
    pulse.begins();
    pass(60_000);
    expect([pulse.running, pulse.overdueMs(2), pulse.overdueMs(3)]).toEqual([2, 0, 60_000]);
    pulse.ends();
    expect([pulse.running, pulse.overdueMs(2)]).toEqual([1, 0]);
    pass(20);
    expect(pulse.overdueMs(2)).toBe(20);
  });
});
