import type { Examination, JobCondition } from '../backend/examination.js';
import type { HeaderStore } from '../backend/header-store.js';
import type { JobRef } from '../backend/job-ref.js';
import type { Ledger } from '../backend/ledger.js';
import type { Heard, Repairs } from '../backend/repairs.js';
import { countsOutcomes } from '../canvas/deadline-rule.js';
import type { EngineLog } from '../execution/engine-log.js';
import type { EventBus } from '../execution/event-bus.js';
import { CANVAS_QUEUE, childId, parentOf, positionOf, rootOf } from '../flow/ids.js';
import type { Clock } from '../primitives/clock.js';
import type { TaskReader } from '../results/task-reader.js';
import { failureFromReason } from '../results/task-snapshot.js';
import { attendedBy, AttendantLooks } from './attendants.js';
import { isUnsettled, nodeIn } from './diagnose.js';
import type { Mended, MendableKind, ReconcileReport } from './reconcile-report.js';

/** What reconciling needs. */
export interface ReconcilerDeps {
  readonly reader: TaskReader;
  readonly ledger: Ledger;
  readonly examination: Examination;
  readonly repairs: Repairs;
  readonly headers: HeaderStore;
  readonly bus: EventBus;
  readonly clock: Clock;
  readonly log: EngineLog;
}

/** How much one call does, and of what. */
export interface Scope {
  /** Composites that have been waiting for at least as long. */
  readonly olderThanMs: number;
  /** Jobs that are looked at. */
  readonly limit: number;
  /** Waiting ones that are passed over: what was looked at before. */
  readonly from?: number;
}

/** Pending children of one composite that are looked at in one call. As others end, those that are damaged stay. */
const CHILDREN = 500;
/** Members that are looked for one by one, of a node that has lost sight of all of them. */
const LOST = 10_000;
const PAGE = 100;

/**
 * Heals what was damaged from outside: keys that were evicted or deleted, jobs that something else has moved.
 *
 * It looks at what waits for its children and at what is pending below, and compares the two. What it finds is changed by
 * `Repairs` alone, each of which looks once more in the step in which it changes something; what follows, the release of a
 * body or errback, is the affair of the node itself, by its own fenced steps. So nothing is doubled, whoever does this at the
 * same time.
 */
export class Reconciler {
  readonly #attendants: AttendantLooks;

  constructor(private readonly deps: ReconcilerDeps) {
    this.#attendants = new AttendantLooks(deps);
  }

  /** Heals a canvas or task, and what is below it. */
  async reconcile(id: string, limit: number): Promise<ReconcileReport> {
    const round = new Round(limit);
    const { queue } = await this.deps.reader.read(id);
    if (queue !== undefined && queue !== '') await this.#down([{ queue, id }], round);
    const parent = parentOf(id);
    // Damage of a part shows in what waits for it.
    if (parent !== undefined && round.mended.length === 0) {
      await this.#children({ queue: CANVAS_QUEUE, id: parent }, [], round, id);
      await this.#attended(id, round);
    }
    return this.#report(round);
  }

