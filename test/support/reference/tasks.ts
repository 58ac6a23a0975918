import type { Json, TaskName } from './canvas-model.js';

/** How often a task that fails is run again. */
export const MAX_RETRIES: Partial<Readonly<Record<TaskName, number>>> = { flaky: 2, again: 1 };

/** A failure that does not come from what the handler computes: by the error that ends the task, and why. */
export interface Trouble {
  readonly error: string;
  /** Of errors of the library the wording is nobody's contract. */
  readonly message?: string;
  readonly reason: 'error' | 'soft-time-limit' | 'time-limit' | 'expired';
  /** Whether its handler is called. */
  readonly runs: boolean;
  /** Whether a worker knows the task, and so its hooks. */
  readonly known: boolean;
}

const trouble = (error: string, more: Partial<Trouble> = {}): Trouble => ({
  error,
  reason: 'error',
  runs: true,
  known: true,
  ...more,
});

/** Tasks that can only fail, each in its own way; none of them is run again. */
export const TROUBLES: Partial<Readonly<Record<TaskName, Trouble>>> = {
  failFinally: trouble('NonRetryableError'),
  reject: trouble('NonRetryableError'),
  throwNothing: trouble('NonError', { message: 'a task threw undefined' }),
  returnBigInt: trouble('UnserializableResultError'),
  overrunSoft: trouble('SoftTimeLimitExceededError', { reason: 'soft-time-limit' }),
  overrunHard: trouble('TimeLimitExceededError', { reason: 'time-limit' }),
  expired: trouble('TaskExpiredError', { reason: 'expired', runs: false }),
  unknown: trouble('UnknownTaskError', { runs: false, known: false }),
};

type TaskFunction = (args: readonly Json[], attempt: number) => Json;

/**
 * What each task does, for the interpreter and for the real handlers alike. Every function is total over JSON and
 * depends on nothing but its arguments and the attempt, which counts from 1.
 */
const TASKS: Partial<Readonly<Record<TaskName, TaskFunction>>> = {
  ident: ([first = null]) => first,
  adder: ([first = null]) => first,
  list: (args) => [...args],
  add: (args) => total(args.flatMap(itemsOf)),
  sum: ([first = 0]) => total(Array.isArray(first) ? first : [first]),
  sumTree: (args) => total(args.flatMap(leavesOf)),
  double: ([first = null]) => doubled(first),
  flaky: (args, attempt) => {
    const failures = args.at(-1);
    if (typeof failures === 'number' && attempt <= failures) throw new Error(`flaky ${attempt}`);
    return args[0] ?? null;
  },
  again: (args, attempt) => {
    const failures = args.at(-1);
    if (typeof failures === 'number' && attempt <= failures) throw new TypeError(`again ${attempt}`);
    return args[0] ?? null;
  },
  failIfOdd: (args) => {
    const number = total(args.flatMap(leavesOf));
    if (number % 2 !== 0) throw new RangeError(`odd ${number}`);
    return args[0] ?? null;
  },
  fail: (args) => {
    const tag = args.at(-1);
    throw new Error(typeof tag === 'string' ? `boom ${tag}` : 'boom');
  },
};

/** @throws what the task fails with; TypeError where it does not compute its value from its arguments */
export function runTask(name: TaskName, args: readonly Json[], attempt: number): Json {
  const run = TASKS[name];
  if (run === undefined) throw new TypeError(`${name} computes nothing`);
  return run(args, attempt);
}

function total(values: readonly Json[]): number {
  return values.reduce<number>((sum, value) => (typeof value === 'number' ? sum + value : sum), 0);
}

function itemsOf(value: Json): Json[] {
  return Array.isArray(value) ? value.flatMap(itemsOf) : [value];
}

function leavesOf(value: Json): Json[] {
  if (Array.isArray(value)) return value.flatMap(leavesOf);
  if (typeof value === 'object' && value !== null) return Object.values(value).flatMap(leavesOf);
  return [value];
}

function doubled(value: Json): Json {
  if (typeof value === 'number') return value * 2;
  if (Array.isArray(value)) return value.map(doubled);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, doubled(inner)]));
  }
  return value;
}
