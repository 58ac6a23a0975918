import type { Dispatch, Standing } from '../backend/publisher.js';
import type { SerializedError } from '../failure/task-failure.js';
import { chunkSize, type FlowPlan, MAX_TREE, type PlannedJob } from '../flow/flow-plan.js';
import { CANVAS_QUEUE, childId, lineOf } from '../flow/ids.js';
import type { Clock } from '../primitives/clock.js';
import { generationIn } from '../task/redriven.js';
import { DISPATCH_LEASE_MS, flowJob, openJob } from './flow-jobs.js';
import type { Joint, OwnWrites } from './joint-client.js';
import { memberAdditions } from './member-additions.js';
import type { Producers } from './producers.js';
import type { RedisClient } from './redis-client.js';
import { revocationField, type RedisKeys } from './redis-keys.js';
import { READ_DISPATCH } from './scripts/dispatch.js';
import { runScript } from './scripts/script.js';
import type { Additions, Transactions } from './transactions.js';

/** What dispatches work with. */
export interface DispatchTools {
  readonly keys: RedisKeys;
  readonly producers: Producers;
  readonly transactions: Transactions;
  readonly clock: Clock;
  /** Puts queues into the set that handles are looked up with. */
  announce(plans: readonly FlowPlan[]): Promise<void>;
}

/** Notes when a publication last got somewhere, by the monotonic clock. */
export interface Pulse {
  at: number;
}

const NO_PULSE: Pulse = { at: 0 };

/** Members on their way into a transaction. */
interface Packed {
  readonly members: readonly FlowPlan[];
  /** Those that are to be filled. */
  readonly open: readonly FlowPlan[];
  readonly additions: Additions;
  readonly prepared: Promise<Joint>;
}

interface Step {
  readonly additions?: Additions;
  readonly prepared?: Promise<Joint>;
  readonly write?: (own: OwnWrites, view: View) => void;
}

/** What a node says about the dispatch of its members. */
interface View extends Standing {
  readonly exists: boolean;
  readonly by: string | undefined;
  readonly queues: readonly string[];
  readonly isHeld: boolean;
}

/**
 * The dispatch of one node's members, as fields of the node's own job: `tq:by`, the producer that has it; `tq:dispatched`,
 * how many members are there; `tq:end`, how it ended.
 *
 * Each step is one transaction under WATCH of that job: the look whether the producer still has the dispatch, whether the
 * sentinel still holds the node and nobody has revoked it; then the members together with the new cursor. A producer that
 * comes later puts its own name there and goes on at the cursor; the one before is refused from then on.
 */
export class RedisDispatch implements Dispatch {
  readonly eager = false;
  readonly #node: string;
  #renewedAt = performance.now();
  #queues: readonly string[];
  #ahead: Packed | undefined;

  private constructor(
    private readonly job: Pick<PlannedJob, 'id' | 'queue'>,
    private readonly token: string,
    private readonly countsMembers: boolean,
    readonly begin: Standing,
    queues: readonly string[],
    private readonly tools: DispatchTools,
  ) {
    this.#node = tools.keys.node(job.id);
    this.#queues = queues;
  }

  /** Opens a node, or takes over the dispatch of one that is there. */
  static async open(
    job: PlannedJob,
    total: number | undefined,
    token: string,
    tools: DispatchTools,
  ): Promise<RedisDispatch> {
    const { keys, producers, transactions } = tools;
    const node = keys.node(job.id);
    const begin = await transactions.run<View>({
      id: job.id,
      keys: [node],
      look: async (client) => {
        const view = await viewOf(client, job.id, keys);
        return view.exists ? view : undefined;
      },
      additions: [() => producers.flow(job.id, 'ledger').add(openJob(job, keys))],
      write: (own) => own.set(node, openFields(token, total)),
    });
    if (begin !== 'done') return RedisDispatch.#takeOver(job, total, token, tools);
    const standing: Standing = { is: 'open', cursor: 0, pending: 0 };
    return new RedisDispatch(job, token, total === undefined, standing, [], tools);
  }

  /** Goes on with a dispatch that has been opened, with the same token, or by somebody else before. */
  static async resume(plan: FlowPlan, token: string, tools: DispatchTools): Promise<RedisDispatch> {
    return RedisDispatch.#takeOver(plan.job, plan.children.length, token, tools);
  }

