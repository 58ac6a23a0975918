import type { Heartbeat, HeartbeatWatch } from '../backend/backend.js';
import type { WorkerDescription, WorkerReport } from '../backend/inspection.js';
import { BrokerUnavailableError } from '../errors/publish.errors.js';
import { bounded, pause } from '../primitives/bounded.js';
import type { RedisClient } from './redis-client.js';
import type { RedisConnections } from './redis-connections.js';
import type { RedisKeys } from './redis-keys.js';
import { BEAT, READ_WORKERS } from './scripts/inspection.js';
import { runScript } from './scripts/script.js';

/** Well below the time that a lock holds by default, so that a silent worker shows before its tasks are taken from it. */
const EVERY_MS = 2_000;
/** Of workers that do not say how often they beat. */
const EVERY_MS_BEFORE = 10_000;
/** Two that did not come, and half of one that may be on its way. */
const MISSED = 2.5;
const RETRY_MS = 1_000;
/** Short, because whoever closes the application waits for it. */
const ANSWER_MS = 1_000;
/** When a worker that is silent is forgotten: an event loop that is blocked for a while is none that has ended. */
const TIME_TO_LIVE_MS = 35_000;
const LISTED_WORKERS = 1_000;
/** Clocks that differ by less are taken for the same. */
const SKEW_MS = 2_000;

/**
 * Shows every two seconds that this worker is alive and which queues it takes tasks from. A heartbeat that cannot be
 * stored is left out: the next one says the same.
 */
export class RedisHeartbeat implements Heartbeat {
  readonly #stop = new AbortController();
  #skewMs = 0;
  #running: Promise<void> | undefined;

  constructor(
    private readonly connections: RedisConnections,
    private readonly keys: RedisKeys,
    private readonly describe: () => WorkerDescription,
    private readonly watch: HeartbeatWatch,
  ) {}

  start(): void {
    this.#running = this.#loop();
  }

  /** Ends, and says so, as far as Redis listens. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    const { id } = this.describe();
    const [beats, about] = this.keys.workers;
    await this.#tell((client) => Promise.all([client.zrem(beats, id), client.hdel(about, id)]));
  }

  async #loop(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await pause((await this.#beat()) ? EVERY_MS : RETRY_MS, this.#stop.signal);
    }
  }

  #beat(): Promise<boolean> {
    const worker = this.describe();
    const about: Stored = { ...worker, beatMs: EVERY_MS };
    const args = [worker.id, JSON.stringify(about), TIME_TO_LIVE_MS];
    return this.#tell(async (client) => {
      const [askedAt, since] = [Date.now(), performance.now()];
      const serverMs = Number(await runScript(client, BEAT, this.keys.workers, args));
      this.connections.clock.learn(since, serverMs);
      this.#compare(askedAt, serverMs, Date.now());
    });
  }

  /** Says by how much the clocks differ, when that is another time than it was. */
  #compare(askedAt: number, serverMs: number, answeredAt: number): void {
    // The server looked at its clock at some time in between.
    const aheadMs = serverMs < askedAt ? askedAt - serverMs : Math.min(0, answeredAt - serverMs);
    if (Math.abs(aheadMs - this.#skewMs) < SKEW_MS) return;
    this.#skewMs = aheadMs;
    if (Math.abs(aheadMs) >= SKEW_MS) this.watch.onSkew(aheadMs);
  }

  /** @returns whether Redis has heard it in time */
  async #tell(tell: (client: RedisClient) => Promise<unknown>): Promise<boolean> {
    try {
      const client = await this.connections.ready('publish', ANSWER_MS);
      await bounded(
        tell(client),
        ANSWER_MS,
        () => new BrokerUnavailableError('Redis did not answer in time.'),
      );
      return true;
    } catch (error) {
      this.watch.onTrouble(error);
      return false;
    }
  }
}

/** The workers that have shown lately that they are alive. */
export async function livingWorkers(client: RedisClient, keys: RedisKeys): Promise<readonly WorkerReport[]> {
  const reply = await runScript(client, READ_WORKERS, keys.workers, [TIME_TO_LIVE_MS, LISTED_WORKERS]);
  return (reply as [about: string | null, beatAgoMs: number][]).flatMap(([about, beatAgoMs]) => {
    if (about === null) return [];
    const { beatMs = EVERY_MS_BEFORE, ...worker } = JSON.parse(about) as Stored;
    return [{ ...worker, beatAgoMs, isSilent: beatAgoMs > MISSED * beatMs }];
  });
}

/** A worker's description, and how often it shows that it is alive. */
type Stored = WorkerDescription & { readonly beatMs?: number };
