import { countIn, NO_COUNTS, sumOf, type WindowCounts } from '../primitives/window-counts.js';
import type { BreakerRule } from './breaker-options.js';

/**
 * A breaker keeps tasks away from a resource that does not work, for their sake and for its own.
 *
 * ```
 *           too many calls have failed             its time is over, and one asks
 *  closed ─────────────────────────────→ open ────────────────────────────────────→ half-open
 *     ↑                                    ↑             a probe has failed              │
 *     │                                    └─────────────────────────────────────────────┤
 *     └──────────────────────── so many probes in a row have not failed ─────────────────┘
 * ```
 *
 * - closed: everybody starts. Starts are counted, and failures; both over a window.
 * - open: nobody starts. Who asks gets a slot in a line, when the time is over or later, and comes back then: the line
 *   moves at the rate of release, so that those who were parked do not come all at once.
 * - half-open: one may start for every interval of probes; who asks in between gets a slot. A probe that dies says
 *   nothing, and the next one is let in all the same.
 *
 * Every change begins a new epoch. What is reported of a call that began in an earlier one is not heard: a call that hung
 * until the resource worked again says nothing about it now. By hand it is opened for a time or for good, and closed.
 */
export interface BreakerKept {
  readonly phase: BreakerPhase;
  /** When the phase began, in epoch milliseconds of the store; no two are the same. */
  readonly epoch: number;
  /** While it is open: until when. */
  readonly untilMs: number;
  /** While it is half-open: when the next probe may start. */
  readonly probeMs: number;
  /** While it is half-open: probes that have not failed. */
  readonly passed: number;
  /** The next slot in the line. */
  readonly lineMs: number;
  /** While it is closed: calls, and those of them that have failed. */
  readonly counts: WindowCounts;
  /** Why it is not closed. */
  readonly why: string;
}

/** `closed`: tasks start; `open`: they are parked; `half-open`: a few start, to see whether the resource works. */
export type BreakerPhase = 'closed' | 'open' | 'half-open';

/** A breaker has changed. */
export interface BreakerChange {
  readonly to: BreakerPhase;
  /** Until when it is open. */
  readonly untilMs?: number;
  readonly why: string;
}

/** A start with what is to be shown when it has ended, or the time to come back after. */
export type BreakerAnswer = (
  | { readonly go: true; readonly epoch: number; readonly isProbe: boolean }
  | { readonly go: false; readonly waitMs: number }
) & { readonly change?: BreakerChange };

/** What was opened by hand, for good. */
export const FOREVER = Number.MAX_SAFE_INTEGER;

export const FRESH_BREAKER: BreakerKept = {
  phase: 'closed',
  epoch: 0,
  untilMs: 0,
  probeMs: 0,
  passed: 0,
  lineMs: 0,
  counts: NO_COUNTS,
  why: '',
};

/** One who asks whether he may start. The script of the Redis store does the same; a test compares the two. */
export function askBreaker(
  kept: BreakerKept,
  rule: BreakerRule,
  nowMs: number,
): readonly [BreakerKept, BreakerAnswer] {
  switch (kept.phase) {
    case 'closed': {
      const counts = countIn(kept.counts, rule.partMs, nowMs, { all: 1, some: 0 });
      return [
        { ...kept, counts },
        { go: true, epoch: kept.epoch, isProbe: false },
      ];
    }
    case 'open': {
      if (nowMs < kept.untilMs) return park(kept, rule, nowMs, Math.min(kept.untilMs, nowMs + rule.openMs));
      const next = { ...begin(kept, 'half-open', nowMs, kept.why), lineMs: kept.lineMs, probeMs: nowMs };
      const [after, answer] = askBreaker(next, rule, nowMs);
      return [after, { ...answer, change: changeOf(next) }];
    }
    case 'half-open':
      if (nowMs < kept.probeMs) return park(kept, rule, nowMs, kept.probeMs);
      return [
        { ...kept, probeMs: nowMs + rule.probeMs },
        { go: true, epoch: kept.epoch, isProbe: true },
      ];
  }
}

/** What a call has come to that was let in. @returns the change that follows from it, if any */
export function reportToBreaker(
  kept: BreakerKept,
  rule: BreakerRule,
  nowMs: number,
  { epoch, failed }: { readonly epoch: number; readonly failed: boolean },
): readonly [BreakerKept, BreakerChange | undefined] {
  if (epoch !== kept.epoch) return [kept, undefined];
  switch (kept.phase) {
    case 'closed': {
      if (!failed) return [kept, undefined];
      const counts = countIn(kept.counts, rule.partMs, nowMs, { all: 0, some: 1 });
      const { all, some } = sumOf(counts, rule.partMs, nowMs);
      if (some < rule.threshold || some < rule.share * all) return [{ ...kept, counts }, undefined];
      return changed(
        openBreaker(kept, nowMs, nowMs + rule.openMs, `${some} of ${Math.max(all, some)} calls failed`),
      );
    }
    case 'half-open': {
      if (failed) return changed(openBreaker(kept, nowMs, nowMs + rule.openMs, 'a probe failed'));
      const passed = kept.passed + 1;
      if (passed < rule.closeAfter) return [{ ...kept, passed }, undefined];
      return changed(closeBreaker(kept, nowMs));
    }
    case 'open':
      return [kept, undefined];
  }
}

/** It opens; those who wait in line already stay there. */
export function openBreaker(kept: BreakerKept, nowMs: number, untilMs: number, why: string): BreakerKept {
  return { ...begin(kept, 'open', nowMs, why), untilMs, lineMs: kept.lineMs };
}

/** It closes. Who has a slot still comes back at it. */
export function closeBreaker(kept: BreakerKept, nowMs: number): BreakerKept {
  return begin(kept, 'closed', nowMs, '');
}

/** What is told of a breaker that has just changed. */
export function changeOf({ phase, untilMs, why }: BreakerKept): BreakerChange {
  return { to: phase, why, ...(phase === 'open' && untilMs < FOREVER ? { untilMs } : {}) };
}

function begin(kept: BreakerKept, phase: BreakerPhase, nowMs: number, why: string): BreakerKept {
  return { ...FRESH_BREAKER, phase, why, epoch: Math.max(kept.epoch + 1, Math.floor(nowMs)) };
}

function changed(kept: BreakerKept): readonly [BreakerKept, BreakerChange] {
  return [kept, changeOf(kept)];
}

function park(
  kept: BreakerKept,
  { releaseMs }: BreakerRule,
  nowMs: number,
  soonestMs: number,
): readonly [BreakerKept, BreakerAnswer] {
  const slot = Math.max(kept.lineMs, soonestMs);
  return [
    { ...kept, lineMs: slot + releaseMs },
    { go: false, waitMs: Math.ceil(slot - nowMs) },
  ];
}
