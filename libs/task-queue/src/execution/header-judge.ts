import type { Delivery, Verdict } from '../backend/delivery.js';
import type { HeaderStore, Seen } from '../backend/header-store.js';
import type { JobStore } from '../backend/job-store.js';
import { type Ledger, type NodeRecord, pendingMembers } from '../backend/ledger.js';
import type { Publisher } from '../backend/publisher.js';
import type { Budget, RestPolicy } from '../canvas/header-rules.js';
import { type HeaderLaw, type HeaderView, judgeHeader, type Judgement } from '../chords/judge-header.js';
import {
  budgetOf,
  type ChordNode,
  deadlineName,
  type GroupNode,
  type NodeEnvelope,
} from '../flow/envelope.js';
import type { FlowPlan } from '../flow/flow-plan.js';
import { CANVAS_QUEUE, childId, type ChildName, parentOf } from '../flow/ids.js';
import { lateWaiter } from '../flow/late.js';
import type { Clock } from '../primitives/clock.js';
import { generationOf } from '../task/redriven.js';
import { fieldsOf } from './discretion.js';
import type { EngineLog } from './engine-log.js';
import type { Revocation } from './revocation.js';

/** What judging headers needs. */
export interface HeaderJudgeDeps {
  readonly ledger: Ledger;
  readonly headers: HeaderStore;
  readonly publisher: Publisher;
  readonly jobs: JobStore;
  readonly revocation: Revocation;
  readonly clock: Clock;
  readonly log: EngineLog;
}

/** What a node does after a look at its header. */
export type AfterLook =
  /** What comes after a header: it is closed, or nothing of it is missing. */
  | 'go-on'
  /** Nothing: it waits for its members. */
  | 'waits'
  /** The same look again: something has changed. */
  | 'again'
  /** The same look in a moment: a worker has a hold that is to be taken away. */
  | 'later'
  | 'superseded';

/** What was found at a header. */
interface Looked {
  readonly record: NodeRecord;
  readonly seen: Seen;
  readonly view: HeaderView;
  /** Whether anything can be made of members that come late. */
  readonly hears: boolean;
}

/** A hold comes due now and then, and goes back. */
const HOLD_MS = 3_600_000;

/**
 * Judges the headers of nodes that have a budget or a deadline, whenever such a node is released: by the failure of a
 * member, by its last member, by the deadline, or because somebody has changed the budget.
 *
 * ```
 * open ──breach, deadline, last member──→ closed ─→ recovery or errback
 *  │ └──breach under 'park'──→ parked ──the budget is changed──→ open
 *  └──revoked──→ as any node
 * ```
 *
 * Closing is one step in the store, under the lock of the node: the verdict, and the members that have not ended set
 * aside. What was decided stands; a worker that dies after it leaves the rest to the next activation, which does it again:
 * cancelling what is to be cancelled, then what follows.
 */
export class HeaderJudge {
  constructor(private readonly deps: HeaderJudgeDeps) {}

  /** Looks at the header of a node that has a budget or a deadline, before anything else; every other node goes on. */
  async look(delivery: Delivery, node: NodeEnvelope, record: NodeRecord): Promise<AfterLook> {
    const published = budgetOf(node);
    const deadline = node.node === 'chord' ? node.deadline : undefined;
    if ((published ?? deadline) === undefined || record.stage !== undefined || record.revoked) return 'go-on';
    const recovery = node.node === 'chord' ? node.recovery : undefined;
    const law: HeaderLaw = { budget: record.budget ?? published, deadline, recovery };
    return this.#judge(delivery, node as GroupNode | ChordNode, record, law);
  }

