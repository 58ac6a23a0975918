import { setImmediate as turn } from 'node:timers/promises';
import { InvalidArgumentsError, UnserializableResultError } from '../errors/task.errors.js';
import type { TaskEnvelope } from '../flow/envelope.js';
import { findNonJson, type JsonValue } from '../primitives/json.js';

/** The item that runs, or that failed. */
export interface CurrentItem {
  readonly index: number;
  readonly args: readonly JsonValue[];
}

/**
 * One attempt of a task that runs for a list of items, one after the other.
 *
 * It begins after the items that attempts before it came through: a retry repeats the item that failed, not those that
 * returned.
 */
export class ItemRun {
  readonly #values: JsonValue[];
  #current: CurrentItem | undefined;

  constructor(
    private readonly task: string,
    private readonly envelope: Pick<TaskEnvelope, 'each' | 'done'>,
    private readonly args: readonly JsonValue[],
  ) {
    this.#values = [...(envelope.done ?? [])];
  }

  /** What the items have returned so far, in their order. */
  get values(): readonly JsonValue[] {
    return this.#values;
  }

  get current(): CurrentItem | undefined {
    return this.#current;
  }

  /**
   * @param call runs the handler for one item
   * @param proceed throws when no further item may begin
   * @throws InvalidArgumentsError when there is no list; UnserializableResultError; whatever an item throws
   */
  async run(
    call: (args: readonly JsonValue[], index: number) => unknown,
    proceed: () => void,
  ): Promise<JsonValue[]> {
    const items = this.#items();
    for (let index = this.#values.length; index < items.length; index++) {
      proceed();
      const args = this.#argsOf(items[index] ?? null, index);
      this.#current = { index, args };
      const returned = call(args, index);
      this.#values.push(this.#storable(await returned, index));
      // Handlers that wait for nothing would else hold up every timer of the process, those of locks and limits too.
      if (!(returned instanceof Promise)) await turn();
    }
    return this.#values;
  }

  #items(): readonly JsonValue[] {
    const [items] = this.args;
    if (this.args.length === 1 && Array.isArray(items)) return items;
    throw this.#refused(`takes one list of items, and got ${JSON.stringify(this.args)?.slice(0, 200)}`);
  }

  #argsOf(item: JsonValue, index: number): readonly JsonValue[] {
    if (this.envelope.each === 'map') return [item];
    if (Array.isArray(item)) return item;
    throw this.#refused(`takes lists of arguments, and item ${index} is none`);
  }

  #refused(problem: string): InvalidArgumentsError {
    const message = `A ${this.envelope.each} of task "${this.task}" ${problem}.`;
    return new InvalidArgumentsError(message, message);
  }

  #storable(value: unknown, index: number): JsonValue {
    if (value === undefined || value === null) return null;
    const offence = findNonJson(value, `result[${index}]`);
    if (offence === undefined) return value as JsonValue;
    throw new UnserializableResultError(
      `Task "${this.task}" returned what cannot be stored as JSON: ${offence.path} is ${offence.found}.`,
    );
  }
}
