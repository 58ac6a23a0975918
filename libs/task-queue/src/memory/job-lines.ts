import type { MemoryJob } from './memory-job.js';

/** Jobs that can be started, in the order in which they are, and those whose time has not come. */
export class JobLines {
  readonly #ready = new Map<string, MemoryJob[]>();
  readonly #delayed = new Set<MemoryJob>();
  #order = 0;

  /** The jobs of a queue that can be started, the next one first. */
  of(queue: string): readonly MemoryJob[] {
    return this.#ready.get(queue) ?? [];
  }

  /** Puts a job where its priority says; what is to go first, before all. */
  add(job: MemoryJob): void {
    job.place = 'waiting';
    job.ready = ++this.#order;
    const line = this.#ready.get(job.queue) ?? [];
    this.#ready.set(job.queue, line);
    if (job.lifo) line.unshift(job);
    else if (job.priority === 0) insertBefore(line, job, (other) => other.priority > 0);
    else insertBefore(line, job, (other) => other.priority > job.priority);
  }

  /** Keeps a job until it is due. */
  delay(job: MemoryJob): void {
    job.place = 'delayed';
    job.ready = ++this.#order;
    this.#delayed.add(job);
  }

  /** Takes a job out, wherever it stands. */
  leave(job: MemoryJob): void {
    this.#delayed.delete(job);
    const line = this.#ready.get(job.queue);
    const at = line?.[0] === job ? 0 : (line?.indexOf(job) ?? -1);
    if (at === 0) line?.shift();
    else if (at > 0) line?.splice(at, 1);
  }

  /** When the next delayed job is due. */
  nextDueMs(isServed: (queue: string) => boolean): number | undefined {
    let next: number | undefined;
    for (const { queue, dueMs } of this.#delayed) {
      if (isServed(queue) && (next === undefined || dueMs < next)) next = dueMs;
    }
    return next;
  }

  /** Takes out the jobs whose time has come by then, in the order of their times. */
  takeDue(untilMs: number): MemoryJob[] {
    if (this.#delayed.size === 0) return [];
    const due = [...this.#delayed].filter(({ dueMs }) => dueMs <= untilMs);
    due.sort((one, other) => one.dueMs - other.dueMs || one.ready - other.ready);
    for (const job of due) this.#delayed.delete(job);
    return due;
  }

  clear(): void {
    this.#ready.clear();
    this.#delayed.clear();
  }
}

/** Puts a job in front of the first one that it goes before, else at the end. */
function insertBefore(line: MemoryJob[], job: MemoryJob, goesAfter: (other: MemoryJob) => boolean): void {
  const last = line.at(-1);
  // Nearly always there is nobody to go before: a wide header would else be walked for each of its members.
  const at = last === undefined || !goesAfter(last) ? -1 : line.findIndex(goesAfter);
  if (at < 0) line.push(job);
  else line.splice(at, 0, job);
}
