import { randomBytes } from 'node:crypto';
import type { Holder } from '../backend/ledger.js';
import type {
  Addition,
  Dispatch,
  Publication,
  Publisher,
  Reopened,
  Reopening,
} from '../backend/publisher.js';
import { BrokerUnavailableError } from '../errors/publish.errors.js';
import { TaskQueueError } from '../errors/task-queue.error.js';
import { reporting, timed } from '../flow/compile-canvas.js';
import { type FlowPlan, MAX_TREE, type PlannedJob } from '../flow/flow-plan.js';
import { CANVAS_QUEUE, childId, membershipsOf } from '../flow/ids.js';
import { bounded } from '../primitives/bounded.js';
import { Forerunners } from './forerunners.js';
import { flowJob, jobOptions, parentRef, type ParentRef } from './flow-jobs.js';
import type { Producers } from './producers.js';
import {
  type DispatchTools,
  fill,
  openFields,
  type Pulse,
  RedisDispatch,
  removeSentinel,
  removeSentinelOf,
} from './redis-dispatch.js';
import { reopen } from './redis-redrive.js';
import { RedisRefills } from './redis-refills.js';
import type { ScriptRunner } from './script-runner.js';
import type { RedisClient } from './redis-client.js';
import type { RedisConnections } from './redis-connections.js';
import type { RedisKeys } from './redis-keys.js';
import { callNote, findPlace, type MemberPlace } from './member-place.js';
import { KNOWS_CHILD } from './scripts/dispatch.js';
import { runScript } from './scripts/script.js';
import type { Transactions } from './transactions.js';

/** What the publisher needs to know of the module's options. */
export interface PublisherOptions {
  readonly publishTimeoutMs: number;
}

/**
 * Publishes flow plans through BullMQ.
 *
 * - A tree of up to 1,000 jobs is one transaction: all of it or nothing.
 * - A wider node is opened with a sentinel among its children, which holds it back while members are added in
 *   chunks and start at once (`redis-dispatch.ts`); removing the sentinel seals it. A producer that died half-way can
 *   publish again and goes on where it was; if none does, the sentinel's delay runs out and the node fails.
 * - What a running node adds (`publishUnder`), and what must exist at most once (`publishOnce`), is fenced by
 *   WATCH: the transaction takes place only while the node's lock is still held, respectively while no job of
 *   that id exists. A worker that was paused or cut off between its decision and the deed changes nothing.
 */
export class FlowPublisher implements Publisher {
  readonly #forerunners: Forerunners;
  readonly #tools: DispatchTools;

  constructor(
    private readonly connections: RedisConnections,
    private readonly keys: RedisKeys,
    private readonly producers: Producers,
    transactions: Transactions,
    scripts: ScriptRunner,
    private readonly options: PublisherOptions,
  ) {
    this.#forerunners = new Forerunners(connections, keys, producers, options.publishTimeoutMs);
    this.#tools = {
      keys,
      producers,
      transactions,
      clock: connections.clock,
      announce: (plans) => this.#forerunners.send(plans),
    };
    this.refills = new RedisRefills(this.#tools, scripts, (id, work) => this.#guard(id, work));
  }

  /** What goes on with redrives that `reopen` has begun. */
  readonly refills: RedisRefills;

  /** The turns of the connection that fenced changes are made on. */
  get transactions(): Transactions {
    return this.#tools.transactions;
  }

