/** Tasks that note when they begin, by the clock of Redis. */
import { Inject, Injectable } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { Retry, Task, WorkflowService } from 'nestjs-task-queue';

/** Where beginnings are noted. */
export const NOTES = 'NOTES';

export interface Notes {
  readonly redis: Redis;
  readonly prefix: string;
}

/** What waits, in any of the ways in which something can be made to wait. */
export const WAIT_MS = 1_500;

export const beginnings = (prefix: string, label: string): string => `clock:${prefix}:${label}`;

export async function serverMs(redis: Redis): Promise<number> {
  const [seconds = 0, micros = 0] = await redis.time();
  return seconds * 1_000 + micros / 1_000;
}

@Injectable()
export class ClockTasks {
  constructor(
    @Inject(NOTES) private readonly notes: Notes,
    private readonly workflows: WorkflowService,
  ) {}

  @Task()
  async takes(label: string, ms: number): Promise<string> {
    await this.#begins(label);
    await delay(ms);
    return label;
  }

  @Task()
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: WAIT_MS } })
  async fails(label: string): Promise<string> {
    if ((await this.#begins(label)) === 1) throw new Error('not yet');
    return label;
  }

  @Task()
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 1 } })
  async failsOnce(label: string): Promise<string> {
    if ((await this.#begins(label)) === 1) throw new Error('again at once');
    return label;
  }

  /** Publishes from where the clock is wrong. */
  @Task()
  async publishes(label: string): Promise<string> {
    const call = await this.workflows
      .tasks(ClockTasks)
      .takes.applyAsync([label, 0], { countdown: WAIT_MS, expires: '1m' });
    return call.id;
  }

  @Task()
  async ends(values: unknown[], label: string): Promise<number> {
    await this.#begins(label);
    return values.length;
  }

  async #begins(label: string): Promise<number> {
    const { redis, prefix } = this.notes;
    return redis.rpush(beginnings(prefix, label), await serverMs(redis));
  }
}
