import type { JobRef } from '../backend/job-ref.js';
import type { Refill, Refills } from '../backend/refills.js';
import { CANVAS_QUEUE, childId, lineOf } from '../flow/ids.js';
import type { Rerun } from '../flow/redrive.js';
import { refillChunks } from '../flow/refill.js';
import { DISPATCH_LEASE_MS } from './flow-jobs.js';
import { memberAdditions } from './member-additions.js';
import { type DispatchTools, extendLease, type Pulse } from './redis-dispatch.js';
import { jobInKey, revocationField } from './redis-keys.js';
import { clearing, jobsOf, planOf, writeNodes } from './redis-redrive.js';
import type { ScriptRunner } from './script-runner.js';
import { CLEAR_FOR_RERUN } from './scripts/redrive.js';
import { ARE_SET_ASIDE, IS_REFILLED, LEAVE_FAILED, NOTE_REFILLED } from './scripts/refill.js';
import { runScript } from './scripts/script.js';

/** Redis answers with some more: about a chunk. */
const SCAN_COUNT = 450;

/** Bounds a step, and has its errors name the canvas. */
export type Guard = <T>(id: string, work: (pulse: Pulse) => Promise<T>) => Promise<T>;

/**
 * What a redrive has set aside, on its way back: `<node>:again`, the failures of members that are still to be put back, and
 * fields of the nodes' own jobs: `tq:again`, for which generation, and on the root `tq:refills`, where something was set aside.
 *
 * Each step is one transaction under WATCH of the header and of the jobs that it replaces: the look whether these are still
 * set aside, then they leave the hash, and BullMQ adds them. So they are put back once, whoever does it.
 */
export class RedisRefills implements Refills {
  readonly #renewed = new Map<string, number>();

  constructor(
    private readonly tools: DispatchTools,
    private readonly scripts: ScriptRunner,
    private readonly guard: Guard,
  ) {}

  async unfinished(root: string): Promise<readonly string[]> {
    const { keys } = this.tools;
    const noted = await this.scripts.ask((client) => client.hget(keys.node(root), 'tq:refills'));
    if (noted === null) return [];
    const nodes = JSON.parse(noted) as string[];
    const open = await this.scripts.ask((client) =>
      Promise.all(nodes.map((node) => client.hexists(keys.node(node), 'tq:again'))),
    );
    return nodes.filter((_, at) => open[at] === 1);
  }

  async *setAside(node: string): AsyncGenerator<JobRef[]> {
    const again = this.tools.keys.again(node);
    let cursor = '0';
    do {
      const [next, flat] = await this.scripts.ask((client) =>
        client.hscan(again, cursor, 'COUNT', SCAN_COUNT),
      );
      yield flat.filter((_, at) => at % 2 === 0).map(jobInKey);
      cursor = next;
    } while (cursor !== '0');
  }

  async putBack({ node, generation, rerun, left }: Refill): Promise<'open' | 'over'> {
    const { keys } = this.tools;
    if (left.length > 0) {
      const lists = [keys.node(node), keys.again(node)];
      const children = left.map(({ queue, id }) => keys.job(queue, id));
      await this.scripts.run(LEAVE_FAILED, lists, [generation, '', ...children]);
    }
    for (const chunk of refillChunks(rerun)) {
      if ((await this.guard(node, () => this.#putBack(node, generation, chunk))) === 'open') continue;
      await this.#leave(node, generation);
      this.#renewed.delete(node);
      return 'over';
    }
    return 'open';
  }

  async finish(node: string, generation: number): Promise<'open' | 'over'> {
    const { keys, producers, transactions } = this.tools;
    const lists = [keys.node(node), keys.again(node)];
    const answer = await this.guard(node, () =>
      transactions.run<'open' | 'over'>({
        id: node,
        keys: lists,
        look: async (client) => {
          const reply = await runScript(client, IS_REFILLED, lists, [generation]);
          return reply === null ? undefined : (reply as 'open' | 'over');
        },
        first: { script: NOTE_REFILLED, keys: [keys.node(node)], args: [] },
        additions: [() => producers.queue(CANVAS_QUEUE, node, 'ledger').remove(childId(node, 'sentinel'))],
      }),
    );
    this.#renewed.delete(node);
    return answer === 'open' ? 'open' : 'over';
  }

  async renew(nodes: readonly string[]): Promise<void> {
    const now = performance.now();
    for (const node of nodes) {
      const since = this.#renewed.get(node);
      if (since !== undefined && now - since < DISPATCH_LEASE_MS / 3) continue;
      this.#renewed.set(node, now);
      await this.guard(node, () => extendLease(node, this.tools.producers));
    }
  }

  async giveUp(node: string, generation?: number): Promise<void> {
    await this.#leave(node, generation ?? '');
  }

  /** @param generation of which they are; any where that is not known */
  async #leave(node: string, generation: number | ''): Promise<void> {
    const { keys } = this.tools;
    const lists = [keys.node(node), keys.again(node)];
    let next = 'again';
    while (next !== '0') {
      const cursor = next === 'again' ? '0' : next;
      next = (await this.scripts.run(LEAVE_FAILED, lists, [generation, cursor])) as string;
    }
  }

  async #putBack(node: string, generation: number, chunk: readonly Rerun[]): Promise<'open' | 'over'> {
    const { keys, transactions } = this.tools;
    let members = chunk;
    while (members.length > 0) {
      const all = members.flatMap((member) => [...jobsOf(member)]);
      const prefix = keys.prefixOf(node);
      const plans = members.map(planOf);
      await this.tools.announce(plans);
      const line = lineOf(node).map(revocationField);
      const about = members.flatMap((member, at) =>
        [...jobsOf(member)].flatMap(({ job }) => [at, job.queue, job.id]),
      );
      const answer = await transactions.run<'over' | readonly number[]>({
        id: node,
        keys: [keys.node(node), ...all.map(({ job }) => keys.job(job.queue, job.id))],
        look: async (client) => {
          const lists = [keys.node(node), keys.record(node)];
          const args = [prefix, node, generation, line.length, ...line, ...about];
          const others = (await runScript(client, ARE_SET_ASIDE, lists, args)) as number[] | null;
          return others === null ? 'over' : others.length > 0 ? others : undefined;
        },
        first: {
          script: CLEAR_FOR_RERUN,
          keys: [keys.record(node), keys.expiry(prefix), ...keys.letters(prefix)],
          args: [prefix, node, ...all.flatMap(clearing)],
        },
        additions: memberAdditions(plans, node, [], this.tools),
        write: (own) => writeNodes(all, own, keys),
      });
      if (answer === 'done') return 'open';
      if (answer === 'over') return 'over';
      const others = new Set(answer);
      members = members.filter((_, at) => !others.has(at));
    }
    return 'open';
  }
}
