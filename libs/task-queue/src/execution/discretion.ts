import type { Delivery } from '../backend/delivery.js';
import { type Redaction, redactFailure } from '../failure/redaction.js';
import type { TaskFailure } from '../failure/task-failure.js';
import { positionOf, rootOf } from '../flow/ids.js';
import type { LogFields } from './engine-log.js';

type Named = Pick<Delivery, 'id' | 'name' | 'queue' | 'activations' | 'attemptsMade'>;

/** What may be said of a task: in records of failures, in events, in logs. */
export class Discretion {
  constructor(
    readonly redact: Redaction,
    private readonly logsArgs: boolean,
  ) {}

  failure(failure: TaskFailure): TaskFailure {
    return redactFailure(failure, this.redact);
  }

  /** What a line about an attempt carries. */
  fields(delivery: Named, args: readonly unknown[]): LogFields {
    const fields = fieldsOf(delivery);
    return this.logsArgs ? { ...fields, args: this.redact('args', args) } : fields;
  }
}

/** What a line about a task or composite carries. */
export function fieldsOf({ id, name, queue, activations, attemptsMade }: Named): LogFields {
  return {
    taskId: id,
    task: name,
    queue,
    attempt: activations,
    retries: attemptsMade,
    workflowId: rootOf(id),
    position: positionOf(id),
  };
}
