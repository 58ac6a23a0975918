import type { ChordDecisionRecord } from '../chords/decision-record.js';
import type { TaskFailure } from '../failure/task-failure.js';
import type { TaskEnvelope } from '../flow/envelope.js';
import { childId, parentOf } from '../flow/ids.js';
import { BrokerUnavailableError } from '../errors/publish.errors.js';
import { bounded } from '../primitives/bounded.js';
import type { JsonValue } from '../primitives/json.js';
import { idInKey, memberIndex, type RedisKeys } from './redis-keys.js';
import type { RedisClient } from './redis-connections.js';
import {
  DECIDE_ONCE,
  RECORD_FAILURE,
  SET_DATA,
  SET_PROGRESS,
  SET_STAGE,
  START_EXPIRY,
} from './scripts/fenced-writes.js';
import { READ_CHILD, READ_NODE } from './scripts/reads.js';
import { runScript } from './scripts/script.js';

/** How far a node has come. `adding` means that a crash may have come between the note and the deed. */
export interface Stage {
  readonly stage: number;
  readonly state: 'adding' | 'added';
  /** The key of the one child of this stage, where there is one. */
  readonly key?: string;
  /** The key of the stage before, from which a step whose adding was cut short begins again. */
  readonly before?: string;
}

/** What a node's job sees when it is released. */
export interface NodeRecord {
  readonly stage: Stage | undefined;
  readonly values: number;
  readonly failures: number;
  readonly pending: number;
  /** The producer died while it published the members. */
  readonly dispatchCut: boolean;
  /** The node has been settled as failed before a crash. */
  readonly failure: TaskFailure | undefined;
  readonly decision: ChordDecisionRecord | undefined;
  /** The node, or one above it, has been revoked. */
  readonly revoked: boolean;
}

/** What one child of a node came to. */
export type ChildRecord =
  | { readonly end: 'succeeded'; readonly value: JsonValue }
  | { readonly end: 'failed'; readonly reason: string }
  | { readonly end: 'pending' }
  | { readonly end: 'missing' };

/** What one member came to, by its index. */
export type MemberRecord =
  | { readonly index: number; readonly id: string; readonly value: JsonValue }
  | {
      readonly index: number;
      readonly id: string;
      readonly reason: string;
      readonly failure: TaskFailure | undefined;
    };

/** Identifies the activation in whose name something is written. */
export interface Holder {
  readonly id: string;
  readonly queue: string;
  readonly token: string;
}

const SCAN_COUNT = 1_000;
const PROGRESS_EVENTS_KEPT = 10_000;

/**
 * What we keep beside BullMQ's own records: stages, failures, decisions, expiry. BullMQ holds what was released
 * and what each child returned; this holds why something failed and what was decided.
 */
export class CanvasLedger {
  constructor(
    private readonly keys: RedisKeys,
    private readonly client: () => Promise<RedisClient>,
    private readonly timeoutMs: number,
  ) {}

