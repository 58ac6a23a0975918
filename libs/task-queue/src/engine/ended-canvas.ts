import type { Backend } from '../backend/backend.js';
import type { FailedJob } from '../backend/job-store.js';
import type { JobRef } from '../backend/job-ref.js';
import { lostMembers, type NodeRecord, publishedMembers } from '../backend/ledger.js';
import type { TaskReply } from '../backend/task-reply.js';
import { decodeNode, decodeTask } from '../flow/decode-envelope.js';
import type { NodeEnvelope } from '../flow/envelope.js';
import { CANVAS_QUEUE, childId, memberIndex } from '../flow/ids.js';
import type { EndedNode, EndedTask } from '../flow/redrive.js';
import { generationOf } from '../task/redriven.js';

/** A composite as its job says. */
export interface NodeLook {
  readonly reply: Extract<TaskReply, { source: 'job' }>;
  readonly data: string;
  readonly node: NodeEnvelope;
}

export function lookOf(reply: NodeLook['reply'], data: string): NodeLook {
  return { reply, data, node: decodeNode(JSON.parse(data)) as NodeEnvelope };
}

/** Composites that are read at the same time. */
const NODES_AT_ONCE = 20;

/** Reads what is kept of canvases that have ended: what failed in them, and could be run again. */
export class EndedCanvas {
  constructor(private readonly backend: Pick<Backend, 'ledger' | 'jobs' | 'headers' | 'refills'>) {}

