import type { Delivery, Verdict } from '../backend/delivery.js';
import type { HeaderStore } from '../backend/header-store.js';
import type { JobStore } from '../backend/job-store.js';
import type { Ledger, NodeRecord } from '../backend/ledger.js';
import type { Publisher } from '../backend/publisher.js';
import type { TaskReply } from '../backend/task-reply.js';
import type { CanvasData } from '../canvas/canvas-data.js';
import { settledOutcome } from '../chords/built-in-recoveries.js';
import type { MemberOutcome } from '../chords/chord-recovery.js';
import { UndecodablePayloadError } from '../errors/task.errors.js';
import { type CompileContext, compileCanvas } from '../flow/compile-canvas.js';
import { compileStored } from '../flow/compile-stored.js';
import { decodeNode } from '../flow/decode-envelope.js';
import type { ChordNode, GroupNode } from '../flow/envelope.js';
import { parentOf, releasedId, wholeOf } from '../flow/ids.js';
import { planAmendment } from '../flow/late.js';
import type { Clock } from '../primitives/clock.js';
import type { JsonValue } from '../primitives/json.js';
import { endedGeneration } from '../results/ended-generation.js';
import type { TaskReader } from '../results/task-reader.js';
import { generationOf } from '../task/redriven.js';
import type { CanvasAnnouncer } from './canvas-announcer.js';
import type { EngineLog } from './engine-log.js';

/** What hearing of late members needs. */
export interface LateMembersDeps {
  readonly ledger: Ledger;
  readonly headers: HeaderStore;
  readonly jobs: JobStore;
  readonly reader: TaskReader;
  readonly publisher: Publisher;
  readonly context: () => CompileContext;
  readonly clock: Clock;
  readonly log: EngineLog;
  readonly tell: CanvasAnnouncer;
}

/** How soon, and how seldom at last, a chord is looked at again that has not come to where it can be amended. */
const LOOK_AGAIN_MS = { first: 250, last: 15_000 } as const;
/**
 * The same of a header that is not closed yet, because whoever closes it was lost on the way, or its budget was raised in that
 * moment. Its last member may end right after it has been closed: a redrive waits for this look, and for 5 s at most.
 */
const WHILE_OPEN_MS = { first: 250, last: 1_000 } as const;

/** A header's node as its job says. */
interface Look<Node = GroupNode | ChordNode> {
  readonly id: string;
  readonly reply: Extract<TaskReply, { source: 'job' }>;
  readonly data: string;
  readonly node: Node;
}

/**
 * What waits, beside a node whose header was closed early, for the members that had not ended.
 *
 * ```
 * beside an open header ──closed──→ waits for the late ──the last has ended──→ the next generation: gone
 *          └──the node ends otherwise──→ gone                       └──callback, or nothing──→ kept for a redrive: gone
 * ```
 *
 * It is a job that they are children of, so BullMQ stores what they come to and releases it with the last one, in the
 * script that ends them. The callback has a fixed id, and the next generation begins only where the chord is as it was
 * read: a worker that dies in between does nothing twice. What they came to is kept beside the header then, and it goes: as
 * long as it is there, some of them go on.
 */
export class LateMembers {
  constructor(private readonly deps: LateMembersDeps) {}

