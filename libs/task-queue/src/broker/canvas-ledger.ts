import type { LetterEntry } from '../backend/failure-store.js';
import type { JobRef } from '../backend/job-ref.js';
import type {
  ChildRecord,
  Holder,
  Ledger,
  MemberPage,
  MemberRecord,
  NodeRecord,
  Stage,
} from '../backend/ledger.js';
import type { Budget } from '../canvas/header-rules.js';
import { type ClosingRecord, type ParkedRecord, REVOKED_BY_CLOSING } from '../chords/closing-record.js';
import type { ChordDecisionRecord } from '../chords/decision-record.js';
import { summaryOf } from '../failure/dead-letter.js';
import type { TaskFailure } from '../failure/task-failure.js';
import type { TaskEnvelope } from '../flow/envelope.js';
import { childId, lineOf, memberIndex, parentOf } from '../flow/ids.js';
import { readStored, type StoredValue } from '../flow/stored-value.js';
import type { JsonValue } from '../primitives/json.js';
import { MemberPages } from './member-pages.js';
import { idInKey, jobInKey, revocationField, type RedisKeys } from './redis-keys.js';
import type { RedisClient } from './redis-client.js';
import type { ScriptRunner } from './script-runner.js';
import {
  DECIDE_ONCE,
  RECORD_FAILURE,
  SET_DATA,
  SET_PROGRESS,
  SET_REPLACED,
  SET_STAGE,
  SET_VALUE,
  START_EXPIRY,
} from './scripts/fenced-writes.js';
import { RECORD_LETTER, WITHDRAW_LETTER } from './scripts/letters.js';
import { LOST_MEMBERS, READ_CHILD, READ_NODE } from './scripts/reads.js';
import { REVOKE_BY_HAND } from './scripts/withdrawal.js';
import type { Script } from './scripts/script.js';
import { parseDispatch } from './scripts/task-reply.js';

const SCAN_COUNT = 1_000;
/** Members that are looked up by name at a time. */
const LOOK_UP_COUNT = 500;
const PROGRESS_EVENTS_KEPT = 10_000;

/** What we keep beside BullMQ's own records, in Redis: stages, failures, decisions, expiry. */
export class CanvasLedger implements Ledger {
  readonly #pages: MemberPages;

  constructor(
    private readonly keys: RedisKeys,
    private readonly scripts: ScriptRunner,
  ) {
    this.#pages = new MemberPages(keys, scripts);
  }

