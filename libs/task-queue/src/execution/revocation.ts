import type { Ledger } from '../backend/ledger.js';
import type { Control } from '../backend/control.js';
import type { HeaderStore } from '../backend/header-store.js';
import type { JobRef } from '../backend/job-ref.js';
import type { Publisher } from '../backend/publisher.js';
import type { FoundTask, JobStore } from '../backend/job-store.js';
import { ResultUnknownError } from '../errors/result.errors.js';
import { CANVAS_QUEUE, memberIndex, parentOf, rootOf } from '../flow/ids.js';
import type { Clock } from '../primitives/clock.js';
import type { TaskReader } from '../results/task-reader.js';
import { failureOfRevoked } from '../results/task-snapshot.js';
import type { TaskRegistry } from '../task/task-registry.js';
import { isTerminal } from '../task/task-state.js';
import type { CanvasAnnouncer } from './canvas-announcer.js';
import type { HookRunner } from './hook-runner.js';

/** How to revoke. */
export interface RevokeOptions {
  /**
   * End what is running as well: its signal is aborted and its attempt is over at once; what its handler still does
   * is not heard. Without it, what runs may finish, but is not tried again. @defaultValue false
   */
  readonly terminate?: boolean;
}

/** A header that was closed early. */
export interface ClosedHeader {
  /** Its node. */
  readonly id: string;
  /** In which that was closed, or a later one in which it is still: nothing that was begun after it is meant. */
  readonly generation: number;
}

/** Stragglers that are revoked at the same time. */
const AT_ONCE = 50;

/** What revocations have met so far. */
export interface RevocationTally {
  /** Tasks that were taken out of their queues. */
  withdrawn: number;
  /** Tasks that were found running. */
  readonly running: Set<string>;
}

export function newTally(): RevocationTally {
  return { withdrawn: 0, running: new Set() };
}

/**
 * Revokes tasks and canvases.
 *
 * What waits, is delayed or waits for its retry is taken out of its queue here and now, with a record that says
 * why: no worker is needed for it to end. BullMQ tells its node in the same moment, so a canvas whose members have
 * gone goes on to its end. A mark in the canvas keeps nodes from beginning anything more.
 */
export class Revocation {
  constructor(
    private readonly ledger: Ledger,
    private readonly reader: TaskReader,
    private readonly jobs: JobStore,
    private readonly headers: HeaderStore,
    private readonly publisher: Pick<Publisher, 'letGo'>,
    private readonly control: Control,
    private readonly hooks: HookRunner,
    private readonly registry: TaskRegistry,
    private readonly resultExpiresMs: (queue: string) => number,
    private readonly clock: Clock,
    private readonly tell: CanvasAnnouncer,
  ) {}

  /**
   * @returns whether there was anything left to revoke; of a task that only the closing of its header had revoked: that nobody runs
   * it again
   * @throws ResultUnknownError when no task or canvas has this id
   */
  revoke(
    id: string,
    { terminate = false }: RevokeOptions = {},
    tally: RevocationTally = newTally(),
  ): Promise<boolean> {
    return this.#revoke(id, { terminate }, tally);
  }

