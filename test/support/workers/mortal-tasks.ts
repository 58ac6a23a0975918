/** Tasks that leave dead letters, and one that handles them. What ran is counted in Redis. */
import { Inject, Injectable } from '@nestjs/common';
import type { Redis } from 'ioredis';
import { type DeadLetter, OnDeadLetter, Retry, Task, TaskContext } from 'nestjs-task-queue';

/** Where counts are kept. */
export const MORTAL_COUNTS = 'MORTAL_COUNTS';

export interface MortalCounts {
  readonly redis: Redis;
  readonly prefix: string;
}

@Injectable()
export class MortalTasks {
  constructor(@Inject(MORTAL_COUNTS) private readonly counts: MortalCounts) {}

  /** Fails in its first attempts, its retry included, so often as it is told. */
  @Task({ queue: 'mortal' })
  @Retry({ maxRetries: 1, backoff: { type: 'fixed', delay: 1 } })
  async fails(times: number, task: TaskContext): Promise<string> {
    await this.#count('fails', task.id);
    if (task.attempt <= times) throw new RangeError(`attempt ${task.attempt}`);
    return 'alive';
  }

  @Task({ queue: 'mortal' })
  @OnDeadLetter()
  async bury({ id }: DeadLetter, task: TaskContext): Promise<void> {
    await this.#count('bury', id);
    await this.#count('buried by', task.id);
  }

  async #count(what: string, id: string): Promise<void> {
    await this.counts.redis.hincrby(`count:${this.counts.prefix}:${what}`, id, 1);
  }
}