  async readNode(id: string): Promise<NodeRecord> {
    const sentinel = this.keys.node(childId(id, 'sentinel'));
    const reply = (await this.#run(
      READ_NODE,
      [this.keys.node(id), this.keys.record(id)],
      [id, sentinel, this.keys.node(childId(id, 'hold')), ...lineOf(id).map(revocationField)],
    )) as NodeReply;
    const [stage, size, values, failures, pending, ranOut, failure, decision, revoked, ...more] = reply;
    const [dispatched, end, closing, parked, budget, isHeld, due, setAside, closed, isLateKept] = more;
    return {
      stage: parse<Stage>(stage),
      size: size === null ? undefined : Number(size),
      values,
      failures: failures - ranOut,
      pending,
      dispatch: parseDispatch(dispatched, end, ranOut === 1, closed !== null),
      failure: parse<TaskFailure>(failure),
      decision: parse<ChordDecisionRecord>(decision),
      revoked: revoked === 1,
      closing: parse<ClosingRecord>(closing),
      parked: parse<ParkedRecord>(parked),
      budget: parse<Budget>(budget),
      isHeld: isHeld === 1,
      isDue: due !== null,
      isLateKept: isLateKept === 1,
      ...(setAside === 0 ? {} : { setAside }),
    };
  }

  async readChild(child: JobRef, parent?: JobRef): Promise<ChildRecord> {
    const above = parent ? this.keys.job(parent.queue, parent.id) : this.keys.node(parentOf(child.id) ?? '');
    const reply = await this.#run(READ_CHILD, [above], [this.keys.job(child.queue, child.id)]);
    const [value, reason, pending] = reply as [string | null, string | null, number];
    if (value !== null) return { end: 'succeeded', value: readStored(child.queue, value) };
    if (reason !== null) return { end: 'failed', reason };
    return { end: pending === 1 ? 'pending' : 'missing' };
  }

  async readFailure(id: string): Promise<TaskFailure | undefined> {
    return parse<TaskFailure>(await this.#ask((client) => client.hget(this.keys.record(id), `f:${id}`)));
  }

  async readFailures(ids: readonly string[]): Promise<(TaskFailure | undefined)[]> {
    const [first] = ids;
    if (first === undefined) return [];
    const fields = ids.map((id) => `f:${id}`);
    const records = await this.#ask((client) => client.hmget(this.keys.record(first), ...fields));
    return records.map((record) => parse<TaskFailure>(record));
  }

  async markRevoked(id: string, ttlMs: number | undefined): Promise<void> {
    const key = this.keys.record(id);
    await this.#ask(async (client) => {
      await client.hset(key, revocationField(id), '1');
      if (ttlMs !== undefined) await client.pexpire(key, ttlMs);
    });
  }

  async markRevokedByHand(id: string): Promise<boolean> {
    const fields = lineOf(id).map(revocationField);
    return (await this.#run(REVOKE_BY_HAND, [this.keys.record(id)], fields)) === 1;
  }

  async isRevoked(id: string): Promise<boolean> {
    const marks = await this.#ask((client) =>
      client.hmget(this.keys.record(id), ...lineOf(id).map(revocationField)),
    );
    return marks.some((mark) => mark !== null);
  }

  async areRevokedByHand(ids: readonly string[]): Promise<boolean[]> {
    const [first] = ids;
    if (first === undefined) return [];
    const fields = [...new Set(ids.flatMap(lineOf))].map(revocationField);
    const marks = await this.#ask((client) => client.hmget(this.keys.record(first), ...fields));
    const byHand = new Set(fields.filter((_, at) => marks[at] !== null && marks[at] !== REVOKED_BY_CLOSING));
    return ids.map((id) => lineOf(id).some((one) => byHand.has(revocationField(one))));
  }

  async *pendingChildren(node: string): AsyncGenerator<JobRef[]> {
    let cursor = '0';
    do {
      const [next, keys] = await this.#ask((client) =>
        client.sscan(`${this.keys.node(node)}:dependencies`, cursor, 'COUNT', SCAN_COUNT),
      );
      yield keys.map(jobInKey);
      cursor = next;
    } while (cursor !== '0');
  }

  async *failedChildren(node: string): AsyncGenerator<JobRef[]> {
    for await (const page of this.#scan(`${this.keys.node(node)}:failed`))
      yield page.map(([key]) => jobInKey(key));
  }

  async *members(node: string): AsyncGenerator<MemberRecord[]> {
    const key = this.keys.node(node);
    for await (const page of this.#scan(`${key}:processed`)) {
      const members: MemberRecord[] = [];
      for (const [child, json] of page) {
        const id = idInKey(child);
        const index = memberIndex(id);
        if (Number.isInteger(index))
          members.push({ index, id, value: readStored(jobInKey(child).queue, json) });
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

  async *lostMembers(node: string, published: number): AsyncGenerator<string[]> {
    const prefix = this.keys.prefixOf(node);
    const keys = [this.keys.node(node), this.keys.queues(prefix)];
    for (let from = 0; from < published; from += LOOK_UP_COUNT) {
      const to = Math.min(published, from + LOOK_UP_COUNT);
      const lost = (await this.#run(LOST_MEMBERS, keys, [prefix, node, from, to])) as number[];
      yield lost.map((index) => childId(node, index));
    }
  }

  async holds(holder: Holder): Promise<boolean> {
    return (await this.#ask((client) => client.get(`${this.#job(holder)}:lock`))) === holder.token;
  }

  membersInOrder(node: string, size: number): AsyncIterable<MemberPage> {
    return this.#pages.read(node, size, (id) => this.members(id));
  }

  async setStage(holder: Holder, stage: Stage): Promise<boolean> {
    return (await this.#run(SET_STAGE, [this.#job(holder)], [holder.token, JSON.stringify(stage)])) === 1;
  }

  async setData(holder: Holder, data: TaskEnvelope): Promise<boolean> {
    return (await this.#run(SET_DATA, [this.#job(holder)], [holder.token, JSON.stringify(data)])) === 1;
  }

  async setReplaced(holder: Holder, data: TaskEnvelope, by: JobRef): Promise<boolean> {
    // A task that stands alone has no record which would go with it; its job says what has taken its place.
    if (parentOf(holder.id) === undefined) return this.setData(holder, data);
    const keys = [this.#job(holder), this.keys.record(holder.id)];
    return (await this.#run(SET_REPLACED, keys, [holder.token, JSON.stringify(data), by.id, by.queue])) === 1;
  }

  async settleValue(holder: Holder, value: StoredValue): Promise<boolean> {
    return (await this.#run(SET_VALUE, [this.#job(holder)], [holder.token, JSON.stringify(value)])) === 1;
  }

  async recordFailure(
    holder: Holder,
    failure: TaskFailure,
    ttlMs: number | undefined,
    entry?: LetterEntry,
  ): Promise<boolean> {
    const keys = [this.#job(holder), this.keys.record(holder.id)];
    const args = [holder.token, holder.id, JSON.stringify(failure), ttlMs ?? ''];
    if (entry === undefined) return (await this.#run(RECORD_FAILURE, keys, args)) === 1;
    const { letter, bounds } = entry;
    const atMs = Date.parse(failure.at);
    const kept = [atMs, JSON.stringify(letter), JSON.stringify(summaryOf(letter))];
    const trimmed = [atMs - bounds.maxAgeMs, bounds.maxCount];
    const written = await this.#run(
      RECORD_LETTER,
      [...keys, ...this.#letters(holder)],
      [...args, ...kept, ...trimmed],
    );
    return written === 1;
  }

  async withdrawLetter(holder: Holder): Promise<boolean> {
    const keys = [this.#job(holder), ...this.#letters(holder)];
    return (await this.#run(WITHDRAW_LETTER, keys, [holder.token, holder.id])) === 1;
  }

  async settleFailure(holder: Holder, failure: TaskFailure): Promise<TaskFailure | undefined> {
    return parse<TaskFailure>(await this.#decideOnce(holder, `f:${holder.id}`, failure));
  }

  async decideOnce(holder: Holder, decision: ChordDecisionRecord): Promise<ChordDecisionRecord | undefined> {
    return parse<ChordDecisionRecord>(await this.#decideOnce(holder, `r:${holder.id}`, decision));
  }

  async startExpiry(holder: Holder, nowMs: number, ttlMs: number): Promise<boolean> {
    const keys = [this.#job(holder), this.keys.expiry(this.keys.prefixOf(holder.id))];
    return (await this.#run(START_EXPIRY, keys, [holder.token, holder.id, nowMs + ttlMs])) === 1;
  }

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

  #letters({ id }: Holder): readonly string[] {
    return this.keys.letters(this.keys.prefixOf(id));
  }

  #job(holder: Holder): string {
    return this.keys.job(holder.queue, holder.id);
  }

  #ask<T>(question: (client: RedisClient) => Promise<T>): Promise<T> {
    return this.scripts.ask(question);
  }

  #run(script: Script, keys: string[], args: (string | number)[]): Promise<unknown> {
    return this.scripts.run(script, keys, args);
  }
}

/** What READ_NODE answers. */
type NodeReply = [
  stage: string | null,
  size: string | null,
  values: number,
  failures: number,
  pending: number,
  ranOut: number,
  failure: string | null,
  decision: string | null,
  revoked: number,
  dispatched: string | null,
  end: string | null,
  closing: string | null,
  parked: string | null,
  budget: string | null,
  isHeld: number,
  due: string | null,
  setAside: number,
  closed: string | null,
  isLateKept: number,
];

function parse<T>(json: string | null): T | undefined {
  return json === null ? undefined : (JSON.parse(json) as T);
}
