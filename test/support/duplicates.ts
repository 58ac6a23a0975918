import { Queue } from 'bullmq';
import type { Delivery, Processor } from '../../libs/task-queue/src/backend/delivery.js';
import { WorkerPool } from '../../libs/task-queue/src/broker/worker-pool.js';
import { MemoryWorkers } from '../../libs/task-queue/src/memory/memory-workers.js';
import { type StartedApp, until } from './canvas-runner.js';
import { mulberry32 } from './reference/random.js';

/** When somebody else gets a job: before its attempt has begun, while it runs, or when it has run and not been heard. */
const MOMENTS = ['before', 'during', 'after'] as const;
type Moment = (typeof MOMENTS)[number];

/** Takes a job away from the attempt that has it, and lets it be handed out again. */
type TakeOver = (delivery: Delivery) => Promise<boolean>;

/**
 * Hands jobs of random canvases out twice, of tasks, bodies and nodes alike, as it happens when a worker stands still for
 * longer than its lock: the attempt that had the job first goes on, and nobody may hear of it. Which jobs and at which
 * moment follows from the seed of the canvas and the place of the job. Hooks and callbacks are left alone: what they do
 * is not counted as something that may happen again.
 */
export class Duplicates {
  readonly counts: Record<Moment, number> = { before: 0, during: 0, after: 0 };
  readonly #taken = new Set<string>();
  readonly #begun = new Map<string, number>();

  private constructor(
    private readonly rate: number,
    /** Whether an attempt that has lost its job goes on only when the other one has begun. */
    private readonly waits: boolean,
  ) {}

  /** In applications without Redis that are started from now on, until mocks are restored. */
  static inMemory(rate: number): Duplicates {
    const serve = Reflect.get(MemoryWorkers.prototype, 'serve');
    const duplicates = new Duplicates(rate, false);
    jest.spyOn(MemoryWorkers.prototype, 'serve').mockImplementation(function (this: MemoryWorkers, service) {
      const { store } = this;
      const process = duplicates.#around(service.process, async (delivery) => {
        const job = store.job(delivery);
        if (job?.token !== delivery.token) return false;
        store.again(job, 0);
        return true;
      });
      serve.call(this, { ...service, process });
    });
    return duplicates;
  }

  /** In applications with Redis that are started from now on, until mocks are restored. */
  static onRedis(rate: number, app: () => StartedApp): Duplicates {
    const serve = Reflect.get(WorkerPool.prototype, 'serve');
    const duplicates = new Duplicates(rate, true);
    const takeOver: TakeOver = async ({ id, queue, token }) => {
      const { prefix, redis } = app();
      const lock = `{${prefix}:0}:${queue}:${id}:lock`;
      if ((await redis.get(lock)) !== token) return false;
      // Somebody else has it, who says nothing any more.
      await redis.set(lock, 'somebody else', 'PX', 30);
      return true;
    };
    jest.spyOn(WorkerPool.prototype, 'serve').mockImplementation(function (this: WorkerPool, service) {
      serve.call(this, { ...service, process: duplicates.#around(service.process, takeOver) });
    });
    return duplicates;
  }

  /** What handlers were seen to run, without the runs of attempts that nobody may have heard. */
  forgive(
    canvas: string,
    seen: Readonly<Record<string, number>>,
    expected: Readonly<Record<string, number>>,
  ): Record<string, number> {
    const forgiven = Object.entries(seen).map(([key, runs]): [string, number] => {
      const once = expected[key] ?? 0;
      const isTaken = this.#taken.has(canvas + key.slice(0, key.lastIndexOf(' ')));
      return [key, isTaken && runs > once && runs <= 2 * once ? once : runs];
    });
    return Object.fromEntries(forgiven);
  }

  #around(process: Processor, takeOver: TakeOver): Processor {
    return async (delivery) => {
      const { id } = delivery;
      this.#begun.set(id, (this.#begun.get(id) ?? 0) + 1);
      // One that had been handed out in time may run again later; nobody knows any more when that was.
      const moment = delivery.name === 'expired' ? undefined : this.#momentOf(id);
      if (moment === undefined) return process(delivery);
      if (moment === 'before') {
        await this.#takeAway(delivery, moment, takeOver);
        return process(delivery);
      }
      const running = process(delivery);
      if (moment === 'after') await running;
      await this.#takeAway(delivery, moment, takeOver);
      return running;
    };
  }

  async #takeAway(delivery: Delivery, moment: Moment, takeOver: TakeOver): Promise<void> {
    const { id } = delivery;
    const before = this.#begun.get(id) ?? 0;
    if (!(await takeOver(delivery))) return;
    this.counts[moment] += 1;
    this.#taken.add(id);
    if (!this.waits || moment === 'after') return;
    await until(
      () => this.#begun.get(id) ?? 0,
      (begun) => begun > before,
    );
  }

  #momentOf(id: string): Moment | undefined {
    const [, seed, place] = CASE.exec(id) ?? [];
    if (seed === undefined || place === undefined || this.#taken.has(id)) return undefined;
    let hash = Number(seed);
    for (let at = 0; at < place.length; at += 1) hash = Math.imul(hash, 31) + place.charCodeAt(at);
    const random = mulberry32(hash);
    return random() < this.rate ? MOMENTS[Math.floor(random() * MOMENTS.length)] : undefined;
  }
}

/** The canvas of a seed in one of its runs, and a place in it that no callback or hook has. */
const CASE = /^case-(\d+)-\d+((?:(?!\.(?:link|errback|hook|letter)\.).)*)$/;

/**
 * Says that jobs which wait or run have ended, as somebody who does not own them.
 *
 * @returns those of which that was believed
 */
export async function forgeEnds({ prefix }: StartedApp, url: string): Promise<string[]> {
  const believed: string[] = [];
  for (const name of ['default', '_canvas']) {
    const queue = new Queue(name, { connection: { url }, prefix: `{${prefix}:0}` });
    try {
      for (const job of await queue.getJobs(['active', 'waiting', 'waiting-children'], 0, 50)) {
        const claims = [
          () => job.moveToCompleted('forged', 'nobody', false),
          () => job.moveToFailed(new Error('forged'), 'nobody', false),
        ];
        for (const claim of claims)
          await claim().then(
            () => believed.push(job.id ?? ''),
            () => undefined,
          );
      }
    } finally {
      await queue.close();
    }
  }
  return believed;
}
