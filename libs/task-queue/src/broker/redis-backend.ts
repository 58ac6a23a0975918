import type {
  Backend,
  Heartbeat,
  HeartbeatWatch,
  Janitor,
  JanitorDuty,
  OnTrouble,
  Platform,
} from '../backend/backend.js';
import type { WorkerDescription } from '../backend/inspection.js';
import type { Workers } from '../backend/workers.js';
import { locateRedis } from '../options/resolve-connection.js';
import type { ResolvedTaskQueueOptions, ResolvedWorkerOptions } from '../options/resolve-options.js';
import type { TimerClock } from '../primitives/clock.js';
import { PROCESS_NAME } from '../primitives/process-name.js';
import { CanvasLedger } from './canvas-ledger.js';
import { CompletionEvents } from './completion-events.js';
import { ControlChannel } from './control-channel.js';
import { FlowPublisher } from './flow-publisher.js';
import { RedisBroadcast } from './redis-broadcast.js';
import { RedisHeartbeat } from './heartbeat.js';
import { RedisJanitor } from './janitor.js';
import { RedisBreakers } from './redis-breakers.js';
import { type BullQueue, Producers } from './producers.js';
import type { ConnectionPurpose } from './redis-client.js';
import { RedisConnections } from './redis-connections.js';
import { RedisExamination } from './redis-examination.js';
import { RedisFailureStore } from './redis-failure-store.js';
import { RedisHeaders } from './redis-headers.js';
import { RedisInspection } from './redis-inspection.js';
import { RedisJobs } from './redis-jobs.js';
import { RedisKeyStore } from './redis-key-store.js';
import { RedisKeys } from './redis-keys.js';
import type { RedisRefills } from './redis-refills.js';
import { RedisRepairs } from './redis-repairs.js';
import { RedisLimits } from './redis-limits.js';
import { RedisLocks } from './redis-locks.js';
import { ScriptRunner } from './script-runner.js';
import { RedisRetryBudgets } from './redis-retry-budgets.js';
import { RedisRateLimiter } from './redis-rate-limiter.js';
import { Transactions } from './transactions.js';
import { WorkerPool } from './worker-pool.js';

/** Queues of BullMQ and records beside them, in Redis. */
export class RedisBackend implements Backend {
  readonly clock: TimerClock;
  readonly keys: RedisKeys;
  readonly connections: RedisConnections;
  readonly producers: Producers;
  readonly ledger: CanvasLedger;
  readonly publisher: FlowPublisher;
  readonly refills: RedisRefills;
  readonly headers: RedisHeaders;
  readonly locks: RedisLocks;
  readonly idempotencyKeys: RedisKeyStore;
  readonly jobs: RedisJobs;
  readonly failures: RedisFailureStore;
  readonly events: CompletionEvents;
  readonly control: ControlChannel;
  readonly broadcast: RedisBroadcast;
  readonly inspection: RedisInspection;
  readonly examination: RedisExamination;
  readonly repairs: RedisRepairs;
  readonly rateLimiter: RedisRateLimiter;
  readonly breakers: RedisBreakers;
  readonly retryBudgets: RedisRetryBudgets;
  readonly limits: RedisLimits;
  #pool: WorkerPool | undefined;

  /** @throws InvalidOptionsError when the options do not say where Redis is */
  constructor(
    private readonly options: ResolvedTaskQueueOptions,
    private readonly onTrouble: OnTrouble,
  ) {
    const { publishTimeoutMs } = options;
    this.keys = new RedisKeys(options.prefix, options.shards);
    this.connections = new RedisConnections(
      locateRedis(options.connection),
      options.prefix,
      (error, purpose: ConnectionPurpose) => onTrouble(error, `connection for ${purpose}`),
    );
    this.clock = this.connections.clock;
    this.producers = new Producers(this.connections, this.keys, (error) => onTrouble(error, 'publishing'));
    const transactions = new Transactions(this.connections, this.producers, publishTimeoutMs);
    const ready = (purpose: ConnectionPurpose) => () => this.connections.ready(purpose, publishTimeoutMs);
    const ledger = new ScriptRunner(ready('ledger'), publishTimeoutMs);
    const { connections, keys, producers } = this;
    this.publisher = new FlowPublisher(connections, keys, producers, transactions, ledger, {
      publishTimeoutMs,
    });
    this.refills = this.publisher.refills;
    this.ledger = new CanvasLedger(this.keys, ledger);
    this.headers = new RedisHeaders(this.keys, ledger, this.clock);
    const scripts = new ScriptRunner(ready('publish'), publishTimeoutMs);
    this.locks = new RedisLocks(this.keys, scripts);
    this.idempotencyKeys = new RedisKeyStore(this.keys, scripts);
    this.jobs = new RedisJobs(
      ready('publish'),
      this.keys,
      this.producers,
      transactions,
      this.clock,
      publishTimeoutMs,
    );
    this.failures = new RedisFailureStore(this.keys, ready('ledger'), publishTimeoutMs);
    this.events = new CompletionEvents(this.connections, this.keys, (error) => onTrouble(error, 'events'));
    this.control = new ControlChannel(this.connections, this.keys, publishTimeoutMs);
    this.rateLimiter = new RedisRateLimiter(this.keys, scripts);
    this.breakers = new RedisBreakers(this.keys, scripts);
    this.retryBudgets = new RedisRetryBudgets(this.keys, scripts);
    this.limits = new RedisLimits(this.keys, scripts);
    this.broadcast = new RedisBroadcast(this.connections, this.keys, publishTimeoutMs);
    this.inspection = new RedisInspection(this.connections, this.keys);
    this.examination = new RedisExamination(this.keys, scripts);
    this.repairs = new RedisRepairs({ keys, scripts, producers, transactions });
  }

  /** The workers of BullMQ, for those who watch them; none before the start. */
  get bullmqWorkers(): WorkerPool['workers'] {
    return this.#pool?.workers ?? [];
  }

  workers(tuning: ResolvedWorkerOptions): Workers {
    const options = { ...tuning, worker: PROCESS_NAME };
    return (this.#pool = new WorkerPool(this.connections, this.keys, options, (error, queue) =>
      this.onTrouble(error, `worker of queue ${queue}`),
    ));
  }

  janitor(duty: JanitorDuty): Janitor {
    const { keys, producers, jobs, failures } = this;
    const client = () => this.connections.ready('publish', this.options.publishTimeoutMs);
    return new RedisJanitor({ client, keys, producers, jobs, failures }, duty);
  }

  /** BullMQ's queues of these names, in every shard, once they can be asked. */
  async queues(names: Iterable<string>): Promise<BullQueue[]> {
    await this.connections.ready('publish', this.options.publishTimeoutMs);
    const shards = Array.from({ length: this.keys.shards }, (_, shard) => `${shard.toString(36)}~`);
    return [...names].flatMap((name) => shards.map((shard) => this.producers.queue(name, shard)));
  }

  heartbeat(describe: () => WorkerDescription, watch: HeartbeatWatch): Heartbeat {
    return new RedisHeartbeat(this.connections, this.keys, describe, watch);
  }

  async close(): Promise<void> {
    await this.events.close();
    await this.producers.close();
    this.connections.close();
  }
}

/** What engines stand on outside of tests. */
export const redisPlatform: Platform = {
  random: Math.random,
  backend: (options, onTrouble) => new RedisBackend(options, onTrouble),
};
