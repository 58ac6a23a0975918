import type { ChordData } from '../canvas/canvas-data.js';
import { makeChord } from '../canvas/chord.js';
import {
  type BodyInputKind,
  type ErrbackOnly,
  type Outcome,
  recoveryName,
} from '../chords/built-in-recoveries.js';
import type { ChordRecovery, ChordRecoveryType } from '../chords/chord-recovery.js';
import type { AsyncResult } from '../results/async-result.js';
import type {
  AnyCanvas,
  Follower,
  InputOfAll,
  MissingOfAll,
  InputOf,
  MissingOf,
  ResultOf,
} from './canvas-types.js';
import { CanvasValue } from './canvas-value.js';
import type { Group, MemberOf, Members, ValuesOf } from './group.js';
import type { CanvasPublisher } from './port.js';

/**
 * Members side by side, then a body that gets the list of their values in front of its arguments. It misses
 * what its members miss, and its value is the body's.
 */
export class Chord<Missing extends unknown[], R, Input extends unknown[] = Missing> extends CanvasValue<
  ChordData,
  Missing,
  R,
  Input,
  AsyncResult<R>
> {
  /** All members ignore the value that a canvas would put in front of their arguments. */
  immutable(this: Chord<[], R, never>): Chord<[], R, unknown[]> {
    return new Chord(this.publisher, this.closed());
  }

  protected copy(data: ChordData): this {
    return new Chord<Missing, R, Input>(this.publisher, data) as this;
  }

  protected publish(data: ChordData): Promise<AsyncResult<R>> {
    return this.publisher.publish<R>(data);
  }
}

/** What a header can be made of. A group lends its members. */
export type Header = Members | Group<never, unknown[], never>;

/** How a chord deals with members that fail. */
export interface ChordOptions<Recovery extends ChordRecoveryType = ChordRecoveryType> {
  /**
   * Decides what runs when members fail. Name it here where the body is made for it, also when it is the
   * module's default: a chord that names none is checked as under `ErrbackOnly`.
   */
  readonly recovery?: Recovery;
}

/** The list of a header's values. */
export type HeaderValues<H extends Header> = H extends AnyCanvas
  ? Extract<ResultOf<H>, unknown[]>
  : H extends Members
    ? ValuesOf<H>
    : never;

/** The chord of this header, with a body that returns `R`. */
export type ChordOf<H extends Header, Body extends AnyCanvas> = H extends AnyCanvas
  ? Chord<MissingOf<H>, ResultOf<Body>, InputOf<H>>
  : H extends Members
    ? Chord<MissingOfAll<MemberOf<H>>, ResultOf<Body>, InputOfAll<MemberOf<H>>>
    : never;

/**
 * What a body gets as its first argument, from the values of the members and the strategy:
 *
 * - `ErrbackOnly`: the values of all members;
 * - `CallbackWithSuccesses`: a list of values, of which some may be missing;
 * - `CallbackWithOutcomes`: a settled outcome for every member;
 * - a strategy of your own: what it declares, or the values of all members, because with no failure that is
 *   what the body gets and no strategy is asked.
 */
export type BodyInput<Values extends unknown[], Recovery extends ChordRecoveryType> =
  // A strategy that never looks at the outcome cannot leave any value out.
  Recovery extends typeof ErrbackOnly
    ? Values
    : DeclaredInput<Recovery> extends infer In
      ? unknown extends In
        ? Values
        : In extends BodyInputKind<'outcomes'>
          ? { [I in keyof Values]: Outcome<Values[I]> }
          : In extends BodyInputKind<'values'>
            ? Values[number][]
            : In | Values
      : never;

type DeclaredInput<Recovery extends ChordRecoveryType> =
  InstanceType<Recovery> extends ChordRecovery<infer In> ? In : unknown;

/**
 * A chord of this header and body.
 *
 * @throws InvalidCanvasError when the body is missing, or the header is a group with callbacks of its own
 */
export function createChord<
  const H extends Header,
  Body extends Follower<BodyInput<HeaderValues<H>, Recovery>>,
  Recovery extends ChordRecoveryType = typeof ErrbackOnly,
>(publisher: CanvasPublisher, header: H, body: Body, options: ChordOptions<Recovery> = {}): ChordOf<H, Body> {
  const { recovery } = options;
  const data = makeChord(
    header as AnyCanvas | Iterable<AnyCanvas>,
    body,
    recovery === undefined ? {} : { recovery: recoveryName(recovery) },
  );
  return new Chord(publisher, data) as unknown as ChordOf<H, Body>;
}
