import type { Rate } from './rate-limit.js';

/**
 * A limit that turns tasks away without having them ask again and again.
 *
 * `next` is the generic cell rate algorithm over real starts. `line` hands out slots: whoever is turned away gets one, a
 * time at which a start will be due when all before him have had theirs, and comes back then. While there is a line,
 * newcomers join it.
 *
 * ```
 * asks ── no line, and due ──────────────────────────→ starts
 *   └──── otherwise: gets a slot ── comes back at it ── due ──→ starts
 *                        ↑                └── not due, because others came back late ──┐
 *                        └────────────────────────────────────────────────────────────┘
 * ```
 */
export interface SlotLine {
  /** When the next start is due at an even pace. */
  readonly next: number;
  /** When the next slot in the line is. */
  readonly line: number;
}

/** A start, or the time to come back at. */
export type SlotAnswer = { readonly go: true } | { readonly go: false; readonly slot: number };

export const EMPTY_LINE: SlotLine = { next: 0, line: 0 };

/**
 * One who asks. The script of the Redis store does the same; a test compares the two.
 *
 * @param slot what he was given before
 */
export function takeSlot(
  kept: SlotLine,
  { intervalMs, toleranceMs }: Rate,
  nowMs: number,
  slot?: number,
): readonly [SlotLine, SlotAnswer] {
  // Too early: the clocks of a worker and of the store differ.
  if (slot !== undefined && slot > nowMs) return [kept, { go: false, slot }];
  const due = Math.max(nowMs, kept.next - toleranceMs);
  if (due <= nowMs && (slot !== undefined || kept.line <= nowMs)) {
    return [{ ...kept, next: Math.max(kept.next, nowMs) + intervalMs }, { go: true }];
  }
  const given = Math.max(kept.line, due);
  return [
    { ...kept, line: given + intervalMs },
    { go: false, slot: given },
  ];
}

/** Nobody starts for so long: the other side has said so. */
export function holdLine(kept: SlotLine, { toleranceMs }: Rate, untilMs: number): SlotLine {
  return { ...kept, next: Math.max(kept.next, untilMs + toleranceMs) };
}
