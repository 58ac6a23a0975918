/**
 * How long something is waited for. What has not ended by then hangs, or its machine is too busy for it: so it is looked at
 * whether anything of it moves, and whether its workers would move it. One that was starved may take longer, within bounds.
 */
import { setTimeout } from 'node:timers/promises';

export interface Bounds {
  /** Longer than anything takes by itself, on a machine that is busy with something else. */
  readonly withinMs: number;
  /** After that, it hangs when nothing of it has moved for so long, of the time in which its workers were able to. */
  readonly stillMs: number;
  /** However it moves, and however busy the machine is. */
  readonly mostMs: number;
}

export const BOUNDS: Bounds = { withinMs: 300_000, stillMs: 30_000, mostMs: 600_000 };

const BETWEEN_LOOKS_MS = 1_000;

/** What is waited for. */
export interface Endured {
  /** Ends when it has ended; what it does besides ends with the signal. */
  readonly work: (signal: AbortSignal) => Promise<void>;
  /** A number that changes whenever something of it moves. */
  readonly moves: () => number;
  /** Whether those who have to do it would do it: that they answer when they are asked. */
  readonly areAble: () => Promise<boolean>;
  /** What is known of it. */
  readonly explain: () => Promise<string>;
}

/** The time that is waited by. */
export interface Time {
  now(): number;
  pause(ms: number, signal: AbortSignal): Promise<unknown>;
}

const REAL: Time = {
  now: () => performance.now(),
  pause: (ms, signal) => setTimeout(ms, undefined, { signal }),
};

/**
 * Waits for the end of something.
 *
 * @returns how long that took, if it took longer than it should
 * @throws what it fails with, or that it hangs or takes too long, with what is known of it
 */
export async function endure(
  { work, moves, areAble, explain }: Endured,
  { withinMs, stillMs, mostMs }: Bounds = BOUNDS,
  time: Time = REAL,
): Promise<number | undefined> {
  const over = new AbortController();
  const begun = time.now();
  const done = work(over.signal).then(() => true);
  done.catch(() => undefined);
  const endsWithin = (ms: number): Promise<boolean> => {
    const waiting = new AbortController();
    const passed = time.pause(ms, waiting.signal).then(
      () => false,
      () => false,
    );
    return Promise.race([done, passed]).finally(() => waiting.abort());
  };
  try {
    if (await endsWithin(withinMs)) return undefined;
    let ableMs = 0;
    let stillForMs = 0;
    for (let seen = moves(); ; seen = moves()) {
      const from = time.now();
      const isAble = await areAble();
      if (await endsWithin(BETWEEN_LOOKS_MS)) return time.now() - begun;
      const passedMs = isAble ? time.now() - from : 0;
      ableMs += passedMs;
      stillForMs = moves() === seen ? stillForMs + passedMs : 0;
      const tookMs = time.now() - begun;
      const words = `after ${seconds(tookMs)}; its workers were able to go on for ${seconds(ableMs)} of the end of that`;
      const hangs = stillForMs >= stillMs;
      if (hangs || tookMs >= mostMs)
        throw new Error(
          `${hangs ? `it hangs ${words}, and nothing moved for ${seconds(stillForMs)}` : `no end ${words}`}\n${await explain()}`,
        );
    }
  } finally {
    over.abort();
  }
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
