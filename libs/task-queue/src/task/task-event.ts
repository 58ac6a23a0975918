import type { FailureReason, SerializedError } from '../failure/task-failure.js';
import type { JsonValue } from '../primitives/json.js';

/** What stands in every event. */
interface EventBase<Type extends string> {
  readonly type: Type;
  /** The id of the task or composite, or the name of the breaker. */
  readonly id: string;
  /**
   * The task's name; of a composite its kind: `chain`, `group`, `chord`, or `task` for a task with callbacks; of a breaker
   * its name.
   */
  readonly name: string;
  /** Empty for a breaker. */
  readonly queue: string;
  /** The id of the canvas that it belongs to; its own id when it stands alone. */
  readonly workflowId: string;
  /** Where in the canvas it stands, e.g. `3.body`; empty for the canvas itself and for a task that stands alone. */
  readonly position: string;
  /** When it was made, ISO 8601, by the clock of the process that made it. */
  readonly at: string;
  /** Headers that were published with the call, stamps among them; absent where there are none, and for composites. */
  readonly headers?: Readonly<Record<string, JsonValue>>;
  /** How often the canvas had been redriven; absent in its first generation. */
  readonly generation?: number;
}

/** An event of one attempt. */
interface AttemptEvent<Type extends string> extends EventBase<Type> {
  /** The attempt, counted from 1. */
  readonly attempt: number;
  /** Retries before it. */
  readonly retries: number;
}

/** A task that stands alone is in its queue. Members of a canvas have none of their own. */
export type TaskPublishedEvent = EventBase<'published'>;
/** A worker has taken a task, its handler has not begun: arguments are read, expiry and limits are looked at. */
export type TaskReceivedEvent = AttemptEvent<'received'>;
/** The handler is about to be called. */
export type TaskStartedEvent = AttemptEvent<'started'>;
/** The task has stored progress. */
export interface TaskProgressEvent extends AttemptEvent<'progress'> {
  readonly progress: JsonValue;
}
/** An attempt has failed and is followed by another one. */
export interface TaskRetryEvent extends AttemptEvent<'retry'> {
  readonly error: SerializedError;
  readonly reason: FailureReason;
  /** Time until the next attempt. */
  readonly delayMs: number;
}
/** A task has returned. Its value is read by its handle. */
export interface TaskSuccessEvent extends AttemptEvent<'success'> {
  /** From the start of the handler until its outcome was stored; absent for a task that a canvas has replaced. */
  readonly durationMs?: number;
}
/** A task has failed for good. */
export interface TaskFailureEvent extends AttemptEvent<'failure'> {
  readonly error: SerializedError;
  readonly reason: FailureReason;
}
/** A task was revoked: while it waited (`attempt` 0, made where it was revoked), or while it ran. */
export interface TaskRevokedEvent extends AttemptEvent<'revoked'> {
  readonly error: SerializedError;
}
/** A step or body will never run, because what was before it failed. */
export interface TaskSkippedEvent extends EventBase<'skipped'> {
  /** The composite whose end it is. */
  readonly because: string;
}

/** A chain, group or chord, or a task with callbacks, is in its queues; of a wide header, its first members. */
export type CanvasPublishedEvent = EventBase<'canvas.published'>;
/** All members of a wide group or header are in their queues. One that is published at once has no such event. */
export interface CanvasSealedEvent extends EventBase<'canvas.sealed'> {
  /** How many members there are. */
  readonly size: number;
}
/** A composite has its value. */
export type CanvasSuccessEvent = EventBase<'canvas.success'>;
/** A composite has failed. */
export interface CanvasFailureEvent extends EventBase<'canvas.failure'> {
  readonly error: SerializedError;
  readonly reason: FailureReason;
  /** How many of its members failed; absent for what has none. */
  readonly failed?: number;
}
/** A composite was revoked. */
export interface CanvasRevokedEvent extends EventBase<'canvas.revoked'> {
  readonly error: SerializedError;
}
/** A canvas that had ended was redriven: what failed in it is in its queues again. */
export interface CanvasRedrivenEvent extends EventBase<'canvas.redriven'> {
  readonly generation: number;
  /** How many tasks are run again. */
  readonly rerun: number;
}
/** All members of a header have ended, and the body is in its queue. */
export interface ChordReleasedEvent extends EventBase<'chord.released'> {
  /** The id of the body. */
  readonly body: string;
}
/** The body of a chord is in its queue although members failed. Comes with `chord.released`. */
export interface ChordRecoveredEvent extends EventBase<'chord.recovered'> {
  readonly body: string;
  /** The class name of the recovery strategy. */
  readonly strategy: string;
  readonly failed: number;
  readonly size: number;
}
/** Callbacks (`link`) of a composite are in their queues. */
export interface CallbackReleasedEvent extends EventBase<'callback.released'> {
  /** Their ids. */
  readonly released: readonly string[];
}
/** Errbacks (`linkError`) of a composite are in their queues. */
export interface ErrbackReleasedEvent extends EventBase<'errback.released'> {
  /** Their ids. */
  readonly released: readonly string[];
}

