/** The time, so that decisions which depend on it can be tested. */
export interface Clock {
  /** Wall time in epoch milliseconds: for what is stored or compared across processes. */
  wallMs(): number;
}

/** A clock that can also be waited for. */
export interface TimerClock extends Clock {
  /** Does something after a time. Returns how to call it off. */
  after(ms: number, act: () => void): () => void;
}

/** The machine's clock. */
export const systemClock: TimerClock = {
  wallMs: () => Date.now(),
  after: (ms, act) => {
    const timer = setTimeout(act, ms);
    return () => clearTimeout(timer);
  },
};

/** A source of numbers in [0, 1), so that jitter can be tested. */
export type RandomSource = () => number;
