/** Tasks of canvases that are wider than a page. What ran is counted in Redis. */
import { Inject, Injectable } from '@nestjs/common';
import type { Redis } from 'ioredis';
import { HeaderOutcomes, Outcomes, Task, TaskContext } from 'nestjs-task-queue';

/** Where counts are kept. */
export const WIDE_COUNTS = 'WIDE_COUNTS';

export interface WideCounts {
  readonly redis: Redis;
  readonly prefix: string;
}

@Injectable()
export class WideTasks {
  constructor(@Inject(WIDE_COUNTS) private readonly counts: WideCounts) {}

  @Task({ queue: 'members' })
  async member(index: number, task: TaskContext): Promise<number> {
    await this.#ran(task.id);
    return index;
  }

  /** A member of a wide body: what it got, and its own index. */
  @Task({ queue: 'members' })
  async after(values: number[], index: number, task: TaskContext): Promise<number> {
    await this.#ran(task.id);
    return values.length + index;
  }

  @Task({ queue: 'ends' })
  async list(values: number[], task: TaskContext): Promise<string> {
    await this.#ran(task.id);
    return summaryOf(values);
  }

  @Task({ queue: 'ends' })
  async pages(@HeaderOutcomes() values: Outcomes<number>, task: TaskContext): Promise<string> {
    await this.#ran(task.id);
    const read: number[] = [];
    for await (const value of values.values()) read.push(value);
    return summaryOf(read);
  }

  async #ran(id: string): Promise<void> {
    await this.counts.redis.hincrby(`count:${this.counts.prefix}`, id, 1);
  }
}

/** How many there are, their sum, and whether each is larger than the one before. */
export function summaryOf(values: readonly number[]): string {
  const isOrdered = values.every((value, at) => at === 0 || value > (values[at - 1] ?? Infinity));
  return `${values.length} ${values.reduce((sum, value) => sum + value, 0)} ${isOrdered ? 'in order' : 'mixed up'}`;
}
