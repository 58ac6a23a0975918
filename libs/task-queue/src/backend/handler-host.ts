import type { StoredValues } from '../codec/stored-values.js';
import type { TaskEnvelope } from '../flow/envelope.js';
import type { ResolvedProcessPool } from '../options/pool-options.js';
import type { JsonValue } from '../primitives/json.js';
import type { Interruption } from '../task/interruption.js';

/** Runs the handlers of one queue somewhere else than on this event loop. */
export interface HandlerHost {
  /** Begins to make room, and keeps it up from then on. */
  start(): void;
  /** Resolves when there is room for as many tasks as it was made for, for the first time. */
  ready(): Promise<void>;
  /** How it is doing, for those who watch. */
  readonly state: HostState;
  /**
   * A place for one attempt.
   *
   * @throws the signal's reason when it aborts while there is no room
   */
  seat(signal: AbortSignal): Promise<Seat>;
  /** Ends everything, in bounded time. What still runs is lost. */
  close(): Promise<void>;
}

/** How a host is doing. */
export interface HostState {
  /** How many tasks it is made for. */
  readonly size: number;
  /** How many of those places there are now. */
  readonly ready: number;
  readonly busy: number;
  /** Why there are fewer than there should be, when something is wrong. */
  readonly problem: string | undefined;
}

/** Where one attempt runs. */
export interface Seat {
  /**
   * Runs the handler.
   *
   * @throws what the handler threw, as an error of the same class as far as that is known here
   * @throws HandlerLostError when it was ended by force, or its process died
   */
  run(call: HostedCall, attempt: HostedAttempt): Promise<unknown>;
  /** Aborts the handler's signal. */
  interrupt(interruption: Interruption): void;
  /** The soft limit is another one now, or none: for a handler that looks at the clock by itself. */
  limit(softMs: number | undefined): void;
  /** Ends what runs, by force once the time of grace has passed. `run` settles in bounded time. */
  end(grace: 'none' | 'some'): void;
  /** The attempt needs it no more. */
  release(): void;
}

type SeenByHandler = 'headers' | 'maxRetries' | 'retried' | 'each' | 'settle' | 'once' | 'redriven';

/** A call as its handler sees it. */
export interface HostedCall {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly args: readonly JsonValue[];
  /** The members that the handler reads page by page, in front of the arguments. */
  readonly header?: { readonly node: string; readonly size: number };
  readonly item?: number;
  /** What else was published with the call, as far as its handler sees it. */
  readonly envelope: { readonly [K in SeenByHandler]: TaskEnvelope[K] | undefined };
  /** Proves that the attempt still owns the task. */
  readonly token: string;
  readonly activations: number;
  readonly attemptsMade: number;
  /** When the attempt began, in epoch milliseconds. */
  readonly startedAtMs: number;
  /** The soft limit, and how much of it has gone by. The hard one is held here. */
  readonly soft?: { readonly limitMs: number; readonly elapsedMs: number };
}

/** What a handler can ask of its attempt. */
export interface HostedAttempt {
  progress(meta: JsonValue): Promise<void>;
  extendTimeLimit(ms: number): void;
}

/** How a process ended. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** What it said last: the error that ended it, or the end of what it wrote to its stderr. */
  readonly lastWords?: string;
}

/** The process of a handler is gone, and with it the attempt. Says nothing about the task. */
export class HandlerLostError extends Error {
  constructor(readonly exit: ProcessExit) {
    super(`the process ${describeExit(exit)}`);
  }
}

/** `ended with exit code 1: …` or `was ended by SIGKILL`. */
export function describeExit({ code, signal, lastWords }: ProcessExit): string {
  const how = signal === null ? `ended with exit code ${code ?? 'unknown'}` : `was ended by ${signal}`;
  return lastWords === undefined ? how : `${how}: ${lastWords}`;
}

/** What a host is made for. */
export interface HostDuty {
  readonly queue: string;
  /** The name of the registration. */
  readonly connection: string;
  readonly pool: ResolvedProcessPool;
  readonly currentTask: boolean;
  /** The tasks that it has to run; it may be sent others that have been routed to the queue. */
  tasks(): readonly string[];
  readonly values: StoredValues;
  /** The class of an error that a task threw, by its name. */
  errorClass(name: string): (abstract new (...args: never[]) => Error) | undefined;
}

/** Makes the hosts of an application. */
export type HostFactory = (duty: HostDuty) => HandlerHost;
