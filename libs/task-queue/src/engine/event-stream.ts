import { Observable } from 'rxjs';
import { readInteger, readObject } from '../options/option-readers.js';
import { InvalidOptionsError } from '../errors/configuration.errors.js';
import {
  isTaskEventType,
  TASK_EVENT_TYPES,
  type TaskEvent,
  type TaskEventOf,
  type TaskEventType,
} from '../task/task-event.js';

/** Which events to hear of, and how many may wait. */
export interface EventsOptions<Type extends TaskEventType = TaskEventType> {
  /** Types of events. Workers do not even send the others. @defaultValue all */
  readonly types?: readonly Type[];
  /** Names of tasks, or kinds of composites. @defaultValue all */
  readonly names?: readonly string[];
  /** The id of a canvas, or of a task that stands alone: events of it and of everything in it. @defaultValue all */
  readonly workflow?: string;
  /**
   * How many events may wait for a reader that is slow. When there are more, the oldest are left out and counted.
   *
   * @defaultValue 1,000
   */
  readonly buffer?: number;
  /** Ends the stream when it aborts. */
  readonly signal?: AbortSignal;
}

/** The same after it was read. */
export interface ResolvedEventFilter extends EventsOptions {
  readonly buffer: number;
}

const KEYS = ['types', 'names', 'workflow', 'buffer', 'signal'];

/** @throws InvalidOptionsError */
export function readEventsOptions(options: EventsOptions | undefined): ResolvedEventFilter {
  const given = readObject('events', options, KEYS);
  const wrong = given.types?.find((type) => !isTaskEventType(type));
  if (wrong !== undefined) {
    throw new InvalidOptionsError('events.types', `some of ${TASK_EVENT_TYPES.join(', ')}`, wrong);
  }
  return { ...given, buffer: readInteger('events.buffer', given.buffer ?? 1_000, 1) };
}

/**
 * Events as they come, from every process: at most once, and only those made while it is open. For dashboards and
 * logs; what must happen belongs into a callback, an errback or a hook.
 *
 * It is read by one reader, as an async iterable or as an Observable, and has to be closed: by leaving the loop, by
 * unsubscribing, by its signal, by `close()`; it ends with the application.
 */
export class EventStream<Event extends TaskEvent = TaskEvent> implements AsyncIterable<Event> {
  #buffer: TaskEvent[] = [];
  #dropped = 0;
  #closed = false;
  #wake: (() => void) | undefined;
  readonly #filter: ResolvedEventFilter;
  readonly #onClose: () => void;
  readonly #abort = (): void => this.close();

  /** @internal */
  constructor(filter: ResolvedEventFilter, onClose: () => void) {
    this.#filter = filter;
    this.#onClose = onClose;
    if (filter.signal?.aborted) this.#closed = true;
    filter.signal?.addEventListener('abort', this.#abort, { once: true });
  }

  /**
   * How many events were left out, as far as is known here: because the reader was slow, or a worker could not send them.
   */
  get dropped(): number {
    return this.#dropped;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Ends it. What waits to be read still is. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#filter.signal?.removeEventListener('abort', this.#abort);
    this.#onClose();
    this.#wake?.();
  }

  /** The events until the stream is closed; leaving the loop closes it. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Event, void, undefined> {
    try {
      for (;;) {
        const events = this.#buffer;
        this.#buffer = [];
        for (const event of events) yield event as Event;
        if (this.#buffer.length > 0) continue;
        if (this.#closed) return;
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      this.close();
    }
  }

  /** The same as an Observable of rxjs, e.g. for `@Sse()`. Unsubscribing closes the stream at once. */
  asObservable(): Observable<Event> {
    return new Observable((subscriber) => {
      const read = async (): Promise<void> => {
        for await (const event of this) {
          if (subscriber.closed) return;
          subscriber.next(event);
        }
        subscriber.complete();
      };
      read().catch((error: unknown) => subscriber.error(error));
      return () => this.close();
    });
  }

  /** @internal */
  push(event: TaskEvent): void {
    if (this.#closed || !this.#isWanted(event)) return;
    if (this.#buffer.length >= this.#filter.buffer) {
      this.#buffer.shift();
      this.#dropped += 1;
    }
    this.#buffer.push(event);
    this.#wake?.();
  }

  /** @internal */
  lose(count: number): void {
    this.#dropped += count;
  }

  #isWanted({ type, name, workflowId, id }: TaskEvent): boolean {
    const { types, names, workflow } = this.#filter;
    return (
      (types === undefined || types.includes(type)) &&
      (names === undefined || names.includes(name)) &&
      (workflow === undefined || workflowId === workflow || id === workflow)
    );
  }
}

/** The events of a stream of these types. */
export type EventsOf<Type extends TaskEventType> = EventStream<TaskEventOf<Type>>;
