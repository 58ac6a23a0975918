import type {
  Answer,
  CanvasReport,
  Inspection,
  QueueReport,
  ServerReport,
  WorkerDescription,
  WorkerReport,
} from '../backend/inspection.js';
import { CANVAS_QUEUE, rootOf } from '../flow/ids.js';
import type { MemoryJob } from './memory-job.js';
import type { MemoryStore } from './memory-store.js';

const NAMED_CANVASES = 5;

/** Looks at the jobs in memory, for those who watch over an application. */
export class MemoryInspection implements Inspection {
  constructor(
    private readonly store: MemoryStore,
    private readonly living: ReadonlySet<() => WorkerDescription>,
  ) {}

  async ping(): Promise<Answer> {
    return { latencyMs: 0, answeringForMs: Infinity };
  }

  /** There is none. */
  async servers(): Promise<readonly ServerReport[]> {
    return [];
  }

  async queues(nowMs: number): Promise<readonly QueueReport[]> {
    const queues = [...this.store.queues, CANVAS_QUEUE].sort((a, b) => a.localeCompare(b));
    const jobs = [...this.store.all()];
    return queues.map((queue) =>
      reportOf(
        queue,
        jobs.filter((job) => job.queue === queue),
        nowMs,
      ),
    );
  }

  async waitingCanvases(beforeMs: number): Promise<CanvasReport> {
    const waiting = [...this.store.all()].filter(({ place }) => place === 'waiting-children');
    const overdue = waiting.filter((job) => sinceOf(job) < beforeMs);
    const oldest = new Map<string, number>();
    for (const job of overdue.sort((a, b) => sinceOf(a) - sinceOf(b))) {
      const root = rootOf(job.id);
      if (oldest.size < NAMED_CANVASES && !oldest.has(root)) oldest.set(root, sinceOf(job));
    }
    return {
      waiting: waiting.length,
      overdue: overdue.length,
      oldest: [...oldest].map(([id, waitingSinceMs]) => ({ id, waitingSinceMs })),
    };
  }

  async workers(): Promise<readonly WorkerReport[]> {
    return [...this.living].map((describe) => ({ ...describe(), beatAgoMs: 0, isSilent: false }));
  }
}

function reportOf(queue: string, jobs: readonly MemoryJob[], nowMs: number): QueueReport {
  const count = (isCounted: (job: MemoryJob) => boolean): number => jobs.filter(isCounted).length;
  const waiting = jobs.filter(
    ({ place, dueMs }) => place === 'waiting' || (place === 'delayed' && dueMs <= nowMs),
  );
  return {
    queue,
    waiting: waiting.length,
    delayed: count(({ place, dueMs }) => place === 'delayed' && dueMs > nowMs),
    active: count(({ place }) => place === 'active'),
    failed: count(({ place }) => place === 'failed'),
    paused: false,
    waitingSinceMs:
      waiting.length === 0 || queue === CANVAS_QUEUE
        ? undefined
        : Math.min(...waiting.map(({ dueMs }) => dueMs)),
  };
}

function sinceOf({ processedOn, timestamp }: MemoryJob): number {
  return processedOn ?? timestamp;
}
