import type { ApplyOptions } from '../canvas/call-options.js';
import type { Duration } from '../primitives/duration.js';

/** What ends a task for whose result nobody waits any more. */
export type RevokeOnUnsubscribe = boolean | { readonly terminate: boolean };

/** How `send()` waits. */
export interface SendOptions {
  /**
   * How long `send()` waits for the result, until it ends with a ResultTimeoutError; `Infinity` waits for ever.
   *
   * @defaultValue '5m'
   */
  readonly timeout?: Duration;
  /**
   * Whether the task is revoked when nobody waits for it any more: after `unsubscribe()`, or when its time is over. One
   * that runs may finish, unless `{ terminate: true }` ends it.
   *
   * @defaultValue false: the task goes on
   */
  readonly revokeOnUnsubscribe?: RevokeOnUnsubscribe;
}

/** Options of one message: those of every call of a task, and how `send()` waits. */
export interface TaskQueueRecordOptions extends ApplyOptions, SendOptions {}

/** A payload with options. Made by `TaskQueueRecordBuilder`. */
export class TaskQueueRecord<Data = unknown> {
  constructor(
    readonly data: Data,
    readonly options: TaskQueueRecordOptions,
  ) {}
}

/**
 * Makes a message with options of its own.
 *
 * ```ts
 * client.emit('invoice.due', new TaskQueueRecordBuilder(invoice).setOptions({ countdown: '1d' }).build());
 * ```
 */
export class TaskQueueRecordBuilder<Data = unknown> {
  #data: Data | undefined;
  #options: TaskQueueRecordOptions = {};

  /** @param data the payload; none publishes a task without arguments */
  constructor(data?: Data) {
    this.#data = data;
  }

  setData(data: Data): this {
    this.#data = data;
    return this;
  }

  /** Over the options that were set before. */
  setOptions(options: TaskQueueRecordOptions): this {
    this.#options = { ...this.#options, ...options };
    return this;
  }

  build(): TaskQueueRecord<Data | undefined> {
    return new TaskQueueRecord(this.#data, this.#options);
  }
}