  static async #takeOver(
    job: PlannedJob,
    total: number | undefined,
    token: string,
    tools: DispatchTools,
  ): Promise<RedisDispatch> {
    const { keys, transactions } = tools;
    const node = keys.node(job.id);
    let seen: View | undefined;
    const answer = await transactions.run<View>({
      id: job.id,
      keys: [node],
      look: async (client) => {
        seen = await viewOf(client, job.id, keys);
        return seen.is === 'open' ? undefined : seen;
      },
      write: (own) => own.set(node, { 'tq:by': token }),
    });
    const { cursor, pending, queues, isHeld } = answer === 'done' ? (seen as View) : answer;
    const is = answer === 'done' ? 'open' : answer.is;
    // The producer before has died between the seal and the end of the sentinel.
    if (is === 'sealed' && isHeld) await removeSentinel(job.id, tools.producers);
    const begin: Standing = { is, cursor, pending };
    const dispatch = new RedisDispatch(job, token, total === undefined, begin, queues, tools);
    // What is left of the lease is that of the producer before: the next one of several may find nothing of it.
    if (is === 'open' && seen?.by !== token) await dispatch.#extendLease();
    return dispatch;
  }

  prepare(members: readonly FlowPlan[]): void {
    this.#ahead = this.#pack(members);
  }

  async add(members: readonly FlowPlan[], pulse: Pulse = NO_PULSE): Promise<Standing> {
    const { keys } = this.tools;
    const { open, additions, prepared } =
      this.#ahead?.members === members ? this.#ahead : this.#pack(members);
    this.#ahead = undefined;
    await this.tools.announce(members);
    const queues = [...new Set([...this.#queues, ...members.map(({ job }) => job.queue)])];
    const write = (own: OwnWrites, { cursor }: View): void => {
      const dispatched = cursor + members.length;
      own.set(this.#node, {
        'tq:dispatched': dispatched,
        ...(this.countsMembers ? { 'tq:size': dispatched } : {}),
        ...(queues.length === this.#queues.length ? {} : { 'tq:queues': JSON.stringify(queues) }),
      });
      for (const { job, children } of open)
        own.set(keys.node(job.id), openFields(this.token, children.length));
    };
    const standing = await this.#step({ additions, prepared, write });
    if (standing.is !== 'open') return standing;
    this.#queues = queues;
    pulse.at = performance.now();
    await this.#fillAll(open, pulse);
    return {
      is: 'open',
      cursor: standing.cursor + members.length,
      pending: standing.pending + members.length,
    };
  }

  /** BullMQ's additions of members, put together while Redis is busy with those before them. */
  #pack(members: readonly FlowPlan[]): Packed {
    const open: FlowPlan[] = [];
    const additions = memberAdditions(members, this.job.id, open, this.tools);
    const prepared = this.tools.transactions.prepare(additions);
    prepared.catch(() => undefined); // whoever adds them hears of it
    return { members, open, additions, prepared };
  }

  async complete(member: FlowPlan, pulse: Pulse = NO_PULSE): Promise<void> {
    if (member.size <= MAX_TREE) return;
    const open: FlowPlan[] = [];
    flowJob(member, this.tools.keys, open);
    await this.#fillAll(open, pulse);
  }

  async renew(): Promise<Standing> {
    await this.renewLease();
    return this.#step();
  }

  /** Before a third of it has passed there is nothing to do. */
  async renewLease(): Promise<void> {
    if (performance.now() - this.#renewedAt > DISPATCH_LEASE_MS / 3) await this.#extendLease();
  }

  async #extendLease(): Promise<void> {
    this.#renewedAt = performance.now();
    await extendLease(this.job.id, this.tools.producers);
  }

  seal(): Promise<Standing> {
    return this.#end('sealed', 'sealed');
  }

  fail(error: SerializedError): Promise<Standing> {
    return this.#end(JSON.stringify(error), 'over');
  }

  async #end(end: string, is: 'sealed' | 'over'): Promise<Standing> {
    const standing = await this.#step({
      write: (own) =>
        own.set(this.#node, {
          'tq:end': end,
          ...(is === 'sealed' ? { 'tq:sealed': this.tools.clock.wallMs() } : {}),
        }),
    });
    if (standing.is !== 'open') return standing;
    return { ...standing, is };
  }

  /** One transaction in the name of this producer. Without a write it is a look. */
  async #step({ additions, prepared, write }: Step = {}): Promise<Standing> {
    const { keys, transactions } = this.tools;
    let seen: View | undefined;
    const answer = await transactions.run<View>({
      id: this.job.id,
      keys: [this.#node],
      look: async (client) => {
        seen = await viewOf(client, this.job.id, keys);
        if (seen.is === 'open' && seen.by !== this.token) return { ...seen, is: 'superseded' };
        return seen.is === 'open' && write !== undefined ? undefined : seen;
      },
      additions,
      prepared,
      write: (own) => write?.(own, seen as View),
    });
    const { is, cursor, pending } = answer === 'done' ? (seen as View) : answer;
    return { is, cursor, pending };
  }

  /** Wide nodes among the members: each is filled before the next chunk, under a dispatch of its own. */
  async #fillAll(open: readonly FlowPlan[], pulse: Pulse): Promise<void> {
    for (const plan of open) await fill(plan, this.token, this.tools, pulse);
  }
}

