import type { JsonValue } from '../primitives/json.js';
import type { TaskContext } from '../task/task-context.js';

/** One attempt, as whoever asks for faults sees it. */
export interface Attempted {
  readonly id: string;
  readonly name: string;
  readonly args: readonly JsonValue[];
  /** Counted from 1. */
  readonly attempt: number;
}

/** Which attempts of a task something happens to. */
export interface FaultOptions {
  /** Only this attempt of a call, or these; counted from 1. @defaultValue any */
  readonly attempt?: number | readonly number[];
  /** How many attempts in all, over all calls. @defaultValue 1; without an end where `attempt` is given */
  readonly times?: number;
  /** Only attempts for which this holds, e.g. those with certain arguments. */
  readonly when?: (attempted: Attempted) => boolean;
}

/** What happens to an attempt in place of its handler, or after it. */
export type Fault =
  | { readonly do: 'throw'; readonly error: () => unknown }
  | { readonly do: 'lose-worker'; readonly after: boolean };

interface Armed {
  readonly task: string;
  readonly options: FaultOptions;
  readonly fault: Fault;
  left: number;
}

/** Faults that wait for their attempts. The one that was asked for first strikes first. */
export class Faults {
  readonly #armed: Armed[] = [];

  add(task: string, options: FaultOptions, fault: Fault): void {
    const left = options.times ?? (options.attempt === undefined ? 1 : Infinity);
    this.#armed.push({ task, options, fault, left });
  }

  /** What happens to this attempt. */
  strike({ id, name, args, attempt }: TaskContext): Fault | undefined {
    const armed = this.#armed.find(
      ({ task, left, options }) =>
        task === name &&
        left > 0 &&
        (options.attempt === undefined || [options.attempt].flat().includes(attempt)) &&
        options.when?.({ id, name, args, attempt }) !== false,
    );
    if (armed === undefined) return undefined;
    armed.left -= 1;
    return armed.fault;
  }

  clear(): void {
    this.#armed.length = 0;
  }
}
