/**
 * What those who watch over an application ask its store. Every answer is bounded: a store that does not give one in
 * time makes a BrokerUnavailableError. Nothing here changes anything, and nothing opens a connection.
 */
export interface Inspection {
  /** Whether the store answers. */
  ping(timeoutMs: number): Promise<Answer>;
  /** What the servers say of themselves: one, or each master of a cluster. A server that hides all of it is left out. */
  servers(timeoutMs: number): Promise<readonly ServerReport[]>;
  /** Every queue that was ever published to. */
  queues(nowMs: number, timeoutMs: number): Promise<readonly QueueReport[]>;
  /** Steps of canvases that have been waiting for what is below them since before a time. */
  waitingCanvases(beforeMs: number, timeoutMs: number): Promise<CanvasReport>;
  /** The worker applications that are alive anywhere. */
  workers(timeoutMs: number): Promise<readonly WorkerReport[]>;
}

/** A sign of life of the store. */
export interface Answer {
  readonly latencyMs: number;
  /** For how long it has been answering, as far as this application knows. */
  readonly answeringForMs: number;
}

/** What a server says of itself. Providers hide some of it; what is hidden is undefined or 'unknown'. */
export interface ServerReport {
  readonly version: string | undefined;
  readonly role: 'master' | 'replica' | 'unknown';
  readonly loading: boolean;
  readonly maxmemoryPolicy: string | undefined;
  readonly usedMemoryBytes: number | undefined;
  /** 0 means no limit. */
  readonly maxMemoryBytes: number | undefined;
  readonly persistence: Persistence;
  /** The last write to disk that failed, of those after which the server refuses to be written to. */
  readonly failedWrite: 'aof' | 'rdb' | undefined;
}

/** How a server keeps its data: in the append-only file, by snapshots, or not at all. */
export type Persistence = 'aof' | 'rdb' | 'off' | 'unknown';

/** What is in a queue. */
export interface QueueReport {
  readonly queue: string;
  /** Tasks that could begin at once, in whatever order: waiting, prioritized, and delayed ones that are due. */
  readonly waiting: number;
  /** Tasks whose time has not come. */
  readonly delayed: number;
  readonly active: number;
  /** Failures that are kept: of tasks that stand alone, and in `_canvas` of canvases. */
  readonly failed: number;
  /** Whether somebody has paused the queue, for all workers. */
  readonly paused: boolean;
  /**
   * Since when the oldest of those that wait could have begun, in epoch milliseconds; undefined when nothing waits,
   * and for steps of canvases, of which it is not known.
   */
  readonly waitingSinceMs: number | undefined;
}

/** Steps of canvases that have been waiting for long. */
export interface CanvasReport {
  /** Steps that wait, for however long. */
  readonly waiting: number;
  /** Of these, those that have been waiting since before the time that was asked about. */
  readonly overdue: number;
  /** The canvases of the oldest of them, oldest first; a few. */
  readonly oldest: readonly { readonly id: string; readonly waitingSinceMs: number }[];
}

/** A worker application, as its heartbeat describes it. */
export interface WorkerReport {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  /** The queues whose fetch loops move. */
  readonly queues: readonly string[];
  readonly tasks: readonly string[];
  readonly beatAgoMs: number;
  /** Two heartbeats of it did not come: it has ended, or does nothing at all. */
  readonly isSilent: boolean;
}

/** What a worker application says of itself with each heartbeat. */
export type WorkerDescription = Omit<WorkerReport, 'beatAgoMs' | 'isSilent'>;
