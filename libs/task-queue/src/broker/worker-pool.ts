import { type Job, UnrecoverableError, WaitingChildrenError, WaitingError, type Worker } from 'bullmq';
import type { Delivery, Verdict } from '../backend/delivery.js';
import type { FetchLoop, Service, Workers } from '../backend/workers.js';
import { timesParked } from '../flow/envelope.js';
import { bounded } from '../primitives/bounded.js';
import { InterruptibleWorker } from './interruptible-worker.js';
import type { RedisConnections } from './redis-connections.js';
import type { RedisKeys } from './redis-keys.js';
import { DETACH } from './scripts/detach.js';
import { runScript } from './scripts/script.js';

export interface WorkerPoolOptions {
  /** What BullMQ notes beside every job as who took it last. */
  readonly worker: string;
  readonly lockDurationMs: number;
  readonly stalledIntervalMs: number;
}

/**
 * The poison limit is ours: the execution refuses a task that lost its worker too often, so that its failure
 * is recorded like every other. BullMQ's own limit, which fails a job without calling anybody, stands far
 * behind it as a last resort.
 */
const LAST_RESORT_STALLS = 100;
/**
 * How soon a worker tries again after Redis refused it. BullMQ's 15 s would also keep a closed application alive
 * for as long, since the timer is not cleared.
 */
const RUN_RETRY_MS = 500;
/**
 * BullMQ renews locks that are older than half of its renewal time, and looks for such as often: a lock that is renewed late
 * leaves little time for an event loop that is blocked. One command for all locks of a queue.
 */
const RENEWALS = 5;
const DEFECT_MS = 1_000;
/** Stack traces that BullMQ keeps of one job, for dashboards; our record holds the last. */
const STACKS_KEPT = 3;
const STORE_MS = 1_000;
const GIVE_BACK_MS = 2_000;

/** The BullMQ workers of one application: one per queue and shard. */
export class WorkerPool implements Workers {
  readonly #workers: InterruptibleWorker[] = [];
  /** Set when nothing more may begin; resolves when BullMQ has stored what the last job came to. */
  #closing: Promise<unknown> | undefined;
  #active = 0;
  /** What to call once BullMQ has stored what a job came to. */
  readonly #onStored = new WeakMap<Job, () => void>();
  #whenIdle: (() => void)[] = [];

  constructor(
    private readonly connections: RedisConnections,
    private readonly keys: RedisKeys,
    private readonly options: WorkerPoolOptions,
    private readonly onError: (error: Error, queue: string) => void,
  ) {}