  publish(plan: FlowPlan): Promise<Publication> {
    return this.#guard(plan.job.id, async (pulse) => {
      await this.#forerunners.send([plan]);
      const open: FlowPlan[] = [];
      const flow = flowJob(plan, this.keys, open);
      if (open.length > 0) return this.#publishFenced(plan, pulse);
      if (plan.children.length === 0) {
        const { job } = plan;
        await this.producers.queue(job.queue, job.id).add(job.name, job.data, jobOptions(job));
      } else {
        await this.producers.flow(plan.job.id, 'publish').add(flow);
      }
      return 'published';
    });
  }

  publishOnce(plan: FlowPlan): Promise<Publication> {
    return this.#guard(plan.job.id, async (pulse) => {
      await this.#forerunners.send([plan]);
      return this.#publishFenced(plan, pulse);
    });
  }

  publishUnder(holder: Holder, plan: FlowPlan): Promise<Publication> {
    return this.#guard(plan.job.id, async (pulse) => {
      await this.#forerunners.send([plan]);
      const lock = `${this.keys.job(holder.queue, holder.id)}:lock`;
      const node = this.keys.job(holder.queue, holder.id);
      const child = this.keys.job(plan.job.queue, plan.job.id);
      return this.#fenced(plan, pulse, parentRef(this.keys, holder), lock, async (client) => {
        // A wide one may have been opened by an activation that died before it had filled it.
        const [token, known] = await Promise.all([
          client.get(lock),
          plan.size > MAX_TREE ? runScript(client, KNOWS_CHILD, [node], [child]) : 0,
        ]);
        if (token !== holder.token) return 'superseded';
        return known === 1 ? 'exists' : undefined;
      });
    });
  }

  addMember(holder: Holder, call: string, compile: (id: string) => FlowPlan): Promise<Addition> {
    return this.#guard<Addition>(holder.id, async (pulse) => {
      const { keys, producers } = this;
      await this.#forerunners.announce([compile(holder.id)]);
      const nodes = membershipsOf(holder.id);
      const token = newToken();
      const open: FlowPlan[] = [];
      let place: MemberPlace | undefined;
      let added: FlowPlan | undefined;
      const additionAt = (found: MemberPlace) => {
        const compiled = compile(childId(found.node, found.index));
        const told = found.hearsOfFailures ? reporting(compiled) : compiled;
        const plan = found.isTimed ? timed(told) : told;
        open.length = 0;
        added = plan;
        return flowJob(plan, keys, open, parentRef(keys, { queue: CANVAS_QUEUE, id: found.node }));
      };
      const answer = await this.#tools.transactions.run<Addition>({
        id: holder.id,
        keys: [`${keys.job(holder.queue, holder.id)}:lock`, ...nodes.map((id) => keys.node(id))],
        look: async (client) => {
          const found = await findPlace(client, keys, { holder, call, nodes });
          place = typeof found === 'string' ? undefined : found;
          if (typeof found === 'string') return { is: found };
          return found.isTaken ? { is: 'exists', id: childId(found.node, found.index) } : undefined;
        },
        additions: [() => producers.flow(holder.id, 'ledger').add(additionAt(place as MemberPlace))],
        write: (own) => {
          const { node, index } = place as MemberPlace;
          own.set(keys.node(node), { 'tq:size': index + 1 });
          own.set(keys.record(node), { [callNote(holder.id, call)]: index });
          for (const { job, children } of open)
            own.set(keys.node(job.id), openFields(token, children.length));
        },
      });
      if (place === undefined) return answer as Addition;
      const { node, index } = place;
      // A wide one may have been opened by an attempt that died before it had filled it.
      additionAt(place);
      if (added !== undefined) await this.#forerunners.setTimers([added]);
      for (const wide of open) await fill(wide, token, this.#tools, pulse);
      return answer === 'done' ? { is: 'added', id: childId(node, index) } : answer;
    });
  }

  open(job: PlannedJob, total: number | undefined): Promise<Dispatch> {
    const { id } = job;
    return this.#guard(id, async () => {
      await this.#forerunners.setTimers([{ job, children: [], size: 1 }]);
      const dispatch = await RedisDispatch.open(job, total, newToken(), this.#tools);
      return this.#guarded(dispatch, id);
    });
  }

  reopen(reopening: Reopening): Promise<Reopened> {
    return this.#guard(reopening.rerun.job.id, () => reopen(reopening, this.#tools));
  }

  letGo(node: string, generation?: number): Promise<void> {
    return this.#guard(node, async () => {
      await this.refills.giveUp(node, generation);
      if (generation === undefined) await removeSentinel(node, this.producers);
      else await removeSentinelOf(node, generation, this.#tools);
    });
  }

  /** A dispatch whose steps are bounded, and whose errors name the canvas. */
  #guarded(dispatch: RedisDispatch, id: string): Dispatch {
    const sealing = async (step: Promise<Awaited<ReturnType<Dispatch['seal']>>>) => {
      const standing = await step;
      if (standing.is === 'sealed' || standing.is === 'over') await removeSentinel(id, this.producers);
      return standing;
    };
    return {
      begin: dispatch.begin,
      eager: false,
      prepare: (members) => dispatch.prepare(members),
      add: (members) => this.#guard(id, (pulse) => dispatch.add(members, pulse)),
      complete: (member) => this.#guard(id, (pulse) => dispatch.complete(member, pulse)),
      renew: () => this.#guard(id, () => dispatch.renew()),
      seal: () => this.#guard(id, () => sealing(dispatch.seal())),
      fail: (error) => this.#guard(id, () => sealing(dispatch.fail(error))),
    };
  }

  #publishFenced(plan: FlowPlan, pulse: Pulse): Promise<Publication> {
    const root = this.keys.job(plan.job.queue, plan.job.id);
    return this.#fenced(plan, pulse, undefined, root, async (client) =>
      (await client.exists(root)) === 1 ? 'exists' : undefined,
    );
  }

  /** Adds a tree in one transaction, then fills its wide nodes: also those that another publisher has opened before. */
  async #fenced(
    plan: FlowPlan,
    pulse: Pulse,
    parent: ParentRef | undefined,
    key: string,
    look: (client: RedisClient) => Promise<'exists' | 'superseded' | undefined>,
  ): Promise<Publication> {
    const open: FlowPlan[] = [];
    const flow = flowJob(plan, this.keys, open, parent);
    const token = newToken();
    const answer = await this.#tools.transactions.run({
      id: plan.job.id,
      keys: [key],
      look,
      additions: [() => this.producers.flow(plan.job.id, 'ledger').add(flow)],
      write: (own) => {
        for (const { job, children } of open)
          own.set(this.keys.node(job.id), openFields(token, children.length));
      },
    });
    if (answer === 'superseded') return answer;
    for (const node of open) await fill(node, token, this.#tools, pulse);
    return answer === 'done' ? 'published' : answer;
  }

  /** Runs one publication within its bound; whatever Redis answers becomes a typed error that names the id. */
  async #guard<T>(id: string, work: (pulse: Pulse) => Promise<T>): Promise<T> {
    const { publishTimeoutMs } = this.options;
    const timedOut = () =>
      new BrokerUnavailableError(
        `Publishing ${id} was not confirmed within ${publishTimeoutMs} ms. It may have happened; ` +
          `publishing again with this id never doubles the work.`,
        id,
      );
    const pulse: Pulse = { at: performance.now() };
    try {
      return await boundedByPulse(work(pulse), pulse, publishTimeoutMs, timedOut);
    } catch (error) {
      if (error instanceof BrokerUnavailableError)
        throw error.taskId === undefined ? withId(error, id) : error;
      if (error instanceof TaskQueueError) throw error;
      const reason = reasonOf(error);
      // The server has lost its scripts, and BullMQ's transactions do not notice on a connection that stays open
      // (hole H14): a new one knows that it has to load them.
      if (reason.includes('NOSCRIPT')) {
        await Promise.all([this.connections.reopen('publish'), this.connections.reopen('ledger')]);
      }
      throw new BrokerUnavailableError(`Redis refused the publication of ${id}: ${reason}`, id, {
        cause: error,
      });
    }
  }
}

/** Names one producer's turn at a dispatch. */
function newToken(): string {
  return randomBytes(9).toString('base64url');
}

/** Bounds the time that a publication may stand still; a wide one takes as long as it takes, while it moves. */
async function boundedByPulse<T>(
  work: Promise<T>,
  pulse: Pulse,
  limitMs: number,
  onTimeout: () => Error,
): Promise<T> {
  for (;;) {
    const seen = pulse.at;
    const left = seen + limitMs - performance.now();
    try {
      return await bounded(work, Math.max(left, 1), onTimeout);
    } catch (error) {
      if (pulse.at === seen || !(error instanceof BrokerUnavailableError)) throw error;
    }
  }
}

/** What Redis said. Of a transaction that was discarded: why, which is what stopped one of its commands. */
function reasonOf(error: unknown): string {
  const [first] = (error as { previousErrors?: readonly unknown[] } | undefined)?.previousErrors ?? [];
  const said = first ?? error;
  return said instanceof Error ? said.message : String(said);
}

function withId(error: BrokerUnavailableError, id: string): BrokerUnavailableError {
  return new BrokerUnavailableError(error.message, id, { cause: error });
}
