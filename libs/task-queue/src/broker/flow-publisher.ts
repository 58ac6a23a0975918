import type { FlowJob } from 'bullmq';
import type { Holder } from '../backend/ledger.js';
import type { Publication, Publisher } from '../backend/publisher.js';
import { BrokerUnavailableError } from '../errors/publish.errors.js';
import { TaskQueueError } from '../errors/task-queue.error.js';
import type { FlowPlan } from '../flow/flow-plan.js';
import { CANVAS_QUEUE, childId } from '../flow/ids.js';
import { bounded } from '../primitives/bounded.js';
import {
  childOptions,
  DISPATCH_LEASE_MS,
  flowJob,
  jobOptions,
  leavesByQueue,
  parentRef,
  type ParentRef,
} from './flow-jobs.js';
import { Mutex } from './mutex.js';
import type { Producers } from './producers.js';
import type { RedisClient, RedisConnections } from './redis-connections.js';
import type { RedisKeys } from './redis-keys.js';

/** What the publisher needs to know of the module's options. */
export interface PublisherOptions {
  readonly publishTimeoutMs: number;
}

/** Members per chunk: larger ones gain nothing and block Redis and the event loop longer. */
const CHUNK = 500;
const ANNOUNCE_EVERY_MS = 60_000;
/** How often a fenced publication is repeated when its lock was renewed under it. */
const FENCED_TRIES = 10;

/**
 * Publishes flow plans through BullMQ.
 *
 * - A tree of up to 1,000 jobs is one transaction: all of it or nothing.
 * - A wider node is opened with a sentinel among its children, which holds it back while members are added in
 *   chunks and start at once; removing the sentinel seals it. If the producer dies, the sentinel's delay runs
 *   out and the node ends with what is missing counted as failed.
 * - What a running node adds (`publishUnder`), and what must exist at most once (`publishOnce`), is fenced by
 *   WATCH: the transaction takes place only while the node's lock is still held, respectively while no job of
 *   that id exists. A worker that was paused or cut off between its decision and the deed changes nothing.
 */
export class FlowPublisher implements Publisher {
  /** When a queue was put into the set of queues last. */
  readonly #announced = new Map<string, number>();
  readonly #fence = new Mutex();

  constructor(
    private readonly connections: RedisConnections,
    private readonly keys: RedisKeys,
    private readonly producers: Producers,
    private readonly options: PublisherOptions,
  ) {}

