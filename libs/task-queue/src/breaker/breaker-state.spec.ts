import { type BreakerOptions, readBreaker } from './breaker-options.js';
import {
  askBreaker,
  type BreakerAnswer,
  type BreakerChange,
  type BreakerKept,
  closeBreaker,
  FOREVER,
  FRESH_BREAKER,
  openBreaker,
  reportToBreaker,
} from './breaker-state.js';

const T = 1_700_000_000_000;

/** A breaker with its clock. */
class Bench {
  kept: BreakerKept = FRESH_BREAKER;
  nowMs = T;
  readonly rule;

  constructor(options: BreakerOptions = {}) {
    this.rule = readBreaker('api', options).rule;
  }

  ask(): BreakerAnswer {
    const [kept, answer] = askBreaker(this.kept, this.rule, this.nowMs);
    this.kept = kept;
    return answer;
  }

  /** One that is let in. */
  begin(): number {
    const answer = this.ask();
    if (!answer.go) throw new Error(`is to wait ${answer.waitMs} ms`);
    return answer.epoch;
  }

  report(epoch: number, failed: boolean): BreakerChange | undefined {
    const [kept, change] = reportToBreaker(this.kept, this.rule, this.nowMs, { epoch, failed });
    this.kept = kept;
    return change;
  }

  /** So many calls, one after the other, that fail or do not. */
  calls(times: number, failed: boolean): (BreakerChange | undefined)[] {
    return Array.from({ length: times }, () => this.report(this.begin(), failed));
  }
}

describe('a closed breaker', () => {
  it('opens at the threshold, and says why and until when', () => {
    const bench = new Bench({ threshold: 3, openFor: '10s' });
    expect(bench.calls(2, true)).toEqual([undefined, undefined]);
    expect(bench.calls(1, true)).toEqual([{ to: 'open', untilMs: T + 10_000, why: '3 of 3 calls failed' }]);
    expect(bench.kept).toMatchObject({ phase: 'open', epoch: T });
  });

  it('stays closed while too small a share of the calls fails', () => {
    const bench = new Bench({ threshold: 3, share: 0.5 });
    bench.calls(10, false);
    expect(bench.calls(9, true).every((change) => change === undefined)).toBe(true);
    expect(bench.calls(1, true)).toEqual([expect.objectContaining({ why: '10 of 20 calls failed' })]);
  });

  it('forgets what is older than its window, a tenth at a time', () => {
    const bench = new Bench({ threshold: 3, within: '10s' });
    bench.calls(2, true);
    bench.nowMs += 9_000;
    bench.calls(1, false);
    bench.nowMs += 1_000; // The two have gone.
    expect(bench.calls(2, true)).toEqual([undefined, undefined]);
    expect(bench.kept.counts.size).toBeLessThanOrEqual(10);
    expect(bench.calls(1, true)).toEqual([expect.objectContaining({ to: 'open' })]);
  });

  it('keeps no more than its window, however long it is asked', () => {
    const bench = new Bench({ within: '10s' });
    for (let second = 0; second < 500; second++) {
      bench.nowMs += 1_000;
      bench.calls(1, second % 2 === 0);
      if (bench.kept.phase !== 'closed') bench.kept = FRESH_BREAKER;
    }
    expect(bench.kept.counts.size).toBeLessThanOrEqual(10);
  });
});

describe('an open breaker', () => {
  const opened = (options: BreakerOptions = {}): Bench => {
    const bench = new Bench({ threshold: 1, openFor: '10s', release: '10/s', probes: '1/s', ...options });
    bench.calls(1, true);
    return bench;
  };

  it('gives slots from its end on, at the rate of release', () => {
    const bench = opened();
    bench.nowMs += 4_000;
    const waits = [bench.ask(), bench.ask(), bench.ask()];
    expect(waits).toEqual([
      { go: false, waitMs: 6_000 },
      { go: false, waitMs: 6_100 },
      { go: false, waitMs: 6_200 },
    ]);
  });

  it('lets the first one in who asks when its time is over: a probe', () => {
    const bench = opened();
    bench.nowMs += 10_000;
    const answer = bench.ask();
    expect(answer).toMatchObject({ go: true, isProbe: true, change: { to: 'half-open' } });
    expect(bench.kept).toMatchObject({ phase: 'half-open', epoch: T + 10_000 });
  });

  it('hears nothing of calls that began before', () => {
    const bench = new Bench({ threshold: 1 });
    const [first, second] = [bench.begin(), bench.begin()];
    bench.report(first, true);
    const { kept } = bench;
    expect([bench.report(second, true), bench.report(second, false)]).toEqual([undefined, undefined]);
    expect(bench.kept).toEqual(kept);
  });

  it('opened by hand for good, lets nobody in, and has those who wait look again', () => {
    const bench = new Bench({ openFor: '10s' });
    bench.kept = openBreaker(bench.kept, bench.nowMs, FOREVER, 'maintenance');
    expect(bench.ask()).toEqual({ go: false, waitMs: 10_000 });
    bench.nowMs += 86_400_000;
    expect(bench.ask()).toEqual({ go: false, waitMs: 10_000 });
    bench.kept = closeBreaker(bench.kept, bench.nowMs);
    expect(bench.ask()).toMatchObject({ go: true, isProbe: false });
  });
});

