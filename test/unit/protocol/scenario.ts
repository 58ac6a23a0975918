import type { CanvasData } from '../../../libs/task-queue/src/canvas/canvas-data.js';
import type { ChordDecision } from '../../../libs/task-queue/src/chords/chord-recovery.js';
import type { TaskQueueEngine } from '../../../libs/task-queue/src/engine/task-queue-engine.js';
import type { RefillSteps } from '../../../libs/task-queue/src/flow/refill.js';
import type { JsonValue } from '../../../libs/task-queue/src/primitives/json.js';
import type { TaskContext } from '../../../libs/task-queue/src/task/task-context.js';
import type { Defects } from './defects.js';

/** What happens in a world, and what may go wrong in it. */
export interface Scenario {
  readonly canvas: CanvasData;
  /** Its members are read while it is published, by whoever does that from outside; else it is there from the beginning. */
  readonly isStreamed?: boolean;
  /** Handlers by the names of their tasks. One that throws fails. */
  readonly tasks: Readonly<Record<string, Handler>>;
  /** Strategies of the application, told how often they have been asked. */
  readonly strategies?: Readonly<Record<string, (time: number) => ChordDecision>>;
  /** How many workers, and processes that do something from outside, may be lost. */
  readonly losses: number;
  /** Only those can be lost who do something about this. @defaultValue everybody */
  readonly loses?: RegExp;
  /** How often a task may lose its worker before it fails for that. @defaultValue more often than it can */
  readonly maxTimesLost?: 0;
  /** How often time may pass, up to what is delayed, while something else could happen. */
  readonly waits?: number;
  /** Jobs that no worker takes up, from where the ways begin. */
  readonly untaken?: RegExp;
  /** How much a redrive puts back at a time. @defaultValue all of it */
  readonly steps?: RefillSteps;
  /** What commands do instead of what they should. */
  readonly defects?: Defects;
  /** Done from outside, each once, at any time. */
  readonly meanwhile?: Readonly<Record<string, Outside>>;
  /** Up to here it goes one way only, without losses: every way begins where this is so for the first time. */
  readonly from?: (canvas: Standing) => boolean;
}

/** @param generation in which the task runs */
export type Handler = (
  args: readonly JsonValue[],
  generation: number,
  task: TaskContext,
) => JsonValue | Promise<JsonValue>;

/** Lets time pass, until something has changed. */
export type Rest = () => Promise<void>;

/** Something that is done by a process that works off no queue. */
export interface Outside {
  /** From when on it can begin. @defaultValue always */
  readonly when?: (canvas: Standing) => boolean;
  readonly act: (engine: TaskQueueEngine, rest: Rest) => Promise<unknown>;
}

/** What can be seen of a canvas from outside. */
export interface Standing {
  readonly isOver: boolean;
  /** Its members are being published. */
  readonly isDispatching: boolean;
  /** It waits for somebody to decide. */
  readonly isParked: boolean;
  /** Its hold is at work. */
  readonly isHolding: boolean;
  /** It has been released, and is not over. */
  readonly isEnding: boolean;
  /** Its deadline has passed. */
  readonly isDue: boolean;
  /** Its header is closed. */
  readonly isClosed: boolean;
  /** The timer of its deadline is at work. */
  readonly isTicking: boolean;
  /** A redrive holds it back: something in it may still have to be put back. */
  readonly isHeldBack: boolean;
  /** A worker has what ends its lease. */
  readonly isRunOut: boolean;
}

/** What can happen next. */
export type Move =
  | { readonly do: 'start'; readonly job: string }
  | { readonly do: 'step'; readonly activity: number }
  | { readonly do: 'lose'; readonly activity: number }
  | { readonly do: 'begin'; readonly outside: string }
  /** The clock goes on to what is delayed: when nothing else is left to do, and as often as time may pass meanwhile. */
  | { readonly do: 'wait' }
  /** Whoever publishes members was lost, and nobody goes on within the lease. */
  | { readonly do: 'let the lease run out' };

export const CANVAS_ID = 'c';
