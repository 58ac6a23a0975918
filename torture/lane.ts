/** One worker and one producer with a Redis of their own, and somebody who looks on over a connection that no fault touches. */
import { type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Redis } from 'ioredis';
import { setTimeout as pause } from 'node:timers/promises';
import { BrokerUnavailableError, TaskQueueModule, WorkflowService } from 'nestjs-task-queue';
import { type Actor, type Patience, type Reserve, type Role } from './actors.js';
import { remembered, wrongAfterLoss } from './after-loss.js';
import { wrongWith } from './checks.js';
import { endure, type Endured } from './endurance.js';
import { type Evidence, gather } from './evidence.js';
import { Expiry } from './expiry.js';
import { JobEvents, QUEUES } from './job-events.js';
import type { Deed } from './orders.js';
import type { Plan } from './scenarios/scenario.js';
import type { Site } from './site.js';
import { notesOf } from './tasks.js';

/** What is slow when it is no canvas of its own. */
const ROUND = 'round';

/** Where actors note what they do, out of reach of every fault. */
export interface Notes {
  readonly url: string;
  readonly redis: Redis;
}

export class Lane {
  readonly #parts = new Map<Role, Actor[]>();
  readonly #retired: Actor[] = [];
  /** What took too long and has ended after all: how long. */
  readonly #slow = new Map<string, number>();
  /** Who waits for an answer of a producer that may have been relieved. */
  readonly #askers = new Set<() => void>();
  /** What has ended, until it has gone. */
  readonly expiry: Expiry;

  private constructor(
    readonly prefix: string,
    readonly site: Site,
    private readonly notes: Notes,
    private readonly reserve: Reserve,
    private readonly patience: Patience,
    private readonly observer: INestApplicationContext,
    private readonly events: JobEvents,
  ) {
    const areAble = (): Promise<boolean> => this.areAble('worker');
    this.expiry = new Expiry({ redis: () => site.redis, areAble }, patience.expiresMs);
  }

  static async start(
    prefix: string,
    site: Site,
    notes: Notes,
    reserve: Reserve,
    patience: Patience,
    [workers, producers]: readonly [number, number] = [1, 1],
  ): Promise<Lane> {
    class ObserverModule {}
    const options = { connection: site.connection, prefix, role: 'producer' } as const;
    Module({ imports: [TaskQueueModule.forRoot(options)] })(ObserverModule);
    const observer = await NestFactory.createApplicationContext(ObserverModule, { logger: ['fatal'] });
    const lane = new Lane(prefix, site, notes, reserve, patience, observer, new JobEvents(site, prefix));
    await Promise.all([lane.#fill('worker', workers), lane.#fill('producer', producers)]);
    return lane;
  }

  get lostMs(): number {
    return this.patience.lockMs + 3 * this.patience.stalledMs;
  }

  /** How long results are kept. */
  get keptMs(): number {
    return this.patience.expiresMs;
  }

  get workflows(): WorkflowService {
    return this.observer.get(WorkflowService);
  }

  /** Those who play this part now. */
  playing(role: Role): readonly Actor[] {
    return this.#parts.get(role) ?? [];
  }

  /** Publishes a canvas, waits until it has ended, redrives it if that is planned, and waits again. */
  async run(id: string, plan: Plan): Promise<void> {
    await this.publish(id, plan);
    await this.ended(id);
    if (plan.isRedriven !== true) return;
    await this.#tellProducer({ do: 'redrive', id, after: 0 });
    await this.ended(id);
  }

  async publish(id: string, { canvas, isStreamed = false }: Plan): Promise<void> {
    await this.#tellProducer({ do: 'publish', id, canvas, isStreamed });
  }

  /** Waits for the end of a canvas. @throws ResultUnknownError, or that it does not end and what is known of it */
  async ended(id: string): Promise<void> {
    await this.#endure(id, 'worker', {
      work: (signal) => this.#end(id, signal),
      moves: () => this.events.moves(id),
      explain: async () => (await this.workflows.explain(id)).text,
    });
  }

  /** Waits until nothing waits or runs any more. @param of what is slow, if that is */
  async quiet(of: string = ROUND): Promise<void> {
    await this.#endure(of, 'worker', {
      work: async (signal) => {
        while (!signal.aborted && (await this.#pending()) > 0) await pause(20);
      },
      moves: () => this.events.moves(),
      explain: async () => `${await this.#pending()} jobs are not over`,
    });
  }

  /** Whether those who play a part would do what is to be done: that each answers. */
  async areAble(role: Role): Promise<boolean> {
    const answers = await Promise.all(this.playing(role).map((actor) => actor.answers()));
    return answers.every(Boolean);
  }

  /** How long it took until something had ended, if that was too long; asked for once. @param of a canvas, or everything */
  slowMs(of: string = ROUND): number | undefined {
    const slowMs = this.#slow.get(of);
    this.#slow.delete(of);
    return slowMs;
  }

