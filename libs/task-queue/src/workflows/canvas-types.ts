import type { CanvasData } from '../canvas/canvas-data.js';
import type { ApplyOptions } from '../canvas/call-options.js';
import type { TaskFailure } from '../failure/task-failure.js';

/**
 * What the type checker knows about a canvas. Functions, so that the arguments compare the way they are
 * used: what takes `unknown` fits where a `number` is put in, and not the other way round.
 */
export interface CanvasTypes<Missing, R, Input> {
  /** What still has to be given before it can be published by itself. */
  readonly missing: (args: Missing) => void;
  /** What may be put in front of its stored arguments when it is a part of another canvas. */
  readonly input: (args: Input) => void;
  readonly result: R;
}

/**
 * Anything that can be a part of a canvas: a signature, chain, group or chord.
 *
 * - `Missing`: the arguments that it misses, e.g. `[Order]`; `[]` when it is complete.
 * - `R`: what it contributes: a task's return value, the list of a group.
 * - `Input`: what it accepts from the canvas around it. The missing arguments, or anything (`unknown[]`) for
 *   what ignores its input: immutable signatures, and tasks without parameters.
 */
export interface CanvasLike<Missing, R, Input = Missing> {
  /** For the type checker only; there is nothing at run time. */
  readonly '~types': CanvasTypes<Missing, R, Input>;
  /** The canvas as plain data. */
  toJSON(): CanvasData;
}

/** A canvas of any kind, whatever it misses and returns. */
export type AnyCanvas = CanvasLike<never, unknown, never>;

/** A canvas that can follow a value of this type: as a later step, a callback, an errback, a body. */
export type Follower<Value> = CanvasLike<never, unknown, [Value]>;

/** What a canvas contributes. */
export type ResultOf<C extends AnyCanvas> = C['~types']['result'];

/** The arguments that a canvas misses. Of several canvases: those that fit all of them. */
export type MissingOf<C extends AnyCanvas> = Merged<
  Arguments<C, 'missing'>,
  C['~types']['missing'] extends (args: infer Args) => void ? Args : never
>;

/** What a canvas accepts in front of its stored arguments. Of several canvases: what fits all of them. */
export type InputOf<C extends AnyCanvas> = Merged<
  Arguments<C, 'input'>,
  C['~types']['input'] extends (args: infer Args) => void ? Args : never
>;

/** What a canvas of these members misses: they all get the same arguments, immutable ones none. */
export type MissingOfAll<C extends AnyCanvas> = [C] extends [never]
  ? []
  : [Receiving<C>] extends [never]
    ? MissingOf<C>
    : MissingOf<Receiving<C>>;

/** What a canvas of these members accepts; anything when all of them are immutable. */
export type InputOfAll<C extends AnyCanvas> = [Receiving<C>] extends [never]
  ? unknown[]
  : InputOf<Receiving<C>>;

/** Those members that do not ignore what is put in front of their arguments. */
type Receiving<C extends AnyCanvas> = C extends AnyCanvas
  ? unknown[] extends Arguments<C, 'input'>
    ? never
    : C
  : never;

/** The argument list of every canvas of a union, as a union. */
type Arguments<C extends AnyCanvas, Side extends 'missing' | 'input'> = C extends AnyCanvas
  ? C['~types'][Side] extends (args: infer Args) => void
    ? Args
    : never
  : never;

/**
 * The argument lists of several canvases in one: where they are not one and the same, their intersection,
 * written out element by element, because nothing can be called with an intersection of lists.
 */
type Merged<Each, All> = All extends unknown[]
  ? true extends (Each extends unknown ? Same<Each, All> : never)
    ? All
    : WrittenOut<All>
  : never;

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

type WrittenOut<Args extends unknown[]> = Args['length'] extends 0
  ? []
  : Args['length'] extends 1
    ? [Args[0]]
    : Args['length'] extends 2
      ? [Args[0], Args[1]]
      : Args['length'] extends 3
        ? [Args[0], Args[1], Args[2]]
        : Args;

/** What `applyAsync` takes: the missing arguments first; they may be left out where none is missing. */
export type ApplyArguments<Missing extends unknown[], R> = [] extends Missing
  ? [args?: Missing, options?: CallOptionsOf<R>]
  : [args: Missing, options?: CallOptionsOf<R>];

/** Options of one call. Callbacks have to fit: `link` the value, `linkError` the failure. */
export interface CallOptionsOf<R> extends Omit<ApplyOptions, 'link' | 'linkError'> {
  /** Runs once, with the value, when the call succeeds. */
  readonly link?: Follower<R> | readonly Follower<R>[];
  /** Runs once, with the failure, when the call fails. */
  readonly linkError?: Follower<TaskFailure> | readonly Follower<TaskFailure>[];
}
