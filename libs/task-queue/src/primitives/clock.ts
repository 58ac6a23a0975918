/** The time, so that decisions which depend on it can be tested. */
export interface Clock {
  /** Wall time in epoch milliseconds: for what is stored or compared across processes. */
  wallMs(): number;
}

/** The machine's clock. */
export const systemClock: Clock = { wallMs: () => Date.now() };

/** A source of numbers in [0, 1), so that jitter can be tested. */
export type RandomSource = () => number;
