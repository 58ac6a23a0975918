import { type Job, type LockManagerWorkerContext, type Processor, Worker, type WorkerOptions } from 'bullmq';
import type { FetchLoop } from '../backend/workers.js';
import { pause } from '../primitives/bounded.js';
import { FetchPulse } from './fetch-pulse.js';
import { PunctualLocks } from './punctual-locks.js';
import type { RedisConnections } from './redis-connections.js';
import { timedBullmq } from './timed-bullmq.js';

/**
 * A BullMQ worker with a few differences, by members that are public or protected. A test fails when BullMQ changes what
 * it calls when.
 *
 * Its waits end when it is closed: BullMQ waits up to 5 s between two tries while Redis is away, and such a timer
 * would keep a closed application alive. And data that is no JSON reaches the processor, as a text: BullMQ throws
 * while it fetches such a job, which then stalls for ever, because failing it takes a fetch as well. And it can be seen
 * whether it fetches: BullMQ says that a worker is running also when its loop hangs on a connection that is half dead. And
 * its locks are renewed in time also where handlers block the event loop. And what BullMQ asks for around every job, and what
 * is the same each time, is answered without a round of promises: each is dear where something in the process uses
 * AsyncLocalStorage, on Node.js before 24.
 */
export class InterruptibleWorker extends Worker {
  readonly #closing = new AbortController();
  readonly #pulse = new FetchPulse();

  #ready: Promise<void> | undefined;

  /** @param connections what Redis is looked for on, whose clock it goes by */
  constructor(
    name: string,
    processor: Processor | null,
    options: WorkerOptions,
    private readonly connections: RedisConnections,
  ) {
    super(name, processor, options, timedBullmq(connections.clock));
  }

  /** What it waits for are the first connections, not those after a reconnect: once there, they are there. */
  override waitUntilReady(): Promise<void> {
    return (this.#ready ??= super.waitUntilReady().catch((error: unknown) => {
      this.#ready = undefined;
      throw error;
    }));
  }

  /** There is no telemetry of BullMQ's in a worker of ours. */
  override trace<T>(
    ...[, , , callback]: Parameters<typeof Worker.prototype.trace<T>>
  ): Promise<T | Promise<T>> {
    return callback() as Promise<T>;
  }

  /** Whoever runs an attempt says so, and when it has run: one more step around each would cost every task. */
  begins({ id = '' }: Job, token: string): void {
    this.#pulse.begins();
    this.#locks.begins(id, token);
  }

  ends({ id = '' }: Job, token: string): void {
    this.#pulse.ends();
    this.#locks.ends(id, token);
  }

  get #locks(): PunctualLocks {
    return this.lockManager as PunctualLocks;
  }

  get loop(): FetchLoop {
    const { running, movedAgoMs } = this.#pulse;
    const state = this.isPaused() ? 'paused' : this.isRunning() ? 'running' : 'ended';
    const overdueMs = this.#pulse.overdueMs(this.concurrency);
    return { queue: this.name, concurrency: this.concurrency, running, state, movedAgoMs, overdueMs };
  }

  /**
   * Changes the concurrency, at once also where there was no free slot: BullMQ's loop then waits for a handler to end, and
   * nothing but `resume` wakes it. No time passes between the two, so nothing sees that it was paused.
   */
  setConcurrency(slots: number): void {
    const [full, raised] = [this.#pulse.running >= this.concurrency, slots > this.concurrency];
    this.concurrency = slots;
    if (!full || !raised || this.isPaused() || !this.isRunning()) return;
    // It had no reason to move so far.
    this.#pulse.moves();
    void this.pause(true);
    void this.resume();
  }

  protected override async moveToActive(...args: Parameters<Worker['moveToActive']>): Promise<Job> {
    this.#pulse.moves();
    const { clock } = this.connections;
    // It would make due what is not, by a clock that is ahead.
    if (!clock.isSettled) await clock.ask(this.connections.get('consume'));
    const job = await super.moveToActive(...args);
    this.#pulse.moves();
    return job;
  }

  /** BullMQ asks for it right before it blocks, and notices a second later that a connection is silent. */
  protected override getBlockTimeout(blockUntil: number): number {
    const seconds = super.getBlockTimeout(blockUntil);
    this.#pulse.waits(Math.max(0, seconds + 1) * 1_000);
    return seconds;
  }

  protected override createLockManager(): void {
    const { lockRenewTime = 0, lockDuration = 0, name } = this.opts;
    const workerName = name === undefined ? {} : { workerName: name };
    const options = { lockRenewTime, lockDuration, workerId: this.id, ...workerName };
    // BullMQ's own types of a worker and of what its locks need of one say the same in two ways.
    this.lockManager = new PunctualLocks(this as LockManagerWorkerContext, options);
  }

  protected override createJob(...[data, id]: Parameters<Worker['createJob']>): Job {
    try {
      return super.createJob(data, id);
    } catch {
      return super.createJob({ ...data, data: JSON.stringify(data.data) }, id);
    }
  }

  override async delay(milliseconds = 100, other?: { readonly signal: unknown }): Promise<void> {
    const signal =
      other?.signal instanceof AbortSignal
        ? AbortSignal.any([this.#closing.signal, other.signal])
        : this.#closing.signal;
    this.#pulse.waits(milliseconds);
    await pause(milliseconds, signal);
  }

  override close(force?: boolean): Promise<void> {
    this.#closing.abort();
    return super.close(force);
  }

  /**
   * Lets go of what a close that cannot end holds on to: the timer that renews locks. BullMQ stops it only after it has
   * said goodbye to a Redis that is away.
   */
  async letGo(): Promise<void> {
    await this.lockManager.close();
  }
}
