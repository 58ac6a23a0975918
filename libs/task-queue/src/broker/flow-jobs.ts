import type { FlowJob, JobsOptions } from 'bullmq';
import type { SentinelEnvelope } from '../flow/envelope.js';
import { type FlowPlan, MAX_TREE, type PlannedJob } from '../flow/flow-plan.js';
import { CANVAS_QUEUE, childId } from '../flow/ids.js';
import type { RedisKeys } from './redis-keys.js';

/** How long a wide node waits for a producer that went silent; renewed while it publishes. */
export const DISPATCH_LEASE_MS = 60_000;

/** A node's job, as a child of it refers to it. */
export interface ParentRef {
  readonly id: string;
  readonly queue: string;
}

export function parentRef(keys: RedisKeys, { id, queue }: Pick<PlannedJob, 'id' | 'queue'>): ParentRef {
  return { id, queue: `${keys.prefixOf(id)}:${queue}` };
}

/** One that failed is kept, so that whoever looks into its queue finds it with its data, message and stack. */
const GOES_WITH_ITS_VALUE: JobsOptions = { removeOnComplete: true };
/** Every edge says what happens when a child fails: the node hears of it, and runs when all are terminal. */
const UNDER_NODE: JobsOptions = { ignoreDependencyOnFailure: true };
/** Members of a node with a budget: it is released by each failure, and looks whether that was one too many. */
const REPORTING: JobsOptions = { continueParentOnFailure: true };

/** BullMQ's options of a job that stands alone. */
export function jobOptions(job: PlannedJob): JobsOptions {
  return {
    jobId: job.id,
    ...(job.delayMs === undefined ? {} : { delay: job.delayMs }),
    ...(job.priority === undefined ? {} : { priority: job.priority }),
    ...(job.lifo === true ? { lifo: true } : {}),
    // Whatever else is kept goes when it has expired; BullMQ's own removal by age costs every task that ends.
    ...(job.retention === 'parent' ? GOES_WITH_ITS_VALUE : {}),
  };
}

/** BullMQ's options of a job below a node. */
export function childOptions(job: PlannedJob, parent: ParentRef): JobsOptions {
  return { ...jobOptions(job), ...underNode(job), parent };
}

function underNode({ reports }: PlannedJob): JobsOptions {
  return reports === true ? REPORTING : UNDER_NODE;
}

/**
 * BullMQ's form of a plan.
 *
 * @param open gets the nodes that are too wide for one transaction: they go out with a sentinel instead of their
 *   children, and are to be filled
 */
export function flowJob(plan: FlowPlan, keys: RedisKeys, open: FlowPlan[], parent?: ParentRef): FlowJob {
  const job = nodeJob(plan, keys, open, parent !== undefined);
  return parent === undefined ? job : { ...job, opts: { ...job.opts, parent } };
}

function nodeJob(plan: FlowPlan, keys: RedisKeys, open: FlowPlan[], below: boolean): FlowJob {
  const { job, children } = plan;
  const wide = plan.size > MAX_TREE && children.length > 0;
  if (wide) open.push(plan);
  return {
    name: job.name,
    queueName: job.queue,
    prefix: keys.prefixOf(job.id),
    data: job.data,
    opts: { ...jobOptions(job), ...(below ? underNode(job) : {}) },
    ...(children.length === 0
      ? {}
      : {
          children: wide
            ? [sentinel(plan.job.id, keys, 0)]
            : children.map((child) => nodeJob(child, keys, open, true)),
        }),
  };
}

/** A node whose members follow, held back by its sentinel. */
export function openJob(job: PlannedJob, keys: RedisKeys): FlowJob {
  return {
    name: job.name,
    queueName: job.queue,
    prefix: keys.prefixOf(job.id),
    data: job.data,
    opts: jobOptions(job),
    children: [sentinel(job.id, keys, 0)],
  };
}

/** The same tree, in which some nodes are held back by sentinels of a generation. */
export function withSentinels(
  job: FlowJob,
  keys: RedisKeys,
  held: ReadonlySet<string>,
  generation: number,
): FlowJob {
  const id = job.opts?.jobId ?? '';
  const children = (job.children ?? []).map((child) => withSentinels(child, keys, held, generation));
  if (held.has(id)) children.push(sentinel(id, keys, generation));
  return children.length === 0 ? job : { ...job, children };
}

function sentinel(node: string, keys: RedisKeys, generation: number): FlowJob {
  return {
    name: 'sentinel',
    queueName: CANVAS_QUEUE,
    prefix: keys.prefixOf(node),
    data: sentinelOf(generation),
    opts: sentinelOptions(node, DISPATCH_LEASE_MS),
  };
}

/** What a sentinel holds: in a redrive, of which generation it is. */
export function sentinelOf(generation: number): SentinelEnvelope {
  return { v: 1, node: 'sentinel', ...(generation > 0 ? { generation } : {}) };
}

/** BullMQ's options of a sentinel, without its parent. */
export function sentinelOptions(node: string, delayMs: number): JobsOptions {
  return {
    jobId: childId(node, 'sentinel'),
    delay: delayMs,
    ...GOES_WITH_ITS_VALUE,
    removeOnFail: true,
    ...UNDER_NODE,
  };
}

/** The plans without children, by their queue. */
export function leavesByQueue(plans: readonly FlowPlan[]): FlowPlan[][] {
  const queues = new Map<string, FlowPlan[]>();
  for (const plan of plans) {
    if (plan.children.length > 0) continue;
    const members = queues.get(plan.job.queue);
    if (members) members.push(plan);
    else queues.set(plan.job.queue, [plan]);
  }
  return [...queues.values()];
}
