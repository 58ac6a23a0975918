import type { Examination, JobCondition } from '../backend/examination.js';
import type { Inspection } from '../backend/inspection.js';
import type { JobRef } from '../backend/job-ref.js';
import type { Ledger, NodeRecord } from '../backend/ledger.js';
import { CANVAS_QUEUE, childId, memberIndex, parentOf, positionOf } from '../flow/ids.js';
import type { Clock } from '../primitives/clock.js';
import type { TaskReader } from '../results/task-reader.js';
import type { TaskSnapshot } from '../results/task-snapshot.js';
import { isTerminal } from '../task/task-state.js';
import { AttendantLooks } from './attendants.js';
import { diagnose, isUnsettled, removedMembers, type Patient, type Surroundings } from './diagnose.js';
import { Explanation } from './explanation.js';
import type { Fact, Obstacle } from './obstacle.js';
import { type Releaser, releaserOf } from './releaser.js';
import { told } from './words.js';

/** What explaining needs. */
export interface ExplainerDeps {
  readonly reader: TaskReader;
  readonly ledger: Ledger;
  readonly examination: Examination;
  readonly inspection: Inspection;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly maxRetriesOf: (task: string, policy: string) => number | undefined;
}

/** How much is looked at. */
export interface Extent {
  /** Jobs below the one that is explained. */
  readonly limit: number;
  /** Where the page of its own members begins. */
  readonly cursor?: string | undefined;
}

/** Members that were removed, which are named. */
const NAMED = 10;
/** Among so many members they are looked for. */
const LOOKED_THROUGH = 100_000;

/**
 * Finds out why something has not ended: walks from it down to what is pending below, level by level, and looks at each
 * job on the way. What it reads is bounded by the limit, not by the size of the canvas or of the queues.
 */
export class Explainer {
  readonly #attendants: AttendantLooks;

  constructor(private readonly deps: ExplainerDeps) {
    this.#attendants = new AttendantLooks(deps);
  }

  async explain(id: string, extent: Extent): Promise<Explanation> {
    const read = await this.deps.reader.read(id);
    const releaser = read.state === 'UNKNOWN' ? await releaserOf(id, this.deps) : undefined;
    const around = await this.#surroundings();
    const walk: Walk = { around, left: extent.limit, obstacles: [], rest: 0 };
    const snapshot: TaskSnapshot = releaser === undefined ? read : { id, state: 'PENDING' };
    const cursor =
      releaser === undefined
        ? await this.#explain(read, extent.cursor, walk)
        : await this.#unreleased(id, releaser, walk);
    return new Explanation({ snapshot, obstacles: walk.obstacles, rest: walk.rest, cursor });
  }