/** A breaker keeps tasks away from its resource. `id` and `name` are its name; it has no queue. */
export interface BreakerOpenedEvent extends EventBase<'breaker.opened'> {
  readonly why: string;
  /** Until when, ISO 8601; absent where it was opened by hand for good. */
  readonly until?: string;
}
/** Its time is over: a few tasks are let in, to see whether the resource works. */
export type BreakerHalfOpenEvent = EventBase<'breaker.half-open'>;
/** Tasks start as ever. */
export type BreakerClosedEvent = EventBase<'breaker.closed'>;

/** What can be damaged from outside, and be healed: see docs/doctor.md. */
export type MendableKind = 'vanished' | 'stranded' | 'unheard' | 'unreleased' | 'unsettled';
/** Damage of a task or composite was healed; what follows from that has events of its own. */
export interface MendedEvent extends EventBase<'mended'> {
  /** What was wrong. */
  readonly damage: MendableKind;
}

/** Everything that is told about tasks, composites and breakers. `type` tells them apart. */
export type TaskEvent =
  | TaskPublishedEvent
  | TaskReceivedEvent
  | TaskStartedEvent
  | TaskProgressEvent
  | TaskRetryEvent
  | TaskSuccessEvent
  | TaskFailureEvent
  | TaskRevokedEvent
  | TaskSkippedEvent
  | CanvasPublishedEvent
  | CanvasSealedEvent
  | CanvasSuccessEvent
  | CanvasFailureEvent
  | CanvasRevokedEvent
  | CanvasRedrivenEvent
  | ChordReleasedEvent
  | ChordRecoveredEvent
  | CallbackReleasedEvent
  | ErrbackReleasedEvent
  | BreakerOpenedEvent
  | BreakerHalfOpenEvent
  | BreakerClosedEvent
  | MendedEvent;

/** What an event can be. */
export type TaskEventType = TaskEvent['type'];

/** The event of a type. */
export type TaskEventOf<Type extends TaskEventType> = Extract<TaskEvent, { readonly type: Type }>;

/** All types, in the order in which a task or canvas meets them. */
export const TASK_EVENT_TYPES = [
  'published',
  'received',
  'started',
  'progress',
  'retry',
  'success',
  'failure',
  'revoked',
  'skipped',
  'canvas.published',
  'canvas.sealed',
  'canvas.success',
  'canvas.failure',
  'canvas.revoked',
  'canvas.redriven',
  'chord.released',
  'chord.recovered',
  'callback.released',
  'errback.released',
  'breaker.opened',
  'breaker.half-open',
  'breaker.closed',
  'mended',
] as const satisfies readonly TaskEventType[];

/** Whether a text is the type of an event. */
export function isTaskEventType(text: unknown): text is TaskEventType {
  return (TASK_EVENT_TYPES as readonly unknown[]).includes(text);
}

/** Who hears of events inside the process that makes them. */
export interface TaskEventHandler {
  readonly types: readonly TaskEventType[];
  /** `ClassName.methodName`, for messages. */
  readonly source: string;
  invoke(event: TaskEvent): Promise<void>;
}
