import { FlowProducer, type FlowJob, type JobsOptions, Queue } from 'bullmq';
import { BrokerUnavailableError } from '../errors/publish.errors.js';
import { TaskQueueError } from '../errors/task-queue.error.js';
import type { SentinelEnvelope } from '../flow/envelope.js';
import type { FlowPlan, PlannedJob } from '../flow/flow-plan.js';
import { CANVAS_QUEUE, childId } from '../flow/ids.js';
import { bounded } from '../primitives/bounded.js';
import type { Holder } from './canvas-ledger.js';
import { Mutex } from './mutex.js';
import type { ConnectionPurpose, RedisClient, RedisConnections } from './redis-connections.js';
import type { RedisKeys } from './redis-keys.js';

/** What the publisher needs to know of the module's options. */
export interface PublisherOptions {
  readonly publishTimeoutMs: number;
}

/** What became of a publication. */
export type Publication =
  /** It was carried out now. */
  | 'published'
  /** A canvas of this id exists; nothing was added. */
  | 'exists'
  /** The activation in whose name it was made has been superseded; nothing was added. */
  | 'superseded';

/** Trees up to this size go out as one transaction; wider ones are opened, filled in chunks and sealed. */
const MAX_TRANSACTION = 1_000;
/** Members per chunk: larger ones gain nothing and block Redis and the event loop longer. */
const CHUNK = 500;
/** How long a wide node waits for a producer that went silent; renewed while it publishes. */
const DISPATCH_LEASE_MS = 60_000;
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
export class FlowPublisher {
  readonly #queues = new Map<string, Queue>();
  readonly #producers = new Map<string, FlowProducer>();
  readonly #announced = new Set<string>();
  readonly #fence = new Mutex();

  constructor(
    private readonly connections: RedisConnections,
    private readonly keys: RedisKeys,
    private readonly options: PublisherOptions,
    private readonly onError: (error: Error) => void,
  ) {}

