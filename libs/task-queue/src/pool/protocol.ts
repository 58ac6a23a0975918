import type { HostedCall, ProcessExit } from '../backend/handler-host.js';
import type { SerializedError } from '../failure/task-failure.js';
import type { JsonValue } from '../primitives/json.js';
import type { WireThrown } from './wire-thrown.js';

/**
 * What a worker and the children of its pool say to each other, as JSON over the channel that Node opens between them.
 * Both sides are of one version, for one starts the other.
 */

/** Where a child finds the application, and which registration of it the pool belongs to. */
export interface ChildStart {
  /** A `file:` URL. */
  readonly module: string;
  readonly export?: string;
  readonly connection: string;
  readonly currentTask: boolean;
}

/** Why a handler is to end. */
export type WireInterruption =
  | { readonly by: 'shutdown' | 'lost-lock' }
  | { readonly by: 'soft-limit' | 'hard-limit'; readonly limitMs: number }
  | { readonly by: 'revoked'; readonly message: string }
  | { readonly by: 'lock'; readonly lock: string };

export type ToChild =
  | ({ readonly do: 'start' } & ChildStart)
  /** One at a time. */
  | { readonly do: 'run'; readonly call: HostedCall }
  | { readonly do: 'interrupt'; readonly why: WireInterruption }
  /** The soft limit is another one now, or none. */
  | { readonly do: 'limit'; readonly softMs?: number }
  /** The answer to a note of progress. */
  | { readonly do: 'noted'; readonly note: number }
  /** Close the application, and end. */
  | { readonly do: 'end' };

export type LogLevel = 'log' | 'warn' | 'error' | 'debug' | 'verbose' | 'fatal';

export type FromChild =
  /** The application has been bootstrapped. */
  | { readonly say: 'ready'; readonly tasks: readonly string[] }
  /** It could not be; the child ends. */
  | { readonly say: 'unfit'; readonly error: SerializedError }
  /** The handler has ended. */
  | { readonly say: 'returned'; readonly value: JsonValue; readonly rssBytes: number }
  | { readonly say: 'threw'; readonly thrown: WireThrown; readonly rssBytes: number }
  | { readonly say: 'progress'; readonly note: number; readonly meta: JsonValue }
  | { readonly say: 'extend'; readonly ms: number }
  /** A line of the child's logger. */
  | {
      readonly say: 'line';
      readonly level: LogLevel;
      readonly text: string;
      readonly context?: string;
      readonly stack?: string;
    }
  /** Something was thrown that nobody caught: the process ends of it. */
  | { readonly say: 'dying'; readonly error: SerializedError }
  /** The last thing that it says: it ends now. */
  | { readonly say: 'ends' };

/** A line of a child's logger. */
export type LogLine = Extract<FromChild, { say: 'line' }>;

export type { HostedCall, ProcessExit };
