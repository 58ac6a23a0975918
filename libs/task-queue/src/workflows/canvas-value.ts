import type { CanvasData } from '../canvas/canvas-data.js';
import { canvasDataOf, equalCanvases, withErrback, withLink, withStamp } from '../canvas/canvas-node.js';
import { prepareCall, withApplyOptions, withoutInput } from '../canvas/prepare-call.js';
import type { TaskFailure } from '../failure/task-failure.js';
import type { JsonValue } from '../primitives/json.js';
import type { ApplyArguments, CallOptionsOf, CanvasLike, CanvasTypes, Follower } from './canvas-types.js';
import type { CanvasPublisher } from './port.js';

/**
 * What signatures, chains, groups and chords have in common: an immutable value over plain data. Every method
 * that changes something returns a new value and leaves this one as it is.
 */
export abstract class CanvasValue<
  Data extends CanvasData,
  Missing extends unknown[],
  R,
  Input extends unknown[],
  Handle,
> implements CanvasLike<Missing, R, Input> {
  /** For the type checker only; there is nothing at run time. */
  declare readonly '~types': CanvasTypes<Missing, R, Input>;
  readonly #publisher: CanvasPublisher;
  readonly #data: Data;

  /** Made by the library: `tasks(…)`, `signature`, `chain`, `group`, `chord`. @internal */
  constructor(publisher: CanvasPublisher, data: Data) {
    this.#publisher = publisher;
    this.#data = data;
  }

  /**
   * Publishes it with the arguments that it misses, which go in front of the stored ones.
   *
   * @returns the handle on its result, once the broker has it
   */
  delay(...missing: Missing): Promise<Handle> {
    return this.#apply(missing, {});
  }

  /** Publishes it with the arguments that it misses and with options for this call. */
  applyAsync(...call: ApplyArguments<Missing, R>): Promise<Handle> {
    const [args = [], options = {}] = call as [args?: unknown[], options?: CallOptionsOf<R>];
    return this.#apply(args, options);
  }

  /**
   * With these options over the ones it has; a later one wins. Composites hand them to their parts, where the
   * parts' own win.
   */
  set(options: CallOptionsOf<R>): this {
    return this.copy(withApplyOptions(this.#data, options));
  }

  /** With one more callback: runs once, with the value, on success. An equal one counts once. */
  link(callback: Follower<R>): this {
    return this.copy(withLink(this.#data, canvasDataOf(callback, 'link')));
  }

  /**
   * With one more errback: runs once, with a TaskFailure, on the final failure. An equal one counts once.
   *
   * On a composite it runs once for the whole of it, whatever part failed.
   */
  linkError(errback: Follower<TaskFailure>): this {
    return this.copy(withErrback(this.#data, canvasDataOf(errback, 'linkError')));
  }

  /** With headers on every task in it, callbacks included; a key that is there already is replaced. */
  stamp(headers: Readonly<Record<string, JsonValue>>): this {
    return this.copy(withStamp(this.#data, headers));
  }

  /** Whether another canvas says the same. */
  equals(other: AnyCanvasOrData): boolean {
    return equalCanvases(this.#data, canvasDataOf(other, 'other'));
  }

  /** The canvas as plain, frozen data: what `JSON.stringify` shows, and what `fromData` reads. */
  toJSON(): Data {
    return this.#data;
  }

  protected get publisher(): CanvasPublisher {
    return this.#publisher;
  }

  /** The data with its input closed, for `immutable()`. */
  protected closed(): Data {
    return withoutInput(this.#data);
  }

  /** The same kind of value over other data. */
  protected abstract copy(data: Data): this;

  protected abstract publish(data: Data): Promise<Handle>;

  // Async, so that what is wrong with a call rejects its promise instead of throwing past it.
  async #apply(args: readonly unknown[], options: CallOptionsOf<R>): Promise<Handle> {
    return this.publish(prepareCall(this.#data, args, options, this.#publisher.clock));
  }
}

type AnyCanvasOrData = CanvasLike<never, unknown, never> | CanvasData;
