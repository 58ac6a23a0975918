import type { Delivery, Processor } from './delivery.js';

/** How one queue is served. */
export interface Service {
  readonly queue: string;
  readonly concurrency: number;
  readonly process: Processor;
  /** Called with the ids of jobs whose lock could not be renewed: somebody else may be running them now. */
  readonly onLost: (ids: readonly string[]) => void;
  /** Called when a processor threw instead of giving a verdict; the job is given back. */
  readonly onDefect: (delivery: Delivery, error: unknown) => void;
}

/** Hands out the jobs of queues, and stores what became of them. */
export interface Workers {
  /** Starts to serve a queue. */
  serve(service: Service): void;
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