/** Publishes the members of an opened node in chunks, then seals it. */
export async function fill(
  plan: FlowPlan,
  token: string,
  tools: DispatchTools,
  pulse: Pulse,
): Promise<Standing> {
  const dispatch = await RedisDispatch.resume(plan, token, tools);
  let standing = dispatch.begin;
  for (const member of plan.children.slice(0, standing.cursor)) await dispatch.complete(member, pulse);
  let chunk = chunkAt(plan.children, standing.cursor);
  while (standing.is === 'open' && chunk.length > 0) {
    const adding = dispatch.add(chunk, pulse);
    chunk = chunkAt(plan.children, standing.cursor + chunk.length);
    dispatch.prepare(chunk);
    standing = await adding;
    pulse.at = performance.now();
    await dispatch.renewLease();
  }
  if (standing.is === 'open') standing = await dispatch.seal();
  if (standing.is === 'sealed') await removeSentinel(plan.job.id, tools.producers);
  return standing;
}

function chunkAt(members: readonly FlowPlan[], cursor: number): readonly FlowPlan[] {
  return members.slice(cursor, cursor + chunkSize(cursor));
}

/** Who dispatches, and how far: what an opened node begins with. */
export function openFields(token: string, total: number | undefined): Record<string, string | number> {
  return { 'tq:by': token, 'tq:dispatched': 0, ...(total === undefined ? { 'tq:size': 0 } : {}) };
}

/** Has the lease of a node begin anew. */
export async function extendLease(node: string, producers: Producers): Promise<void> {
  const sentinel = childId(node, 'sentinel');
  const job = await producers.queue(CANVAS_QUEUE, node, 'ledger').getJob(sentinel);
  // One that is not delayed any more has begun to end the node: the next look will say so.
  await job?.changeDelay(DISPATCH_LEASE_MS).catch(() => undefined);
}

export async function removeSentinel(node: string, producers: Producers): Promise<void> {
  await producers.queue(CANVAS_QUEUE, node).remove(childId(node, 'sentinel'));
}

/** The same, unless a later generation of the node has begun, whose sentinel has the same id. */
export async function removeSentinelOf(
  node: string,
  generation: number,
  tools: DispatchTools,
): Promise<void> {
  const key = tools.keys.node(node);
  await tools.transactions.run<'other'>({
    id: node,
    keys: [key],
    look: async (client) => {
      const data = await client.hget(key, 'data');
      const isMeant = data !== null && (generationIn(JSON.parse(data)) ?? 0) <= generation;
      return isMeant ? undefined : 'other';
    },
    additions: [() => tools.producers.queue(CANVAS_QUEUE, node, 'ledger').remove(childId(node, 'sentinel'))],
  });
}

async function viewOf(client: RedisClient, id: string, keys: RedisKeys): Promise<View> {
  const reply = (await runScript(
    client,
    READ_DISPATCH,
    [keys.node(id), keys.record(id)],
    [keys.node(childId(id, 'sentinel')), ...lineOf(id).map(revocationField)],
  )) as [
    number,
    string | null,
    string | null,
    string | null,
    string | null,
    number,
    number,
    number,
    string | null,
  ];
  const [exists, by, dispatched, end, queues, held, children, revoked, closed] = reply;
  const isHeld = held === 1;
  return {
    exists: exists === 1,
    by: by ?? undefined,
    cursor: Number(dispatched ?? 0),
    queues: queues === null ? [] : (JSON.parse(queues) as string[]),
    isHeld,
    pending: Math.max(0, children - held),
    is: closed !== null && end === null ? 'closed' : isOf(by, end, isHeld, revoked === 1),
  };
}

function isOf(by: string | null, end: string | null, isHeld: boolean, isRevoked: boolean): Standing['is'] {
  if (by === null || end === 'sealed') return 'sealed'; // by nobody: it was published in one piece
  if (isRevoked) return 'revoked';
  return end === null && isHeld ? 'open' : 'over';
}