  serve(service: Service): void {
    for (let shard = 0; shard < this.keys.shards; shard++) {
      const worker: InterruptibleWorker = new InterruptibleWorker(
        service.queue,
        // Two parameters: with a third BullMQ would make an AbortController for every job.
        (job: Job, token?: string) => this.#run(service, worker, job, token ?? ''),
        {
          name: this.options.worker,
          connection: this.connections.get('consume'),
          prefix: this.keys.shardPrefix(shard),
          concurrency: service.concurrency,
          lockDuration: this.options.lockDurationMs,
          lockRenewTime: this.options.lockDurationMs / RENEWALS,
          stalledInterval: this.options.stalledIntervalMs,
          maxStalledCount: LAST_RESORT_STALLS,
          runRetryDelay: RUN_RETRY_MS,
          // No skipVersionCheck here: without the version BullMQ waits in whole seconds for what is delayed.
          autorun: false,
        },
        this.connections,
      );
      worker.on('error', (error) => this.onError(error, service.queue));
      worker.on('lockRenewalFailed', (ids) => service.onLost(ids));
      worker.on('failed', (job) => {
        if (job === undefined) return;
        this.#detach(job);
        this.#onStored.get(job)?.();
      });
      worker.on('completed', (job) => this.#onStored.get(job)?.());
      this.#workers.push(worker);
      worker.run().catch((error: unknown) => this.onError(asError(error), service.queue));
    }
  }

  setConcurrency(queue: string, concurrency: number): void {
    if (this.#closing !== undefined) return;
    for (const worker of this.#workers) if (worker.name === queue) worker.setConcurrency(concurrency);
  }

  /** The workers of BullMQ, for those who watch them. */
  get workers(): readonly Worker[] {
    return this.#workers;
  }

  get loops(): readonly FetchLoop[] {
    return this.#workers.map((worker) => worker.loop);
  }

  stopFetching(): void {
    this.#closing ??= Promise.allSettled(this.#workers.map((worker) => worker.close()));
  }

  async idle(timeoutMs: number): Promise<boolean> {
    const idle =
      this.#active === 0 ? Promise.resolve() : new Promise<void>((resolve) => this.#whenIdle.push(resolve));
    try {
      await bounded(idle, timeoutMs, () => new Error('still running'));
    } catch {
      return false;
    }
    // BullMQ's close stays pending when Redis is away (trap 18).
    if (this.#closing)
      await bounded(this.#closing, STORE_MS, () => new Error('Redis is away')).catch(() => undefined);
    return true;
  }

  async letGo(): Promise<void> {
    await Promise.all(this.#workers.splice(0).map((worker) => worker.letGo()));
  }

  /** As few promises as can be: there is no task that does not come this way. */
  #run(service: Service, worker: InterruptibleWorker, job: Job, token: string): Promise<unknown> {
    if (this.#closing !== undefined) return apply(job, token, { do: 'give-back' });
    this.#active++;
    worker.begins(job, token);
    const delivery = new BullmqDelivery(job, token);
    return service.process(delivery).then(
      (verdict) => this.#conclude(worker, job, token, verdict),
      // Nothing may leave a processor but a verdict: BullMQ would leave the job active for ever (hole H8).
      async (error: unknown) => {
        try {
          service.onDefect(delivery, error);
        } finally {
          await this.#conclude(worker, job, token, { do: 'give-back', delayMs: DEFECT_MS });
        }
      },
    );
  }

  #conclude(worker: InterruptibleWorker, job: Job, token: string, verdict: Verdict): unknown {
    if (verdict.onStored !== undefined) this.#onStored.set(job, verdict.onStored);
    if (verdict.do !== 'complete')
      return apply(job, token, verdict).finally(() => this.#leave(worker, job, token));
    this.#leave(worker, job, token);
    return verdict.value;
  }

  #leave(worker: InterruptibleWorker, job: Job, token: string): void {
    worker.ends(job, token);
    if (--this.#active === 0) this.#whenIdle.splice(0).forEach((resolve) => resolve());
  }

  /**
   * A task that failed is kept to be looked at, and somebody may retry it by hand. BullMQ would then give it back to its
   * node, which may be at work or over (hole H6): so it forgets its node, which has its failure already.
   */
  #detach(job: Job): void {
    if (job.finishedOn === undefined || job.parentKey === undefined || job.id === undefined) return;
    const queue = `${job.prefix}:${job.queueName}`;
    const keys = [`${queue}:${job.id}`, `${queue}:failed`];
    runScript(this.connections.get('publish'), DETACH, keys, [job.id]).catch(() => undefined);
  }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** Says in BullMQ's words what becomes of a job. */
async function apply(job: Job, token: string, verdict: Verdict): Promise<unknown> {
  job.opts.stackTraceLimit = STACKS_KEPT;
  switch (verdict.do) {
    case 'complete':
      return verdict.value;
    case 'fail':
      throw withStack(new UnrecoverableError(verdict.message), verdict.stack);
    case 'retry':
      // Both are read by moveToFailed and not persisted: a retry policy for this one throw.
      job.opts.attempts = job.attemptsMade + 2;
      job.opts.backoff = { type: 'fixed', delay: verdict.delayMs };
      throw withStack(new Error(verdict.message), verdict.stack);
    case 'give-back':
      await giveBack(job, token, verdict.delayMs);
      throw new WaitingError();
    case 'leave':
      throw new WaitingChildrenError();
  }
}

/** When Redis does not take the job back, its lock runs out and whoever looks for stalled jobs takes it up. */
async function giveBack(job: Job, token: string, delayMs: number | undefined): Promise<void> {
  const move = delayMs === undefined ? job.moveToWait(token) : job.moveToDelayed(Date.now() + delayMs, token);
  await bounded(Promise.resolve(move), GIVE_BACK_MS, () => new Error('give-back timed out')).catch(
    () => undefined,
  );
}

function withStack(error: Error, stack: string | undefined): Error {
  if (stack !== undefined) error.stack = stack;
  return error;
}

class BullmqDelivery implements Delivery {
  constructor(
    private readonly job: Job,
    readonly token: string,
  ) {}
  get id(): string {
    return this.job.id ?? '';
  }
  get name(): string {
    return this.job.name;
  }
  get queue(): string {
    return this.job.queueName;
  }
  get data(): unknown {
    return this.job.data as unknown;
  }
  get attemptsMade(): number {
    return this.job.attemptsMade;
  }
  get activations(): number {
    return this.job.attemptsStarted - timesParked(this.job.data);
  }
  get startedAtMs(): number {
    return this.job.processedOn ?? Date.now();
  }
  get timesLost(): number {
    return this.job.stalledCounter;
  }
  waitForChildren(): Promise<boolean> {
    return this.job.moveToWaitingChildren(this.token);
  }
}
