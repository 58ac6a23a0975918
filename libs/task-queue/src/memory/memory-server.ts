// Not the globals: fake timers of a test runner would stop what waits for handlers.
import { clearTimeout, setTimeout } from 'node:timers';
import { AsyncLocalStorage } from 'node:async_hooks';
import type { ResolvedTaskQueueOptions } from '../options/resolve-options.js';
import type { TimerClock } from '../primitives/clock.js';
import { MemoryBackend, type Namespace } from './memory-backend.js';
import { type MemoryJob, originOf } from './memory-job.js';
import { MemoryKeyStore } from './memory-key-store.js';
import { MemoryLocks } from './memory-locks.js';
import { MemoryStore } from './memory-store.js';
import { MemoryWorkers, type Startable } from './memory-workers.js';

/** Who drives a server: it starts nothing by itself. */
export interface Driver {
  /** There may be something to start. */
  ready(): void;
  /** Whether publishing means running. */
  readonly runsAtOnce: boolean;
  /** What publishing from outside of a task waits for. */
  published(store: MemoryStore, id: string): Promise<void>;
  /** A task has failed for good. */
  failed(store: MemoryStore, job: MemoryJob): void;
}

/**
 * The servers that run the job from which something is called. One storage for all of them: on Node.js before 24 every
 * storage that was ever used makes each promise of the process dearer, and a suite starts a server for each of its tests.
 */
const INSIDE = new AsyncLocalStorage<ReadonlySet<MemoryServer>>();

/** What stands in Redis' place: the queues of all registrations of a test, and the workers that serve them. */
export class MemoryServer {
  readonly #namespaces = new Map<string, Namespace>();
  readonly #workers = new Set<MemoryWorkers>();
  readonly #running = new Set<MemoryJob>();
  #changedAt = performance.now();
  /** Those who wait for a change of one canvas, by its id, or of anything. */
  readonly #watchers = new Map<string | undefined, Set<() => void>>();

  constructor(
    private readonly clock: TimerClock,
    private readonly driver: Driver,
  ) {}

  /** The backend of a registration. Registrations of one name and prefix share what they hold. */
  backend({ name, prefix }: ResolvedTaskQueueOptions): MemoryBackend {
    const key = `${name}:${prefix}`;
    let namespace = this.#namespaces.get(key);
    if (namespace === undefined) {
      this.#namespaces.set(key, (namespace = this.#open()));
    }
    return new MemoryBackend(namespace);
  }

  get stores(): MemoryStore[] {
    return [...this.#namespaces.values()].map(({ store }) => store);
  }

  /** Jobs that run now. */
  get running(): ReadonlySet<MemoryJob> {
    return this.#running;
  }

  /** Whether this is called by something that a job runs. */
  get isInside(): boolean {
    return INSIDE.getStore()?.has(this) === true;
  }

  /** What is to be started next: what has been ready for longest, over all queues that are served. */
  next(isWanted: (job: MemoryJob) => boolean = () => true): Startable | undefined {
    let first: Startable | undefined;
    for (const workers of this.#workers) {
      for (const startable of workers.startable()) {
        if (isWanted(startable.job) && (first === undefined || startable.job.ready < first.job.ready))
          first = startable;
      }
    }
    return first;
  }

  start({ job, start }: Startable): Promise<void> {
    this.#running.add(job);
    const around = INSIDE.getStore() ?? [];
    return INSIDE.run(new Set([...around, this]), start).finally(() => this.#running.delete(job));
  }

  /** When the next delayed job is due that somebody serves. */
  get nextDueMs(): number | undefined {
    const times = this.stores.flatMap((store) => {
      const dueMs = store.nextDueMs((queue) => this.serves(store, queue));
      return dueMs === undefined ? [] : [dueMs];
    });
    return times.length === 0 ? undefined : Math.min(...times);
  }

  promote(untilMs: number): void {
    for (const store of this.stores) store.promote(untilMs);
  }

  serves(store: MemoryStore, queue: string): boolean {
    for (const workers of this.#workers) if (workers.store === store && workers.serves(queue)) return true;
    return false;
  }

  /** The worker that runs a job dies. */
  lose(id: string): void {
    const job = [...this.#running].find((one) => one.id === id);
    if (job === undefined) return;
    for (const workers of this.#workers) {
      if (workers.serves(job.queue) && workers.store.job(job) === job) return workers.lose(job);
    }
  }

  /**
   * Waits until something has begun to wait or has ended, of one canvas or at all.
   *
   * @returns false when the time was over before
   */
  change(withinMs: number, canvas?: string): Promise<boolean> {
    const origin = canvas === undefined ? undefined : originOf(canvas);
    const watchers = this.#watchers.get(origin) ?? new Set();
    this.#watchers.set(origin, watchers);
    return new Promise((resolve) => {
      const end = (hasChanged: boolean): void => {
        clearTimeout(timer);
        watchers.delete(watcher);
        if (watchers.size === 0 && origin !== undefined) this.#watchers.delete(origin);
        resolve(hasChanged);
      };
      const watcher = (): void => end(true);
      const timer = setTimeout(() => end(false), withinMs);
      watchers.add(watcher);
    });
  }

  /** For how long nothing has begun to wait or has ended, in real time. */
  get stillForMs(): number {
    return performance.now() - this.#changedAt;
  }

  /** Lets whoever waits for a change look again: for one of this job, or all. */
  poke(job?: MemoryJob): void {
    this.#changedAt = performance.now();
    const concerned = job
      ? [this.#watchers.get(undefined), this.#watchers.get(originOf(job.id))]
      : this.#watchers.values();
    for (const watchers of concerned) for (const watcher of [...(watchers ?? [])]) watcher();
  }

  clear(): void {
    for (const { store, locks, idempotencyKeys } of this.#namespaces.values()) {
      store.clear();
      locks.clear();
      idempotencyKeys.clear();
    }
  }

  #open(): Namespace {
    const changed = (job?: MemoryJob): void => {
      this.poke(job);
      this.driver.ready();
    };
    const store: MemoryStore = new MemoryStore(this.clock, {
      ready: changed,
      failed: (job) => this.driver.failed(store, job),
    });
    return {
      store,
      locks: new MemoryLocks(this.clock),
      idempotencyKeys: new MemoryKeyStore(),
      listeners: new Set(),
      watchers: new Set(),
      living: new Set(),
      published: async (id) => (this.isInside ? undefined : this.driver.published(store, id)),
      eager: () => !this.isInside && this.driver.runsAtOnce,
      hire: () => {
        const workers = new MemoryWorkers(store, changed);
        this.#workers.add(workers);
        return workers;
      },
    };
  }
}
