/**
 * Canvases as the reference interpreter sees them: plain data, with no tie to the library.
 *
 * A `link` or `errback` is only a label. Whoever runs the canvas attaches a callback that records the label,
 * and the interpreter says which labels must be recorded, and with what. A label that ends in `+` stands for a
 * callback that is a chain, of which the last step records.
 */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Headers, by name. */
export type Headers = Readonly<Record<string, Json>>;

export const TASK_NAMES = [
  'ident',
  'list',
  'add',
  'sum',
  'sumTree',
  'double',
  'headers',
  'ignore',
  'flaky',
  'again',
  'failIfOdd',
  'fail',
  'failFinally',
  'reject',
  'throwNothing',
  'returnBigInt',
  'overrunSoft',
  'overrunHard',
  'expired',
  'unknown',
  'swap',
  'adder',
] as const;
export type TaskName = (typeof TASK_NAMES)[number];

export const RECOVERIES = [
  'errback-only',
  'callback-with-successes',
  'callback-with-outcomes',
  'tally',
] as const;
export type Recovery = (typeof RECOVERIES)[number];

/** How a task is called for each item of a list: `map` gives it the item, `starmap` spreads it. */
export type ItemForm = 'map' | 'starmap';

interface Marks {
  /** Label recorded once when this node succeeds. */
  link?: string;
  /** Label recorded once when this node fails. */
  errback?: string;
  /** Headers for every task of this node and for its callbacks. Those of a node further out win. */
  stamp?: Record<string, Json>;
}

export interface TaskRef extends Marks {
  kind: 'task';
  name: TaskName;
  args: Json[];
  /** An immutable task ignores the value that comes in. */
  immutable?: boolean;
  /** One job that calls the task for each item of the list that it is given. */
  each?: ItemForm;
  /** What takes the place of a `swap`. */
  by?: Ref;
  /** What an `adder` adds to the group or header around it. */
  adds?: Ref[];
  /** Nobody wants its value, if nothing waits for it. */
  ignoreResult?: boolean;
}

export interface ChainRef extends Marks {
  kind: 'chain';
  steps: Ref[];
}

export interface GroupRef extends Marks {
  kind: 'group';
  members: Ref[];
  /** Label recorded once for each member that fails. */
  eachErrback?: string;
}

/** Calls of one task, so many to a job: a group of lists. */
export interface ChunksRef extends Marks {
  kind: 'chunks';
  name: TaskName;
  argLists: Json[][];
  size: number;
  /** Made into a plain group first. */
  asGroup?: boolean;
}

export interface ChordRef extends Marks {
  kind: 'chord';
  header: Ref[];
  body: Ref;
  recovery: Recovery;
}

export type Ref = TaskRef | ChainRef | GroupRef | ChunksRef | ChordRef;

export const task = (name: TaskName, ...args: Json[]): TaskRef => ({ kind: 'task', name, args });

export const immutableTask = (name: TaskName, ...args: Json[]): TaskRef => ({
  ...task(name, ...args),
  immutable: true,
});

/** A call for each of these items; without them, for each item of the list that comes in. */
export const each = (form: ItemForm, name: TaskName, items?: Json[]): TaskRef =>
  items === undefined ? { ...task(name), each: form } : { ...task(name, items), each: form, immutable: true };

/** A task that puts this canvas in its place. */
export const swap = (by: Ref): TaskRef => ({ ...task('swap'), by });

/** A task that adds these canvases to the group or header around it. */
export const adder = (...adds: Ref[]): TaskRef => ({ ...task('adder'), adds });

export const chain = (...steps: Ref[]): ChainRef => ({ kind: 'chain', steps });

export const group = (...members: Ref[]): GroupRef => ({ kind: 'group', members });

export const chunks = (name: TaskName, argLists: Json[][], size: number): ChunksRef => ({
  kind: 'chunks',
  name,
  argLists,
  size,
});

export const chord = (header: Ref[], body: Ref, recovery: Recovery = 'errback-only'): ChordRef => ({
  kind: 'chord',
  header,
  body,
  recovery,
});

export const withLink = <R extends Ref>(ref: R, link: string): R => ({ ...ref, link });

export const withErrback = <R extends Ref>(ref: R, errback: string): R => ({ ...ref, errback });

export const withStamp = <R extends Ref>(ref: R, stamp: Record<string, Json>): R => ({ ...ref, stamp });

/** The nodes directly under this one, in definition order; a chord's body comes last, a task has what it puts in its place or adds. */
export function childrenOf(ref: Ref): readonly Ref[] {
  switch (ref.kind) {
    case 'task':
      return [...(ref.by === undefined ? [] : [ref.by]), ...(ref.adds ?? [])];
    case 'chunks':
      return [];
    case 'chain':
      return ref.steps;
    case 'group':
      return ref.members;
    case 'chord':
      return [...ref.header, ref.body];
    default:
      return ref satisfies never;
  }
}

/** This node and everything under it, parents first. */
export function* nodesOf(ref: Ref): Generator<Ref, void, undefined> {
  yield ref;
  for (const child of childrenOf(ref)) yield* nodesOf(child);
}

/** The members of chunks: one call for a list of lists of arguments each. */
export function membersOfChunks({ name, argLists, size }: ChunksRef): TaskRef[] {
  return Array.from({ length: Math.ceil(argLists.length / size) }, (_, at) =>
    each('starmap', name, argLists.slice(at * size, (at + 1) * size)),
  );
}

/** Whether what is added to each group has an order: that of one task's calls, and not of who is faster. */
export function hasOrderedAdditions(canvas: Ref): boolean {
  return addersIn(canvas) <= 1;
}

/** How many tasks add to the group around a node; infinitely many where there is more than one for some group below. */
function addersIn(ref: Ref): number {
  const all = (refs: readonly Ref[]): number => refs.reduce((count, one) => count + addersIn(one), 0);
  switch (ref.kind) {
    case 'task':
      return all(childrenOf(ref)) + (ref.adds === undefined ? 0 : 1);
    case 'chunks':
      return 0;
    case 'chain':
      return all(ref.steps);
    case 'group':
      return all(ref.members) > 1 ? Infinity : 0;
    case 'chord':
      return all(ref.header) > 1 ? Infinity : addersIn(ref.body);
    default:
      return ref satisfies never;
  }
}
