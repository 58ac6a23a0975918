import type { JobRef } from '../backend/job-ref.js';
import type { Heard, Repairs, Telling } from '../backend/repairs.js';
import type { TaskFailure } from '../failure/task-failure.js';
import { CANVAS_QUEUE, childId } from '../flow/ids.js';
import type { LateEnvelope, TimerEnvelope } from '../flow/envelope.js';
import type { PlannedJob } from '../flow/flow-plan.js';
import { DISPATCH_LEASE_MS, jobOptions, parentRef, sentinelOf, sentinelOptions } from './flow-jobs.js';
import type { ScriptCall } from './joint-client.js';
import type { Producers } from './producers.js';
import { removeSentinel } from './redis-dispatch.js';
import type { RedisKeys } from './redis-keys.js';
import type { ScriptRunner } from './script-runner.js';
import { IS_UNATTENDED, MAKE_WAY } from './scripts/attendants.js';
import { DROP, PUT_BACK, SETTLE, TELL } from './scripts/repairs.js';
import { runScript } from './scripts/script.js';
import type { Transactions } from './transactions.js';

/** What repairs work with. */
export interface RepairTools {
  readonly keys: RedisKeys;
  readonly scripts: ScriptRunner;
  readonly producers: Producers;
  readonly transactions: Transactions;
}

/** When a job is released all the same, should this process die while it does it. */
const HOLD_MS = 10_000;
const AT_A_TIME = 500;

/**
 * Repairs of BullMQ's jobs. A job is never released by a write of ours: a sentinel is put among its children, and taking it
 * out again is BullMQ's own step, which releases a parent once. One that is left there by a crash runs after a while, which
 * is the same.
 */
export class RedisRepairs implements Repairs {
  readonly needed = true;

  constructor(private readonly tools: RepairTools) {}

  async waitingSince(beforeMs: number, from: number, limit: number): Promise<readonly JobRef[]> {
    const { keys, scripts } = this.tools;
    const found: JobRef[] = [];
    for (let shard = 0; shard < keys.shards; shard++) {
      const prefix = keys.shardPrefix(shard);
      const named = await scripts.ask((client) => client.smembers(keys.queues(prefix)));
      for (const queue of [CANVAS_QUEUE, ...named]) {
        const set = `${prefix}:${queue}:waiting-children`;
        const ids = await scripts.ask((client) =>
          client.zrangebyscore(set, '-inf', `(${beforeMs}`, 'LIMIT', from, limit),
        );
        found.push(...ids.map((id) => ({ queue, id })));
      }
    }
    return found;
  }

  async failedNodes(fromMs: number, limit: number): Promise<readonly (JobRef & { readonly atMs: number })[]> {
    const { keys, scripts } = this.tools;
    const found: (JobRef & { readonly atMs: number })[] = [];
    for (let shard = 0; shard < keys.shards; shard++) {
      const set = `${keys.shardPrefix(shard)}:${CANVAS_QUEUE}:failed`;
      const flat = await scripts.ask((client) =>
        client.zrangebyscore(set, fromMs, '+inf', 'WITHSCORES', 'LIMIT', 0, limit),
      );
      for (let at = 0; at + 1 < flat.length; at += 2)
        found.push({ queue: CANVAS_QUEUE, id: flat[at] ?? '', atMs: Number(flat[at + 1]) });
    }
    return found;
  }

  async tell(parent: JobRef, children: readonly JobRef[], outcomeMs?: number): Promise<Telling> {
    const sentinel = childId(parent.id, 'sentinel');
    const tasks = children.filter(({ id }) => id !== sentinel);
    const told = new Map<string, Heard>();
    // In one step, where it is not very many: of children that are waited for again, none may end before the others are.
    for (let at = 0; at < tasks.length; at += AT_A_TIME) {
      const some = tasks.slice(at, at + AT_A_TIME);
      const heard = await this.#tell(parent, some, outcomeMs);
      some.forEach(({ id }, index) => told.set(id, heard[index] ?? 'known'));
    }
    const letGo = await this.#letGo(parent);
    if (letGo) told.set(sentinel, 'vanished');
    return { heard: children.map(({ id }) => told.get(id) ?? 'known'), letGo };
  }