  /**
   * What became of a canvas, and what is wrong with that; its notes are gone then.
   *
   * @param masterAt which Redis was the master at a time; where one was lost, and may have been ahead of the next one
   */
  async judge(
    id: string,
    plan: Plan,
    masterAt?: (ms: number) => number,
  ): Promise<{ evidence: Evidence; wrong: string[]; slowMs?: number }> {
    const evidence = await gather(id, this.notes.redis, this.workflows, this.events, masterAt);
    const seen = masterAt === undefined ? evidence : remembered(evidence);
    const always = masterAt === undefined ? wrongWith(plan, seen) : wrongAfterLoss(plan, seen);
    const wrong = [...always, ...(await plan.judge(seen, this.workflows))];
    this.events.forget(id);
    await this.notes.redis.unlink(notesOf(id));
    const slowMs = this.slowMs(id);
    return { evidence, wrong, ...(slowMs === undefined ? {} : { slowMs }) };
  }

  /**
   * Whether the time of a canvas was over before it had been looked at, for want of a processor: what is said of it then says nothing.
   *
   * @param publishedMs when that began, in epoch milliseconds; one that ended within its time after that cannot have gone
   */
  async hasExpired(id: string, publishedMs: number): Promise<boolean> {
    if (Date.now() - publishedMs < this.keptMs) return false;
    const state = this.workflows.result(id).state();
    // What cannot be asked for has not expired, as far as anybody knows.
    return (await state.catch(() => undefined)) === 'UNKNOWN';
  }

  /** Goes on with another Redis, and with what that one remembers of jobs. */
  readAnew(): Promise<void> {
    return this.events.readAnew();
  }

  /** Puts another actor in the place of one, who is sent home when the case is over. */
  async relieve(role: Role, actor: Actor): Promise<void> {
    const playing = this.#parts.get(role) ?? [];
    const at = playing.indexOf(actor);
    if (at < 0) return;
    playing.splice(at, 1);
    this.#retired.push(actor);
    playing.push(await this.#cast(role));
    if (role === 'producer') for (const tell of this.#askers) tell();
  }

  /** Sends those home who were relieved. */
  async tidy(): Promise<void> {
    await Promise.all(this.#retired.splice(0).map((actor) => this.reserve.rest(actor)));
  }

  async end(): Promise<void> {
    await this.tidy();
    await this.events.end();
    await this.observer.close();
    await Promise.all([...this.#parts.values()].flat().map((actor) => actor.end()));
    await this.site.end();
  }

  async #fill(role: Role, count: number): Promise<void> {
    this.#parts.set(role, await Promise.all(Array.from({ length: count }, () => this.#cast(role))));
  }

  async #cast(role: Role): Promise<Actor> {
    const actor = await this.reserve.take();
    await actor.become(role, this.prefix, this.site, this.notes.url, this.patience);
    return actor;
  }

  /** Until one of them says that it is done: a producer may die, be cut off or be relieved in the middle of it. */
  async #tellProducer(deed: Deed & { readonly id: string }): Promise<void> {
    let error: string | undefined;
    await this.#endure(deed.id, 'producer', {
      work: async (signal) => {
        for (let turn = 0; !signal.aborted; turn++) {
          const producers = this.playing('producer');
          const one = producers[turn % producers.length];
          error = one === undefined ? 'nobody is there' : await this.#ask(one, deed);
          if (error === undefined) return;
          await pause(20);
        }
      },
      moves: () => this.events.moves(deed.id),
      explain: async () => `${deed.do} did not get through: ${error}`,
    });
  }

  /** Waits for something that those of this role have to do, and notes if it took too long. */
  async #endure(of: string, role: Role, what: Omit<Endured, 'areAble'>): Promise<void> {
    const areAble = (): Promise<boolean> => this.areAble(role);
    const slowMs = await endure({ ...what, areAble }, this.patience.bounds);
    if (slowMs !== undefined) this.#slow.set(of, Math.max(slowMs, this.#slow.get(of) ?? 0));
  }

  async #end(id: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.workflows.result(id).get({ propagate: false, timeout: Infinity, signal });
        return;
      } catch (error) {
        // It says so when Redis is away, and may be asked again.
        if (!(error instanceof BrokerUnavailableError)) throw error;
      }
    }
  }

  /** @returns what went wrong */
  async #ask(producer: Actor, deed: Deed): Promise<string | undefined> {
    let tell = (): void => undefined;
    const relieved = new Promise<string>((resolve) => {
      tell = () => {
        if (!this.playing('producer').includes(producer)) resolve('was relieved');
      };
    });
    this.#askers.add(tell);
    const told = producer.tell(deed).then(
      () => undefined,
      (error: unknown) => String(error),
    );
    const answer = await Promise.race([told, relieved]);
    this.#askers.delete(tell);
    return answer;
  }

  async #pending(): Promise<number> {
    // In one step: a job that moves is seen in one place or the other.
    const reads = this.site.redis.multi();
    for (const queue of QUEUES) {
      const base = `{${this.prefix}:0}:${queue}`;
      for (const list of ['wait', 'active', 'paused']) reads.llen(`${base}:${list}`);
      for (const set of ['delayed', 'prioritized', 'waiting-children']) reads.zcard(`${base}:${set}`);
    }
    const replies = await reads.exec().catch(() => null);
    // Nobody knows of a list that could not be read.
    return replies?.reduce((sum, [error, count]) => sum + (error === null ? Number(count) : 1), 0) ?? 1;
  }
}
