import { readRate } from './rate-limit.js';
import { EMPTY_LINE, holdLine, type SlotLine, takeSlot } from './take-slot.js';

describe('a rate', () => {
  it.each([
    ['10/m', 6_000, 0],
    ['100/s', 10, 0],
    ['5/h', 720_000, 0],
    [' 2 / 30s ', 15_000, 0],
    [{ limit: 4, per: '1s' }, 250, 0],
    [{ limit: 4, per: 1_000, burst: 3 }, 250, 500],
    [{ limit: 5_000, per: '1s' }, 0.2, 0],
  ])('%j', (given, intervalMs, toleranceMs) => {
    expect(readRate(given)).toEqual({ intervalMs, toleranceMs });
  });

  it.each([
    ['ten a minute', /'10\/m'/],
    ['10/', /'10\/m'/],
    ['0/m', /limit/],
    ['10/fortnight', /duration/],
    [{ limit: 1.5, per: '1s' }, /limit/],
    [{ limit: 1, per: 0 }, /per/],
    [{ limit: 1, per: '1s', burst: 0 }, /burst/],
  ])('%j cannot be read', (given, message) => {
    expect(() => readRate(given)).toThrow(message);
  });
});

describe('slots', () => {
  const even = { intervalMs: 100, toleranceMs: 0 };

  /** Those who ask at these times, each coming back at its slot: when they start. */
  function starts(rate: typeof even, asks: readonly number[], first: SlotLine = EMPTY_LINE): number[] {
    let kept = first;
    const waiting: { at: number; slot?: number }[] = asks.map((at) => ({ at }));
    const began: number[] = [];
    for (;;) {
      waiting.sort((one, other) => one.at - other.at);
      const one = waiting.shift();
      if (one === undefined) return began;
      const [line, answer] = takeSlot(kept, rate, one.at, one.slot);
      kept = line;
      if (answer.go) began.push(one.at);
      else waiting.push({ at: answer.slot, slot: answer.slot });
    }
  }

  it('are one interval apart, and each task comes back once', () => {
    expect(starts(even, [1_000, 1_000, 1_000, 1_010])).toEqual([1_000, 1_100, 1_200, 1_300]);
  });

  it('a burst goes at once, and what follows at an even pace', () => {
    expect(starts({ intervalMs: 100, toleranceMs: 200 }, [5_000, 5_000, 5_000, 5_000, 5_000])).toEqual([
      5_000, 5_000, 5_000, 5_100, 5_200,
    ]);
  });

  it('a newcomer does not pass those who stand in line', () => {
    expect(starts(even, [0, 0, 0, 150])).toEqual([0, 100, 200, 300]);
  });

  it('who comes back too early keeps his slot', () => {
    const [line] = takeSlot(EMPTY_LINE, even, 1_000);
    expect(takeSlot(line, even, 1_050, 1_100)).toEqual([line, { go: false, slot: 1_100 }]);
  });

  it('those who come back late do so one after the other: the rate holds after an outage', () => {
    let kept: SlotLine = EMPTY_LINE;
    const slots: number[] = [];
    for (let asks = 0; asks < 5; asks++) {
      const [line, answer] = takeSlot(kept, even, 0);
      kept = line;
      if (!answer.go) slots.push(answer.slot);
    }
    expect(slots).toEqual([100, 200, 300, 400]);
    // Nobody worked for 10 s; all four come at once.
    const answers = slots.map((slot) => {
      const [line, answer] = takeSlot(kept, even, 10_000, slot);
      kept = line;
      return answer;
    });
    expect(answers).toEqual([
      { go: true },
      { go: false, slot: 10_100 },
      { go: false, slot: 10_200 },
      { go: false, slot: 10_300 },
    ]);
  });

  it('held, nobody starts before the time, and then no more than before', () => {
    const burst = { intervalMs: 100, toleranceMs: 300 };
    const held = holdLine(EMPTY_LINE, burst, 2_000);
    expect(starts(burst, [500, 500, 2_000], held)).toEqual([2_000, 2_100, 2_200]);
  });

  it('never more than the limit in any time, whoever asks when', () => {
    const burst = { intervalMs: 10, toleranceMs: 40 };
    const asks = Array.from({ length: 300 }, (_, at) => (at * 7_919) % 1_000);
    const began = starts(burst, asks);
    expect(began).toHaveLength(300);
    began.forEach((from, at) => {
      const within = began.slice(at).filter((start) => start < from + 100);
      expect(within.length).toBeLessThanOrEqual(15); // ten in 100 ms, and a burst of five
    });
  });
});
