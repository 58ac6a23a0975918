import type { QueueReport } from '../backend/inspection.js';
import { CANVAS_QUEUE } from '../flow/ids.js';
import type { ResolvedHealthOptions } from './resolve-health-options.js';
import { exceeds, type Verdict, verdictOf } from './verdict.js';

/** Failures that are kept: until they expire, are forgotten, or are dealt with. */
export interface FailuresDetails {
  readonly waiting: number;
  /** Canvases that failed. */
  readonly canvases: number;
  /** Tasks that stood alone, by queue; queues without any are left out. */
  readonly tasks: Readonly<Record<string, number>>;
}

/** Judges how many failures wait for somebody to look at them. */
export function judgeFailures(
  reports: readonly QueueReport[],
  limits: ResolvedHealthOptions['failures'],
): Verdict<FailuresDetails> {
  const waiting = reports.reduce((total, { failed }) => total + failed, 0);
  const tasks = reports.filter(({ queue, failed }) => queue !== CANVAS_QUEUE && failed > 0);
  const findings = exceeds(
    waiting,
    limits.waiting,
    (limit) => `${waiting} failures are kept, ${limit} or more`,
  );
  return verdictOf(findings, {
    waiting,
    canvases: reports.find(({ queue }) => queue === CANVAS_QUEUE)?.failed ?? 0,
    tasks: Object.fromEntries(tasks.map(({ queue, failed }) => [queue, failed])),
  });
}