  async putBack(job: JobRef): Promise<boolean> {
    return (await this.#run(PUT_BACK, [this.#key(job)], [this.#base(job), job.id])) === 1;
  }

  async attend(node: string, job: PlannedJob): Promise<boolean> {
    const { keys, producers, transactions } = this.tools;
    const about = this.#attending(node, job);
    // Whoever comes in between with another generation of the node finds one that has nothing to say to it.
    const answer = await transactions.run<'as it should be'>({
      id: node,
      keys: [keys.node(job.id)],
      look: async (client) =>
        (await runScript(client, IS_UNATTENDED, about.keys, about.args)) === 1
          ? undefined
          : 'as it should be',
      first: { script: MAKE_WAY, ...about },
      additions: [
        () => {
          const { delayMs: _delay, name, data, ...atOnce } = job;
          const opts = jobOptions({ ...atOnce, name, data });
          return producers.queue(job.queue, node, 'ledger').addBulk([{ name, data, opts }]);
        },
      ],
    });
    return answer === 'done';
  }

  #attending(node: string, { id, data }: PlannedJob): Pick<ScriptCall, 'keys' | 'args'> {
    const { keys } = this.tools;
    const prefix = keys.prefixOf(node);
    const timer = data as TimerEnvelope | LateEnvelope;
    const generation = timer.node === 'deadline' ? (timer.generation ?? 0) : 'late';
    const nodeKeys = [keys.node(id), keys.node(node), keys.record(node), keys.left(node), ...keys.late(node)];
    return { keys: nodeKeys, args: [`${prefix}:`, `${prefix}:${CANVAS_QUEUE}:`, id, node, generation] };
  }

  async settle(job: JobRef, failure: TaskFailure): Promise<boolean> {
    const expiry = this.tools.keys.expiry(this.tools.keys.prefixOf(job.id));
    const keys = [this.#key(job), this.tools.keys.record(job.id), expiry];
    return (await this.#run(SETTLE, keys, [this.#base(job), job.id, JSON.stringify(failure)])) === 1;
  }

  async drop(job: JobRef): Promise<boolean> {
    return (await this.#run(DROP, [this.#key(job), this.#waiting(job)], [job.id])) === 1;
  }

  /**
   * Releases a job that waits for its children while none is pending, or for a sentinel that has vanished. One whose members
   * are being published, or put back by a redrive, gets its sentinel back instead; it never is without one, because its producer would give up.
   *
   * @returns whether there was anything to do that nobody else does
   */
  async #letGo(parent: JobRef): Promise<boolean> {
    const { keys, producers, transactions } = this.tools;
    const key = this.#key(parent);
    const sentinel = childId(parent.id, 'sentinel');
    let isOpen = false;
    let generation = 0;
    const answer = await transactions.run<'as it should be' | 'begun'>({
      id: parent.id,
      keys: [key, `${key}:dependencies`],
      look: async (client) => {
        const [since, pending, held, exists, [again, dispatched, ...over]] = await Promise.all([
          client.zscore(this.#waiting(parent), parent.id),
          client.scard(`${key}:dependencies`),
          client.sismember(`${key}:dependencies`, keys.node(sentinel)),
          client.exists(keys.node(sentinel)),
          client.hmget(key, 'tq:again', 'tq:dispatched', 'tq:end', 'tq:closed', 'tq:stage'),
        ]);
        // One that is being given up is so whatever its sentinel says.
        generation = Number(again) || 0;
        isOpen =
          typeof again === 'string' ||
          (typeof dispatched === 'string' && over.every((field) => field === null));
        const isHeld = held === 1 && exists === 1;
        if (since === null || (isOpen && isHeld)) return 'as it should be';
        if (!isOpen && held === exists && pending > held) return 'as it should be';
        return isHeld ? 'begun' : undefined;
      },
      additions: [
        () =>
          producers.queue(CANVAS_QUEUE, parent.id, 'ledger').addBulk([
            {
              name: 'sentinel',
              data: sentinelOf(generation),
              opts: {
                ...sentinelOptions(parent.id, isOpen ? DISPATCH_LEASE_MS : HOLD_MS),
                parent: parentRef(keys, parent),
              },
            },
          ]),
      ],
    });
    if (answer === 'as it should be') return false;
    if (!isOpen) await removeSentinel(parent.id, producers);
    return answer === 'done';
  }

  async #tell(
    parent: JobRef,
    children: readonly JobRef[],
    outcomeMs: number | undefined,
  ): Promise<readonly Heard[]> {
    const about = children.flatMap((child) => [this.#key(child), this.#base(child), child.id]);
    const keys = [this.#key(parent), this.#waiting(parent), this.tools.keys.record(parent.id)];
    return (await this.#run(TELL, keys, [parent.id, outcomeMs ?? '', ...about])) as readonly Heard[];
  }

  #run(...[script, keys, args]: Parameters<ScriptRunner['run']>): Promise<unknown> {
    return this.tools.scripts.run(script, keys, args);
  }

  #key({ queue, id }: JobRef): string {
    return this.tools.keys.job(queue, id);
  }

  #base({ queue, id }: JobRef): string {
    return `${this.tools.keys.prefixOf(id)}:${queue}:`;
  }

  #waiting(job: JobRef): string {
    return `${this.#base(job)}waiting-children`;
  }
}
