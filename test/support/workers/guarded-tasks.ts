/** Tasks that call a resource which several workers share. Whether it works, and who has called it, stands in Redis. */
import { Inject, Injectable } from '@nestjs/common';
import type { Redis } from 'ioredis';
import { Breaker, Retry, Task, TaskContext } from 'nestjs-task-queue';

/** Where the resource is. */
export const RESOURCE = 'RESOURCE';

export interface Resource {
  readonly redis: Redis;
  readonly prefix: string;
}

@Injectable()
export class GuardedTasks {
  constructor(@Inject(RESOURCE) private readonly resource: Resource) {}

  @Task({ queue: 'guarded' })
  @Breaker('api', { threshold: 3, openFor: 300, probes: '20/s', closeAfter: 2, release: '200/s' })
  @Retry({ maxRetries: 500, backoff: { type: 'fixed', delay: 5 } })
  async call(_n: number, task: TaskContext): Promise<number> {
    const { redis, prefix } = this.resource;
    const isUp = (await redis.get(`up:${prefix}`)) === '1';
    await redis.hincrby(`calls:${prefix}`, `${isUp ? 'up' : 'down'}:${process.pid}`, 1);
    if (!isUp) throw Object.assign(new Error('nobody there'), { code: 'ECONNREFUSED' });
    return task.retries;
  }
}
