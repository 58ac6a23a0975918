import type { JobRef } from '../backend/job-ref.js';
import type { TaskQuery } from '../backend/job-store.js';
import type { RedisKeys } from './redis-keys.js';
import type { ScriptRunner } from './script-runner.js';
import { PAGE_TASKS } from './scripts/search.js';

/** Jobs that one script looks at. */
const AT_ONCE = 500;

/** BullMQ's lists and sorted sets of a queue, in the order in which a task comes through them. */
const PLACES = [
  ['delayed', 'set'],
  ['wait', 'list'],
  ['paused', 'list'],
  ['prioritized', 'set'],
  ['waiting-children', 'set'],
  ['active', 'list'],
] as const;

type Reply = readonly [seen: number, score: string, id: string, found: string[]];

/** Looks for tasks in the queues, through BullMQ's own lists: no key space is scanned. */
export class TaskSearch {
  constructor(
    private readonly keys: RedisKeys,
    private readonly scripts: ScriptRunner,
  ) {}

  async *run(query: TaskQuery): AsyncGenerator<readonly JobRef[], void, number> {
    for (let shard = 0; shard < this.keys.shards; shard++) {
      const prefix = this.keys.shardPrefix(shard);
      const { queue } = query;
      const queues =
        queue === undefined
          ? await this.scripts.ask((client) => client.smembers(this.keys.queues(prefix)))
          : [queue];
      for (const one of queues) {
        for (const [place, kind] of PLACES) yield* this.#place(`${prefix}:${one}:`, place, kind, one, query);
      }
    }
  }

  async *#place(
    base: string,
    place: string,
    kind: 'list' | 'set',
    queue: string,
    { name = '', stamp }: TaskQuery,
  ): AsyncGenerator<readonly JobRef[], void, number> {
    const stamps = stamp === undefined ? '' : JSON.stringify(stamp);
    let [from, after]: [from: number | string, after: string] = [kind === 'list' ? 0 : '-inf', ''];
    for (;;) {
      const args = [kind, base, AT_ONCE, from, after, name, stamps];
      const [seen, score, id, found] = (await this.scripts.run(PAGE_TASKS, [base + place], args)) as Reply;
      if (seen === 0) return;
      const taken = found.length === 0 ? 0 : yield found.map((one) => ({ queue, id: one }));
      // What is taken out of a list draws what comes after it nearer.
      [from, after] = kind === 'list' ? [Math.max(0, Number(from) + seen - taken), ''] : [score, id];
    }
  }
}
