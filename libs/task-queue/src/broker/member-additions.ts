import type { FlowPlan } from '../flow/flow-plan.js';
import { CANVAS_QUEUE } from '../flow/ids.js';
import { childOptions, flowJob, leavesByQueue, parentRef } from './flow-jobs.js';
import type { Producers } from './producers.js';
import type { RedisKeys } from './redis-keys.js';
import type { Additions } from './transactions.js';

/**
 * BullMQ's additions of members to a header that is there.
 *
 * @param open gets those that are to be filled
 */
export function memberAdditions(
  members: readonly FlowPlan[],
  node: string,
  open: FlowPlan[],
  { keys, producers }: { readonly keys: RedisKeys; readonly producers: Producers },
): Additions {
  const parent = parentRef(keys, { queue: CANVAS_QUEUE, id: node });
  const flows = members
    .filter((member) => member.children.length > 0)
    .map((member) => flowJob(member, keys, open, parent));
  const additions = leavesByQueue(members).map((leaves) => () => {
    const [first] = leaves;
    const queue = producers.queue(first?.job.queue ?? CANVAS_QUEUE, node, 'ledger');
    return queue.addBulk(
      leaves.map(({ job }) => ({ name: job.name, data: job.data, opts: childOptions(job, parent) })),
    ) as Promise<unknown>;
  });
  if (flows.length > 0) additions.push(() => producers.flow(node, 'ledger').addBulk(flows));
  return additions;
}