  async activate(delivery: Delivery): Promise<Verdict> {
    const header = await this.#look(parentOf(delivery.id) ?? '');
    if (header === undefined) return DONE;
    const record = await this.deps.ledger.readNode(header.id);
    if (record.closing?.late !== true) return isOpen(header, record) ? again(delivery, WHILE_OPEN_MS) : DONE;
    if (await delivery.waitForChildren()) return { do: 'leave' };
    if (isHeard(header) && !record.revoked) {
      const members = (await this.deps.reader.outcomes(delivery.id)).filter(hasComeToSomething);
      const { late } = header.node;
      if (members.length > 0 && late === 'amend') return this.#amend(delivery, header, record, members);
      if (members.length > 0 && late !== undefined && late !== 'amend') {
        await this.#release(header, late, members).catch(async (error: unknown) => {
          // What came late is there for a redrive, also where nobody can be told of it.
          if (error instanceof UndecodablePayloadError) await this.deps.headers.keepLate(delivery, header.id);
          throw error;
        });
      }
    }
    return (await this.deps.headers.keepLate(delivery, header.id)) ? DONE : { do: 'leave' };
  }

  async #release({ id, node }: Look, callback: CanvasData, members: readonly MemberOutcome[]): Promise<void> {
    const { publisher, context, tell, log } = this.deps;
    const released = releasedId(id, 'late', 0, generationOf(node));
    const outcomes = members.map((member) => ({
      index: member.index,
      taskId: member.taskId,
      ...settledOutcome(member),
    }));
    // A canvas of its own, which may outlive the chord: it takes along what it is called with.
    const value = { chordId: id, outcomes } as unknown as JsonValue;
    const plan = compileStored(callback, 'callback', (read) =>
      compileCanvas(read, released, context(), { from: 'value', value }, node.redriven),
    );
    await publisher.publishOnce(plan);
    log.debug(`${released} gets what ${members.length} late members of chord ${id} came to`);
    tell.callbacksReleased('callback.released', id, node, [released]);
  }

  async #amend(
    delivery: Delivery,
    chord: Look<ChordNode>,
    { size, stage, dispatch }: NodeRecord,
    members: readonly MemberOutcome[],
  ): Promise<Verdict> {
    const { id, reply, node, data } = chord;
    const part = dispatch === undefined || dispatch.state === 'sealed' ? undefined : dispatch.dispatched;
    const { publisher, clock, tell } = this.deps;
    if (parentOf(id) !== undefined || wholeOf(id) !== id) return DONE; // refused when it was published
    if (reply.place !== 'completed' && reply.place !== 'failed') return again(delivery);
    const nowMs = clock.wallMs();
    const generation = generationOf(node) + 1;
    const ended = endedGeneration(generation - 1, reply, nowMs);
    const changed = members.map(({ index }) => index);
    const rerun = planAmendment({ id, node, size, stage, part }, generation, changed, ended);
    const reopened = await publisher.reopen({ rerun, planned: data, nowMs });
    if (reopened === 'changed') return again(delivery);
    if (reopened === 'expired') return DONE;
    tell.redriven(id, reply.job.name, { generation, changed }, 0);
    return DONE;
  }

  async #look(id: string): Promise<Look | undefined> {
    const reply = await this.deps.jobs.look(id);
    if (reply.source !== 'job' || reply.job.node === undefined) return undefined;
    const { data } = reply.job.node;
    const node = decodeNode(JSON.parse(data));
    return node.node === 'chord' || node.node === 'group' ? { id, reply, data, node } : undefined;
  }
}

/** Whether somebody wants to hear of what comes late. */
function isHeard(header: Look): header is Look<ChordNode> {
  return header.node.node === 'chord' && header.node.late !== undefined;
}

const DONE: Verdict = { do: 'complete', value: null };

function again(
  { activations }: Delivery,
  { first, last }: { readonly first: number; readonly last: number } = LOOK_AGAIN_MS,
): Verdict {
  return { do: 'give-back', delayMs: Math.min(last, first * 2 ** Math.min(activations - 1, 10)) };
}

/** It is there before the header is closed, so that nobody can end unheard. */
function isOpen({ reply }: Look, { closing, stage, failure }: NodeRecord): boolean {
  const isOver = reply.place === 'completed' || reply.place === 'failed';
  return !isOver && closing === undefined && stage === undefined && failure === undefined;
}

/** Who was revoked after the header was closed has not come late: it was not to come at all. */
function hasComeToSomething(member: MemberOutcome): boolean {
  return member.status === 'fulfilled' || member.failure.reason !== 'revoked';
}