describe('a half-open breaker', () => {
  const halfOpen = (options: BreakerOptions = {}): Bench => {
    const bench = new Bench({ threshold: 1, openFor: '10s', release: '10/s', probes: '1/s', ...options });
    bench.calls(1, true);
    bench.nowMs += 10_000;
    return bench;
  };

  it('lets one in for every interval, whatever has become of those before, and parks the others', () => {
    const bench = halfOpen();
    expect(bench.ask()).toMatchObject({ go: true, isProbe: true });
    expect([bench.ask(), bench.ask()]).toEqual([
      { go: false, waitMs: 1_000 },
      { go: false, waitMs: 1_100 },
    ]);
    bench.nowMs += 1_000;
    expect(bench.ask()).toMatchObject({ go: true, isProbe: true });
    expect(bench.ask()).toMatchObject({ go: false });
  });

  it('closes after so many probes in a row that have not failed', () => {
    const bench = halfOpen({ closeAfter: 2 });
    expect(bench.calls(1, false)).toEqual([undefined]);
    bench.nowMs += 1_000;
    expect(bench.calls(1, false)).toEqual([{ to: 'closed', why: '' }]);
    expect(bench.ask()).toMatchObject({ go: true, isProbe: false });
  });

  it('opens again at the first probe that fails; the line goes on', () => {
    const bench = halfOpen({ closeAfter: 2 });
    bench.calls(1, false);
    expect(bench.ask()).toEqual({ go: false, waitMs: 1_000 });
    bench.nowMs += 1_000;
    expect(bench.calls(1, true)).toEqual([
      { to: 'open', untilMs: bench.nowMs + 10_000, why: 'a probe failed' },
    ]);
    expect(bench.ask()).toEqual({ go: false, waitMs: 10_000 });
    bench.nowMs += 10_000;
    // What passed before counts no more.
    expect(bench.calls(1, false)).toEqual([undefined]);
    bench.nowMs += 1_000;
    expect(bench.calls(1, false)).toEqual([expect.objectContaining({ to: 'closed' })]);
  });

  it('hears nothing of calls that began before it opened, nor of probes of another time', () => {
    const bench = new Bench({ threshold: 1, openFor: '10s' });
    const early = bench.begin();
    bench.calls(1, true);
    bench.nowMs += 10_000;
    const probe = bench.begin();
    expect([bench.report(early, true), bench.report(early, false)]).toEqual([undefined, undefined]);
    expect(bench.kept).toMatchObject({ phase: 'half-open', passed: 0 });
    bench.report(probe, true);
    bench.nowMs += 10_000;
    bench.begin();
    expect(bench.report(probe, false)).toBeUndefined();
    expect(bench.kept.passed).toBe(0);
  });

  it('no two phases have one epoch, also within a millisecond', () => {
    const bench = new Bench({ threshold: 1, openFor: 1 });
    const epochs = [bench.kept.epoch];
    for (let turn = 0; turn < 5; turn++) {
      bench.kept = openBreaker(bench.kept, T, T, 'x');
      epochs.push(bench.kept.epoch);
      bench.kept = closeBreaker(bench.kept, T);
      epochs.push(bench.kept.epoch);
    }
    expect(new Set(epochs).size).toBe(epochs.length);
  });
});

describe('options of a breaker', () => {
  it('have defaults', () => {
    expect(readBreaker('api').rule).toEqual({
      threshold: 5,
      share: 0.5,
      partMs: 6_000,
      openMs: 30_000,
      probeMs: 1_000,
      closeAfter: 3,
      releaseMs: 20,
    });
  });

  it.each([
    ['', {}, 'expected a name of 1 to 200 characters'],
    ['with space', {}, 'expected a name'],
    ['api', { threshold: 0 }, 'expected threshold to be a whole number of 1 or more'],
    ['api', { share: 0 }, 'expected share to be above 0'],
    ['api', { share: 1.1 }, 'expected share to be above 0 and at most 1'],
    ['api', { within: 'soon' }, 'within: expected milliseconds or a duration'],
    ['api', { openFor: 0 }, 'openFor: expected 1 ms or more'],
    ['api', { probes: 'often' }, "probes: a rate such as '10/m'"],
    ['api', { release: 5 as never }, 'release: expected a rate'],
    ['api', { closeAfter: 1.5 }, 'expected closeAfter to be a whole number'],
    ['api', { for: 'Error' as never }, 'expected for to be a list of error classes'],
    ['api', { for: [1 as never] }, 'expected for[0] to be an error class'],
  ])('are refused by name: %j %j', (name, options, message) => {
    expect(() => readBreaker(name, options)).toThrow(message);
  });
});
