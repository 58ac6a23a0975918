import type { Delivery } from '../backend/delivery.js';
import { redactStored } from '../codec/redact-stored.js';
import type { StoredValues } from '../codec/stored-values.js';
import { type Redaction, redactFailure, type RedactRoot } from '../failure/redaction.js';
import type { TaskFailure } from '../failure/task-failure.js';
import { positionOf, rootOf } from '../flow/ids.js';
import type { LogFields } from './engine-log.js';

type Named = Pick<Delivery, 'id' | 'name' | 'queue' | 'activations' | 'attemptsMade'>;

/** What may be said of a task: in records of failures, in events, in logs. */
export class Discretion {
  constructor(
    readonly redact: Redaction,
    private readonly logsArgs: boolean,
    private readonly values: StoredValues,
  ) {}

  failure(failure: TaskFailure): TaskFailure {
    return redactFailure(failure, (root, value) => this.stored(root, value));
  }

  /**
   * A value as it is stored, without what is to be hidden. It is looked through as its codec reads it, where the names and
   * paths are those of its user.
   */
  stored<T>(root: RedactRoot, value: T): T {
    return this.values.areRead
      ? redactStored(root, value, this.redact, this.values)
      : this.redact(root, value);
  }

  /** What a line about an attempt carries. */
  fields(delivery: Named, args: readonly unknown[]): LogFields {
    const fields = fieldsOf(delivery);
    return this.logsArgs ? { ...fields, args: this.stored('args', args) } : fields;
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