  /**
   * Publishes a new canvas, whose id nobody else uses.
   *
   * @throws BrokerUnavailableError within the publish timeout; the publication may have happened
   */
  publish(plan: FlowPlan): Promise<Publication> {
    return this.#guard(plan.job.id, async (pulse) => {
      const client = await this.connections.ready('publish', this.options.publishTimeoutMs);
      await this.#announce(plan, client);
      if (plan.children.length === 0) {
        await this.#queue(plan.job).add(plan.job.name, plan.job.data, this.#jobOptions(plan.job));
      } else {
        await this.#addTree(plan, 'publish', pulse);
      }
      return 'published';
    });
  }

  /** Publishes a canvas unless one of its id exists: for ids that callers chose, and for released callbacks. */
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

  /** Adds a child to a running node, as long as the node's activation holds its lock. */
  publishUnder(holder: Holder, plan: FlowPlan): Promise<Publication> {
    return this.#guard(plan.job.id, async (pulse) => {
      const client = await this.connections.ready('ledger', this.options.publishTimeoutMs);
      await this.#announce(plan, client);
      const lock = `${this.keys.job(holder.queue, holder.id)}:lock`;
      const parent = { id: holder.id, queue: `${this.keys.prefixOf(holder.id)}:${holder.queue}` };
      return this.#fenced(
        plan,
        pulse,
        client,
        lock,
        async () => ((await client.get(lock)) === holder.token ? 'free' : 'superseded'),
        parent,
      );
    });
  }

  /** The BullMQ queue of a name, in the shard of a canvas; for reads and removals. */
  queueFor(queue: string, canvasId: string): Queue {
    return this.#queue({ queue, id: canvasId });
  }

  async close(): Promise<void> {
    const open = [...this.#queues.values(), ...this.#producers.values()];
    this.#queues.clear();
    this.#producers.clear();
    await Promise.allSettled(
      open.map((one) => bounded(one.close(), 2_000, () => new Error('close timed out'))),
    );
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
      const reason = error instanceof Error ? error.message : String(error);
      throw new BrokerUnavailableError(`Redis refused the publication of ${id}: ${reason}`, id, {
        cause: error,
      });
    }
  }

  /** One transaction on the fencing connection, repeated while only a lock renewal came in between. */
  #fenced(
    plan: FlowPlan,
    pulse: Pulse,
    client: RedisClient,
    watched: string,
    look: () => Promise<'free' | 'exists' | 'superseded'>,
    parent?: ParentRef,
  ): Promise<Publication> {
    return this.#fence.run(async () => {
      for (let tries = 1; ; tries++) {
        await client.watch(watched);
        const found = await look();
        if (found !== 'free') {
          await client.unwatch();
          return found;
        }
        try {
          await this.#addTree(plan, 'ledger', pulse, parent);
          return 'published';
        } catch (error) {
          // BullMQ stumbles over the null that EXEC gives when the watched key has changed.
          if (!(error instanceof TypeError) || tries >= FENCED_TRIES) throw error;
        }
      }
    });
  }

  async #addTree(
    plan: FlowPlan,
    purpose: ConnectionPurpose,
    pulse: Pulse,
    parent?: ParentRef,
  ): Promise<void> {
    const open: FlowPlan[] = [];
    const flow = this.#flowJob(plan, parent !== undefined, open);
    if (parent) flow.opts = { ...flow.opts, parent };
    await this.#producer(plan.job, purpose).add(flow);
    for (const node of open) await this.#fill(node, pulse);
  }

  /** Publishes the members of an opened node in chunks, then seals it. */
  async #fill(node: FlowPlan, pulse: Pulse): Promise<void> {
    const parent = { id: node.job.id, queue: `${this.keys.prefixOf(node.job.id)}:${node.job.queue}` };
    let renewed = Date.now();
    for (let at = 0; at < node.children.length; at += CHUNK) {
      const chunk = node.children.slice(at, at + CHUNK);
      for (const members of leavesByQueue(chunk)) await this.#addLeaves(members, parent);
      const open: FlowPlan[] = [];
      const flows = chunk
        .filter((child) => child.children.length > 0)
        .map((child) => {
          const flow = this.#flowJob(child, true, open);
          return { ...flow, opts: { ...flow.opts, parent } };
        });
      if (flows.length > 0) await this.#producer(node.job, 'publish').addBulk(flows);
      for (const inner of open) await this.#fill(inner, pulse);
      pulse.at = Date.now();
      if (Date.now() - renewed > DISPATCH_LEASE_MS / 3) {
        renewed = Date.now();
        await this.#renewLease(node);
      }
    }
    await this.#queue({ queue: CANVAS_QUEUE, id: node.job.id }).remove(childId(node.job.id, 'sentinel'));
  }

  async #addLeaves(members: readonly FlowPlan[], parent: ParentRef): Promise<void> {
    const first = members[0];
    if (first === undefined) return;
    await this.#queue(first.job).addBulk(
      members.map(({ job }) => ({
        name: job.name,
        data: job.data,
        opts: { ...this.#jobOptions(job), ...UNDER_NODE, parent },
      })),
    );
  }

  async #renewLease(node: FlowPlan): Promise<void> {
    const queue = this.#queue({ queue: CANVAS_QUEUE, id: node.job.id });
    const sentinel = await queue.getJob(childId(node.job.id, 'sentinel'));
    await sentinel?.changeDelay(DISPATCH_LEASE_MS);
  }

  /** BullMQ's form of a plan. Nodes too wide for one transaction keep only their sentinel, and go to `open`. */
  #flowJob(plan: FlowPlan, hasParent: boolean, open: FlowPlan[]): FlowJob {
    const { job, children } = plan;
    const wide = plan.size > MAX_TRANSACTION && children.length > 0;
    if (wide) open.push(plan);
    return {
      name: job.name,
      queueName: job.queue,
      prefix: this.keys.prefixOf(job.id),
      data: job.data,
      opts: { ...this.#jobOptions(job), ...(hasParent ? UNDER_NODE : {}) },
      ...(children.length === 0
        ? {}
        : {
            children: wide
              ? [this.#sentinel(plan)]
              : children.map((child) => this.#flowJob(child, true, open)),
          }),
    };
  }

  #sentinel(node: FlowPlan): FlowJob {
    const data: SentinelEnvelope = { v: 1, node: 'sentinel' };
    return {
      name: 'sentinel',
      queueName: CANVAS_QUEUE,
      prefix: this.keys.prefixOf(node.job.id),
      data,
      opts: {
        jobId: childId(node.job.id, 'sentinel'),
        delay: DISPATCH_LEASE_MS,
        ...GOES_WITH_ITS_END,
        ...UNDER_NODE,
      },
    };
  }

  #jobOptions(job: PlannedJob): JobsOptions {
    return {
      jobId: job.id,
      ...(job.delayMs === undefined ? {} : { delay: job.delayMs }),
      ...(job.priority === undefined ? {} : { priority: job.priority }),
      ...(job.lifo === true ? { lifo: true } : {}),
      // Whatever else is kept goes when it has expired; BullMQ's own removal by age costs every task that ends.
      ...(job.retention === 'parent' ? GOES_WITH_ITS_END : {}),
    };
  }

  #queue({ queue, id }: Pick<PlannedJob, 'queue' | 'id'>): Queue {
    const prefix = this.keys.prefixOf(id);
    const key = `${prefix}:${queue}`;
    let known = this.#queues.get(key);
    if (known === undefined) {
      known = new Queue(queue, {
        connection: this.connections.get('publish'),
        prefix,
        skipVersionCheck: true,
        skipWaitingForReady: true,
        skipMetasUpdate: true,
      });
      known.on('error', this.onError);
      this.#queues.set(key, known);
      // One that met a dropping connection while it opened would reject for ever; the next call makes a new one.
      known.waitUntilReady().catch(() => this.#queues.delete(key));
    }
    return known;
  }

  #producer({ id }: Pick<PlannedJob, 'id'>, purpose: ConnectionPurpose): FlowProducer {
    const prefix = this.keys.prefixOf(id);
    const key = `${purpose}:${prefix}`;
    let known = this.#producers.get(key);
    if (known === undefined) {
      known = new FlowProducer({
        connection: this.connections.get(purpose),
        prefix,
        skipWaitingForReady: true,
      });
      known.on('error', this.onError);
      this.#producers.set(key, known);
      known.waitUntilReady().catch(() => this.#producers.delete(key));
    }
    return known;
  }

  /** Puts the queues of a plan into the set that handles are looked up with; once per process. */
  async #announce(plan: FlowPlan, client: RedisClient): Promise<void> {
    const prefix = this.keys.prefixOf(plan.job.id);
    const fresh = new Set<string>();
    const visit = ({ job, children }: FlowPlan): void => {
      if (job.queue !== CANVAS_QUEUE && !this.#announced.has(`${prefix}:${job.queue}`)) fresh.add(job.queue);
      children.forEach(visit);
    };
    visit(plan);
    if (fresh.size === 0) return;
    await client.sadd(this.keys.queues(prefix), ...fresh);
    for (const queue of fresh) this.#announced.add(`${prefix}:${queue}`);
  }
}

const GOES_WITH_ITS_END: JobsOptions = { removeOnComplete: true, removeOnFail: true };

/** Every edge says what happens when a child fails: the node hears of it and runs when all are terminal. */
const UNDER_NODE: JobsOptions = { ignoreDependencyOnFailure: true };

interface ParentRef {
  readonly id: string;
  readonly queue: string;
}

/** When a publication last got somewhere; a wide one takes as long as it takes, while it moves. */
interface Pulse {
  at: number;
}

function leavesByQueue(plans: readonly FlowPlan[]): FlowPlan[][] {
  const queues = new Map<string, FlowPlan[]>();
  for (const plan of plans) {
    if (plan.children.length > 0) continue;
    const members = queues.get(plan.job.queue);
    if (members) members.push(plan);
    else queues.set(plan.job.queue, [plan]);
  }
  return [...queues.values()];
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

function withId(error: BrokerUnavailableError, id: string): BrokerUnavailableError {
  return new BrokerUnavailableError(error.message, id, { cause: error });
}