  async #explain(
    snapshot: TaskSnapshot,
    cursor: string | undefined,
    walk: Walk,
  ): Promise<string | undefined> {
    const { id, queue } = snapshot;
    if (snapshot.state === 'UNKNOWN') {
      this.#note(walk, { kind: 'unknown', id, name: '', queue: '', position: positionOf(id) });
      return undefined;
    }
    if (queue === undefined || queue === '') return this.#unpublished(snapshot, walk);
    const [condition] = await this.deps.examination.conditions([{ queue, id }]);
    // Of one that has ended its node may be all that remembers it.
    if (condition === undefined || condition.place === 'gone') {
      if (isTerminal(snapshot.state) || (await this.#hasEndedSince(id))) return undefined;
      await this.#visit({ queue, id, isAwaited: true }, walk, undefined);
      return undefined;
    }
    const isHeardOf = condition.place === 'completed' || condition.place === 'failed';
    return this.#visitFrom(condition, !isHeardOf && parentOf(id) !== undefined, walk, cursor);
  }

  async #hasEndedSince(id: string): Promise<boolean> {
    return isTerminal((await this.deps.reader.read(id)).state);
  }

  /** A step or body that is yet to come: what it waits for is what the composite above it waits for. */
  async #unpublished({ id, state }: TaskSnapshot, walk: Walk): Promise<undefined> {
    const parent = parentOf(id);
    if (isTerminal(state) || parent === undefined) return undefined;
    const about = { id, name: '', queue: '', position: positionOf(id) };
    const isRemoved = await this.#isRemoved(id, parent);
    this.#note(
      walk,
      isRemoved ? { kind: 'removed', ...about } : { kind: 'not-published', ...about, by: parent },
    );
    const above = await this.deps.reader.read(parent);
    await this.#explain(above, undefined, walk);
    return undefined;
  }

  /** A callback that is yet to come: the same of the node that releases it, or of who waits for its late members. */
  async #unreleased(id: string, { node, waiter }: Releaser, walk: Walk): Promise<undefined> {
    this.#note(walk, {
      kind: 'not-published',
      id,
      name: '',
      queue: '',
      position: positionOf(id),
      by: node.id,
    });
    if (waiter === undefined) await this.#explain(node, undefined, walk);
    else await this.#visit({ ...waiter, isAwaited: true }, walk, undefined);
  }

  /** Members are published with their header; of one that has none of itself left, somebody has taken it away. */
  async #isRemoved(id: string, parent: string): Promise<boolean> {
    const index = memberIndex(id);
    const node = Number.isInteger(index) ? await this.deps.reader.node(parent) : undefined;
    if (node?.node !== 'group' && node?.node !== 'chord') return false;
    const { dispatch } = await this.deps.ledger.readNode(parent);
    return dispatch === undefined || index < dispatch.dispatched;
  }

  async #visit(ref: JobRef & { isAwaited: boolean }, walk: Walk, cursor: string | undefined): Promise<void> {
    const [condition] = await this.deps.examination.conditions([ref]);
    if (condition !== undefined) await this.#visitFrom(condition, ref.isAwaited, walk, cursor);
  }

  /** Looks at one job, then at what is below it, level by level. @returns where its own next page begins */
  async #visitFrom(
    root: JobCondition,
    isAwaited: boolean,
    walk: Walk,
    cursor: string | undefined,
  ): Promise<string | undefined> {
    const line: { readonly condition: JobCondition; readonly isAwaited: boolean }[] = [
      { condition: root, isAwaited },
    ];
    let next: string | undefined;
    for (const { condition, isAwaited: awaited } of line) {
      const isRoot = condition === root;
      const below = await this.#below(condition, walk, isRoot ? cursor : undefined);
      if (isRoot) next = below.cursor;
      const record = await this.#recordOf(condition);
      const patient: Patient = {
        condition,
        isAwaited: awaited,
        shown: below.children.length,
        removed: await this.#removed(condition, record),
        ...(record === undefined ? {} : { record }),
        ...(below.sentinel === undefined ? {} : { sentinel: below.sentinel }),
      };
      const isOver = isRoot && condition.place === 'failed' && !isUnsettled(condition, record);
      if (!isOver) for (const fact of diagnose(patient, walk.around)) this.#note(walk, fact);
      await this.#besides(condition, record, walk);
      for (const child of below.children) line.push({ condition: child, isAwaited: true });
    }
    return next;
  }

  /** What stands beside a node: a timer that will end it, or damage. Whoever waits for late members keeps nothing from ending. */
  async #besides(condition: JobCondition, record: NodeRecord | undefined, walk: Walk): Promise<void> {
    if (record === undefined) return;
    const attendant = await this.#attendants.of(condition, record);
    if (attendant === undefined || (record.closing !== undefined && !attendant.isLost)) return;
    const patient = { condition: attendant.condition, isAwaited: true, shown: 0 };
    for (const fact of diagnose(patient, walk.around)) this.#note(walk, fact);
  }

  /** The first members that a composite has lost, looked for only where it has lost any, and only as far as that tells. */
  async #removed(condition: JobCondition, record: NodeRecord | undefined): Promise<readonly string[]> {
    const { members, among } = removedMembers(condition, record);
    const wanted = Math.min(members, NAMED);
    const found: string[] = [];
    if (wanted === 0) return found;
    for await (const page of this.deps.ledger.lostMembers(condition.id, Math.min(among, LOOKED_THROUGH))) {
      found.push(...page);
      if (found.length >= wanted) break;
    }
    return found.slice(0, wanted);
  }

  /** The pending children of a job that waits for such, as far as the limit goes. */
  async #below(condition: JobCondition, walk: Walk, cursor: string | undefined): Promise<Below> {
    if (condition.place !== 'waiting-children' || condition.pending === 0) return { children: [] };
    const { examination } = this.deps;
    if (walk.left <= 0) {
      walk.rest += condition.pending;
      return { children: [] };
    }
    const page = await examination.pendingPage(condition, walk.left, cursor);
    const found = await examination.conditions(page.children);
    const conditions = await this.#stillPending(condition, found);
    const [sentinelId, holdId] = [childId(condition.id, 'sentinel'), childId(condition.id, 'hold')];
    const sentinel = conditions.find(({ id }) => id === sentinelId);
    const children = conditions.filter(({ id }) => id !== sentinelId && id !== holdId).sort(byId);
    walk.left -= children.length;
    walk.rest += Math.max(0, condition.pending - found.length);
    return {
      children,
      ...(sentinel === undefined ? {} : { sentinel }),
      ...(page.cursor === undefined ? {} : { cursor: page.cursor }),
    };
  }

  /**
   * A job ends and leaves its node in one step, but the two are read one after the other. What has ended since is nothing
   * that anybody waits for; what has ended and is waited for all the same is damage.
   */
  async #stillPending(parent: JobRef, children: readonly JobCondition[]): Promise<readonly JobCondition[]> {
    const pending = await Promise.all(
      children.map(
        async (child) =>
          !hasEnded(child) || (await this.deps.ledger.readChild(child, parent)).end === 'pending',
      ),
    );
    return children.filter((_, at) => pending[at]);
  }

  async #recordOf({ queue, id, place }: JobCondition): Promise<NodeRecord | undefined> {
    return queue === CANVAS_QUEUE && place !== 'gone' ? this.deps.ledger.readNode(id) : undefined;
  }

  async #surroundings(): Promise<Surroundings> {
    const { inspection, clock, timeoutMs, maxRetriesOf } = this.deps;
    return { nowMs: clock.wallMs(), workers: await inspection.workers(timeoutMs), maxRetriesOf };
  }

  #note({ obstacles, around }: Walk, fact: Fact): void {
    obstacles.push(told(fact, around.nowMs));
  }
}

/** One explanation in the making. */
interface Walk {
  readonly around: Surroundings;
  /** How many more jobs may be looked at. */
  left: number;
  readonly obstacles: Obstacle[];
  rest: number;
}

interface Below {
  readonly children: readonly JobCondition[];
  readonly sentinel?: JobCondition;
  readonly cursor?: string;
}

function hasEnded({ place }: JobCondition): boolean {
  return place === 'completed' || place === 'failed' || place === 'gone';
}

function byId(one: JobCondition, other: JobCondition): number {
  return one.id.localeCompare(other.id, 'en', { numeric: true });
}
