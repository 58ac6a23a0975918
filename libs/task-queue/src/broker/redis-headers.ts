import type { HeaderStore, Seen, Verdicted } from '../backend/header-store.js';
import type { JobRef } from '../backend/job-ref.js';
import type { Holder } from '../backend/ledger.js';
import type { Budget } from '../canvas/header-rules.js';
import type { ClosingRecord, ParkedRecord } from '../chords/closing-record.js';
import type { HeaderTimes } from '../chords/deadline.js';
import { CANVAS_QUEUE, childId } from '../flow/ids.js';
import type { Clock } from '../primitives/clock.js';
import { jobInKey, revocationField, type RedisKeys } from './redis-keys.js';
import type { ScriptRunner } from './script-runner.js';
import {
  CANCEL_STRAGGLER,
  CLOSE_HEADER,
  COUNT_FAILURES,
  HEADER_TIMES,
  KEEP_LATE,
  NOTE_OUTCOME,
  PARK_HEADER,
  SET_BUDGET,
  SET_DUE,
  WAIT_FOR_MEMBERS,
  WAKE_NODE,
} from './scripts/headers.js';
import type { Script } from './scripts/script.js';

const SCAN_COUNT = 1_000;

/** Headers that are judged before all of their members have ended, in Redis. */
export class RedisHeaders implements HeaderStore {
  constructor(
    private readonly keys: RedisKeys,
    private readonly scripts: ScriptRunner,
    private readonly clock: Clock,
  ) {}