  /** Heals whatever has been waiting for long. @returns with `next`, where the next call goes on */
  async reconcileAll(scope: Scope): Promise<ReconcileReport & { readonly next: number }> {
    const { repairs, clock } = this.deps;
    const round = new Round(scope.limit);
    const beforeMs = clock.wallMs() - scope.olderThanMs;
    let from = scope.from ?? 0;
    while (round.left > 0) {
      const limit = Math.min(PAGE, round.left);
      const page = await repairs.waitingSince(beforeMs, from, limit);
      for (const job of page) await this.#one(job, round);
      if (page.length < limit) return { ...this.#report(round), next: 0 };
      from += page.length;
    }
    return { ...this.#report(round), next: from };
  }

  /** Has nodes settle that BullMQ has failed by itself. @returns with `next`, the time from which to go on */
  async settleFailed(fromMs: number, limit: number): Promise<ReconcileReport & { readonly next: number }> {
    const round = new Round(limit);
    const page = await this.deps.repairs.failedNodes(fromMs, limit);
    for (const job of page) await this.#one(job, round);
    return { ...this.#report(round), next: page.at(-1)?.atMs ?? fromMs };
  }

  /** Looks at jobs, then at what is below them, as far as the limit goes. */
  async #down(jobs: readonly JobRef[], round: Round): Promise<void> {
    const line = [...jobs];
    for (const job of line) {
      if (round.left <= 0) return;
      line.push(...(await this.#one(job, round)));
    }
  }

  /** @returns those of its children that have children of their own */
  async #one(job: JobRef, round: Round): Promise<readonly JobRef[]> {
    const [condition] = await this.deps.examination.conditions([job]);
    round.left -= 1;
    if (condition === undefined) return [];
    switch (condition.place) {
      case 'gone':
        if (await this.#attended(job.id, round)) return [];
        if (await this.deps.repairs.drop(job)) this.#note(round, 'vanished', condition);
        return [];
      case 'nowhere':
        await this.#putBack(condition, round);
        return [];
      case 'failed':
        await this.#settle(condition, round);
        await this.#attend(condition, round);
        await this.#attended(job.id, round);
        return [];
      case 'waiting-children':
        await this.#attend(condition, round);
        return this.#waiting(condition, round);
      case 'completed':
        await this.#attend(condition, round);
        return [];
      case 'waiting':
      case 'delayed':
      case 'active':
        return [];
    }
  }

  async #waiting(condition: JobCondition, round: Round): Promise<readonly JobRef[]> {
    if (condition.pending === 0) {
      await this.#release(condition, round);
      return [];
    }
    const limit = Math.min(CHILDREN, Math.max(1, round.left));
    const { children } = await this.deps.examination.pendingPage(condition, limit);
    return this.#children(condition, children, round);
  }

  /**
   * Compares what a job waits for with how that stands.
   *
   * @param also a child to be looked at whether it is waited for or not
   */
  async #children(
    parent: JobRef,
    pending: readonly JobRef[],
    round: Round,
    also?: string,
  ): Promise<readonly JobRef[]> {
    const children = also === undefined ? pending : await this.#pendingOf(parent, also);
    const conditions = await this.deps.examination.conditions(children);
    round.left -= conditions.length;
    const below: JobRef[] = [];
    const suspects: JobCondition[] = [];
    for (const condition of conditions) {
      switch (condition.place) {
        case 'gone':
        case 'completed':
        case 'failed':
          suspects.push(condition);
          break;
        case 'nowhere':
          await this.#putBack(condition, round);
          break;
        case 'waiting-children':
          below.push(condition);
          break;
        case 'waiting':
        case 'delayed':
        case 'active':
          break;
      }
    }
    // One that ended just now left its node in the same step; whoever is pending still has not.
    const lost = await this.#stillPending(parent, suspects);
    if (lost.length > 0) {
      const { reader, repairs, headers, clock } = this.deps;
      const node = parent.queue === CANVAS_QUEUE ? await reader.node(parent.id) : undefined;
      const deadline = node?.node === 'chord' ? node.deadline : undefined;
      const outcomeMs = countsOutcomes(deadline) ? clock.wallMs() : undefined;
      const { heard } = await repairs.tell(parent, lost, outcomeMs);
      this.#noteHeard(round, lost, heard);
      // One with a budget judges it with each failure that it hears of.
      if (heard.includes('unheard') && node !== undefined && 'budget' in node) await headers.wake(parent.id);
    }
    return below;
  }

  /** A node without pending children that waits all the same: for members that it has lost sight of, or for nothing. */
  async #release(condition: JobCondition, round: Round): Promise<void> {
    const lost = await this.#lostChildren(condition);
    if (lost === undefined) {
      this.deps.log.warn(
        `${condition.name} ${condition.id} has lost sight of too many members to be reconciled`,
      );
      return;
    }
    const { heard, letGo } = await this.deps.repairs.tell(condition, lost);
    if (letGo || heard.includes('again')) this.#note(round, 'unreleased', condition);
  }

  /** Children that a job should have heard of and has not, wherever they are; undefined when there are too many. */
  async #lostChildren({ queue, id, data }: JobCondition): Promise<readonly JobRef[] | undefined> {
    const { ledger, reader } = this.deps;
    if (queue !== CANVAS_QUEUE) return [];
    const record = await ledger.readNode(id);
    const node = nodeIn({ queue, id, data } as JobCondition, record.size);
    if (record.stage?.child !== undefined) return [record.stage.child];
    // What was pending when a header was closed is none of it any more.
    if (node === undefined || record.closing !== undefined) return [];
    if (node.node === 'task' || node.node === 'chain')
      return node.firstQueue === undefined ? [] : [{ queue: node.firstQueue, id: childId(id, 0) }];
    const missing: number[] = [];
    for await (const { from, to, members } of ledger.membersInOrder(id, node.size)) {
      const known = new Set(members.map(({ index }) => index));
      for (let index = from; index < to; index++) if (!known.has(index)) missing.push(index);
      if (missing.length > LOST) return undefined;
    }
    const lost: JobRef[] = [];
    for (const index of missing) {
      const member = await reader.read(childId(id, index));
      if (member.queue !== undefined && member.queue !== '')
        lost.push({ queue: member.queue, id: member.id });
    }
    return lost;
  }

