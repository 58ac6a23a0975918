import type { GroupData } from '../canvas/canvas-data.js';
import { canvasDataOf, withErrback } from '../canvas/canvas-node.js';
import { addMember, makeGroup } from '../canvas/group.js';
import type { TaskFailure } from '../failure/task-failure.js';
import type { AsyncResult } from '../results/async-result.js';
import type { GroupResult } from '../results/group-result.js';
import type {
  AnyCanvas,
  CanvasLike,
  Follower,
  InputOf,
  InputOfAll,
  MissingOfAll,
  ResultOf,
} from './canvas-types.js';
import { CanvasValue } from './canvas-value.js';
import type { CanvasPublisher } from './port.js';

/**
 * Members side by side. Its value is the list of theirs, in definition order; it misses what its members miss,
 * and gives every one of them the same.
 *
 * `Values` is the list: `Report[]`, or a tuple where the members were written out one by one.
 */
export class Group<
  Missing extends unknown[],
  Values extends unknown[],
  Input extends unknown[] = Missing,
> extends CanvasValue<GroupData, Missing, Values, Input, GroupHandle<Values>> {
  /** How many members it has. */
  get size(): number {
    return this.toJSON().members.length;
  }

  /** The group with one more member at its end, which has to take what the others miss, or be immutable. */
  add<C extends CanvasLike<never, unknown, Missing>>(
    member: C,
  ): Group<Missing, Appended<Values, ResultOf<C>>, unknown[] extends InputOf<C> ? Input : Missing> {
    return new Group(this.publisher, addMember(this.toJSON(), member));
  }

  /**
   * With one more errback: runs once, when all members have ended, with all failures and all values.
   *
   * @param options `each: true` links it to every member instead: it runs once for each that fails, as in Celery
   */
  override linkError(errback: Follower<TaskFailure>, options: { readonly each?: boolean } = {}): this {
    if (options.each !== true) return super.linkError(errback);
    const data = this.toJSON();
    const linked = canvasDataOf(errback, 'linkError');
    return this.copy(
      Object.freeze({
        ...data,
        members: Object.freeze(data.members.map((member) => withErrback(member, linked))),
      }),
    );
  }

  /** All members ignore the value that a canvas would put in front of their arguments. */
  immutable(this: Group<[], Values, never>): Group<[], Values, unknown[]> {
    return new Group(this.publisher, this.closed());
  }

  protected copy(data: GroupData): this {
    return new Group<Missing, Values, Input>(this.publisher, data) as this;
  }

  protected async publish(data: GroupData): Promise<GroupHandle<Values>> {
    return (await this.publisher.publishGroup<Values[number]>(data)) as GroupHandle<Values>;
  }
}

/** The handle on a group; where its values are a tuple, `get()` returns that tuple. */
export type GroupHandle<Values extends unknown[]> = number extends Values['length']
  ? GroupResult<Values[number]>
  : AsyncResult<Values> & GroupResult<Values[number]>;

/** What a group can be made of. A list that is written out gives a tuple of values. */
export type Members = readonly AnyCanvas[] | readonly [] | Iterable<AnyCanvas>;

/** The union of the members' types. */
export type MemberOf<M extends Members> = M extends Iterable<infer C extends AnyCanvas> ? C : never;

/** The list of the members' values. */
export type ValuesOf<M extends Members> = M extends readonly AnyCanvas[]
  ? ResultsOf<M> extends infer Values extends unknown[]
    ? Values
    : never
  : ResultOf<MemberOf<M>>[];

type ResultsOf<M extends readonly AnyCanvas[]> = { -readonly [I in keyof M]: ResultOf<M[I]> };

/** The group of these members. */
export type GroupOf<M extends Members> = Group<
  MissingOfAll<MemberOf<M>>,
  ValuesOf<M>,
  InputOfAll<MemberOf<M>>
>;

type Appended<Values extends unknown[], R> = number extends Values['length']
  ? (Values[number] | R)[]
  : [...Values, R];

/** How a group deals with members that fail. */
export interface GroupOptions {
  /** Ends the group with the first member that fails; members that have not begun never do. @defaultValue false */
  readonly failFast?: boolean;
}

/** A group of these members, read from the iterable at once. An empty one is a group with the value `[]`. */
export function createGroup<const M extends Members>(
  publisher: CanvasPublisher,
  members: M,
  options: GroupOptions = {},
): GroupOf<M> {
  return new Group(publisher, makeGroup(members as Iterable<AnyCanvas>, options)) as unknown as GroupOf<M>;
}
