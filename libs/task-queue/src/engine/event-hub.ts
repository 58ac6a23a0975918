import type { Backend } from '../backend/backend.js';
import type { Watch } from '../backend/control.js';
import type { StoredValues } from '../codec/stored-values.js';
import { BrokerUnavailableError } from '../errors/publish.errors.js';
import { readBatch } from '../execution/event-batch.js';
import { type EventBus, WATCH_MS } from '../execution/event-bus.js';
import { newCanvasId } from '../flow/ids.js';
import type { RandomSource } from '../primitives/clock.js';
import { EventStream, type ResolvedEventFilter } from './event-stream.js';

/** How often a watch is said: a worker that has just started hears of it within this time. */
const SAY_EVERY_MS = WATCH_MS / 3;

/** The streams of events that are open in this application, and the one subscription that feeds them. */
export class EventHub {
  readonly #streams = new Map<EventStream, () => void>();
  #subscription: Promise<() => void> | undefined;
  #closed = false;

  constructor(
    private readonly backend: Pick<Backend, 'broadcast' | 'control'>,
    private readonly bus: EventBus,
    private readonly values: StoredValues,
    private readonly random: RandomSource,
  ) {}

  /**
   * Opens a stream.
   *
   * @throws BrokerUnavailableError when the store does not answer in time, or the application has been closed
   */
  async open(filter: ResolvedEventFilter): Promise<EventStream> {
    if (this.#closed) throw new BrokerUnavailableError('The application has been closed.');
    const stream: EventStream = new EventStream(filter, () => this.#end(stream));
    if (stream.closed) return stream;
    const watch: Watch = {
      watch: newCanvasId(1, this.random),
      ...(filter.types === undefined ? {} : { types: filter.types }),
    };
    const say = (): void => {
      this.bus.watch(watch);
      this.backend.control.send(watch).catch(() => undefined); // it is said again
    };
    const timer = setInterval(say, SAY_EVERY_MS).unref();
    this.#streams.set(stream, () => {
      clearInterval(timer);
      this.bus.unwatch(watch.watch);
      // Who does not hear of it goes on for a few seconds.
      if (!this.#closed) this.backend.control.send({ unwatch: watch.watch }).catch(() => undefined);
    });
    try {
      await (this.#subscription ??= this.#subscribe());
      this.bus.watch(watch);
      await this.backend.control.send(watch);
    } catch (error) {
      stream.close();
      throw error;
    }
    return stream;
  }

  /** Ends all streams. */
  close(): void {
    this.#closed = true;
    for (const stream of [...this.#streams.keys()]) stream.close();
  }

  async #subscribe(): Promise<() => void> {
    return this.backend.broadcast.listen((text) => {
      const { events, lost } = readBatch(text);
      for (const stream of this.#streams.keys()) {
        stream.lose(lost);
        for (const event of events) stream.push(this.values.readIfPossible(event));
      }
    });
  }

  #end(stream: EventStream): void {
    this.#streams.get(stream)?.();
    this.#streams.delete(stream);
    if (this.#streams.size > 0) return;
    const subscription = this.#subscription;
    this.#subscription = undefined;
    subscription?.then((stop) => stop()).catch(() => undefined); // one that never came about
  }
}
