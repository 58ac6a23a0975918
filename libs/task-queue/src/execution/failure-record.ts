import type { Delivery } from '../backend/delivery.js';
import type { MemberOutcome } from '../chords/chord-recovery.js';
import type { ClosingRecord } from '../chords/closing-record.js';
import { PLAIN_VALUES, type StoredValues } from '../codec/stored-values.js';
import { TaskQueueError } from '../errors/task-queue.error.js';
import { serializeError } from '../failure/serialize-error.js';
import type { FailureReason, MemberFailure, SerializedError, TaskFailure } from '../failure/task-failure.js';
import { positionOf, rootOf } from '../flow/ids.js';
import type { JsonValue } from '../primitives/json.js';
import { generationIn } from '../task/redriven.js';

const REASONS: Readonly<Record<string, FailureReason>> = {
  SOFT_TIME_LIMIT_EXCEEDED: 'soft-time-limit',
  TIME_LIMIT_EXCEEDED: 'time-limit',
  TASK_REVOKED: 'revoked',
  TASK_EXPIRED: 'expired',
  WORKER_LOST: 'worker-lost',
  TASK_REMOVED: 'removed',
  MEMBER_PENDING: 'pending',
};

/** What was called when a task failed. */
export interface CallMade {
  readonly args: readonly JsonValue[];
  /** Of which item of a list. */
  readonly index?: number | undefined;
  readonly headers?: Readonly<Record<string, JsonValue>> | undefined;
}

/** How many members' failures a composite's record holds itself; the rest is read from its node. */
export const FAILURES_IN_RECORD = 50;

/** The record of a task's final failure. */
export function failureRecord(
  delivery: Delivery,
  args: readonly JsonValue[],
  thrown: unknown,
  nowMs: number,
  { index: item, headers }: Partial<CallMade> = {},
  values: StoredValues = PLAIN_VALUES,
): TaskFailure {
  const generation = generationIn(delivery.data);
  return {
    request: {
      id: delivery.id,
      name: delivery.name,
      args,
      ...(item === undefined ? {} : { item }),
      ...(headers === undefined ? {} : { headers }),
      queue: delivery.queue,
      attempt: delivery.activations,
      workflowId: rootOf(delivery.id),
      position: positionOf(delivery.id),
      ...(generation === undefined ? {} : { generation }),
    },
    error: serializeError(thrown, (value) => values.writeIfPossible(value)),
    reason: (thrown instanceof TaskQueueError && REASONS[thrown.code]) || 'error',
    at: new Date(nowMs).toISOString(),
  };
}

/**
 * The record of a composite whose members failed. Its cause is the failure with the lowest index, of one that has ended
 * where there is one.
 */
export async function membersFailedRecord(
  delivery: Delivery,
  error: Pick<SerializedError, 'name' | 'code'>,
  pages: AsyncIterable<readonly MemberOutcome[]>,
  nowMs: number,
  closing?: ClosingRecord,
): Promise<TaskFailure> {
  const failures: MemberFailure[] = [];
  let size = 0;
  let failed = 0;
  let revoked = 0;
  let pending = 0;
  let first: MemberFailure | undefined;
  for await (const page of pages) {
    size += page.length;
    for (const member of page) {
      if (member.status === 'fulfilled') continue;
      failed += 1;
      const { reason } = member.failure;
      if (reason === 'revoked') revoked += 1;
      if (reason === 'pending') pending += 1;
      if (first === undefined || (first.failure.reason === 'pending' && reason !== 'pending'))
        first = { index: member.index, failure: member.failure };
      if (failures.length < FAILURES_IN_RECORD)
        failures.push({ index: member.index, failure: member.failure });
    }
  }
  const base = failureRecord(delivery, [], undefined, nowMs);
  return {
    ...base,
    error: {
      ...error,
      message:
        (closing === undefined || closing.by === 'end' ? '' : `The header was closed: ${closing.why}. `) +
        `${failed - pending} of ${size} members failed` +
        (pending === 0 ? '' : ` and ${pending} had not ended`) +
        (first
          ? `; the first is [${first.index}] ${nameOf(first.failure)}: ${first.failure.error.message}`
          : ''),
      ...(first ? { cause: first.failure.error } : {}),
    },
    // A canvas that was revoked as a whole ends as revoked, not as a failure of its members.
    reason: failed > 0 && failed === revoked ? 'revoked' : 'error',
    failures: failures.map(withoutMembers),
    failureCount: failed,
  };
}

/**
 * A member as the record of its node holds it. What failed inside of it stands in its own record, under its id: with
 * everything in everything, the records of a few nested groups would grow with the product of their widths.
 */
function withoutMembers({ index, failure }: MemberFailure): MemberFailure {
  const { failures: _failures, values: _values, ...own } = failure;
  return { index, failure: own };
}

function nameOf(failure: TaskFailure): string {
  return failure.request.name || failure.request.id;
}