  async #judge(
    delivery: Delivery,
    node: GroupNode | ChordNode,
    record: NodeRecord,
    law: HeaderLaw,
  ): Promise<AfterLook> {
    if (record.closing !== undefined) return this.#clearUp(delivery, node, record, record.closing.rest);
    const { budget, values, failures, pending, isDue } = record;
    const seen: Seen = { budget, values, failures, pending: pendingMembers(record), isDue };
    // Amended since it was closed: who is there by now is judged as at that time, and nobody is waited for.
    const isPart = record.dispatch?.isClosed === true;
    if (!isPart && isCutShort(record)) {
      // It fails when what is there of it has ended, or at its deadline.
      if (!isDue || pending === 0 || law.deadline === undefined) return this.#letGo(delivery, record);
      const view = await this.#view(delivery.id, node.size, undefined, record);
      return this.#carryOut(delivery, { record, seen, view, hears: false }, missed(law.deadline));
    }
    if (record.parked !== undefined) return this.#hold(delivery, record, seen);
    const view = await this.#view(delivery.id, node.size, law.budget, record);
    if (isPart) {
      const part = { ...view, isSealed: false, isDue: true };
      const judgement = judgeHeader({ ...law, deadline: law.deadline ?? { rest: 'leave' } }, part);
      return this.#carryOut(delivery, { record, seen, view: part, hears: false }, judgement);
    }
    if (!isComplete(view) || view.size < (law.budget?.minSuccesses ?? 0)) {
      return this.#carryOut(delivery, { record, seen, view, hears: true }, judgeHeader(law, view));
    }
    await this.#stopTimer(delivery, node);
    return this.#letGo(delivery, record);
  }

  async #carryOut(
    delivery: Delivery,
    { record, seen, view, hears }: Looked,
    judgement: Judgement,
  ): Promise<AfterLook> {
    const { headers, publisher, clock, log } = this.deps;
    const atMs = clock.wallMs();
    switch (judgement.do) {
      case 'wait': {
        // The hold of one that was parked; without it, it goes on by its members.
        if (record.isHeld) return this.#letGo(delivery, record);
        const waits = await headers.wait(delivery, seen);
        return waits === 'done' ? 'waits' : waits === 'changed' ? 'again' : waits;
      }
      case 'park': {
        const parked = await headers.park(delivery, { why: judgement.why, atMs }, seen);
        if (parked === 'done') {
          log.warn(`${delivery.name} ${delivery.id} is parked: ${judgement.why}`, fieldsOf(delivery));
        }
        return parked === 'superseded' ? parked : 'again';
      }
      case 'close': {
        const { by, follow, rest, why } = judgement;
        // What a redrive has not put back stays failed.
        const { setAside = 0 } = record;
        const pending = Math.max(0, view.size - view.succeeded - view.failed - setAside);
        const isHeard = hears && by !== 'end';
        // There before anybody can come late, so that nobody can end unheard.
        if (isHeard) await publisher.publishOnce(lateWaiter(delivery.id));
        const closing = { by, follow, rest, why, pending, atMs, ...(isHeard ? { late: true as const } : {}) };
        const closed = await headers.close(delivery, closing, seen);
        if (closed === 'done' && by !== 'end') {
          log.warn(`The header of ${delivery.name} ${delivery.id} is closed: ${why}`, fieldsOf(delivery));
        }
        return closed === 'superseded' ? closed : 'again';
      }
    }
  }

  /**
   * A hold that has come due: it goes back, until it is taken away. One that was missed when it was to be ends; so does that
   * of a node that was revoked by somebody who could not see it through.
   */
  async holdOn({ id }: Delivery): Promise<Verdict> {
    const { isHeld, revoked } = await this.deps.ledger.readNode(parentOf(id) ?? '');
    return isHeld && !revoked ? { do: 'give-back', delayMs: HOLD_MS } : { do: 'complete', value: null };
  }

  /** Waits for somebody to decide, whether members are pending or not. */
  async #hold(delivery: Delivery, record: NodeRecord, seen: Seen): Promise<AfterLook> {
    const { publisher, headers, ledger } = this.deps;
    if (!record.isHeld) {
      if ((await publisher.publishUnder(delivery, holdOf(delivery.id))) === 'superseded') return 'superseded';
      // A revocation that came while the hold was added has not seen it.
      if (await ledger.isRevoked(delivery.id)) {
        await this.#withdraw(delivery.id, 'hold');
        return 'again';
      }
    }
    const waits = await headers.wait(delivery, seen);
    return waits === 'done' ? 'waits' : waits === 'changed' ? 'again' : waits;
  }

  /** What had not ended is revoked where that is asked for; and nothing is held or published any more. */
  async #clearUp(
    delivery: Delivery,
    node: GroupNode | ChordNode,
    record: NodeRecord,
    rest: RestPolicy,
  ): Promise<AfterLook> {
    const { id } = delivery;
    const { publisher, revocation } = this.deps;
    const generation = generationOf(node);
    const isHeldBack = record.dispatch?.state === 'open' || record.setAside !== undefined;
    // Whoever comes late with it finds a node that may have been redriven.
    if (isHeldBack) await publisher.letGo(id, generation);
    await this.#withdraw(id, 'hold');
    await this.#stopTimer(delivery, node);
    if (rest !== 'leave')
      await revocation.cancelStragglers({ id, generation }, { terminate: rest === 'terminate' });
    return 'go-on';
  }

  async #letGo({ id }: Delivery, record: NodeRecord): Promise<AfterLook> {
    if (!record.isHeld) return 'go-on';
    return (await this.#withdraw(id, 'hold')) ? 'again' : 'later';
  }

  async #stopTimer({ id }: Delivery, node: GroupNode | ChordNode): Promise<void> {
    if (node.node === 'chord' && node.deadline !== undefined) await this.#withdraw(id, deadlineName(node));
  }

  /** @returns false for one that a worker has, or that is gone */
  async #withdraw(node: string, what: ChildName): Promise<boolean> {
    return this.deps.jobs.withdraw({ queue: CANVAS_QUEUE, id: childId(node, what) });
  }

  async #view(id: string, size: number, budget: Budget | undefined, record: NodeRecord): Promise<HeaderView> {
    const { dispatch, values, failures, setAside = 0 } = record;
    const isDispatching = dispatch?.state === 'open';
    const published = isDispatching ? dispatch.dispatched : size;
    const pending = pendingMembers(record) + setAside;
    return {
      size,
      // The size of a source that is being read is how much of it has been read.
      isSealed: !isDispatching || record.size === undefined,
      succeeded: values,
      // Those that were taken out of their queues are in no list: they are neither values nor pending.
      failed: Math.max(failures, published - values - pending),
      byError: failures === 0 ? NONE : await this.#byName(id, Object.keys(budget?.byError ?? {})),
      isDue: record.isDue,
    };
  }

  async #byName(id: string, names: readonly string[]): Promise<ReadonlyMap<string, number>> {
    return names.length === 0 ? NONE : this.deps.headers.failuresByName(id, names);
  }
}

const NONE: ReadonlyMap<string, number> = new Map();

/** Of a header of which a part was never published. */
function missed({ rest }: { readonly rest: RestPolicy }): Judgement {
  const why = 'its deadline has passed, and it was not published as a whole';
  return { do: 'close', by: 'deadline', follow: 'incomplete', rest, why };
}

/** Nobody publishes the rest of its members: it fails for that, whatever its budget. */
function isCutShort({ dispatch, pending }: NodeRecord): boolean {
  const { state = 'sealed' } = dispatch ?? {};
  return state === 'cut' || state === 'failed' || (state === 'open' && pending === 0);
}

function isComplete({ size, isSealed, succeeded }: HeaderView): boolean {
  return isSealed && succeeded >= size;
}

/** One more child, which does not end before it is taken away. */
function holdOf(node: string): FlowPlan {
  return {
    job: {
      id: childId(node, 'hold'),
      queue: CANVAS_QUEUE,
      name: 'hold',
      data: { v: 1, node: 'hold' },
      retention: 'parent',
      delayMs: HOLD_MS,
    },
    children: [],
    size: 1,
  };
}
