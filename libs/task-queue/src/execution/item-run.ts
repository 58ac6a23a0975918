import { setImmediate as turn } from 'node:timers/promises';
import { InvalidArgumentsError, UnserializableResultError } from '../errors/task.errors.js';
import type { TaskEnvelope } from '../flow/envelope.js';
import type { Clock } from '../primitives/clock.js';
import { findNonJson, type JsonValue } from '../primitives/json.js';

/** The item that runs, or that failed. */
export interface CurrentItem {
  readonly index: number;
  readonly args: readonly JsonValue[];
  /** When it began in this attempt, in epoch milliseconds. */
  readonly startedMs: number;
}

/** What is done around the items of one attempt, beside calling the handler. */
export interface ItemRules {
  /** The outcome of an item that threw, as it stands in the list; undefined where the attempt ends with it. */
  readonly settle?: (thrown: unknown, item: CurrentItem) => Promise<JsonValue | undefined>;
  /** Calls the handler, where it has to be called. */
  readonly around?: (args: readonly JsonValue[], invoke: () => unknown) => unknown;
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
    private readonly envelope: TaskEnvelope,
    private readonly args: readonly JsonValue[],
    private readonly clock: Clock,
    private readonly rules: ItemRules = {},
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

  /** The call as far as it has come. An item that is new counts its waiting, and where items settle its retries, anew. */
  get reached(): TaskEnvelope {
    const { retried, waitingSince, ...call } = this.envelope;
    const isNew = this.#values.length > (call.done?.length ?? 0);
    return {
      ...call,
      done: this.#values,
      ...(retried === undefined || (isNew && call.settle === true) ? {} : { retried }),
      ...(waitingSince === undefined || isNew ? {} : { waitingSince }),
    };
  }

  /** When the retries of the item that runs began to count, where they are its own. */
  get sinceMs(): number | undefined {
    return this.envelope.settle === true ? this.#current?.startedMs : undefined;
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
    const { settle, around } = this.rules;
    const items = this.#items();
    for (let index = this.#values.length; index < items.length; index++) {
      proceed();
      const item = items[index] ?? null;
      const current = { index, args: this.#shownArgs(item), startedMs: this.clock.wallMs() };
      this.#current = current;
      let returned: unknown;
      try {
        const args = this.#argsOf(item, index);
        const invoke = (): unknown => call(args, index);
        returned = around === undefined ? invoke() : around(args, invoke);
        const value = this.#storable(await returned, index);
        this.#values.push(settle === undefined ? value : { status: 'fulfilled', value });
      } catch (thrown) {
        const outcome = await settle?.(thrown, current);
        if (outcome === undefined) throw thrown;
        this.#values.push(outcome);
      }
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

  /** The arguments as a failure shows them, also where they cannot be used. */
  #shownArgs(item: JsonValue): readonly JsonValue[] {
    return this.envelope.each === 'starmap' && Array.isArray(item) ? item : [item];
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
