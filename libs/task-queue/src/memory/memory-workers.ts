import { timesParked } from '../flow/envelope.js';
import type { Delivery, Verdict } from '../backend/delivery.js';
import type { FetchLoop, Service, Workers } from '../backend/workers.js';
import type { MemoryJob } from './memory-job.js';
import type { MemoryStore } from './memory-store.js';
import { endsWithin } from './real-time.js';

/** A job that can be started now, and who serves its queue. */
export interface Startable {
  readonly job: MemoryJob;
  readonly start: () => Promise<void>;
}

interface Serving {
  readonly service: Service;
  concurrency: number;
  active: number;
}

/** How long a handler may go on while its application closes. */
const IDLE_MS = 1_000;
const DEFECT_MS = 1_000;

/** Serves the queues of one application. It starts nothing by itself: whoever drives it says when. */
export class MemoryWorkers implements Workers {
  readonly #served = new Map<string, Serving>();
  #running = new Set<Promise<void>>();
  #stopped = false;

  constructor(
    readonly store: MemoryStore,
    private readonly onChange: (job?: MemoryJob) => void,
  ) {}

  get loops(): readonly FetchLoop[] {
    const state = this.#stopped ? 'ended' : 'running';
    return [...this.#served].map(([queue, { concurrency, active }]) => ({
      queue,
      concurrency,
      running: active,
      state,
      movedAgoMs: 0,
      overdueMs: 0,
    }));
  }

  serve(service: Service): void {
    this.#served.set(service.queue, { service, concurrency: service.concurrency, active: 0 });
    this.onChange();
  }

  setConcurrency(queue: string, concurrency: number): void {
    const serving = this.#served.get(queue);
    if (serving === undefined || serving.concurrency === concurrency) return;
    serving.concurrency = concurrency;
    this.onChange();
  }

  serves(queue: string): boolean {
    return !this.#stopped && this.#served.has(queue);
  }

  /** The jobs that can be started now, one of each queue. */
  *startable(): Generator<Startable> {
    if (this.#stopped) return;
    for (const [queue, serving] of this.#served) {
      if (serving.active >= serving.concurrency) continue;
      const [job] = this.store.line(queue);
      if (job) yield { job, start: () => this.#start(serving, job) };
    }
  }

  /** What a worker's death looks like to a job that runs: its attempt is not heard, and it is there to be run again. */
  lose(job: MemoryJob): void {
    job.timesLost += 1;
    this.store.again(job, 0);
    this.#served.get(job.queue)?.service.onLost([job.id]);
  }

  stopFetching(): void {
    this.#stopped = true;
  }

  idle(timeoutMs: number): Promise<boolean> {
    return endsWithin(Promise.all(this.#running), Math.min(timeoutMs, IDLE_MS));
  }

  async letGo(): Promise<void> {}

  #start(serving: Serving, job: MemoryJob): Promise<void> {
    serving.active += 1;
    const running = this.#run(serving.service, job).finally(() => {
      serving.active -= 1;
      this.#running.delete(running);
      this.onChange(job);
    });
    this.#running.add(running);
    return running;
  }

  async #run(service: Service, job: MemoryJob): Promise<void> {
    const token = this.store.activate(job);
    const delivery = new MemoryDelivery(job, token, this.store);
    const verdict = await service.process(delivery).catch((error: unknown): Verdict => {
      service.onDefect(delivery, error);
      return { do: 'give-back', delayMs: DEFECT_MS };
    });
    // Somebody else owns the job by now, or it waits for its children already.
    if (job.token !== token || this.store.job(job) !== job) return;
    this.#apply(job, verdict);
    verdict.onStored?.();
  }

  #apply(job: MemoryJob, verdict: Verdict): void {
    switch (verdict.do) {
      case 'complete':
        return this.store.complete(job, JSON.stringify(verdict.value));
      case 'fail':
        return this.store.fail(job, verdict.message);
      case 'retry':
        job.attemptsMade += 1;
        return this.store.again(job, verdict.delayMs);
      case 'give-back':
        return this.store.again(job, verdict.delayMs ?? 0);
      case 'leave':
        return undefined;
    }
  }
}

class MemoryDelivery implements Delivery {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly data: unknown;
  readonly attemptsMade: number;
  readonly activations: number;
  readonly startedAtMs: number;
  readonly timesLost: number;

  constructor(
    private readonly job: MemoryJob,
    readonly token: string,
    private readonly store: MemoryStore,
  ) {
    this.id = job.id;
    this.name = job.name;
    this.queue = job.queue;
    this.data = JSON.parse(job.data) as unknown;
    this.attemptsMade = job.attemptsMade;
    this.activations = job.activations - timesParked(this.data);
    this.startedAtMs = job.processedOn ?? 0;
    this.timesLost = job.timesLost;
  }

  async waitForChildren(): Promise<boolean> {
    // An activation that was superseded has no say in it; what it comes to is not applied either.
    return this.job.token !== this.token || this.store.waitForChildren(this.job);
  }
}
