import type { ChordData, GroupData } from '../canvas/canvas-data.js';
import { canvasDataOf, withErrback, withLink } from '../canvas/canvas-node.js';
import {
  type CanvasStream,
  type MemberStream,
  readMember,
  streamSource,
  withStreamExpiry,
  withStreamInput,
  withStreamStamp,
} from '../canvas/canvas-stream.js';
import { makeChord } from '../canvas/chord.js';
import { makeGroup } from '../canvas/group.js';
import { prepareCall, withApplyOptions } from '../canvas/prepare-call.js';
import type { ErrbackOnly } from '../chords/built-in-recoveries.js';
import { InvalidCanvasError } from '../errors/publish.errors.js';
import type { TaskFailure } from '../failure/task-failure.js';
import type { JsonValue } from '../primitives/json.js';
import type { AsyncResult } from '../results/async-result.js';
import type { GroupResult } from '../results/group-result.js';
import type {
  AnyCanvas,
  ApplyArguments,
  CallOptionsOf,
  Follower,
  MissingOfAll,
  ResultOf,
} from './canvas-types.js';
import { type BodyInput, type ChordOptions, headerRules, type RecoveryChoice } from './chord.js';
import type { GroupOptions } from './group.js';
import type { CanvasPublisher } from './port.js';

/** How a source is read. */
export interface StreamOptions {
  /**
   * How many members may be published and not have ended. While there are as many, the source is not read on, so that
   * neither Redis nor the producer fills up when members come faster than they are worked off. `Infinity` reads on
   * whatever is under way. @defaultValue 10_000
   */
  readonly window?: number;
}

/** How a group of a source deals with members that fail, and how its source is read. */
export interface StreamedGroupOptions extends GroupOptions, StreamOptions {}

/** How a chord of a source deals with members that fail, and how its source is read. */
export interface StreamedChordOptions<Recovery extends RecoveryChoice = RecoveryChoice, R = never>
  extends ChordOptions<Recovery, R>, StreamOptions {}

const DEFAULT_WINDOW = 10_000;

/**
 * A group or chord whose members are read from a source while it is published. It is a canvas by itself: it can neither
 * be a part of another one nor be written as JSON, because nobody knows its members yet.
 */
abstract class StreamedCanvas<Missing extends unknown[], R, Handle> {
  readonly #publisher: CanvasPublisher;
  readonly #stream: CanvasStream;

  /** Made by the library: `group(source)`, `chord(source, body)`. @internal */
  constructor(publisher: CanvasPublisher, stream: CanvasStream) {
    this.#publisher = publisher;
    this.#stream = stream;
  }

  /**
   * Publishes it, with the arguments that its members miss.
   *
   * @returns the handle, as soon as the canvas is there; its members follow while the source is read. `handle.sealed()`
   *   waits until all of them are there
   * @throws InvalidCanvasError when a source that can be read only once has been read
   */
  delay(...missing: Missing): Promise<Handle> {
    return this.#apply(missing, {});
  }

  /**
   * Publishes it with options for this call. Under a `taskId` that was used before, it goes on where the last producer
   * stopped: the source has to give the same members in the same order, and those that are there are passed over.
   */
  applyAsync(...call: ApplyArguments<Missing, R>): Promise<Handle> {
    const [args = [], options = {}] = call as [args?: unknown[], options?: CallOptionsOf<R>];
    return this.#apply(args, options);
  }