  publish(plan: FlowPlan): Promise<Publication> {
    return this.#guard(plan.job.id, async (pulse) => {
      const client = await this.connections.ready('publish', this.options.publishTimeoutMs);
      await this.#announce(plan, client);
      if (plan.children.length === 0) {
        const { job } = plan;
        await this.producers.queue(job.queue, job.id).add(job.name, job.data, jobOptions(job));
      } else {
        const open: FlowPlan[] = [];
        await this.producers.flow(plan.job.id, 'publish').add(flowJob(plan, this.keys, open));
        await this.#fillAll(open, pulse);
      }
      return 'published';
    });
  }

  publishOnce(plan: FlowPlan): Promise<Publication> {
    return this.#guard(plan.job.id, async (pulse) => {
      const client = await this.connections.ready('ledger', this.options.publishTimeoutMs);
      await this.#announce(plan, client);
      const root = this.keys.job(plan.job.queue, plan.job.id);
      return this.#fenced(plan, pulse, client, root, async () =>
        (await client.exists(root)) === 1 ? 'exists' : 'free',
      );
    });
  }

  publishUnder(holder: Holder, plan: FlowPlan): Promise<Publication> {
    return this.#guard(plan.job.id, async (pulse) => {
      const client = await this.connections.ready('ledger', this.options.publishTimeoutMs);
      await this.#announce(plan, client);
      const lock = `${this.keys.job(holder.queue, holder.id)}:lock`;
      return this.#fenced(
        plan,
        pulse,
        client,
        lock,
        async () => ((await client.get(lock)) === holder.token ? 'free' : 'superseded'),
        parentRef(this.keys, holder),
      );
    });
  }

  /** Runs one publication within its bound; whatever Redis answers becomes a typed error that names the id. */
  async #guard(id: string, work: (pulse: Pulse) => Promise<Publication>): Promise<Publication> {
    const { publishTimeoutMs } = this.options;
    const timedOut = () =>
      new BrokerUnavailableError(
        `Publishing ${id} was not confirmed within ${publishTimeoutMs} ms. It may have happened; ` +
          `publishing again with this id never doubles the work.`,
        id,
      );
    const pulse: Pulse = { at: Date.now() };
    try {
      return await boundedByPulse(work(pulse), pulse, publishTimeoutMs, timedOut);
    } catch (error) {
      if (error instanceof BrokerUnavailableError)
        throw error.taskId === undefined ? withId(error, id) : error;
      if (error instanceof TaskQueueError) throw error;
      const reason = reasonOf(error);
      // The server has lost its scripts, and BullMQ's transactions do not notice on a connection that stays open
      // (hole H14): a new one knows that it has to load them.
      if (reason.includes('NOSCRIPT')) {
        await Promise.all([this.connections.reopen('publish'), this.connections.reopen('ledger')]);
      }
      throw new BrokerUnavailableError(`Redis refused the publication of ${id}: ${reason}`, id, {
        cause: error,
      });
    }
  }

  /**
   * One transaction on the fencing connection, repeated while only a lock renewal came in between.
   *
   * Each has a bound of its own: one whose answer was lost would else keep all others waiting for ever.
   */
  async #fenced(
    plan: FlowPlan,
    pulse: Pulse,
    client: RedisClient,
    watched: string,
    look: () => Promise<'free' | 'exists' | 'superseded'>,
    parent?: ParentRef,
  ): Promise<Publication> {
    const open: FlowPlan[] = [];
    const flow = flowJob(plan, this.keys, open, parent);
    const { publishTimeoutMs } = this.options;
    const timedOut = () => new BrokerUnavailableError(`Redis did not answer within ${publishTimeoutMs} ms.`);
    // Members of wide nodes go out on the other connection: it has to be there before the node is opened.
    if (open.length > 0) await this.connections.ready('publish', publishTimeoutMs);
    const done = await this.#fence.run(() => {
      const turn = { isOver: false };
      const transaction = this.#transact(flow, plan.job.id, client, watched, look, turn);
      return bounded(transaction, publishTimeoutMs, timedOut).finally(() => (turn.isOver = true));
    });
    if (done === 'published') await this.#fillAll(open, pulse);
    return done;
  }

  async #transact(
    flow: FlowJob,
    id: string,
    client: RedisClient,
    watched: string,
    look: () => Promise<'free' | 'exists' | 'superseded'>,
    turn: { readonly isOver: boolean },
  ): Promise<Publication> {
    for (let tries = 1; ; tries++) {
      await client.watch(watched);
      try {
        const found = await look();
        // Given up, and somebody else's turn: EXEC and UNWATCH would take down the fence that he has put up by now.
        if (turn.isOver) throw new BrokerUnavailableError('Redis answered too late.', id);
        if (found !== 'free') {
          await client.unwatch();
          return found;
        }
        await this.producers.flow(id, 'ledger').add(flow);
        return 'published';
      } catch (error) {
        if (turn.isOver) throw error;
        // BullMQ stumbles over the null that EXEC gives when the watched key has changed.
        if (error instanceof TypeError && tries < FENCED_TRIES) continue;
        await client.unwatch().catch(() => undefined);
        throw error;
      }
    }
  }

  async #fillAll(open: readonly FlowPlan[], pulse: Pulse): Promise<void> {
    for (const node of open) await this.#fill(node, pulse);
  }

  /** Publishes the members of an opened node in chunks, then seals it. */
  async #fill(node: FlowPlan, pulse: Pulse): Promise<void> {
    const parent = parentRef(this.keys, node.job);
    const sentinel = childId(node.job.id, 'sentinel');
    const nodes = this.producers.queue(CANVAS_QUEUE, node.job.id);
    let renewed = Date.now();
    for (let at = 0; at < node.children.length; at += CHUNK) {
      await this.#addChunk(node.children.slice(at, at + CHUNK), node, parent, pulse);
      pulse.at = Date.now();
      if (Date.now() - renewed > DISPATCH_LEASE_MS / 3) {
        renewed = Date.now();
        await (await nodes.getJob(sentinel))?.changeDelay(DISPATCH_LEASE_MS);
      }
    }
    await nodes.remove(sentinel);
  }

  async #addChunk(
    chunk: readonly FlowPlan[],
    node: FlowPlan,
    parent: ParentRef,
    pulse: Pulse,
  ): Promise<void> {
    for (const leaves of leavesByQueue(chunk)) {
      const [first] = leaves;
      if (first === undefined) continue;
      const jobs = leaves.map(({ job }) => ({
        name: job.name,
        data: job.data,
        opts: childOptions(job, parent),
      }));
      await this.producers.queue(first.job.queue, first.job.id).addBulk(jobs);
    }
    const open: FlowPlan[] = [];
    const flows = chunk
      .filter((child) => child.children.length > 0)
      .map((child) => flowJob(child, this.keys, open, parent));
    if (flows.length > 0) await this.producers.flow(node.job.id, 'publish').addBulk(flows);
    await this.#fillAll(open, pulse);
  }

  /**
   * Puts the queues of a plan into the set that handles are looked up with: now and then, in case Redis has come back
   * without it.
   */
  async #announce(plan: FlowPlan, client: RedisClient): Promise<void> {
    const prefix = this.keys.prefixOf(plan.job.id);
    const fresh = new Set<string>();
    const nowMs = Date.now();
    const visit = ({ job, children }: FlowPlan): void => {
      if (job.queue === CANVAS_QUEUE) return children.forEach(visit);
      const last = this.#announced.get(`${prefix}:${job.queue}`) ?? -Infinity;
      if (nowMs - last > ANNOUNCE_EVERY_MS) fresh.add(job.queue);
    };
    visit(plan);
    if (fresh.size === 0) return;
    await client.sadd(this.keys.queues(prefix), ...fresh);
    for (const queue of fresh) this.#announced.set(`${prefix}:${queue}`, nowMs);
  }
}

/** When a publication last got somewhere; a wide one takes as long as it takes, while it moves. */
interface Pulse {
  at: number;
}

/** Bounds the time that a publication may stand still. */
async function boundedByPulse<T>(
  work: Promise<T>,
  pulse: Pulse,
  limitMs: number,
  onTimeout: () => Error,
): Promise<T> {
  for (;;) {
    const seen = pulse.at;
    const left = seen + limitMs - Date.now();
    try {
      return await bounded(work, Math.max(left, 1), onTimeout);
    } catch (error) {
      if (pulse.at === seen || !(error instanceof BrokerUnavailableError)) throw error;
    }
  }
}

/** What Redis said. Of a transaction that was discarded: why, which is what stopped one of its commands. */
function reasonOf(error: unknown): string {
  const [first] = (error as { previousErrors?: readonly unknown[] } | undefined)?.previousErrors ?? [];
  const said = first ?? error;
  return said instanceof Error ? said.message : String(said);
}

function withId(error: BrokerUnavailableError, id: string): BrokerUnavailableError {
  return new BrokerUnavailableError(error.message, id, { cause: error });
}