  close(holder: Holder, closing: ClosingRecord, seen: Seen): Promise<Verdicted> {
    const waiter = childId(holder.id, 'late');
    const keys = [...this.#fenced(holder), this.keys.left(holder.id), this.keys.node(waiter)];
    const args = [JSON.stringify(closing), closing.late === true ? waiter : '', seen.pending];
    return this.#judge(CLOSE_HEADER, keys, holder, seen, args);
  }

  park(holder: Holder, parked: ParkedRecord, seen: Seen): Promise<Verdicted> {
    return this.#judge(PARK_HEADER, this.#fenced(holder), holder, seen, [JSON.stringify(parked)]);
  }

  wait(holder: Holder, seen: Seen): Promise<Verdicted> {
    const lists = this.#lists(holder.id, ['active', 'waiting-children', 'stalled', 'events']);
    const sentinel = this.keys.node(childId(holder.id, 'sentinel'));
    const members = seen.values + seen.failures + seen.pending;
    const args = [seen.failures, sentinel, this.clock.wallMs(), Number(seen.isDue), members];
    return this.#judge(WAIT_FOR_MEMBERS, [...this.#fenced(holder), ...lists], holder, seen, args);
  }

  async setBudget(node: string, budget: Budget): Promise<boolean> {
    const keys = [...this.#waking(node), this.keys.record(node)];
    return (await this.scripts.run(SET_BUDGET, keys, [node, JSON.stringify(budget)])) === 1;
  }

  async setDue(node: string, generation: number): Promise<void> {
    const keys = [...this.#waking(node), this.keys.record(node)];
    await this.scripts.run(SET_DUE, keys, [node, generation]);
  }

  async times(node: string, generation: number): Promise<HeaderTimes | 'over' | 'unknown'> {
    const keys = [this.keys.node(node), this.keys.record(node)];
    const reply = await this.scripts.run(HEADER_TIMES, keys, [node, generation]);
    if (reply === 'over' || reply === 'unknown') return reply;
    const [dispatched, sealed, first, last] = reply as (string | null)[];
    return {
      dispatchMs: Number(dispatched),
      ...(sealed == null ? {} : { sealMs: Number(sealed) }),
      ...(first == null ? {} : { firstOutcomeMs: Number(first) }),
      ...(last == null ? {} : { lastOutcomeMs: Number(last) }),
    };
  }

  async noteOutcome({ queue, id, token }: Holder, node: string, nowMs: number): Promise<void> {
    const keys = [this.keys.job(queue, id), this.keys.record(node)];
    await this.scripts.run(NOTE_OUTCOME, keys, [token, node, nowMs]);
  }

  async wake(node: string): Promise<void> {
    await this.scripts.run(WAKE_NODE, [...this.#waking(node), this.keys.record(node)], [node]);
  }

  async failuresByName(node: string, names: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>();
    let cursor = '0';
    do {
      const reply = await this.scripts.run(
        COUNT_FAILURES,
        [`${this.keys.node(node)}:failed`],
        [cursor, SCAN_COUNT, ...names],
      );
      const [next, ...found] = reply as [string, ...(string | number)[]];
      for (let at = 0; at < found.length; at += 2) {
        const name = String(found[at]);
        counts.set(name, (counts.get(name) ?? 0) + Number(found[at + 1]));
      }
      cursor = next;
    } while (cursor !== '0');
    return counts;
  }

  async *stragglers(node: string): AsyncGenerator<JobRef[]> {
    let cursor = '0';
    do {
      const [next, keys] = await this.scripts.ask((client) =>
        client.sscan(this.keys.left(node), cursor, 'COUNT', SCAN_COUNT),
      );
      yield keys.map(jobInKey);
      cursor = next;
    } while (cursor !== '0');
  }

  async cancelStraggler(node: string, { queue, id }: JobRef): Promise<boolean> {
    const keys = [this.keys.left(node), this.keys.record(node)];
    const args = [this.keys.job(queue, id), revocationField(id)];
    return (await this.scripts.run(CANCEL_STRAGGLER, keys, args)) === 1;
  }

  async keepLate({ id, token }: Holder, node: string): Promise<boolean> {
    const keys = [this.keys.node(id), this.keys.node(node), ...this.keys.late(node), this.keys.record(node)];
    return (await this.scripts.run(KEEP_LATE, keys, [token, node])) === 1;
  }

  async *lateMembers(node: string, end: 'returned' | 'failed'): AsyncGenerator<JobRef[]> {
    const [values, failures] = this.keys.late(node);
    let cursor = '0';
    do {
      const [next, flat] = await this.scripts.ask((client) =>
        client.hscan(end === 'returned' ? values : failures, cursor, 'COUNT', SCAN_COUNT),
      );
      yield flat.filter((_, at) => at % 2 === 0).map(jobInKey);
      cursor = next;
    } while (cursor !== '0');
  }

  /** They were set aside by their jobs' keys, and their queues are a few. */
  async areStragglers(node: string, ids: readonly string[]): Promise<boolean[]> {
    const left = this.keys.left(node);
    const known = await this.scripts.ask((client) =>
      client.smembers(this.keys.queues(this.keys.prefixOf(node))),
    );
    const found = ids.map(() => false);
    for (const queue of [...known, CANVAS_QUEUE]) {
      const keys = ids.map((id) => this.keys.job(queue, id));
      const are = await this.scripts.ask((client) => client.smismember(left, ...keys));
      are.forEach((is, at) => (found[at] ||= is === 1));
    }
    return found;
  }

  async #judge(
    script: Script,
    keys: readonly string[],
    { token, id }: Holder,
    { budget }: Seen,
    args: readonly (string | number)[],
  ): Promise<Verdicted> {
    const seen = budget === undefined ? '' : JSON.stringify(budget);
    const reply = await this.scripts.run(script, keys, [token, id, seen, ...args]);
    return reply === 1 ? 'done' : reply === 0 ? 'changed' : 'superseded';
  }

  #fenced({ id }: Holder): string[] {
    return [this.keys.node(id), this.keys.record(id)];
  }

  #waking(node: string): string[] {
    const lists = ['waiting-children', 'wait', 'marker', 'meta', 'active', 'events'];
    return [this.keys.node(node), ...this.#lists(node, lists)];
  }

  /** Lists of BullMQ, of the queue that nodes lie in. */
  #lists(node: string, names: readonly string[]): string[] {
    return names.map((name) => `${this.keys.prefixOf(node)}:${CANVAS_QUEUE}:${name}`);
  }
}
