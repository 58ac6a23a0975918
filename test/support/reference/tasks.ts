import type { Json, TaskName } from './canvas-model.js';

/** How often a task that fails is run again: only `flaky` has a retry policy. */
export const MAX_RETRIES: Readonly<Record<TaskName, number>> = {
  ident: 0,
  list: 0,
  add: 0,
  sum: 0,
  sumTree: 0,
  double: 0,
  flaky: 2,
  failIfOdd: 0,
  fail: 0,
};

type TaskFunction = (args: readonly Json[], attempt: number) => Json;

/**
 * What each task does, for the interpreter and for the real handlers alike. Every function is total over JSON and
 * depends on nothing but its arguments and the attempt, which counts from 1.
 */
const TASKS: Readonly<Record<TaskName, TaskFunction>> = {
  ident: ([first = null]) => first,
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

export function runTask(name: TaskName, args: readonly Json[], attempt: number): Json {
  return TASKS[name](args, attempt);
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
