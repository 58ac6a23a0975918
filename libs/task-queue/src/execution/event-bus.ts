import type { Broadcast } from '../backend/broadcast.js';
import type { Watch } from '../backend/control.js';
import type { StoredValues } from '../codec/stored-values.js';
import { bounded } from '../primitives/bounded.js';
import {
  isTaskEventType,
  type TaskEvent,
  type TaskEventHandler,
  type TaskEventType,
} from '../task/task-event.js';
import { taskStorage } from '../task/task-context.js';
import type { TaskRegistry } from '../task/task-registry.js';
import type { EngineLog } from './engine-log.js';
import { writeBatches } from './event-batch.js';

/** For how long a watch holds without being said again. */
export const WATCH_MS = 15_000;
/** Watches that are known at a time; a client that says more is in error, or means harm. */
const MAX_WATCHES = 1_000;
/** Calls of handlers that may be under way. */
const MAX_CALLS = 1_000;
/** Events that wait for the next turn of the loop, on which they are sent. */
const MAX_WAITING = 5_000;
/** How long the end waits for handlers that are at work. */
const CLOSE_MS = 1_000;
const SAY_LOST_EVERY_MS = 10_000;

interface Watching {
  readonly types: ReadonlySet<string> | undefined;
  readonly untilMs: number;
}

/**
 * Tells of what happens to tasks: the `@OnTaskEvent` methods of this application, and whoever watches from another
 * process. Nothing waits for it and nothing depends on it: an event is told at most once.
 *
 * Where nobody listens, nothing is made and nothing is sent: handlers are known from the start, and watchers announce
 * themselves on the channel that workers listen to anyway.
 */
export class EventBus {
  readonly #watches = new Map<string, Watching>();
  readonly #calls = new Set<Promise<void>>();
  #waiting: TaskEvent[] = [];
  #lost = 0;
  #saidLostAt = -Infinity;

  constructor(
    private readonly registry: TaskRegistry,
    private readonly broadcast: Broadcast,
    private readonly values: StoredValues,
    private readonly log: EngineLog,
  ) {}

  /** Whether anybody hears of events of this type: to be asked before one is made. */
  wants(type: TaskEventType): boolean {
    return this.registry.eventHandlersOf(type).length > 0 || this.#isWatched(type);
  }

  /** Tells whoever listens. Never waits, never throws. */
  emit(event: TaskEvent): void {
    const handlers = this.registry.eventHandlersOf(event.type);
    if (handlers.length > 0) {
      const read = this.values.readIfPossible(event);
      for (const handler of handlers) this.#call(handler, read);
    }
    if (this.#isWatched(event.type)) this.#sendSoon(event);
  }

  /** Somebody watches, from now on for a while. */
  watch({ watch, types }: Watch): void {
    if (!this.#watches.has(watch) && this.#watches.size >= MAX_WATCHES) return;
    this.#watches.set(watch, {
      types: types && new Set(types.filter(isTaskEventType)),
      untilMs: performance.now() + WATCH_MS,
    });
  }

  unwatch(watch: string): void {
    this.#watches.delete(watch);
  }

  /** Sends what waits, and gives handlers a moment to end. */
  async close(): Promise<void> {
    this.#send();
    const all = Promise.all(this.#calls);
    await bounded(all, CLOSE_MS, () => new Error('still at work')).catch(() =>
      this.log.warn(`${this.#calls.size} handlers of events did not end in time; the application closes`),
    );
  }

  #isWatched(type: TaskEventType): boolean {
    if (this.#watches.size === 0) return false;
    const nowMs = performance.now();
    let isWatched = false;
    for (const [watch, { types, untilMs }] of this.#watches) {
      if (untilMs < nowMs) this.#watches.delete(watch);
      else if (types === undefined || types.has(type)) isWatched = true;
    }
    return isWatched;
  }

  #call(handler: TaskEventHandler, event: TaskEvent): void {
    if (this.#calls.size >= MAX_CALLS) return this.#lose(`${MAX_CALLS} handlers are at work`);
    // Progress is told from inside a task, which its handler is not.
    const call = taskStorage
      .exit(() => Promise.resolve().then(() => handler.invoke(event)))
      .catch((error: unknown) =>
        this.log.error(
          `Event handler ${handler.source} threw at ${event.type} of ${event.name} ${event.id}; nothing else ` +
            `changes: ${String(error)}`,
          error instanceof Error ? error.stack : undefined,
          { taskId: event.id, task: event.name, queue: event.queue, workflowId: event.workflowId },
        ),
      )
      .finally(() => this.#calls.delete(call));
    this.#calls.add(call);
  }

  #sendSoon(event: TaskEvent): void {
    if (this.#waiting.length >= MAX_WAITING) return this.#lose(`${MAX_WAITING} wait to be sent`);
    if (this.#waiting.push(event) === 1) setImmediate(() => this.#send()).unref();
  }

  /** What was made on one turn of the loop goes out together. */
  #send(): void {
    const events = this.#waiting;
    if (events.length === 0) return;
    this.#waiting = [];
    for (const batch of writeBatches(events, this.#lost)) {
      this.#lost = 0;
      if (!this.broadcast.send(batch.text)) this.#lost += batch.size;
    }
  }

  #lose(why: string): void {
    this.#lost += 1;
    const nowMs = performance.now();
    if (nowMs - this.#saidLostAt < SAY_LOST_EVERY_MS) return;
    this.#saidLostAt = nowMs;
    this.log.warn(`Events are left out, because ${why}; tasks are not concerned`);
  }
}