  /** With these options over the ones it has; its members get them, where their own win. */
  set(options: CallOptionsOf<R>): this {
    return this.copy({ ...this.#stream, canvas: withApplyOptions(this.#stream.canvas, options) });
  }

  /** With one more callback: runs once, with the value, on success. */
  link(callback: Follower<R>): this {
    const link = canvasDataOf(callback, 'link');
    return this.copy({ ...this.#stream, canvas: withLink(this.#stream.canvas, link) });
  }

  /** With one more errback: runs once for the whole, when all members have ended, or when the source has failed. */
  linkError(errback: Follower<TaskFailure>): this {
    const linked = canvasDataOf(errback, 'linkError');
    return this.copy({ ...this.#stream, canvas: withErrback(this.#stream.canvas, linked) });
  }

  /** With headers on every task in it, those of the source included. */
  stamp(headers: Readonly<Record<string, JsonValue>>): this {
    return this.copy(withStreamStamp(this.#stream, headers));
  }

  /** @throws InvalidCanvasError always: what is yet to be read is no data */
  toJSON(): never {
    throw new InvalidCanvasError('source', NO_DATA);
  }

  protected get publisher(): CanvasPublisher {
    return this.#publisher;
  }

  protected abstract copy(stream: CanvasStream): this;

  protected abstract publish(stream: CanvasStream): Promise<Handle>;

  async #apply(args: readonly unknown[], options: CallOptionsOf<R>): Promise<Handle> {
    const { clock } = this.#publisher;
    const stream = withStreamExpiry(withStreamInput(this.#stream, args), () => clock.wallMs());
    return this.publish({ ...stream, canvas: prepareCall(stream.canvas, [], options, clock) });
  }
}

const NO_DATA =
  'a group or chord of an AsyncIterable is no data: it cannot be a part of another canvas, nor JSON. ' +
  'Publish it by itself, with what follows as its body or link; or read the members into lists and make a chord of each';

/** A group whose members are read while it is published. Its value is the list of theirs, in the order of the source. */
export class StreamedGroup<Missing extends unknown[], R> extends StreamedCanvas<
  Missing,
  R[],
  GroupResult<R>
> {
  protected copy(stream: CanvasStream): this {
    return new StreamedGroup<Missing, R>(this.publisher, stream) as this;
  }

  protected publish(stream: CanvasStream): Promise<GroupResult<R>> {
    return this.publisher.publishGroupStream<R>(stream);
  }
}

/** A chord whose header is read while it is published; its body runs when all members have ended. */
export class StreamedChord<Missing extends unknown[], R> extends StreamedCanvas<Missing, R, AsyncResult<R>> {
  protected copy(stream: CanvasStream): this {
    return new StreamedChord<Missing, R>(this.publisher, stream) as this;
  }

  protected publish(stream: CanvasStream): Promise<AsyncResult<R>> {
    return this.publisher.publishStream<R>(stream);
  }
}

/** A group of what a source gives. @throws InvalidCanvasError when the window is no number of 1 or more */
export function createStreamedGroup<C extends AnyCanvas>(
  publisher: CanvasPublisher,
  members: MemberStream<C>,
  { window, ...options }: StreamedGroupOptions = {},
): StreamedGroup<MissingOfAll<C>, ResultOf<C>> {
  return new StreamedGroup(publisher, streamOf(makeGroup([], options), members, { window }));
}

/** A chord of what a source gives. @throws InvalidCanvasError when the body is missing */
export function createStreamedChord<
  C extends AnyCanvas,
  Body extends Follower<BodyInput<ResultOf<C>[], Recovery>>,
  Recovery extends RecoveryChoice = typeof ErrbackOnly,
>(
  publisher: CanvasPublisher,
  header: MemberStream<C>,
  body: Body,
  options: StreamedChordOptions<Recovery, ResultOf<C>> = {},
): StreamedChord<MissingOfAll<C>, ResultOf<Body>> {
  const rules = { ...headerRules(options), size: Infinity };
  return new StreamedChord(publisher, streamOf(makeChord([], body, rules), header, options));
}

function streamOf(
  canvas: GroupData | ChordData,
  members: MemberStream<unknown>,
  { window = DEFAULT_WINDOW }: { readonly window?: number | undefined },
): CanvasStream {
  if (!(window === Infinity || (Number.isSafeInteger(window) && window >= 1))) {
    throw new InvalidCanvasError(
      'window',
      `expected a whole number of 1 or more, or Infinity, got ${window}`,
    );
  }
  return { canvas, source: streamSource(members), read: readMember, window };
}
