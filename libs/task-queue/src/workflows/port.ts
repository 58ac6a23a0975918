import type { CanvasData, GroupData } from '../canvas/canvas-data.js';
import type { CanvasStream } from '../canvas/canvas-stream.js';
import { type Clock, systemClock } from '../primitives/clock.js';
import type { AsyncResult } from '../results/async-result.js';
import type { GroupResult } from '../results/group-result.js';

/** Where signatures and canvases publish themselves. Also the token under which it is injected. */
export abstract class CanvasPublisher {
  /** The time from which an expiry given as a length counts. */
  readonly clock: Clock = systemClock;

  /**
   * Publishes a canvas.
   *
   * @throws InvalidCanvasError, UnserializableArgumentError, InvalidIdError before anything is published
   * @throws BrokerUnavailableError when the broker does not answer in time
   */
  abstract publish<R>(canvas: CanvasData): Promise<AsyncResult<R>>;

  /** The same for a canvas that is a group, whose handle knows its members. `R` is what a member returns. */
  abstract publishGroup<R>(canvas: GroupData): Promise<GroupResult<R>>;

  /** Publishes a chord whose header is read meanwhile. */
  abstract publishStream<R>(stream: CanvasStream): Promise<AsyncResult<R>>;

  /** The same for a group. */
  abstract publishGroupStream<R>(stream: CanvasStream): Promise<GroupResult<R>>;
}
