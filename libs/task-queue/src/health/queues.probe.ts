import type { QueueReport, WorkerReport } from '../backend/inspection.js';
import { inWords } from '../primitives/duration.js';
import type { ResolvedHealthOptions } from './resolve-health-options.js';
import { exceeds, type Finding, type Verdict, verdictOf } from './verdict.js';

/** What waits in one queue, over all shards. */
export interface QueueDetails {
  /** Tasks that could begin at once. */
  readonly backlog: number;
  /** How long the oldest of them has been waiting, in milliseconds; 0 when none waits. */
  readonly oldestMs: number;
  /** Tasks whose countdown or pause before a retry is not over. */
  readonly delayed: number;
  readonly active: number;
  readonly paused: boolean;
  /** Living worker applications that serve the queue, in whatever process. */
  readonly workers: number;
}

/** What waits in the queues of a prefix. */
export interface QueuesDetails {
  /** By name, of every queue that was ever published to; `_canvas` holds the steps of canvases. */
  readonly queues: Readonly<Record<string, QueueDetails>>;
}

/** Judges what waits. */
export function judgeQueues(
  reports: readonly QueueReport[],
  workers: readonly WorkerReport[],
  nowMs: number,
  limits: ResolvedHealthOptions['queues'],
): Verdict<QueuesDetails> {
  const findings: Finding[] = [];
  const queues: Record<string, QueueDetails> = {};
  for (const { queue, waiting, waitingSinceMs, delayed, active, paused } of reports) {
    const details: QueueDetails = {
      backlog: waiting,
      oldestMs: waitingSinceMs === undefined ? 0 : Math.max(0, nowMs - waitingSinceMs),
      delayed,
      active,
      paused,
      workers: workers.filter((worker) => worker.queues.includes(queue)).length,
    };
    queues[queue] = details;
    findings.push(...judgeQueue(queue, details, limits));
  }
  return verdictOf(findings, { queues });
}

function judgeQueue(
  queue: string,
  { backlog, oldestMs, paused, workers }: QueueDetails,
  limits: ResolvedHealthOptions['queues'],
): Finding[] {
  const own = limits.overrides.get(queue) ?? limits;
  const findings = [
    ...exceeds(backlog, own.backlog, (limit) => `queue ${queue}: ${backlog} tasks wait, ${limit} or more`),
    ...exceeds(
      oldestMs,
      own.oldestMs,
      (limit) =>
        `queue ${queue}: a task has been waiting for ${inWords(oldestMs)}, ${inWords(limit)} or more`,
    ),
  ];
  if (paused) findings.push({ status: 'degraded', reason: `queue ${queue}: it is paused` });
  if (backlog > 0 && workers === 0 && limits.unserved !== 'ignored') {
    findings.push({
      status: limits.unserved,
      reason: `queue ${queue}: ${backlog} tasks wait, and no worker serves it`,
    });
  }
  return findings;
}
