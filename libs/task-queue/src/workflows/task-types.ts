import type { Outcome } from '../chords/built-in-recoveries.js';
import type { Outcomes } from '../chords/outcomes.js';
import type { AsyncResult } from '../results/async-result.js';
import type { TaskContext } from '../task/task-context.js';
import type { ApplyArguments } from './canvas-types.js';
import type { Chunks } from './chunks.js';
import type { Signature } from './signature.js';

/**
 * Makes signatures of one task, and calls it.
 *
 * `Args` are the task's parameters without a last one of type TaskContext, which the library fills in.
 */
export interface TaskMaker<Args extends unknown[], R> {
  /** The name under which the task is published. */
  readonly taskName: string;

  /**
   * A signature with some or all of the arguments, the LAST ones of the list: of `f(a, b)`, `f.s(b)` misses
   * `[a]`. What it misses comes later, in front: from a call, or from the canvas that it is a part of.
   */
  readonly s: PartialMaker<Args, R>;

  /** A complete signature that ignores the value which a canvas would put in front of its arguments. */
  si(...args: Args): Signature<[], R, unknown[]>;

  /**
   * One job that calls the task for each item, one after the other; its value is the list of what they returned.
   * Without items it maps over the list that the canvas puts in. For tasks that can be called with one argument.
   */
  readonly map: EachMaker<ItemOf<Args>, R>;

  /** The same where each item is a list of arguments. */
  readonly starmap: EachMaker<Readonly<Args>, R>;

  /**
   * The calls of these lists of arguments in jobs of `size` calls each: a group of starmaps, whose value is a list of
   * lists.
   *
   * @throws InvalidCanvasError when `size` is not a whole number of 1 or more
   */
  readonly chunks: ChunksMaker<Args, R>;

  /** Publishes a call. */
  delay(...args: Args): Promise<AsyncResult<R>>;

  /** Publishes a call with options. */
  applyAsync(...call: ApplyArguments<Args, R>): Promise<AsyncResult<R>>;
}

/** How one job deals with its items. */
export interface EachOptions {
  /**
   * What each item came to: one that fails for good is an outcome in the list, and the next one follows. Each item has the
   * retries of the task for itself. Without it the first one that fails is the failure of the whole. @defaultValue false
   */
  readonly settle?: boolean;
}

type Settled = EachOptions & { readonly settle: true };
type Unsettled = EachOptions & { readonly settle?: false };

/** Makes a signature that runs for a list of items; without the list, one that misses it. */
export interface EachMaker<Item, R> {
  (items: Iterable<Item>, options?: Unsettled): Signature<[], R[], unknown[]>;
  (items: Iterable<Item>, options: Settled): Signature<[], Outcome<R>[], unknown[]>;
  (items?: undefined, options?: Unsettled): Signature<[items: Item[]], R[]>;
  (items: undefined, options: Settled): Signature<[items: Item[]], Outcome<R>[]>;
}

/** Makes a group of starmaps. */
export interface ChunksMaker<Args extends unknown[], R> {
  (argLists: Iterable<Readonly<Args>>, size: number, options?: Unsettled): Chunks<R>;
  (argLists: Iterable<Readonly<Args>>, size: number, options: Settled): Chunks<Outcome<R>>;
}

/** What a task can be mapped over: its first parameter, where the others may be left out. */
export type ItemOf<Args extends unknown[]> = [Exclude<Args[0], undefined>] extends Args
  ? Exclude<Args[0], undefined>
  : never;

/** For every method of a class of tasks its maker. Private methods and other properties are left out. */
export type TasksOf<T> = {
  readonly [Method in keyof T as T[Method] extends AnyMethod ? Method : never]: MakerOf<T[Method]>;
};

type AnyMethod = (...args: never[]) => unknown;

type MakerOf<Method> = Method extends (...args: infer Parameters) => infer Returned
  ? TaskMaker<GivenArguments<TaskArguments<Parameters>>, Awaited<Returned>>
  : never;

/** The arguments as callers give them: what a task reads page by page is a list, of values or of outcomes. */
type GivenArguments<Args extends unknown[]> = Args extends [infer First, ...infer Rest]
  ? IsOutcomes<First> extends true
    ? [First extends Outcomes<infer T> ? readonly T[] | readonly Outcome<T>[] : never, ...Rest]
    : Args
  : Args;

