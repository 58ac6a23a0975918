/**
 * The payment task under kill -9, between every two of its steps: each order is charged once, whoever called it and how
 * often, and every caller gets the one receipt. And callers that are killed while they publish: no call is lost or doubled.
 */
import { Inject, Injectable } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { Task } from 'nestjs-task-queue';
import { redisUrl, type TestApp, uniquePrefix, until, useApps } from '../support/app-fixture.js';
import { PaymentProvider } from '../support/payment-provider.js';
import { mulberry32 } from '../support/reference/random.js';
import { WorkerProcess } from '../support/worker-process.js';
import { type Order, PaymentTasks, type Receipt, STEPS } from '../support/workers/payment-tasks.js';

const COUNT = Symbol('count');
const WITHIN_MS = 180_000;
const ACCOUNTS = 2;

@Injectable()
class CountedTasks {
  constructor(@Inject(COUNT) private readonly count: { redis: Redis; prefix: string }) {}

  @Task({ name: 'counted' })
  async counted(number: number): Promise<void> {
    await this.count.redis.hincrby(`shop:${this.count.prefix}:runs`, String(number), 1);
  }
}

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const random = mulberry32(seed);
const fixture = useApps();

describe('payments under kill -9', () => {
  const workers: WorkerProcess[] = [];
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.end()));
  });

  it(
    'each order is charged once, with its worker killed between every two steps',
    async () => {
      const prefix = uniquePrefix('pay');
      fixture.adopt(prefix);
      const provider = await PaymentProvider.start();
      const app = await fixture.boot({ prefix, options: { role: 'producer' } });
      const over = new AbortController();
      const keeper = keepAlive(prefix, provider.url, workers, over.signal);
      try {
        const [first, ...others] = ordersOf();
        const call = (order: Order): Promise<Receipt[]> => receiptsOf(app, order);
        // Alone, so that nothing but its own steps ends its workers; then several at the same time.
        const receipts = [await call(first), ...(await Promise.all(others.map(call)))];
        const orders = [first, ...others];
        await until(
          async () => Object.keys(await fixture.unfinished(prefix)).length === 0,
          'nothing unfinished',
        );

        const killed = Object.keys(await fixture.redis.hgetall(`shop:${prefix}:killed`));
        const steps = Object.values(await fixture.redis.hgetall(`shop:${prefix}:steps`));
        const requests = [...provider.requests.values()].reduce((sum, count) => sum + count, 0);
        process.stdout.write(
          `kill-payments: seed ${seed}, ${orders.length} orders, ${killed.length} kills, ${requests} requests, ` +
            `${provider.charges.size} charges, ${provider.refused} refused, ` +
            `${steps.reduce((sum, count) => sum + Number(count), 0)} steps\n`,
        );
        const planned = orders.flatMap(({ id, dies }) => dies.map((step) => `${id} ${step}`));
        expect(killed).toEqual(expect.arrayContaining(STEPS.map((step) => `all ${step}`)));
        expect(planned).toEqual(expect.arrayContaining(killed));
        expect([...provider.charges.keys()].sort()).toEqual(orders.map(({ id }) => `order:${id}`).sort());
        for (const [index, order] of orders.entries()) {
          const [one, ...more] = receipts[index] ?? [];
          expect(one).toMatchObject({ amount: order.amount });
          expect(more).toEqual([one, one]);
        }
        // What the provider took, it took in the order of the tokens.
        for (const fences of provider.fences.values())
          expect(fences).toEqual([...fences].sort((a, b) => a - b));
        expect(provider.fences.size).toBe(ACCOUNTS);
      } finally {
        over.abort();
        await keeper;
        await provider.close();
      }
    },
    WITHIN_MS + 20_000,
  );

  it('a publisher that is killed loses no call and doubles none', async () => {
    const prefix = uniquePrefix('once');
    fixture.adopt(prefix);
    const redis = new Redis(redisUrl());
    try {
      for (let killed = 0; killed < 3; killed++) {
        const options = { url: redisUrl(), prefix, task: 'counted', lanes: 8 };
        const publisher = await WorkerProcess.start('keyed-publisher', options);
        workers.push(publisher);
        await delay(20 + random() * 150);
        await publisher.end('SIGKILL');
      }
      const reserved = (await fixture.keys(prefix)).filter((key) => key.includes(':_once:')).length;
      const total = reserved + 20;
      const app = await fixture.boot({
        prefix,
        providers: [{ provide: COUNT, useValue: { redis, prefix } }, CountedTasks],
      });
      const calls = await Promise.all(
        Array.from({ length: total }, (_, number) =>
          app.workflows
            .signature<null, []>('counted', [number])
            .applyAsync([], { idempotencyKey: `call ${number}` }),
        ),
      );
      await Promise.all(calls.map((call) => call.get({ timeout: 60_000 })));
      await until(
        async () => Object.keys(await fixture.unfinished(prefix)).length === 0,
        'nothing unfinished',
      );
      const runs = await redis.hgetall(`shop:${prefix}:runs`);
      process.stdout.write(
        `keyed-publisher: seed ${seed}, ${reserved} calls before the kills, ${total} in all\n`,
      );
      expect(reserved).toBeGreaterThan(0);
      expect(Object.entries(runs).filter(([, times]) => times !== '1')).toEqual([]);
      expect(Object.keys(runs)).toHaveLength(total);
    } finally {
      redis.disconnect();
    }
  }, 120_000);
});

/** One order that dies of every step, one of none, and some of those that chance takes. */
function ordersOf(): [Order, ...Order[]] {
  const order = (id: string, account: number, dies: Order['dies']): Order => ({
    id,
    account: `account ${account}`,
    amount: 1 + Math.floor(random() * 1_000),
    dies,
    lingerMs: Math.floor(random() * 4),
  });
  const some = Array.from({ length: 3 }, (_, index) =>
    order(
      `some ${index}`,
      index % ACCOUNTS,
      STEPS.filter(() => random() < 0.25),
    ),
  );
  return [order('all', 0, STEPS), order('none', 1, []), ...some];
}

/** Two calls that know the class, and one by name in a canvas, as another service would publish it. */
async function receiptsOf({ workflows }: TestApp, order: Order): Promise<Receipt[]> {
  const { pay } = workflows.tasks(PaymentTasks);
  const byName = workflows.group([workflows.signature<Receipt, []>('payments.pay', [order])]);
  const [one, two, group] = [await pay.delay(order), await pay.delay(order), await byName.applyAsync()];
  expect(two.id).toBe(one.id);
  const timeout = WITHIN_MS;
  const values = await Promise.all([one.get({ timeout }), two.get({ timeout }), group.get({ timeout })]);
  return values.flat();
}

/** Puts a new worker in the place of each that is gone. */
async function keepAlive(
  prefix: string,
  provider: string,
  workers: WorkerProcess[],
  signal: AbortSignal,
): Promise<void> {
  const options = { worker: { lockDuration: 800, stalledInterval: 400, maxTimesLost: 90 } };
  while (!signal.aborted) {
    if (workers.filter((worker) => worker.alive).length < 2) {
      // One that dies of its first task may be gone before it is seen to serve.
      const worker = await WorkerProcess.start('payment-worker', {
        url: redisUrl(),
        prefix,
        provider,
        options,
      }).catch(() => undefined);
      if (worker) workers.push(worker);
    }
    await delay(20, undefined, { signal }).catch(() => undefined);
  }
}