  /** What is kept of a node that has ended, and of all that failed below it. */
  async read(id: string, look: NodeLook): Promise<EndedNode> {
    const { node, reply } = look;
    const { ledger, headers, refills } = this.backend;
    const record = await ledger.readNode(id);
    // Only there a redrive before can have left something to be put back. What is set aside by now may be of the next one.
    if (record.closing !== undefined) await refills.giveUp(id, generationOf(node));
    const closed = await this.#closed(id, record);
    const failed: EndedNode['failed'][number][] = [];
    for await (const page of ledger.failedChildren(id))
      for (const child of await this.children(page)) failed.push(child);
    let late = 0;
    if (closed?.is === 'ended') {
      for await (const page of headers.lateMembers(id, 'failed')) {
        late += page.length;
        for (const child of await this.children(page)) failed.push(child);
      }
      late += closed.late.length;
    }
    const lost = await this.#lost(id, look, { record, closed, late });
    // The one child of a stage that is in neither list was removed by hand; its node knows what it was.
    const { child } = record.stage ?? {};
    if (child !== undefined && reply.job.node?.child === undefined)
      failed.push(...(await this.#tasks([child])));
    const { closing, size, stage } = record;
    const [isRevoked] = record.revoked ? await ledger.areRevokedByHand([id]) : [false];
    return {
      kind: 'node',
      id,
      node,
      ...(size === undefined ? {} : { size }),
      ...(stage === undefined ? {} : { stage: { ...stage } }),
      isOut: isRevoked === true || (closing === undefined && !isWhole(record)),
      ...(record.revoked && failed.length === 0 ? { isCut: true } : {}),
      ...(closed === undefined ? {} : { closed }),
      failed,
      ...(lost.length === 0 ? {} : { lost }),
    };
  }

  /** The same of some children of a node that failed. */
  async children(page: readonly JobRef[]): Promise<(EndedNode | EndedTask)[]> {
    const parts = page.filter(({ id }) => !/\.(sentinel|hold)$/.test(id));
    const tasks = parts.filter(({ queue }) => queue !== CANVAS_QUEUE);
    const nodes = parts.filter(({ queue }) => queue === CANVAS_QUEUE);
    const read: (EndedNode | EndedTask)[] = [];
    for (let at = 0; at < nodes.length; at += NODES_AT_ONCE) {
      const some = nodes.slice(at, at + NODES_AT_ONCE);
      read.push(...(await Promise.all(some.map((node) => this.#node(node)))));
    }
    return [...read, ...(await this.#tasks(tasks))];
  }

  /** Members of a header that are in no list: they are looked for where some are missing. */
  async #lost(
    id: string,
    { node, reply }: NodeLook,
    { record, closed, late }: { record: NodeRecord; closed: EndedNode['closed']; late: number },
  ): Promise<readonly string[]> {
    if (node.node !== 'group' && node.node !== 'chord') return [];
    const { ledger, headers } = this.backend;
    const { size, dispatch } = record;
    const published = publishedMembers(size ?? node.size, dispatch);
    const isKnown = closed === undefined || closed.is === 'ended';
    // Those that came late are in lists of their own, and the body is in one of those of the members.
    const pending = late - (reply.job.node?.child === undefined ? 0 : 1);
    if (isKnown && lostMembers({ ...record, published, pending }) === 0) return [];
    const lost: string[] = [];
    for await (const page of ledger.lostMembers(id, published)) {
      // Of who had not ended when it was closed nothing is known.
      const areOut = isKnown || page.length === 0 ? [] : await headers.areStragglers(id, page);
      for (const [at, member] of page.entries()) if (areOut[at] !== true) lost.push(member);
    }
    return lost;
  }

  /** Where a header was closed before its end, what has become of the members that were pending. */
  async #closed(id: string, record: NodeRecord): Promise<EndedNode['closed']> {
    const { headers, ledger } = this.backend;
    const { closing } = record;
    if (closing === undefined || closing.by === 'end') return undefined;
    const isHeard = closing.late === true;
    if (!isWhole(record)) return { is: 'part', published: record.dispatch?.dispatched };
    if (!isHeard && closing.pending > 0) return { is: 'part' };
    if (!isHeard) return { is: 'ended', late: [] };
    // Without being kept it was lost on the way, where nobody waits for it: somebody has to put that right first.
    if (!record.isLateKept || (await this.isHearing(id)))
      return { is: 'going-on', pending: (await ledger.readNode(childId(id, 'late'))).pending };
    const late: number[] = [];
    for await (const page of headers.lateMembers(id, 'returned'))
      for (const member of page) late.push(memberIndex(member.id));
    return { is: 'ended', late };
  }

  /** Whether somebody waits for the late members of a node. */
  async isHearing(node: string): Promise<boolean> {
    const id = childId(node, 'late');
    if ((await this.backend.jobs.find({ queue: CANVAS_QUEUE, id })) === undefined) return false;
    // One whose callback cannot be read has failed.
    const { source, ...reply } = await this.backend.jobs.look(id);
    return source === 'job' && 'place' in reply && reply.place !== 'failed' && reply.place !== 'completed';
  }

  async #node(ref: JobRef): Promise<EndedNode | EndedTask> {
    const reply = await this.backend.jobs.look(ref.id);
    if (reply.source === 'job' && reply.job.node !== undefined)
      return this.read(ref.id, lookOf(reply, reply.job.node.data));
    return { kind: 'task', ...ref, call: 'gone' };
  }

  async #tasks(refs: readonly JobRef[]): Promise<EndedTask[]> {
    const { ledger, jobs } = this.backend;
    const ids = refs.map(({ id }) => id);
    const [found, areByHand] = await Promise.all([jobs.readFailed(refs), ledger.areRevokedByHand(ids)]);
    return refs.map(({ queue, id }, at) => {
      // Also one that came to another end before it was.
      const call = areByHand[at] === true ? 'revoked' : callOf(found[at]);
      return { kind: 'task', queue, id, call };
    });
  }
}

/** Whether all members of a node were published. */
function isWhole({ dispatch }: NodeRecord): boolean {
  return dispatch === undefined || dispatch.state === 'sealed';
}

/** The call that a job still holds, if it is one of ours. */
export function callOf(job: FailedJob | undefined): EndedTask['call'] {
  if (job === undefined) return 'gone';
  const { text: _text, ...call } = job;
  try {
    const data = decodeTask(call.data);
    return 'hook' in data ? 'gone' : { ...call, data };
  } catch {
    return 'gone';
  }
}
