import type { Delivery, Processor } from './delivery.js';

/** How one queue is served. */
export interface Service {
  readonly queue: string;
  /** To begin with. */
  readonly concurrency: number;
  readonly process: Processor;
  /** Called with the ids of jobs whose lock could not be renewed: somebody else may be running them now. */
  readonly onLost: (ids: readonly string[]) => void;
  /** Called when a processor threw instead of giving a verdict; the job is given back. */
  readonly onDefect: (delivery: Delivery, error: unknown) => void;
}

/** Hands out the jobs of queues, and stores what became of them. */
export interface Workers {
  /** How each queue is fetched from, for those who watch. */
  readonly loops: readonly FetchLoop[];
  /** Starts to serve a queue. */
  serve(service: Service): void;
  /** Another concurrency for a queue that is served. Where it is less, what runs goes on, and nothing more begins until then. */
  setConcurrency(queue: string, concurrency: number): void;
  /**
   * Fetches nothing more; what runs goes on, and keeps its locks. What was on its way already is given back without
   * having begun.
   */
  stopFetching(): void;
  /**
   * Waits until everything that was fetched has ended, and then a moment for what it came to to be stored.
   *
   * @returns whether all has ended
   */
  idle(timeoutMs: number): Promise<boolean>;
  /** Ends what closing has not ended. To be called last, before the backend is closed. */
  letGo(): Promise<void>;
}

/** How one queue (of one shard) is fetched from in this application. */
export interface FetchLoop {
  readonly queue: string;
  readonly concurrency: number;
  /** Handlers that run now. */
  readonly running: number;
  /** `ended`: it will not fetch again. */
  readonly state: 'running' | 'paused' | 'ended';
  /** How long ago the loop last did anything. */
  readonly movedAgoMs: number;
  /** For how long it should have moved and did not; 0 while every slot is taken. */
  readonly overdueMs: number;
}
