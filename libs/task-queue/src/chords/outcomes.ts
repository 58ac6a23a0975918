import type { JsonValue } from '../primitives/json.js';
import type { Outcome } from './built-in-recoveries.js';
import type { MemberOutcome } from './chord-recovery.js';

/**
 * What the members of a header came to, read page by page while it is iterated: for bodies of headers that are too wide
 * to be held at once. A body takes it in the place of the list, as the type of its first parameter.
 *
 * ```ts
 * @Task()
 * async total(orders: Outcomes<Order>): Promise<number> {
 *   let total = 0;
 *   for await (const order of orders.values()) total += order.amount;
 *   return total;
 * }
 * ```
 *
 * It can be iterated as often as needed; each time reads anew. `T` is what a member returns.
 */
export class Outcomes<T = JsonValue> implements AsyncIterable<MemberOutcome<T>> {
  readonly #read: () => AsyncIterable<readonly MemberOutcome[]>;
  readonly #node: string | undefined;

  /** @internal */
  constructor(
    /** How many members there are. */
    readonly size: number,
    read: () => AsyncIterable<readonly MemberOutcome[]>,
    node?: string,
  ) {
    this.#read = read;
    this.#node = node;
  }

  /** The node whose members these are, where it is not a list. @internal */
  static nodeOf(outcomes: Outcomes): string | undefined {
    return outcomes.#node;
  }

  /** The same over a list that is there already, of values or of outcomes, as when a task is called with one. @internal */
  static of(given: unknown): Outcomes {
    if (given instanceof Outcomes) return given as Outcomes;
    if (!Array.isArray(given))
      throw new TypeError(`expected a list of values for Outcomes, got ${typeof given}`);
    const list = given as readonly JsonValue[];
    const isSettled = list.every(isOutcome);
    const members = list.map((entry, index): MemberOutcome => {
      const own = { index, taskId: '' };
      if (!isSettled || !isOutcome(entry)) return { status: 'fulfilled', ...own, value: entry };
      return entry.status === 'fulfilled'
        ? { status: 'fulfilled', ...own, value: entry.value }
        : { status: 'rejected', index, taskId: entry.reason.request.id, failure: entry.reason };
    });
    return new Outcomes(members.length, async function* () {
      yield members;
    });
  }

  /** Every member in definition order, whether it returned or failed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<MemberOutcome<T>, void, undefined> {
    for await (const page of this.#read()) yield* page as readonly MemberOutcome<T>[];
  }

  /** The values of those that returned, in definition order. */
  async *values(): AsyncGenerator<T, void, undefined> {
    for await (const member of this) if (member.status === 'fulfilled') yield member.value;
  }

  /** Those that failed, in definition order. */
  async *failures(): AsyncGenerator<Extract<MemberOutcome<T>, { status: 'rejected' }>, void, undefined> {
    for await (const member of this) if (member.status === 'rejected') yield member;
  }

  /** What stands in records and logs in its place. */
  toJSON(): JsonValue {
    return { outcomes: this.size };
  }
}

/** Whether an entry of a list is in the form that `settled()` gives. */
function isOutcome(entry: JsonValue): entry is JsonValue & Outcome {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) return false;
  const keys = Object.keys(entry).sort().join();
  return entry['status'] === 'fulfilled'
    ? keys === 'status,value'
    : keys === 'reason,status' && entry['status'] === 'rejected';
}
