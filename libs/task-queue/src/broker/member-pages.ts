import type { MemberPage, MemberRecord } from '../backend/ledger.js';
import type { TaskFailure } from '../failure/task-failure.js';
import { CANVAS_QUEUE, childId } from '../flow/ids.js';
import { readStored } from '../flow/stored-value.js';
import type { RedisKeys } from './redis-keys.js';
import type { ScriptRunner } from './script-runner.js';

/** Members that are read at a time: Redis and the event loop are free in between. */
const PAGE = 1_000;

/**
 * Reads what the members of a node came to in definition order, with memory for one page. The hash knows no order, so
 * the members are asked for by name: their ids are known, and their queues are a few.
 */
export class MemberPages {
  constructor(
    private readonly keys: RedisKeys,
    private readonly redis: Pick<ScriptRunner, 'ask'>,
  ) {}

  async *read(
    node: string,
    size: number,
    all: (node: string) => AsyncIterable<MemberRecord[]>,
  ): AsyncGenerator<MemberPage> {
    if (size <= PAGE) {
      const members: MemberRecord[] = [];
      for await (const page of all(node)) members.push(...page);
      members.sort((one, other) => one.index - other.index);
      yield { from: 0, to: size, members };
      return;
    }
    const queues = await this.#queuesOf(node);
    for (let from = 0; from < size; from += PAGE) {
      const to = Math.min(size, from + PAGE);
      const found = new Map<number, MemberRecord>();
      for (const queue of queues) {
        if (found.size === to - from) break;
        await this.#find(node, queue, from, to, found);
      }
      yield { from, to, members: [...found.values()].sort((one, other) => one.index - other.index) };
    }
  }

  /** Those that its members were published to, the likeliest first. */
  async #queuesOf(node: string): Promise<Set<string>> {
    const [noted, known] = await Promise.all([
      this.redis.ask((client) => client.hget(this.keys.node(node), 'tq:queues')),
      this.redis.ask((client) => client.smembers(this.keys.queues(this.keys.prefixOf(node)))),
    ]);
    const own = noted === null ? [] : (JSON.parse(noted) as string[]);
    return new Set([...own, ...known, CANVAS_QUEUE]);
  }

  async #find(
    node: string,
    queue: string,
    from: number,
    to: number,
    found: Map<number, MemberRecord>,
  ): Promise<void> {
    const key = this.keys.node(node);
    const wanted = Array.from({ length: to - from }, (_, at) => from + at).filter(
      (index) => !found.has(index),
    );
    const values = await this.#get(`${key}:processed`, node, queue, wanted);
    const failing: { readonly index: number; readonly id: string; readonly reason: string }[] = [];
    const left: number[] = [];
    wanted.forEach((index, at) => {
      const json = values[at] ?? null;
      if (json === null) left.push(index);
      else found.set(index, { index, id: childId(node, index), value: readStored(queue, json) });
    });
    if (left.length === 0) return;
    const reasons = await this.#get(`${key}:failed`, node, queue, left);
    left.forEach((index, at) => {
      const reason = reasons[at] ?? null;
      if (reason !== null) failing.push({ index, id: childId(node, index), reason });
    });
    if (failing.length === 0) return;
    const records = await this.redis.ask((client) =>
      client.hmget(this.keys.record(node), ...failing.map(({ id }) => `f:${id}`)),
    );
    failing.forEach((member, at) => {
      const json = records[at] ?? null;
      found.set(member.index, {
        ...member,
        failure: json === null ? undefined : (JSON.parse(json) as TaskFailure),
      });
    });
  }

  #get(hash: string, node: string, queue: string, indexes: readonly number[]): Promise<(string | null)[]> {
    return this.redis.ask((client) =>
      client.hmget(hash, ...indexes.map((index) => this.keys.job(queue, childId(node, index)))),
    );
  }
}
