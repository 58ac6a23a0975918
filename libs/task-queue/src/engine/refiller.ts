import type { Backend } from '../backend/backend.js';
import { planRefill } from '../flow/refill.js';
import { generationOf } from '../task/redriven.js';
import { type EndedCanvas, lookOf } from './ended-canvas.js';

/** What was put back, and what stays failed. */
interface Refilled {
  readonly rerun: readonly string[];
  readonly left: readonly string[];
}

/** How often a header is read anew in which something was not as it had been read: somebody changes it by hand. */
const ROUNDS = 5;

/**
 * Goes on with redrives that are too wide for one step, from wherever they are: it reads what is still set aside, plans that
 * page by page, and has it put back.
 */
export class Refiller {
  constructor(
    private readonly backend: Pick<Backend, 'jobs' | 'refills'>,
    private readonly ended: EndedCanvas,
  ) {}

  async isUnfinished(root: string): Promise<boolean> {
    return (await this.backend.refills.unfinished(root)).length > 0;
  }

  /** @throws BrokerUnavailableError; it can be called again */
  async fill(root: string): Promise<Refilled> {
    const { refills } = this.backend;
    const done: { rerun: string[]; left: string[] } = { rerun: [], left: [] };
    const nodes = await refills.unfinished(root);
    for (const [at, node] of nodes.entries()) await this.#fill(node, nodes.slice(at), done);
    return done;
  }

  /** @param open the headers that are held back meanwhile */
  async #fill(
    id: string,
    open: readonly string[],
    done: { readonly rerun: string[]; readonly left: string[] },
  ): Promise<void> {
    const { jobs, refills } = this.backend;
    const reply = await jobs.look(id);
    if (reply.source !== 'job' || reply.job.node === undefined) return;
    const { node } = lookOf(reply, reply.job.node.data);
    const generation = generationOf(node);
    for (let round = 0; round < ROUNDS; round++) {
      for await (const page of refills.setAside(id)) {
        await refills.renew(open);
        const { rerun, tasks, left } = planRefill(node, await this.ended.children(page), generation);
        const again = new Set(rerun.map(({ job }) => job.id));
        const others = page.filter((child) => !again.has(child.id));
        if ((await refills.putBack({ node: id, generation, rerun, left: others })) === 'over') return;
        for (const task of tasks) done.rerun.push(task);
        for (const one of left) done.left.push(one);
      }
      if ((await refills.finish(id, generation)) === 'over') return;
    }
    // The lease ends it: what is left by then counts as failed.
  }
}