type IsOutcomes<T> = 0 extends 1 & T
  ? false
  : [T] extends [never]
    ? false
    : [T] extends [Outcomes<unknown>]
      ? true
      : false;

/** The parameters of a task method that its callers give. */
export type TaskArguments<Parameters extends unknown[]> = Parameters extends [...infer Args, infer Last]
  ? IsContext<Last> extends true
    ? Args
    : Parameters
  : Required<Parameters> extends [...infer Args, infer Last]
    ? IsContext<Last> extends true
      ? TakeFirst<Parameters, Args>
      : Parameters
    : Parameters;

// `any` and `never` are assignable to a context without being one.
type IsContext<T> = 0 extends 1 & T
  ? false
  : [T] extends [never]
    ? false
    : [T] extends [TaskContext]
      ? true
      : false;

/** As many of the parameters as there are in `Count`, optional ones still optional. */
type TakeFirst<Parameters extends unknown[], Count extends unknown[]> = Count extends [unknown, ...infer Rest]
  ? Parameters extends [infer First, ...infer Others]
    ? [First, ...TakeFirst<Others, Rest>]
    : Parameters extends [(infer First)?, ...infer Others]
      ? [First?, ...TakeFirst<Others, Rest>]
      : []
  : [];

/** The type of `.s`: for a plain list of parameters one overload for every number of arguments. */
export type PartialMaker<Args extends unknown[], R> = number extends Args['length']
  ? FlexibleMaker<Args, R>
  : Args extends Required<Args>
    ? PlainMaker<Args, R, Args>
    : FlexibleMaker<Args, R>;

type PlainMaker<Args extends unknown[], R, Stored extends unknown[]> = ((
  ...stored: Stored
) => PartialSignature<Args, R, HeadBefore<Args, Stored>>) &
  (Stored extends [unknown, ...infer Fewer] ? PlainMaker<Args, R, Fewer> : unknown);

type HeadBefore<Args extends unknown[], Stored extends unknown[]> = Args extends [...infer Head, ...Stored]
  ? Head
  : never;

/** With optional or rest parameters the types of the stored arguments decide which ones they can be. */
type FlexibleMaker<Args extends unknown[], R> = <Stored extends StoredFor<Arities<Args>>>(
  ...stored: Stored
) => PartialSignature<Args, R, MissingBefore<Args, Stored>>;

/** A task without parameters has nothing that a value could shift, so it may follow any value. */
type PartialSignature<Args extends unknown[], R, Missing extends unknown[]> = Args extends []
  ? Signature<[], R, unknown[]>
  : Signature<Missing, R>;

/** The argument lists that a call may have: of `(a, b?)` both `[a]` and `[a, b]`. */
type Arities<Args extends unknown[]> = Args extends []
  ? []
  : Args extends [infer First, ...infer Rest]
    ? [First, ...Arities<Rest>]
    : number extends Args['length']
      ? Args extends Required<Args>
        ? Args
        : OptionalArities<Args>
      : OptionalArities<Args>;

type OptionalArities<Args extends unknown[]> = Args extends [(infer First)?, ...infer Rest]
  ? [] | [First, ...Arities<Rest>]
  : Args;

/** What may be stored: the end of any of the argument lists. */
type StoredFor<Args extends unknown[]> = Args extends [unknown, ...infer Rest]
  ? Args | StoredFor<Rest>
  : Args;

/**
 * What is missing before the stored arguments. Of `f(a: number, b?: number)` the partial `f.s(1)` is complete
 * and may yet get an `a`: its type says both.
 */
type MissingBefore<Args extends unknown[], Stored extends unknown[]> = Stored extends []
  ? Args
  : number extends Stored['length']
    ? Args
    : HeadOf<Arities<Args>, Stored>;

type HeadOf<Args extends unknown[], Stored extends unknown[]> = Args extends unknown[]
  ? number extends Args['length']
    ? (Stored extends Args ? [] : never) | (Stored[number] extends RestOf<Args> ? Args : never)
    : Peel<Args, Stored>
  : never;

type Peel<Args extends unknown[], Stored extends unknown[]> = Stored extends [...infer Before, infer Last]
  ? Args extends [...infer Head, infer Parameter]
    ? Last extends Parameter
      ? Peel<Head, Before>
      : never
    : never
  : Args;

type RestOf<Args extends unknown[]> = Args extends [unknown, ...infer Others] ? RestOf<Others> : Args[number];
