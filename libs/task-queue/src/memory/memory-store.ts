import type { BreakerKept } from '../breaker/breaker-state.js';
import type { StoredLimits } from '../backend/limit-store.js';
import type { JobRef } from '../backend/job-ref.js';
import type { Wake } from '../backend/task-events.js';
import type { FlowPlan, PlannedJob } from '../flow/flow-plan.js';
import { foundIn, type TaskEnvelope } from '../flow/envelope.js';
import { CANVAS_QUEUE, childId, rootOf, wholeOf } from '../flow/ids.js';
import type { TimerClock } from '../primitives/clock.js';
import type { WindowCounts } from '../primitives/window-counts.js';
import type { SlotLine } from '../rate-limit/take-slot.js';
import { Families } from './families.js';
import { JobLines } from './job-lines.js';
import { endedBefore, forgetChild, isOver, keyOf, type MemoryJob, newJob, refOf } from './memory-job.js';
import type { MemoryLetter, MemoryRecord } from './memory-record.js';
import { Waiters } from './waiters.js';

/** Is told what happens in a store. */
export interface StoreObserver {
  /** A job can be started, or will be. */
  ready(job: MemoryJob): void;
  /** A job has failed for good, or was taken away. */
  failed(job: MemoryJob): void;
}

/**
 * Jobs and records of one prefix: what Redis and BullMQ hold, in memory. A job with children is released in the moment
 * in which the last of them ends, whatever became of them.
 *
 * Nothing here waits and nothing here runs a task. What has expired is taken away when somebody looks.
 */
export class MemoryStore {
  readonly #jobs = new Map<string, MemoryJob>();
  readonly #lines = new JobLines();
  readonly #records = new Map<string, MemoryRecord>();
  readonly #families = new Families();
  readonly #expiry = new Map<string, number>();
  readonly #waiters = new Waiters();
  readonly queues = new Set<string>();
  /** Dead letters by the ids of their tasks, the newest last. */
  readonly letters = new Map<string, MemoryLetter>();
  /** Rate limits, by their names. */
  readonly lines = new Map<string, SlotLine>();
  /** Limits that were changed, by the names of tasks and rate limits. */
  readonly limits = new Map<string, StoredLimits>();
  /** Retry budgets, by their names. */
  readonly budgets = new Map<string, WindowCounts>();
  /** Breakers, by their names. */
  readonly breakers = new Map<string, BreakerKept>();
  /** How long results of a queue's tasks are kept; nothing expires where no worker is responsible for it. */
  ages: ReadonlyMap<string, number> = new Map();
  #tokens = 0;

  constructor(
    readonly clock: TimerClock,
    private readonly observer: StoreObserver,
  ) {}

