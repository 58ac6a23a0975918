import type { ResolvedTaskQueueOptions, ResolvedWorkerOptions } from '../options/resolve-options.js';
import type { Clock, RandomSource, TimerClock } from '../primitives/clock.js';
import type { CanvasData } from '../canvas/canvas-data.js';
import type { TaskProbe } from '../task/task-registry.js';
import type { BreakerStore } from './breaker-store.js';
import type { Broadcast } from './broadcast.js';
import type { Control } from './control.js';
import type { Examination } from './examination.js';
import type { FailureStore, LetterBounds } from './failure-store.js';
import type { HostFactory } from './handler-host.js';
import type { HeaderStore } from './header-store.js';
import type { Inspection, WorkerDescription } from './inspection.js';
import type { JobStore } from './job-store.js';
import type { Ledger } from './ledger.js';
import type { LimitStore } from './limit-store.js';
import type { KeyStore } from './key-store.js';
import type { LockStore } from './lock-store.js';
import type { Publisher } from './publisher.js';
import type { RateLimiter } from './rate-limiter.js';
import type { Refills } from './refills.js';
import type { RetryBudgets } from './retry-budgets.js';
import type { Repairs } from './repairs.js';
import type { TaskEvents } from './task-events.js';
import type { Workers } from './workers.js';

/**
 * Where queues, results and marks are kept. An engine knows it by these ports alone, in ids; keys, scripts and
 * connections are the affair of who implements them.
 */
export interface Backend {
  /** The time that everything here goes by. */
  readonly clock: TimerClock;
  readonly ledger: Ledger;
  readonly publisher: Publisher;
  /** Redrives that are too wide for one step. */
  readonly refills: Refills;
  readonly headers: HeaderStore;
  readonly locks: LockStore;
  readonly idempotencyKeys: KeyStore;
  readonly jobs: JobStore;
  readonly failures: FailureStore;
  readonly events: TaskEvents;
  readonly control: Control;
  readonly rateLimiter: RateLimiter;
  readonly breakers: BreakerStore;
  readonly retryBudgets: RetryBudgets;
  readonly limits: LimitStore;
  /** Carries events to whoever watches from another process. */
  readonly broadcast: Broadcast;
  readonly inspection: Inspection;
  /** Looks at single jobs closely. */
  readonly examination: Examination;
  /** Puts right what was damaged from outside. */
  readonly repairs: Repairs;
  /** What serves queues, for one run of this application's worker. */
  workers(tuning: ResolvedWorkerOptions): Workers;
  /** What removes results whose time has come, while this application's worker runs. */
  janitor(duty: JanitorDuty): Janitor;
  /** What shows others that this application's worker is alive, while it takes tasks. */
  heartbeat(describe: () => WorkerDescription, watch: HeartbeatWatch): Heartbeat;
  /** Wakes those who wait, then ends everything that is open. */
  close(): Promise<void>;
}

/** What a janitor looks after. */
export interface JanitorDuty {
  /** Queues that this application serves, with the age at which their results go. */
  readonly ages: ReadonlyMap<string, number>;
  /** The age at which canvases go. */
  readonly canvasAgeMs: number;
  readonly letters: LetterBounds;
  readonly clock: Clock;
  readonly onTrouble: (error: unknown) => void;
}

/** Removes results whose time has come. */
export interface Janitor {
  start(): void;
  stop(): Promise<void>;
}

/** Who hears what a heartbeat comes to. */
export interface HeartbeatWatch {
  /** One could not be stored. */
  onTrouble(error: unknown): void;
  /** The clock of this machine is so much ahead of the store's, or behind it where that is negative. */
  onSkew(aheadMs: number): void;
}

/** Shows at intervals that a worker is alive. */
export interface Heartbeat {
  start(): void;
  stop(): Promise<void>;
}

/** What somebody is told about trouble with the store, and where it was. */
export type OnTrouble = (error: Error, where: string) => void;

/** What engines stand on: chance, and where things are kept. */
export interface Platform {
  readonly random: RandomSource;
  readonly backend: BackendFactory;
  readonly probe?: Probe;
  /** Makes what handlers run in that are to run in processes of their own. Without it all of them run in this one. */
  readonly hosts?: HostFactory;
}

/** Sees what an engine is asked to do, and may step between it and its tasks. For tests. */
export interface Probe extends TaskProbe {
  /** A canvas is published under this id. */
  published(id: string, canvas: CanvasData): void;
}

/** Makes the backend of one engine. @throws InvalidOptionsError when the options do not say where it is */
export type BackendFactory = (options: ResolvedTaskQueueOptions, onTrouble: OnTrouble) => Backend;
