import type { Examination, JobCondition } from '../backend/examination.js';
import type { Ledger, NodeRecord } from '../backend/ledger.js';
import { timerOf } from '../flow/compile-canvas.js';
import { budgetOf, type NodeEnvelope } from '../flow/envelope.js';
import type { PlannedJob } from '../flow/flow-plan.js';
import { CANVAS_QUEUE, parentOf } from '../flow/ids.js';
import { lateWaiter } from '../flow/late.js';
import type { TaskReader } from '../results/task-reader.js';
import { nodeIn } from './diagnose.js';

/** What looking at attendants needs. */
export interface AttendantsDeps {
  readonly reader: TaskReader;
  readonly ledger: Ledger;
  readonly examination: Examination;
}

/** How the job stands that a node relies on beside its children. */
export interface Attendant {
  /** As it would be put back. */
  readonly job: PlannedJob;
  readonly condition: JobCondition;
  /** Nobody will ever run it. */
  readonly isLost: boolean;
}

const ATTENDANT = /\.(?:late|deadline(?:-\d+)?)$/;

/** The node beside which a job stands, to go by its id; undefined for every other job. */
export function attendedBy(id: string): string | undefined {
  return ATTENDANT.test(id) ? parentOf(id) : undefined;
}

/**
 * The job that has to be beside a node for it to go on as it should: the timer of a chord's deadline, as long as its header is
 * open; or, when that was closed early, who waits for the members that had not ended.
 */
export function attendantOf(
  { id, place }: Pick<JobCondition, 'id' | 'place'>,
  node: NodeEnvelope,
  { closing, stage, failure, revoked, isDue, isLateKept }: NodeRecord,
): PlannedJob | undefined {
  if (closing !== undefined) return closing.late === true && !isLateKept ? lateWaiter(id).job : undefined;
  const isOpen = place === 'waiting-children' && (stage ?? failure) === undefined && !revoked && !isDue;
  if (!isOpen || node.node !== 'chord' || node.deadline === undefined) return undefined;
  return timerOf(id, node.deadline, node);
}

/** Looks at what stands beside nodes: it is among nobody's children, so nobody who waits for it shows that it is lost. */
export class AttendantLooks {
  constructor(private readonly deps: AttendantsDeps) {}

  /** @param record of the node, where it has been read */
  async of(condition: JobCondition, record?: NodeRecord): Promise<Attendant | undefined> {
    const job = await this.#expected(condition, record);
    if (job === undefined) return undefined;
    const found = await this.#condition(job);
    if (!isLost(found)) return { job, condition: found, isLost: false };
    // It has perhaps ended as it should since the node was looked at: then the node is not what it was.
    const [now] = await this.deps.examination.conditions([condition]);
    const still = now && (await this.#expected(now));
    return still?.id === job.id ? { job, condition: found, isLost: true } : undefined;
  }

  async #expected(condition: JobCondition, record?: NodeRecord): Promise<PlannedJob | undefined> {
    const { queue, id, place, data } = condition;
    if (queue !== CANVAS_QUEUE || !ATTENDED.has(place)) return undefined;
    const node = data === undefined ? await this.deps.reader.node(id) : nodeIn(condition);
    if (node === undefined || !mayBeAttended(node)) return undefined;
    return attendantOf(condition, node, record ?? (await this.deps.ledger.readNode(id)));
  }

  async #condition({ queue, id, name }: PlannedJob): Promise<JobCondition> {
    const [found] = await this.deps.examination.conditions([{ queue, id }]);
    return { ...(found as JobCondition), name };
  }
}

const ATTENDED: ReadonlySet<JobCondition['place']> = new Set(['waiting-children', 'completed', 'failed']);

/** Only these are closed before their end. */
function mayBeAttended(node: NodeEnvelope): boolean {
  return budgetOf(node) !== undefined || (node.node === 'chord' && node.deadline !== undefined);
}

function isLost({ place }: JobCondition): boolean {
  return place === 'gone' || place === 'nowhere' || place === 'failed' || place === 'completed';
}