  job({ queue, id }: JobRef): MemoryJob | undefined {
    this.#expireCanvas(rootOf(id));
    const key = keyOf({ queue, id });
    const job = this.#jobs.get(key);
    if (job === undefined || !this.#isExpired(job)) return job;
    this.#delete(job);
    return undefined;
  }

  /** The job of an id, in whichever queue it is. */
  find(id: string): MemoryJob | undefined {
    for (const queue of [...this.queues, CANVAS_QUEUE]) {
      const job = this.job({ queue, id });
      if (job) return job;
    }
    return undefined;
  }

  record(id: string): MemoryRecord | undefined {
    const root = rootOf(id);
    this.#expireCanvas(root);
    const record = this.#records.get(root);
    if (record === undefined || record.expiresAt > this.clock.wallMs()) return record;
    this.#records.delete(root);
    return undefined;
  }

  /** The record of a canvas, to be written to. */
  openRecord(id: string): MemoryRecord {
    let record = this.record(id);
    if (record === undefined) {
      record = { fields: new Map(), expiresAt: Infinity };
      this.#records.set(rootOf(id), record);
    }
    return record;
  }

  all(): Iterable<MemoryJob> {
    return this.#jobs.values();
  }

  /** Jobs that have not ended: all, or those of a canvas and of what it released. */
  *unfinished(root?: string): Generator<MemoryJob> {
    const keys = root === undefined ? this.#jobs.keys() : this.#families.of(root);
    for (const key of keys) {
      const job = this.#jobs.get(key);
      if (job === undefined || isOver(job)) continue;
      if (root === undefined || job.id === root || job.id.startsWith(`${root}.`)) yield job;
    }
  }

  // ── adding ──────────────────────────────────────────────────────────────────

  add(plan: FlowPlan, parent?: MemoryJob): void {
    if (this.#jobs.has(keyOf(plan.job))) return; // as BullMQ: the job that is there stays as it is
    if (plan.job.timer) this.add({ job: plan.job.timer, children: [], size: 1 });
    const job = this.#make(plan.job, parent);
    for (const child of plan.children) this.add(child, job);
    if (job.pending.size > 0) return;
    if (plan.job.delayMs === undefined) this.#makeReady(job);
    else this.#delay(job);
  }

  /** Adds a node that is kept waiting, as if it had one more child, until it is let go. */
  addHeld(planned: PlannedJob): MemoryJob {
    if (planned.timer) this.add({ job: planned.timer, children: [], size: 1 });
    const node = this.#make(planned, undefined);
    node.pending.add(holdOf(node));
    return node;
  }

  /**
   * Puts a job that has ended back, under the same id, and has it waited for. A node keeps what its children came to; it is
   * started by itself, when those that are put back with it are there.
   */
  putBack(planned: PlannedJob, parent: MemoryJob | undefined): MemoryJob {
    const before = this.#jobs.get(keyOf(planned));
    if (planned.timer) this.add({ job: planned.timer, children: [], size: 1 });
    const job = this.#make(planned, parent);
    if (before === undefined) return job;
    if (planned.queue === CANVAS_QUEUE) {
      if (before.left) job.left = before.left;
      if (before.late) job.late = before.late;
      for (const [key, value] of before.values) job.values.set(key, value);
      for (const [key, reason] of before.failures) job.failures.set(key, reason);
    }
    if (parent) forgetChild(parent, planned);
    return job;
  }

  /** Takes away what a node's child came to, and the child. What is below it goes with the canvas. */
  drop(child: JobRef, node: MemoryJob): void {
    forgetChild(node, child);
    const job = this.#jobs.get(keyOf(child));
    if (job !== undefined) this.#delete(job);
  }

  /** Starts a job that has been put back, unless it waits for children. */
  start(job: MemoryJob): void {
    if (job.pending.size === 0) this.#makeReady(job);
  }

  #make(planned: PlannedJob, parent: MemoryJob | undefined): MemoryJob {
    const key = keyOf(planned);
    const job = newJob(planned, parent, this.clock.wallMs());
    this.#jobs.set(key, job);
    this.#families.add(job);
    if (job.queue !== CANVAS_QUEUE) this.queues.add(job.queue);
    parent?.pending.add(key);
    return job;
  }

  /** Lets a node go that was held: it is released now, or by the end of its last child. */
  letGo(node: MemoryJob): void {
    const sentinel = this.#jobs.get(holdOf(node));
    // One that a worker has ends by itself.
    if (sentinel) this.withdraw(sentinel);
    else if (node.pending.delete(holdOf(node))) this.#release(node);
  }

  isHeld(node: MemoryJob): boolean {
    return node.pending.has(holdOf(node));
  }

  // ── running ─────────────────────────────────────────────────────────────────

  /** The jobs of a queue that can be started, the next one first. */
  line(queue: string): readonly MemoryJob[] {
    return this.#lines.of(queue);
  }

  /** Takes a job out of its queue, for an activation that owns it from now on. */
  activate(job: MemoryJob): string {
    this.#lines.leave(job);
    job.place = 'active';
    job.token = `${job.id}#${++this.#tokens}`;
    job.activations += 1;
    job.processedOn = this.clock.wallMs();
    this.#waiters.wake(job);
    return job.token;
  }

  /** Ends a job with a value. */
  complete(job: MemoryJob, value: string): void {
    job.returnvalue = value;
    this.#end(job, 'completed');
    const parent = this.#leaveParent(job);
    parent?.values.set(keyOf(job), value);
    if (parent) this.#release(parent);
  }

  fail(job: MemoryJob, reason: string): void {
    job.failedReason = reason;
    this.#end(job, 'failed');
    const parent = this.#leaveParent(job);
    // A lease that has run out is no failure of a member, and leaves nothing behind.
    if (job.name === 'sentinel') this.#delete(job);
    else {
      parent?.failures.set(keyOf(job), reason);
      this.observer.failed(job);
    }
    if (parent && job.reports) this.wake(parent);
    else if (parent) this.#release(parent);
  }

  /** Puts a job that ran back, to be started again after a time. */
  again(job: MemoryJob, delayMs: number): void {
    job.token = undefined;
    job.dueMs = this.clock.wallMs() + delayMs;
    if (delayMs > 0) this.#delay(job);
    else this.#makeReady(job);
    this.#waiters.wake(job);
  }

  /** @returns false when no child is pending, in which case the job goes on */
  waitForChildren(job: MemoryJob): boolean {
    if (job.pending.size === 0) return false;
    job.token = undefined;
    job.place = 'waiting-children';
    return true;
  }

  /**
   * Takes a job away that does not run.
   *
   * @param reason why it stays as one that has failed
   * @returns whether it was there to be taken
   */
  withdraw(ref: JobRef, reason?: string): boolean {
    const job = this.job(ref);
    if (job === undefined || job.place === 'active') return false;
    const isOpen = !isOver(job);
    this.#lines.leave(job);
    const parent = this.#leaveParent(job);
    if (reason === undefined) this.#delete(job);
    else {
      job.place = 'failed';
      job.failedReason = reason;
      job.finishedOn = this.clock.wallMs();
      parent?.failures.set(keyOf(job), reason);
    }
    if (parent) this.#release(parent);
    this.#waiters.wake(job);
    if (isOpen) this.observer.failed(job);
    return true;
  }

  /** Releases a node that waits, although children are pending. */
  wake(node: MemoryJob): void {
    if (node.place === 'waiting-children') this.#makeReady(node);
  }

  /** When the next delayed job is due. */
  nextDueMs(isServed: (queue: string) => boolean): number | undefined {
    return this.#lines.nextDueMs(isServed);
  }

  /** Makes jobs ready whose time has come by then, in the order of their times. */
  promote(untilMs: number): void {
    for (const job of this.#lines.takeDue(untilMs)) this.#makeReady(job);
  }

  // ── ending ──────────────────────────────────────────────────────────────────

  /** Takes everything of a canvas away at a time. */
  expire(id: string, atMs: number): void {
    this.#expiry.set(id, atMs);
  }

  /** Takes back that a canvas is to go. */
  stay(id: string): void {
    this.#expiry.delete(id);
  }

  removeCanvas(root: string): void {
    this.#removeReplacements(root);
    for (const key of [...this.#families.of(root)]) {
      if (rootOf(refOf(key).id) !== root) continue;
      this.#jobs.delete(key);
      this.#families.delete(key);
    }
    this.#records.delete(root);
    this.#expiry.delete(root);
  }

  /** Takes a task away that stands alone. */
  removeTask(ref: JobRef): void {
    const job = this.job(ref);
    const by = job && foundIn(JSON.parse(job.data) as Partial<TaskEnvelope>).replacedBy;
    if (by !== undefined) this.#removeReplacement(by);
    this.withdraw(ref);
    if (rootOf(ref.id) === ref.id) this.#records.delete(ref.id);
  }

  /** The canvases that took the places of tasks of a canvas. */
  #removeReplacements(root: string): void {
    for (const [field, queue] of [...(this.#records.get(root)?.fields ?? [])])
      if (field.startsWith('i:')) this.#removeReplacement({ queue, id: field.slice(2) });
  }

  /** One that still runs, because nothing waits for it any more, goes by itself after its end. */
  #removeReplacement(by: JobRef): void {
    const job = this.#jobs.get(keyOf(by));
    if (job !== undefined && !isOver(job)) return;
    if (by.queue === CANVAS_QUEUE) this.removeCanvas(by.id);
    else this.removeTask(by);
  }

  clear(): void {
    for (const one of [this.#jobs, this.#lines, this.#records, this.#families, this.#expiry, this.letters])
      one.clear();
    this.lines.clear();
    this.queues.clear();
    this.wakeAll();
  }

  // ── waking ──────────────────────────────────────────────────────────────────

  listen(id: string, wake: Wake): () => void {
    return this.#waiters.add(id, wake);
  }

  wakeAll(): void {
    this.#waiters.wakeAll();
  }

  changed(job: MemoryJob): void {
    this.#waiters.wake(job);
  }

  #makeReady(job: MemoryJob): void {
    this.#lines.add(job);
    this.observer.ready(job);
  }

  #delay(job: MemoryJob): void {
    this.#lines.delay(job);
    this.observer.ready(job);
  }

  #end(job: MemoryJob, place: 'completed' | 'failed'): void {
    job.token = undefined;
    job.attemptsMade += 1;
    job.finishedOn = this.clock.wallMs();
    job.place = place;
    if (job.retention === 'parent' && place === 'completed') this.#delete(job);
    this.#waiters.wake(job);
  }

  /** A child has ended or has been taken away. @returns its parent, unless that has done without it by now */
  #leaveParent(job: MemoryJob): MemoryJob | undefined {
    return job.parent?.pending.delete(keyOf(job)) ? job.parent : undefined;
  }

  /** The last child releases its parent. */
  #release(node: MemoryJob): void {
    if (node.pending.size === 0 && node.place === 'waiting-children') this.#makeReady(node);
  }

  #delete(job: MemoryJob): void {
    this.#jobs.delete(keyOf(job));
    this.#families.delete(keyOf(job));
  }

  /** Tasks that stand alone go by the age of their queue. */
  #isExpired(job: MemoryJob): boolean {
    const ageMs = this.ages.get(job.queue);
    return ageMs !== undefined && endedBefore(job, this.clock.wallMs() - ageMs);
  }

  #expireCanvas(root: string): void {
    const atMs = this.#expiry.get(root);
    if (atMs === undefined || atMs > this.clock.wallMs()) return;
    const whole = wholeOf(root);
    if (whole === root || this.find(whole) === undefined) this.removeCanvas(root);
  }
}

/** What stands among a node's children while it is held, with a job where that is a lease. */
function holdOf({ queue, id }: MemoryJob): string {
  return keyOf({ queue, id: childId(id, 'sentinel') });
}