  /** Puts back what is to stand beside a node, and is lost. @returns whether it was so */
  async #attend(node: JobCondition, round: Round): Promise<boolean> {
    const { repairs } = this.deps;
    const lost = repairs.needed ? await this.#attendants.of(node) : undefined;
    if (lost?.isLost !== true) return false;
    const { job, condition } = lost;
    if (condition.place === 'nowhere') return this.#putBack(condition, round);
    const isMended = await repairs.attend(node.id, job);
    if (isMended) this.#note(round, condition.place === 'gone' ? 'vanished' : 'unheard', condition);
    return isMended;
  }

  /** The same of the node that this job stands beside, if it does beside any. */
  async #attended(id: string, round: Round): Promise<boolean> {
    const node = attendedBy(id);
    if (node === undefined) return false;
    const [condition] = await this.deps.examination.conditions([{ queue: CANVAS_QUEUE, id: node }]);
    return condition !== undefined && this.#attend(condition, round);
  }

  async #pendingOf(parent: JobRef, id: string): Promise<readonly JobRef[]> {
    const { children } = await this.deps.examination.pendingPage(parent, CHILDREN);
    return children.filter((child) => child.id === id);
  }

  async #stillPending(parent: JobRef, suspects: readonly JobCondition[]): Promise<readonly JobCondition[]> {
    const lost: JobCondition[] = [];
    for (const suspect of suspects) {
      const { end } = await this.deps.ledger.readChild(suspect, parent);
      if (end === 'pending') lost.push(suspect);
    }
    return lost;
  }

  async #putBack(condition: JobCondition, round: Round): Promise<boolean> {
    const isMended = await this.deps.repairs.putBack(condition);
    if (isMended) this.#note(round, 'stranded', condition);
    return isMended;
  }

  async #settle(condition: JobCondition, round: Round): Promise<void> {
    if (condition.queue !== CANVAS_QUEUE) return;
    const record = await this.deps.ledger.readNode(condition.id);
    if (!isUnsettled(condition, record)) return;
    const { id, name, queue, failedReason = 'unknown reason' } = condition;
    const failure = failureFromReason(id, queue, failedReason, name);
    if (await this.deps.repairs.settle(condition, failure)) this.#note(round, 'unsettled', condition);
  }

  #noteHeard(round: Round, children: readonly JobCondition[], heard: readonly Heard[]): void {
    for (const [at, one] of heard.entries()) {
      const child = children[at];
      if (child !== undefined && (one === 'vanished' || one === 'unheard')) this.#note(round, one, child);
    }
  }

  #note(round: Round, kind: MendableKind, { id, name, queue }: JobCondition): void {
    const mended: Mended = { kind, id, name, queue, position: positionOf(id) };
    round.mended.push(mended);
    const { bus, log, clock } = this.deps;
    const about = { taskId: id, task: name, queue, workflowId: rootOf(id), position: mended.position };
    log.warn(`${name === '' ? 'Task' : name} ${id} was ${kind} and has been reconciled`, about);
    if (!bus.wants('mended')) return;
    const at = new Date(clock.wallMs()).toISOString();
    bus.emit({
      type: 'mended',
      id,
      name,
      queue,
      workflowId: rootOf(id),
      position: mended.position,
      at,
      damage: kind,
    });
  }

  #report({ mended, limit, left }: Round): ReconcileReport {
    return { mended, examined: limit - left };
  }
}

/** One call in the making. */
class Round {
  readonly mended: Mended[] = [];
  /** How many more jobs are looked at; a page may go beyond. */
  left: number;

  constructor(readonly limit: number) {
    this.left = limit;
  }
}
