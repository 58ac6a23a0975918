/** One worker and one producer with a Redis of their own, and somebody who looks on over a connection that no fault touches. */
import { type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Redis } from 'ioredis';
import { setTimeout as pause } from 'node:timers/promises';
import {
  BrokerUnavailableError,
  ResultUnknownError,
  TaskQueueModule,
  WorkflowService,
} from 'nestjs-task-queue';
import { type Actor, type Patience, type Reserve, type Role } from './actors.js';
import { remembered, wrongAfterLoss, wrongWith } from './checks.js';
import { type Evidence, gather, MadeJobs, QUEUES } from './evidence.js';
import type { Deed } from './orders.js';
import type { Plan } from './scenarios/scenario.js';
import type { Site } from './site.js';
import { notesOf } from './tasks.js';

/** Longer than anything takes by itself, on a machine that is busy with something else. */
const WITHIN_MS = 300_000;

/** Where actors note what they do, out of reach of every fault. */
export interface Notes {
  readonly url: string;
  readonly redis: Redis;
}

export class Lane {
  readonly #parts = new Map<Role, Actor[]>();
  readonly #retired: Actor[] = [];
  /** Who waits for an answer of a producer that may have been relieved. */
  readonly #askers = new Set<() => void>();

  private constructor(
    readonly prefix: string,
    readonly site: Site,
    private readonly notes: Notes,
    private readonly reserve: Reserve,
    private readonly patience: Patience,
    private readonly observer: INestApplicationContext,
    private readonly jobs: MadeJobs,
  ) {}

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
    const lane = new Lane(prefix, site, notes, reserve, patience, observer, new MadeJobs(site, prefix));
    await Promise.all([lane.#fill('worker', workers), lane.#fill('producer', producers)]);
    return lane;
  }

  get lostMs(): number {
    return this.patience.lockMs + 3 * this.patience.stalledMs;
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
    const until = Date.now() + WITHIN_MS;
    for (;;) {
      try {
        await this.workflows.result(id).get({ propagate: false, timeout: until - Date.now() });
        return;
      } catch (error) {
        // It says so when Redis is away, and may be asked again.
        if (error instanceof BrokerUnavailableError && Date.now() < until) continue;
        if (error instanceof ResultUnknownError) throw error;
        const { text } = await this.workflows.explain(id);
        throw new Error(`no end: ${String(error)}\n${text}`);
      }
    }
  }

  /** Waits until nothing waits or runs any more. */
  async quiet(): Promise<void> {
    const until = Date.now() + WITHIN_MS;
    for (let pending = await this.#pending(); pending > 0; pending = await this.#pending()) {
      if (Date.now() > until) throw new Error(`${pending} jobs are not over`);
      await pause(20);
    }
  }

  /** What became of a canvas, and what is wrong with that; its notes are gone then. */
  async judge(id: string, plan: Plan, isAfterLoss = false): Promise<{ evidence: Evidence; wrong: string[] }> {
    const evidence = await gather(id, this.notes.redis, this.workflows, this.jobs);
    const seen = isAfterLoss ? remembered(evidence) : evidence;
    const found = isAfterLoss ? wrongAfterLoss(plan, seen) : wrongWith(plan, seen);
    const wrong = [...found, ...(await plan.judge(seen, this.workflows))];
    this.jobs.forget(id);
    await this.notes.redis.unlink(notesOf(id));
    return { evidence, wrong };
  }

  /** Counts anew which jobs were made, by what the Redis that is there now remembers. */
  readAnew(): void {
    this.jobs.readAnew();
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
    await this.jobs.end();
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
  async #tellProducer(deed: Deed): Promise<void> {
    const until = Date.now() + WITHIN_MS;
    for (let turn = 0; ; turn++) {
      const producers = this.playing('producer');
      const one = producers[turn % producers.length];
      const error = one === undefined ? 'nobody is there' : await this.#ask(one, deed);
      if (error === undefined) return;
      if (Date.now() > until) throw new Error(`${deed.do} did not get through: ${error}`);
      await pause(20);
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
    const reads = this.site.redis.pipeline();
    for (const queue of QUEUES) {
      const base = `{${this.prefix}:0}:${queue}`;
      for (const list of ['wait', 'active', 'paused']) reads.llen(`${base}:${list}`);
      for (const set of ['delayed', 'prioritized', 'waiting-children']) reads.zcard(`${base}:${set}`);
    }
    const replies = (await reads.exec()) ?? [];
    return replies.reduce((sum, [, count]) => sum + Number(count), 0);
  }
}
