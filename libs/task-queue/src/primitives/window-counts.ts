/** In how many parts a window is counted: what is older than it goes a tenth at a time. */
export const WINDOW_PARTS = 10;

/** Two counts over a window that moves on with the time, by part of it. At most as many parts as there are. */
export type WindowCounts = ReadonlyMap<number, WindowPart>;

/** What was counted: attempts, and those of them that are of interest. */
export interface WindowPart {
  readonly all: number;
  readonly some: number;
}

export const NO_COUNTS: WindowCounts = new Map();

/** With one more of each that is to be counted now. */
export function countIn(
  kept: WindowCounts,
  partMs: number,
  nowMs: number,
  { all, some }: WindowPart,
): WindowCounts {
  const now = Math.floor(nowMs / partMs);
  const before = kept.get(now) ?? { all: 0, some: 0 };
  const parts = [...kept].filter(([part]) => part > now - WINDOW_PARTS);
  return new Map([...parts, [now, { all: before.all + all, some: before.some + some }]]);
}

/** What the window holds now. */
export function sumOf(kept: WindowCounts, partMs: number, nowMs: number): WindowPart {
  const oldest = Math.floor(nowMs / partMs) - WINDOW_PARTS;
  let [all, some] = [0, 0];
  for (const [part, counts] of kept) {
    if (part <= oldest) continue;
    all += counts.all;
    some += counts.some;
  }
  return { all, some };
}
