import type { JobRef } from '../backend/job-ref.js';
import type { JobStore, TaskQuery } from '../backend/job-store.js';
import { visitCanvas } from '../canvas/canvas-walk.js';
import { ResultUnknownError } from '../errors/result.errors.js';
import { hasStamps, type NodeEnvelope } from '../flow/envelope.js';
import { parentOf } from '../flow/ids.js';
import type { TaskReader } from '../results/task-reader.js';
import { newTally, type Revocation, type RevocationTally, type RevokeOptions } from './revocation.js';

/** What a revocation in bulk has met. */
export interface RevokedCounts {
  /** Tasks that waited, were delayed or waited for their retry, and were taken out of their queues. */
  readonly waiting: number;
  /** Tasks that ran: they are not tried again, and with `terminate` were told to end. */
  readonly running: number;
  /** Canvases that have the stamp as a whole. Their tasks are among the two others. */
  readonly canvases: number;
}

/** Tasks that are revoked side by side: enough to keep Redis busy, and not to hold anybody else up. */
const AT_ONCE = 32;
/** A task that goes back to its queue between two looks may slip by one pass; hardly by several. */
const MOST_PASSES = 5;

/** Revokes all tasks that fit a filter, page by page, and looks again until nothing is found that is new. */
export class BulkRevocation {
  constructor(
    private readonly revocation: Revocation,
    private readonly jobs: JobStore,
    private readonly reader: TaskReader,
  ) {}

  /** @throws BrokerUnavailableError; what was revoked by then is, and the same call goes on with the rest */
  async revoke(query: TaskQuery, { terminate = false }: RevokeOptions = {}): Promise<RevokedCounts> {
    const run = new BulkRun(this.revocation, this.reader, query, { terminate });
    for (let pass = 0; pass < MOST_PASSES; pass++) {
      const before = run.met;
      const pages = this.jobs.search(query);
      let taken = 0;
      for (;;) {
        const page = await pages.next(taken);
        if (page.done === true) break;
        taken = await run.revokePage(page.value);
      }
      if (run.met === before) break;
    }
    return run.counts;
  }
}

/** One call. */
class BulkRun {
  readonly #tally: RevocationTally = newTally();
  readonly #canvases = new Set<string>();
  /** Whether nodes have the stamp as a whole. */
  readonly #stamped = new Map<string, Promise<Verdict>>();

  constructor(
    private readonly revocation: Revocation,
    private readonly reader: TaskReader,
    private readonly query: TaskQuery,
    private readonly options: Required<RevokeOptions>,
  ) {}

  /** Grows as long as there is something new. */
  get met(): number {
    return this.#tally.withdrawn + this.#tally.running.size + this.#canvases.size;
  }

  get counts(): RevokedCounts {
    const { withdrawn, running } = this.#tally;
    return { waiting: withdrawn, running: running.size, canvases: this.#canvases.size };
  }

  /** @returns how many tasks were taken out of their queues for it */
  async revokePage(tasks: readonly JobRef[]): Promise<number> {
    const before = this.#tally.withdrawn;
    for (let at = 0; at < tasks.length; at += AT_ONCE) {
      await Promise.all(tasks.slice(at, at + AT_ONCE).map((task) => this.#revoke(task)));
    }
    return this.#tally.withdrawn - before;
  }

  async #revoke(task: JobRef): Promise<void> {
    const canvas = await this.#stampedAbove(task.id);
    if (canvas === undefined) {
      if (!this.#tally.running.has(task.id))
        await this.revocation.revokeFound(task, this.options, this.#tally);
      return;
    }
    if (this.#canvases.has(canvas)) return;
    this.#canvases.add(canvas);
    const isNew = await this.revocation.revoke(canvas, this.options, this.#tally).catch((error: unknown) => {
      if (error instanceof ResultUnknownError) return false;
      throw error;
    });
    if (!isNew) this.#canvases.delete(canvas);
  }

  /** The outermost canvas around a task that has the stamp as a whole: its later steps are not to begin either. */
  async #stampedAbove(id: string): Promise<string | undefined> {
    const { stamp } = this.query;
    if (stamp === undefined) return undefined;
    let found: string | undefined;
    for (let node = parentOf(id); node !== undefined; node = parentOf(node)) {
      let verdict = this.#stamped.get(node);
      if (verdict === undefined) {
        verdict = this.reader.node(node).then((read) => (read === undefined ? 'no' : verdictOf(read, stamp)));
        this.#stamped.set(node, verdict);
      }
      const is = await verdict;
      if (is === 'no') break;
      if (is === 'yes') found = node;
    }
    return found;
  }
}

/** Whether what a node keeps for later has the stamps; one that keeps nothing says nothing. */
type Verdict = 'yes' | 'no' | 'keeps nothing';

function verdictOf(node: NodeEnvelope, stamps: NonNullable<TaskQuery['stamp']>): Verdict {
  const kept = node.node === 'chain' ? node.rest : node.node === 'chord' ? [node.body] : [];
  const inherited = node.inherit?.headers;
  if (hasStamps(inherited, stamps)) return 'yes';
  let verdict: Verdict = 'keeps nothing';
  for (const canvas of kept) {
    visitCanvas(canvas, (at) => {
      if (at.kind !== 'task' || verdict === 'no') return;
      verdict = hasStamps({ ...inherited, ...at.options?.headers }, stamps) ? 'yes' : 'no';
    });
  }
  return verdict;
}
