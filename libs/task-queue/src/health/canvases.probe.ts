import type { CanvasReport } from '../backend/inspection.js';
import { inWords } from '../primitives/duration.js';
import type { ResolvedHealthOptions } from './resolve-health-options.js';
import { exceeds, type Verdict, verdictOf } from './verdict.js';

/** Steps of canvases (groups, chords, chains) that wait for what is below them. */
export interface CanvasesDetails {
  readonly waiting: number;
  /** Those that have been waiting for longer than they should. */
  readonly stuck: number;
  /** The canvases of the oldest of those, oldest first; a few, with how long their step has been waiting. */
  readonly oldest: readonly { readonly id: string; readonly waitingMs: number }[];
}

/** Judges whether canvases stand still. */
export function judgeCanvases(
  { waiting, overdue, oldest }: CanvasReport,
  nowMs: number,
  { stuckAfterMs, stuck }: ResolvedHealthOptions['canvases'],
): Verdict<CanvasesDetails> {
  const ids = oldest.map(({ id }) => id).join(', ');
  const findings = exceeds(
    overdue,
    stuck,
    () => `${overdue} steps of canvases have been waiting for more than ${inWords(stuckAfterMs)}: ${ids}`,
  );
  return verdictOf(findings, {
    waiting,
    stuck: overdue,
    oldest: oldest.map(({ id, waitingSinceMs }) => ({ id, waitingMs: Math.max(0, nowMs - waitingSinceMs) })),
  });
}