  async readNode(id: string): Promise<NodeRecord> {
    const sentinel = this.keys.node(childId(id, 'sentinel'));
    const reply = (await this.#run(
      READ_NODE,
      [this.keys.node(id), this.keys.record(id)],
      [id, sentinel, ...lineOf(id).map(revocationField)],
    )) as [string | null, number, number, number, number, string | null, string | null, number];
    const [stage, values, failures, pending, cut, failure, decision, revoked] = reply;
    return {
      stage: parse<Stage>(stage),
      values,
      failures: failures - cut,
      pending,
      dispatchCut: cut > 0,
      failure: parse<TaskFailure>(failure),
      decision: parse<ChordDecisionRecord>(decision),
      revoked: revoked === 1,
    };
  }

  async readChild(node: string, key: string): Promise<ChildRecord> {
    const reply = await this.#run(READ_CHILD, [this.keys.node(node)], [key]);
    const [value, reason, pending] = reply as [string | null, string | null, number];
    if (value !== null) return { end: 'succeeded', value: JSON.parse(value) as JsonValue };
    if (reason !== null) return { end: 'failed', reason };
    return { end: pending === 1 ? 'pending' : 'missing' };
  }

  /** The failure that was recorded for a task or node of a canvas. */
  async readFailure(id: string): Promise<TaskFailure | undefined> {
    return parse<TaskFailure>(await this.#ask((client) => client.hget(this.keys.record(id), `f:${id}`)));
  }

  /** The failures that were recorded for several tasks of one canvas, in their order. */
  async readFailures(ids: readonly string[]): Promise<(TaskFailure | undefined)[]> {
    const [first] = ids;
    if (first === undefined) return [];
    const fields = ids.map((id) => `f:${id}`);
    const records = await this.#ask((client) => client.hmget(this.keys.record(first), ...fields));
    return records.map((record) => parse<TaskFailure>(record));
  }

  /** Notes that a task or node is revoked, and with it everything below it. */
  async markRevoked(id: string, ttlMs: number | undefined): Promise<void> {
    await this.#writeRecord(id, revocationField(id), '1', ttlMs);
  }

  /** Whether a task, or a node above it, is revoked. */
  async isRevoked(id: string): Promise<boolean> {
    const marks = await this.#ask((client) =>
      client.hmget(this.keys.record(id), ...lineOf(id).map(revocationField)),
    );
    return marks.some((mark) => mark !== null);
  }

  /** Records a failure in nobody's name: of a task that is taken out of its queue. */
  async writeFailure(id: string, failure: TaskFailure, ttlMs: number | undefined): Promise<void> {
    await this.#writeRecord(id, `f:${id}`, JSON.stringify(failure), ttlMs);
  }

  async #writeRecord(id: string, field: string, value: string, ttlMs: number | undefined): Promise<void> {
    const key = this.keys.record(id);
    await this.#ask(async (client) => {
      await client.hset(key, field, value);
      if (ttlMs !== undefined) await client.pexpire(key, ttlMs);
    });
  }

  /** Takes a failure back that did not come about. */
  async dropFailure(id: string): Promise<void> {
    await this.#ask((client) => client.hdel(this.keys.record(id), `f:${id}`));
  }

  /** The keys of a node's children that are not terminal yet, page by page. */
  async *pendingChildren(node: string): AsyncGenerator<string[]> {
    let cursor = '0';
    do {
      const [next, keys] = await this.#ask((client) =>
        client.sscan(`${this.keys.node(node)}:dependencies`, cursor, 'COUNT', SCAN_COUNT),
      );
      yield keys;
      cursor = next;
    } while (cursor !== '0');
  }

  /**
   * Everything that the members of a node came to, page by page, in no order. A member that was removed by
   * hand is in neither list, so it is not here: whoever reads compares with the size (hole H1).
   */
  async *members(node: string): AsyncGenerator<MemberRecord[]> {
    const key = this.keys.node(node);
    for await (const page of this.#scan(`${key}:processed`)) {
      const members: MemberRecord[] = [];
      for (const [child, json] of page) {
        const id = idInKey(child);
        const index = memberIndex(id);
        if (Number.isInteger(index)) members.push({ index, id, value: JSON.parse(json) as JsonValue });
      }
      yield members;
    }
    for await (const page of this.#scan(`${key}:failed`)) {
      const failed = page
        .map(([child, reason]) => ({ id: idInKey(child), reason }))
        .filter(({ id }) => Number.isInteger(memberIndex(id)));
      if (failed.length === 0) continue;
      const records = await this.#ask((client) =>
        client.hmget(this.keys.record(node), ...failed.map(({ id }) => `f:${id}`)),
      );
      yield failed.map(({ id, reason }, at) => ({
        index: memberIndex(id),
        id,
        reason,
        failure: parse<TaskFailure>(records[at] ?? null),
      }));
    }
  }

  /** @returns false when the activation has been superseded */
  async setStage(holder: Holder, stage: Stage): Promise<boolean> {
    return (await this.#run(SET_STAGE, [this.#job(holder)], [holder.token, JSON.stringify(stage)])) === 1;
  }

  /** Replaces a task's stored data. @returns false when the activation has been superseded */
  async setData(holder: Holder, data: TaskEnvelope): Promise<boolean> {
    return (await this.#run(SET_DATA, [this.#job(holder)], [holder.token, JSON.stringify(data)])) === 1;
  }

  /** @returns false when the activation has been superseded */
  async recordFailure(holder: Holder, failure: TaskFailure, ttlMs: number | undefined): Promise<boolean> {
    const args = [holder.token, holder.id, JSON.stringify(failure), ttlMs ?? ''];
    return (await this.#run(RECORD_FAILURE, [this.#job(holder), this.keys.record(holder.id)], args)) === 1;
  }

  /** Settles a node as failed. What was written first stands. @returns undefined when superseded */
  async settleFailure(holder: Holder, failure: TaskFailure): Promise<TaskFailure | undefined> {
    return parse<TaskFailure>(await this.#decideOnce(holder, `f:${holder.id}`, failure));
  }

  /** Keeps what a chord's recovery decided. What was written first stands. @returns undefined when superseded */
  async decideOnce(holder: Holder, decision: ChordDecisionRecord): Promise<ChordDecisionRecord | undefined> {
    return parse<ChordDecisionRecord>(await this.#decideOnce(holder, `r:${holder.id}`, decision));
  }

  /** Starts the clock of a canvas whose root has ended. @returns false when superseded */
  async startExpiry(holder: Holder, nowMs: number, ttlMs: number): Promise<boolean> {
    const keys = [
      this.#job(holder),
      this.keys.record(holder.id),
      this.keys.expiry(this.keys.prefixOf(holder.id)),
    ];
    return (await this.#run(START_EXPIRY, keys, [holder.token, holder.id, nowMs + ttlMs, ttlMs])) === 1;
  }

  /** @returns false when the activation has been superseded */
  async setProgress(holder: Holder, progress: JsonValue): Promise<boolean> {
    const events = `${this.keys.prefixOf(holder.id)}:${holder.queue}:events`;
    const args = [holder.token, holder.id, JSON.stringify(progress), PROGRESS_EVENTS_KEPT];
    return (await this.#run(SET_PROGRESS, [this.#job(holder), events], args)) === 1;
  }

  #decideOnce(holder: Holder, field: string, value: unknown): Promise<string | null> {
    const keys = [this.#job(holder), this.keys.record(holder.id)];
    return this.#run(DECIDE_ONCE, keys, [holder.token, field, JSON.stringify(value)]) as Promise<
      string | null
    >;
  }

  async *#scan(hash: string): AsyncGenerator<[string, string][]> {
    let cursor = '0';
    do {
      const [next, flat] = await this.#ask((client) => client.hscan(hash, cursor, 'COUNT', SCAN_COUNT));
      const page: [string, string][] = [];
      for (let at = 0; at + 1 < flat.length; at += 2) page.push([flat[at] ?? '', flat[at + 1] ?? '']);
      yield page;
      cursor = next;
    } while (cursor !== '0');
  }

  #job(holder: Holder): string {
    return this.keys.job(holder.queue, holder.id);
  }

  /** Every question has a bound: a command whose answer was lost with its connection never settles by itself. */
  async #ask<T>(question: (client: RedisClient) => Promise<T>): Promise<T> {
    const client = await this.client();
    try {
      return await bounded(
        question(client),
        this.timeoutMs,
        () => new BrokerUnavailableError(`Redis did not answer within ${this.timeoutMs} ms.`),
      );
    } catch (error) {
      if (error instanceof BrokerUnavailableError) throw error;
      throw new BrokerUnavailableError(`Redis did not answer: ${String(error)}`, undefined, { cause: error });
    }
  }

  #run(script: Parameters<typeof runScript>[1], keys: string[], args: (string | number)[]): Promise<unknown> {
    return this.#ask((client) => runScript(client, script, keys, args));
  }
}

/** A task or node, and the nodes above it. */
function lineOf(id: string): string[] {
  const line: string[] = [];
  for (let at: string | undefined = id; at !== undefined; at = parentOf(at)) line.push(at);
  return line;
}

function revocationField(id: string): string {
  return `x:${id}`;
}

function parse<T>(json: string | null): T | undefined {
  return json === null ? undefined : (JSON.parse(json) as T);
}
