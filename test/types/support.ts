import type { ChordRecoveryType } from '../../libs/task-queue/src/chords/chord-recovery.js';
import type { ErrbackOnly } from '../../libs/task-queue/src/chords/built-in-recoveries.js';
import type { AnyCanvas, Follower } from '../../libs/task-queue/src/workflows/canvas-types.js';
import { type ChainOf, type ChainSteps, createChain } from '../../libs/task-queue/src/workflows/chain.js';
import {
  type BodyInput,
  type ChordOf,
  type ChordOptions,
  createChord,
  type Header,
  type HeaderValues,
} from '../../libs/task-queue/src/workflows/chord.js';
import { createGroup, type GroupOf, type Members } from '../../libs/task-queue/src/workflows/group.js';
import type { CanvasPublisher } from '../../libs/task-queue/src/workflows/port.js';
import type { TasksOf } from '../../libs/task-queue/src/workflows/task-types.js';

/** Compile-time assertions: `expectType<Expect<Equal<A, B>>>()` compiles when the two types are the same. */
export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
export type Expect<T extends true> = T;

/** Says something about types; does nothing. */
export declare function assertType<_T extends true>(): void;

/** The composing functions as a facade offers them, without a broker behind. */
export declare const publisher: CanvasPublisher;
export declare function tasks<T>(type: abstract new (...args: never[]) => T): TasksOf<T>;

export function chain<Steps extends readonly AnyCanvas[]>(...steps: ChainSteps<Steps>): ChainOf<Steps> {
  return createChain<Steps>(publisher, steps);
}

export function group<const M extends Members>(members: M): GroupOf<M> {
  return createGroup(publisher, members);
}

export function chord<
  const H extends Header,
  Body extends Follower<BodyInput<HeaderValues<H>, Recovery>>,
  Recovery extends ChordRecoveryType = typeof ErrbackOnly,
>(header: H, body: Body, options?: ChordOptions<Recovery>): ChordOf<H, Body> {
  return createChord(publisher, header, body, options);
}
