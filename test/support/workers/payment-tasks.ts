/** The payment task of the tests that kill: every step may be the last one of its process. */
import { Inject, Injectable } from '@nestjs/common';
import type { Redis } from 'ioredis';
import { Idempotent, type Lock, Retry, Task, TaskContext } from 'nestjs-task-queue';

/** The steps after which a worker may be killed, in their order. */
export const STEPS = ['begun', 'locked', 'looked', 'charged', 'recorded', 'unlocked', 'returned'] as const;
export type Step = (typeof STEPS)[number];

export interface Order {
  readonly id: string;
  readonly account: string;
  readonly amount: number;
  /** After which steps its worker is killed, each of them once, and how long after the last one. */
  readonly dies: readonly Step[];
  readonly lingerMs: number;
}

export interface Receipt {
  readonly charge: string;
  readonly amount: number;
}

export const PAYMENTS = Symbol('payments');

/** What a payment needs: the records of the shop, and where its provider is. */
export interface Payments {
  readonly redis: Redis;
  readonly prefix: string;
  readonly provider: string;
}

class ProviderError extends Error {}

@Injectable()
export class PaymentTasks {
  constructor(@Inject(PAYMENTS) private readonly payments: Payments) {}

  @Task({ name: 'payments.pay' })
  @Idempotent({ key: (order: Order) => `order:${order.id}` })
  @Retry({ for: [ProviderError, 'TypeError'], maxRetries: 20, backoff: { type: 'fixed', delay: 50 } })
  async pay(order: Order, task: TaskContext): Promise<Receipt> {
    await this.#step(order, 'begun');
    const receipt = await task.withLock(
      `account:${order.account}`,
      (lock) => this.#charge(order, task, lock),
      {
        ttl: '2s',
        wait: '20s',
      },
    );
    await this.#step(order, 'unlocked');
    await this.#step(order, 'returned');
    return receipt;
  }

  async #charge(order: Order, task: TaskContext, lock: Lock): Promise<Receipt> {
    const { redis, prefix, provider } = this.payments;
    const records = `shop:${prefix}:records`;
    await this.#step(order, 'locked');
    const known = await redis.hget(records, order.id);
    if (known !== null) return JSON.parse(known) as Receipt;
    await this.#step(order, 'looked');
    const response = await fetch(`${provider}/charges`, {
      method: 'POST',
      headers: { 'idempotency-key': task.idempotencyKey ?? '' },
      body: JSON.stringify({ account: order.account, amount: order.amount, fence: lock.token }),
      signal: task.signal,
    });
    if (!response.ok) throw new ProviderError(`${response.status}: ${await response.text()}`);
    const receipt = (await response.json()) as Receipt;
    await this.#step(order, 'charged');
    await redis.hset(records, order.id, JSON.stringify(receipt));
    await redis.incr(`shop:${prefix}:written:${order.id}`);
    await this.#step(order, 'recorded');
    return receipt;
  }

  /** Is the end of the process, the first time that an order comes to a step of which it dies. */
  async #step(order: Order, step: Step): Promise<void> {
    const { redis, prefix } = this.payments;
    await redis.hincrby(`shop:${prefix}:steps`, `${order.id} ${step}`, 1);
    if (!order.dies.includes(step)) return;
    if ((await redis.hsetnx(`shop:${prefix}:killed`, `${order.id} ${step}`, process.pid)) === 0) return;
    if (step === 'returned') {
      // What the task returned is on its way into the store, or there, or not.
      setTimeout(() => process.kill(process.pid, 'SIGKILL'), order.lingerMs);
      return;
    }
    process.kill(process.pid, 'SIGKILL');
    await new Promise(() => undefined);
  }
}
