/**
 * Canvases as the reference interpreter sees them: plain data, with no tie to the library.
 *
 * A `link` or `errback` is only a label. Whoever runs the canvas attaches a callback that records the label,
 * and the interpreter says which labels must be recorded, and with what.
 */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export const TASK_NAMES = [
  'ident',
  'list',
  'add',
  'sum',
  'sumTree',
  'double',
  'flaky',
  'failIfOdd',
  'fail',
] as const;
export type TaskName = (typeof TASK_NAMES)[number];

export const RECOVERIES = ['errback-only', 'callback-with-successes', 'callback-with-outcomes'] as const;
export type Recovery = (typeof RECOVERIES)[number];

interface Callbacks {
  /** Label recorded once when this node succeeds. */
  link?: string;
  /** Label recorded once when this node fails. */
  errback?: string;
}

export interface TaskRef extends Callbacks {
  kind: 'task';
  name: TaskName;
  args: Json[];
  /** An immutable task ignores the value that comes in. */
  immutable?: boolean;
}

export interface ChainRef extends Callbacks {
  kind: 'chain';
  steps: Ref[];
}

export interface GroupRef extends Callbacks {
  kind: 'group';
  members: Ref[];
}

export interface ChordRef extends Callbacks {
  kind: 'chord';
  header: Ref[];
  body: Ref;
  recovery: Recovery;
}

export type Ref = TaskRef | ChainRef | GroupRef | ChordRef;

export const task = (name: TaskName, ...args: Json[]): TaskRef => ({ kind: 'task', name, args });

export const immutableTask = (name: TaskName, ...args: Json[]): TaskRef => ({
  ...task(name, ...args),
  immutable: true,
});

export const chain = (...steps: Ref[]): ChainRef => ({ kind: 'chain', steps });

export const group = (...members: Ref[]): GroupRef => ({ kind: 'group', members });

export const chord = (header: Ref[], body: Ref, recovery: Recovery = 'errback-only'): ChordRef => ({
  kind: 'chord',
  header,
  body,
  recovery,
});

export const withLink = <R extends Ref>(ref: R, link: string): R => ({ ...ref, link });

export const withErrback = <R extends Ref>(ref: R, errback: string): R => ({ ...ref, errback });

/** The nodes directly under this one, in definition order; a chord's body comes last. */
export function childrenOf(ref: Ref): readonly Ref[] {
  switch (ref.kind) {
    case 'task':
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
