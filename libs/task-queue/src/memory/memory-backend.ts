import type { Backend, Heartbeat, Janitor, JanitorDuty } from '../backend/backend.js';
import type { Broadcast } from '../backend/broadcast.js';
import type { Control, ControlMessage } from '../backend/control.js';
import type { WorkerDescription } from '../backend/inspection.js';
import type { TaskEvents, Wake } from '../backend/task-events.js';
import type { Workers } from '../backend/workers.js';
import type { TimerClock } from '../primitives/clock.js';
import { REFILL_STEPS, type RefillSteps } from '../flow/refill.js';
import { MemoryExamination } from './memory-examination.js';
import { MemoryBreakers } from './memory-breakers.js';
import { MemoryFailureStore } from './memory-failure-store.js';
import { MemoryHeaders } from './memory-headers.js';
import { MemoryInspection } from './memory-inspection.js';
import { MemoryJobs } from './memory-jobs.js';
import { MemoryLedger } from './memory-ledger.js';
import type { MemoryKeyStore } from './memory-key-store.js';
import { MemoryLimits } from './memory-limits.js';
import type { MemoryLocks } from './memory-locks.js';
import { MemoryPublisher } from './memory-publisher.js';
import { MemoryRefills } from './memory-refills.js';
import { MemoryRetryBudgets } from './memory-retry-budgets.js';
import { MemoryRepairs } from './memory-repairs.js';
import { MemoryRateLimiter } from './memory-rate-limiter.js';
import type { MemoryStore } from './memory-store.js';

/** What the applications of one prefix share. */
export interface Namespace {
  readonly store: MemoryStore;
  readonly locks: MemoryLocks;
  readonly idempotencyKeys: MemoryKeyStore;
  readonly listeners: Set<(message: ControlMessage) => void>;
  /** Those who watch events. */
  readonly watchers: Set<(text: string) => void>;
  /** What somebody waits for who has published. */
  readonly published: (id: string) => Promise<void>;
  /** Whether it waits for the canvas to run now. */
  readonly eager: () => boolean;
  readonly hire: () => Workers;
  /** What the workers that are alive say of themselves. */
  readonly living: Set<() => WorkerDescription>;
  /** How much a redrive puts back at a time. @defaultValue as much as with Redis */
  readonly steps?: RefillSteps;
}

/**
 * Queues and records in memory, for tests. Canvases, retries, limits, recovery and handles are those of production:
 * only what BullMQ and Redis do is done here, by the same rules.
 */
export class MemoryBackend implements Backend {
  readonly clock: TimerClock;
  readonly ledger: MemoryLedger;
  readonly publisher: MemoryPublisher;
  readonly refills: MemoryRefills;
  readonly headers: MemoryHeaders;
  readonly locks: MemoryLocks;
  readonly idempotencyKeys: MemoryKeyStore;
  readonly jobs: MemoryJobs;
  readonly failures: MemoryFailureStore;
  readonly events: MemoryEvents;
  readonly control: Control;
  readonly broadcast: Broadcast;
  readonly inspection: MemoryInspection;
  readonly examination: MemoryExamination;
  readonly repairs: MemoryRepairs;
  readonly rateLimiter: MemoryRateLimiter;
  readonly breakers: MemoryBreakers;
  readonly retryBudgets: MemoryRetryBudgets;
  readonly limits: MemoryLimits;

  constructor(private readonly namespace: Namespace) {
    const { store, locks, listeners, watchers, published, eager, living, steps = REFILL_STEPS } = namespace;
    this.clock = store.clock;
    this.locks = locks;
    this.idempotencyKeys = namespace.idempotencyKeys;
    this.inspection = new MemoryInspection(store, living);
    this.examination = new MemoryExamination(store);
    this.repairs = new MemoryRepairs(store);
    this.ledger = new MemoryLedger(store);
    this.publisher = new MemoryPublisher(store, published, eager, steps);
    this.refills = new MemoryRefills(store, steps);
    this.headers = new MemoryHeaders(store);
    this.jobs = new MemoryJobs(store);
    this.failures = new MemoryFailureStore(store);
    this.rateLimiter = new MemoryRateLimiter(store);
    this.breakers = new MemoryBreakers(store);
    this.retryBudgets = new MemoryRetryBudgets(store);
    this.limits = new MemoryLimits(store);
    this.events = new MemoryEvents(namespace);
    this.control = {
      send: async (message: ControlMessage) => listeners.forEach((listener) => listener(message)),
      listen: (onMessage) => void listeners.add(onMessage),
    };
    this.broadcast = {
      send: (text) => {
        for (const watcher of watchers) watcher(text);
        return true;
      },
      listen: async (onText) => {
        watchers.add(onText);
        return () => void watchers.delete(onText);
      },
    };
  }

  workers(): Workers {
    return this.namespace.hire();
  }

  /** Nothing goes round: what has expired is taken away when somebody looks. */
  janitor({ ages }: JanitorDuty): Janitor {
    const { store } = this.namespace;
    return {
      start: () => void (store.ages = new Map([...store.ages, ...ages])),
      stop: async () => undefined,
    };
  }

  heartbeat(describe: () => WorkerDescription): Heartbeat {
    const { living } = this.namespace;
    return { start: () => void living.add(describe), stop: async () => void living.delete(describe) };
  }

  async close(): Promise<void> {
    await this.events.close();
  }
}

class MemoryEvents implements TaskEvents {
  #closed = false;

  constructor(private readonly namespace: Namespace) {}

  get closed(): boolean {
    return this.#closed;
  }

  listen(_queue: string, id: string, wake: Wake): () => void {
    return this.#closed ? () => undefined : this.namespace.store.listen(id, wake);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.namespace.store.wakeAll();
  }
}
