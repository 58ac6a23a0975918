import type { FlowPlan, PlannedJob } from '../flow/flow-plan.js';
import { CANVAS_QUEUE } from '../flow/ids.js';
import { jobOptions } from './flow-jobs.js';
import type { Producers } from './producers.js';
import type { RedisConnections } from './redis-connections.js';
import type { RedisKeys } from './redis-keys.js';

const ANNOUNCE_EVERY_MS = 60_000;

/** What has to be there before a plan is: the names of its queues, and the timers of its deadlines. */
export class Forerunners {
  /** When a queue was put into the set of queues last, by the monotonic clock. */
  readonly #announced = new Map<string, number>();

  constructor(
    private readonly connections: RedisConnections,
    private readonly keys: RedisKeys,
    private readonly producers: Producers,
    private readonly timeoutMs: number,
  ) {}

  /** All of it. */
  async send(plans: readonly FlowPlan[]): Promise<void> {
    await this.announce(plans);
    await this.setTimers(plans);
  }

  /**
   * Puts the queues of plans into the set that handles are looked up with: now and then, and on every new connection, as
   * Redis may have come back without it, or another one in its place.
   */
  async announce(plans: readonly FlowPlan[]): Promise<void> {
    const client = await this.connections.ready('publish', this.timeoutMs);
    const [first] = plans;
    if (first === undefined) return;
    const prefix = this.keys.prefixOf(first.job.id);
    const fresh = new Set<string>();
    const nowMs = performance.now();
    const since = Math.max(this.connections.condition('publish').readyAt ?? nowMs, nowMs - ANNOUNCE_EVERY_MS);
    const visit = ({ job, children }: FlowPlan): void => {
      if (job.queue === CANVAS_QUEUE) return children.forEach(visit);
      const last = this.#announced.get(`${prefix}:${job.queue}`) ?? -Infinity;
      if (last < since) fresh.add(job.queue);
    };
    plans.forEach(visit);
    if (fresh.size === 0) return;
    await client.sadd(this.keys.queues(prefix), ...fresh);
    for (const queue of fresh) this.#announced.set(`${prefix}:${queue}`, nowMs);
  }

  /** Sets the timers of plans; one that is there already stays as it is. */
  async setTimers(plans: readonly FlowPlan[]): Promise<void> {
    for (const { job, children } of plans) {
      if (job.timer !== undefined) await this.#set(job.timer);
      if (children.length > 0) await this.setTimers(children);
    }
  }

  async #set(timer: PlannedJob): Promise<void> {
    await this.connections.ready('publish', this.timeoutMs);
    await this.producers.queue(timer.queue, timer.id).add(timer.name, timer.data, jobOptions(timer));
  }
}