  /** @param closed where it is revoked because that header was closed */
  async #revoke(
    id: string,
    { terminate }: Required<RevokeOptions>,
    tally: RevocationTally,
    closed?: ClosedHeader,
  ): Promise<boolean> {
    const snapshot = await this.reader.read(id);
    if (snapshot.state === 'UNKNOWN') throw new ResultUnknownError(id);
    if (isTerminal(snapshot.state)) {
      // What was cancelled with its header would be run again by a redrive.
      const isCancelled = closed === undefined && snapshot.state === 'REVOKED' && rootOf(id) !== id;
      return isCancelled && this.ledger.markRevokedByHand(id);
    }
    const { queue = CANVAS_QUEUE } = snapshot;
    if (closed === undefined) await this.ledger.markRevoked(id, this.#ttl(id, queue));
    else if (!(await this.headers.cancelStraggler(closed.id, { queue, id }))) return false;
    if (queue === CANVAS_QUEUE) {
      await this.revokeBelow(id, { terminate }, tally, closed?.generation);
      // Its body runs, and some of its header may still.
      if (snapshot.name === 'chord') {
        if (closed === undefined) await this.revokeStragglers(id, { terminate }, tally);
        else await this.cancelStragglers({ ...closed, id }, { terminate });
      }
    } else if (closed === undefined) await this.#revokeMember({ queue, id }, { terminate }, tally);
    else await this.#revokeTask({ queue, id }, { terminate }, tally, closed.generation);
    await this.control.send({
      revoke: id,
      terminate,
      ...(closed === undefined ? {} : { generation: closed.generation }),
    });
    return true;
  }

  /** Revokes a task that was found in its queue, and may have left it in the meantime. */
  async revokeFound(task: JobRef, options: Required<RevokeOptions>, tally: RevocationTally): Promise<void> {
    const { id, queue } = task;
    await this.ledger.markRevoked(id, this.#ttl(id, queue));
    const isGone = await this.#revokeMember(task, options, tally);
    if (!isGone) await this.control.send({ revoke: id, terminate: options.terminate });
  }

  /**
   * Takes everything below a node out of its queues that has not begun.
   *
   * @param generation the last one that is meant @defaultValue any
   */
  async revokeBelow(
    node: string,
    options: Required<RevokeOptions>,
    tally: RevocationTally = newTally(),
    generation?: number,
  ): Promise<void> {
    let isOpen = false;
    for await (const page of this.ledger.pendingChildren(node)) {
      for (const child of page) {
        if (child.id.endsWith('.sentinel')) {
          isOpen = true;
          continue;
        }
        if (child.id.endsWith('.hold')) {
          await this.jobs.withdraw(child);
          continue;
        }
        if (child.queue === CANVAS_QUEUE) await this.revokeBelow(child.id, options, tally, generation);
        else await this.#revokeTask(child, options, tally, generation);
      }
    }
    // Its producer hears of it with its next step, and adds nothing more; the node need not wait for that.
    if (isOpen) await this.publisher.letGo(node, generation);
  }

  /** Revokes what had not ended when the header of a node was closed. */
  async revokeStragglers(
    node: string,
    options: Required<RevokeOptions>,
    tally?: RevocationTally,
  ): Promise<void> {
    await this.#eachStraggler(node, ({ id }) => this.revokeAdded(id, options, tally));
  }

  /**
   * The same because the header was closed, and nobody asked for it: what is taken out of its queue is kept, so that a redrive
   * can run it again. Whoever comes late with it, after such a redrive, revokes nothing: marks are there for stragglers alone,
   * what waits is taken under a mark, and for what runs the generation decides.
   */
  async cancelStragglers(header: ClosedHeader, options: Required<RevokeOptions>): Promise<void> {
    await this.#eachStraggler(header.id, ({ id }) => ifKnown(this.#revoke(id, options, newTally(), header)));
  }

  async #eachStraggler(node: string, revoke: (member: JobRef) => Promise<void>): Promise<void> {
    for await (const page of this.headers.stragglers(node)) {
      const members = page.filter(({ id }) => Number.isInteger(memberIndex(id)));
      for (let from = 0; from < members.length; from += AT_ONCE)
        await Promise.all(members.slice(from, from + AT_ONCE).map(revoke));
    }
  }

  /** Revokes what a running task has added: the canvas in its place, or a member of its group; if it is there. */
  async revokeAdded(id: string, options: Required<RevokeOptions>, tally?: RevocationTally): Promise<void> {
    await ifKnown(this.revoke(id, options, tally));
  }

  /** A task by itself: where its canvas goes on, a budget may be breached by it. */
  async #revokeMember(
    task: JobRef,
    options: Required<RevokeOptions>,
    tally: RevocationTally,
  ): Promise<boolean> {
    const withdrawn = await this.#revokeTask(task, options, tally);
    const node = parentOf(task.id);
    if (withdrawn?.reports === true && node !== undefined) await this.headers.wake(node);
    return withdrawn !== undefined;
  }

  /**
   * @param last the last generation that is meant @defaultValue any
   * @returns the task, if it was taken out of its queue
   */
  async #revokeTask(
    { queue, id }: JobRef,
    options: Required<RevokeOptions>,
    tally: RevocationTally,
    last = Infinity,
  ): Promise<FoundTask | undefined> {
    const task = await this.#find({ queue, id }, last);
    if (task === undefined) return undefined;
    const { name, headers, replacedBy, generation, isTimed } = task;
    // Its end is the end of the canvas in its place; its worker sees to one that is on its way.
    if (replacedBy !== undefined) {
      await this.revokeAdded(replacedBy.id, options, tally);
      return undefined;
    }
    const failure = failureOfRevoked(id, name, queue, this.clock.wallMs(), { headers, generation });
    const ttlMs = this.#ttl(id, queue);
    const timedBy = isTimed ? parentOf(id) : undefined;
    // With its record in one step: one that was taken is never without, and nobody reads one of a task that was not. So it
    // is with the note of its outcome: nobody else would make it any more.
    if (!(await this.jobs.withdraw({ queue, id }, { failure, ttlMs, timedBy }))) {
      tally.running.add(id);
      // It runs, or has ended in this moment: what it comes to is what counts. Or it was replaced in this moment, by a
      // worker that looked for a revocation before there was one.
      const by = (await this.#find({ queue, id }, last))?.replacedBy;
      if (by !== undefined) await this.revokeAdded(by.id, options, tally);
      return undefined;
    }
    tally.withdrawn += 1;
    this.tell.withdrawn(id, name, queue, failure);
    if (this.#mayHaveHooks(name))
      await this.hooks.publish({ id, name, queue, generation }, 'revoked', { failure });
    return task;
  }

  /** A task, unless it is in a later generation than the last one that is meant. */
  async #find(job: JobRef, last: number): Promise<FoundTask | undefined> {
    const task = await this.jobs.find(job);
    return (task?.generation ?? 0) > last ? undefined : task;
  }

  /** Whether a task has hooks is known only where it is served. */
  #mayHaveHooks(task: string): boolean {
    return this.registry.get(task) === undefined || this.registry.hooksOf(task, 'revoked').length > 0;
  }

  /** The record of a task that stands alone has its own time; that of a canvas goes with the canvas. */
  #ttl(id: string, queue: string): number | undefined {
    return parentOf(id) === undefined && rootOf(id) === id && queue !== CANVAS_QUEUE
      ? this.resultExpiresMs(queue)
      : undefined;
  }
}

/** Nothing is to be revoked where nothing is. */
async function ifKnown(revoked: Promise<unknown>): Promise<void> {
  await revoked.catch((error: unknown) => {
    if (!(error instanceof ResultUnknownError)) throw error;
  });
}
