import type { JobRef } from '../backend/job-ref.js';
import type { FailedJob, FoundTask, JobStore, TaskQuery, WithdrawalRecord } from '../backend/job-store.js';
import type { TaskReply } from '../backend/task-reply.js';
import { BrokerUnavailableError } from '../errors/publish.errors.js';
import { headline } from '../failure/headline.js';
import { foundIn, type TaskEnvelope } from '../flow/envelope.js';
import { CANVAS_QUEUE, childId, lineOf, parentOf, rootOf } from '../flow/ids.js';
import { bounded } from '../primitives/bounded.js';
import type { Clock } from '../primitives/clock.js';
import type { Producers } from './producers.js';
import type { RedisClient } from './redis-client.js';
import { idInKey, revocationField, type RedisKeys } from './redis-keys.js';
import { WANT_NO_LATE } from './scripts/attendants.js';
import { READ_FAILED, READ_TASK } from './scripts/reads.js';
import { ScriptRunner } from './script-runner.js';
import { NOTE_WITHDRAWAL } from './scripts/headers.js';
import { runScript } from './scripts/script.js';
import { parseReply } from './scripts/task-reply.js';
import { CAN_WITHDRAW } from './scripts/withdrawal.js';
import { closedNodes, hasStragglers, STRAGGLERS_MS } from './stragglers.js';
import { TaskSearch } from './task-search.js';
import type { OwnWrites, ScriptCall } from './joint-client.js';
import type { Transactions } from './transactions.js';

const SCAN_COUNT = 1_000;
/** Jobs whose data is read at a time. */
const FAILED_AT_ONCE = 200;

/** What else a canvas may have left behind. */
interface Traces {
  /** It has headers that were closed before their end. */
  readonly hasClosed: boolean;
  /** It was redriven in several steps. */
  readonly hasRefills: boolean;
}

/** BullMQ's jobs, looked at from outside, and taken away. */
export class RedisJobs implements JobStore {
  readonly #search: TaskSearch;

  constructor(
    private readonly client: () => Promise<RedisClient>,
    private readonly keys: RedisKeys,
    private readonly producers: Producers,
    private readonly transactions: Transactions,
    private readonly clock: Clock,
    private readonly timeoutMs: number,
  ) {
    this.#search = new TaskSearch(keys, new ScriptRunner(client, timeoutMs));
  }

  async look(id: string): Promise<TaskReply> {
    const prefix = this.keys.prefixOf(id);
    const keys = [this.keys.queues(prefix), this.keys.record(id)];
    const flat = await this.#bounded(id, (client) =>
      runScript(client, READ_TASK, keys, [prefix, id, parentOf(id) ?? '']),
    );
    return parseReply(flat as (string | number | null)[]);
  }

  async find({ queue, id }: JobRef): Promise<FoundTask | undefined> {
    const job = await this.producers.queue(queue, id).getJob(id);
    if (job === undefined) return undefined;
    const reports = job.opts.continueParentOnFailure === true;
    return { name: job.name, reports, ...foundIn((job.data ?? {}) as Partial<TaskEnvelope>) };
  }

  search(query: TaskQuery): AsyncGenerator<readonly JobRef[], void, number> {
    return this.#search.run(query);
  }

  async readFailed(tasks: readonly JobRef[]): Promise<readonly (FailedJob | undefined)[]> {
    const found: (FailedJob | undefined)[] = [];
    for (let from = 0; from < tasks.length; from += FAILED_AT_ONCE) {
      const page = tasks.slice(from, from + FAILED_AT_ONCE);
      const keys = page.flatMap(({ queue, id }) => [
        `${this.keys.prefixOf(id)}:${queue}:failed`,
        this.keys.job(queue, id),
      ]);
      const ids = page.map(({ id }) => id);
      const reply = await this.#bounded(ids[0] ?? '', (client) => runScript(client, READ_FAILED, keys, ids));
      for (const one of reply as ([string, string, string | null] | null)[]) {
        if (one === null) found.push(undefined);
        else found.push(failedJob(one));
      }
    }
    return found;
  }

  /**
   * BullMQ refuses to remove what runs, but would remove what has ended, and with it what it came to; or what waits for a
   * canvas in its place, and with it that canvas. So it is looked at first, and removed only if it has not changed since.
   */
  async withdraw({ queue, id }: JobRef, record?: WithdrawalRecord): Promise<boolean> {
    const job = this.keys.job(queue, id);
    const waiting = `${this.keys.prefixOf(id)}:${queue}:waiting-children`;
    const marks = record === undefined ? [] : lineOf(id).map(revocationField);
    const timedBy = record?.timedBy;
    let kept: Readonly<Record<string, string>> | undefined;
    const answer = await this.transactions.run<false>({
      id,
      keys: [job, `${job}:lock`],
      look: async (client) => {
        const lists = [job, waiting, this.keys.record(id)];
        const reply = await runScript(client, CAN_WITHDRAW, lists, [id, ...marks]);
        kept = Array.isArray(reply) ? pairsOf(reply as string[]) : undefined;
        return reply === 0 ? false : undefined;
      },
      ...(timedBy === undefined ? {} : { first: this.#noting(id, timedBy) }),
      additions: [() => this.producers.queue(queue, id, 'ledger').remove(id)],
      write: (own) => {
        if (record === undefined) return;
        const { failure, ttlMs } = record;
        own.set(this.keys.record(id), { [`f:${id}`]: JSON.stringify(failure) });
        if (ttlMs !== undefined) own.expire(this.keys.record(id), ttlMs);
        if (kept !== undefined) this.#keep(own, { queue, id }, kept, headline(failure));
      },
    });
    return answer === 'done';
  }

  #noting(member: string, node: string): ScriptCall {
    return { script: NOTE_WITHDRAWAL, keys: [this.keys.record(member)], args: [node, this.clock.wallMs()] };
  }

  /** A job that was taken out of its queue stands there as one that has failed, as it does when a worker has failed it. */
  #keep(own: OwnWrites, { queue, id }: JobRef, job: Readonly<Record<string, string>>, reason: string): void {
    const { parentKey, parent: _parent, ...fields } = job;
    const key = this.keys.job(queue, id);
    const nowMs = this.clock.wallMs();
    own.set(key, { ...fields, finishedOn: nowMs, failedReason: reason });
    own.rank(`${this.keys.prefixOf(id)}:${queue}:failed`, nowMs, id);
    if (parentKey !== undefined) own.set(`${parentKey}:failed`, { [key]: reason });
  }

  /**
   * Its nodes with what their children returned, its tasks that failed, and its record. Tasks with a value have left
   * before: their values live in the nodes.
   *
   * It walks down page by page instead of asking BullMQ to remove a tree at once, which blocks Redis for as long as
   * the tree is wide (hole H17). Being cut off in the middle is harmless: what is left is found again from the root,
   * which goes last.
   *
   * One of which members go on, past a header that was closed, is left until they have ended, and expires then; but nobody
   * waits for them any more.
   */
  async removeCanvas(id: string): Promise<void> {
    const client = await this.client();
    const record = this.keys.record(id);
    const [closed, replaced, again] = await client.hmget(record, 'closed', 'replaced', 'again');
    if (closed !== null && (await hasStragglers(client, this.keys, id))) {
      for await (const node of closedNodes(client, this.keys, id)) {
        // First, so that nobody takes it for lost and puts it back.
        await runScript(client, WANT_NO_LATE, [record], [node]);
        await this.#removeWaiter(node);
      }
      await client.zadd(this.keys.expiry(this.keys.prefixOf(id)), this.clock.wallMs() + STRAGGLERS_MS, id);
      return;
    }
    // A body that was superseded is a part of a canvas that lives on.
    const isWhole = rootOf(id) === id;
    if (isWhole && replaced !== null) await this.#removeReplacements(record);
    await this.#removeNode(id, { hasClosed: closed !== null, hasRefills: again !== null });
    if (isWhole) await client.del(record);
    await client.zrem(this.keys.expiry(this.keys.prefixOf(id)), id);
  }

  async removeTask({ queue, id }: JobRef): Promise<void> {
    // One that was revoked while it waited is in no queue any more; its record is all there is.
    if (queue !== '') {
      const by = (await this.find({ queue, id }))?.replacedBy;
      if (by !== undefined) await this.#removeReplacement(by);
      await this.producers.queue(queue, id).remove(id);
    }
    if (rootOf(id) === id) await (await this.client()).del(this.keys.record(id));
  }

  async stands(id: string): Promise<boolean> {
    return (await this.look(id)).source === 'job';
  }

  async #bounded(id: string, question: (client: RedisClient) => Promise<unknown>): Promise<unknown> {
    const timedOut = () =>
      new BrokerUnavailableError(`Redis did not answer within ${this.timeoutMs} ms.`, id);
    return bounded(question(await this.client()), this.timeoutMs, timedOut).catch((error: unknown) => {
      if (error instanceof BrokerUnavailableError) throw error;
      throw new BrokerUnavailableError(`Redis could not be read: ${String(error)}`, id, { cause: error });
    });
  }

  /** The canvases that took the places of tasks. */
  async #removeReplacements(record: string): Promise<void> {
    const client = await this.client();
    let cursor = '0';
    do {
      const [next, flat] = await client.hscan(record, cursor, 'MATCH', 'i:*', 'COUNT', SCAN_COUNT);
      for (let at = 0; at + 1 < flat.length; at += 2)
        await this.#removeReplacement({ id: (flat[at] ?? '').slice(2), queue: flat[at + 1] ?? '' });
      cursor = next;
    } while (cursor !== '0');
  }

  /** One that still runs, because nothing waits for it any more, goes by itself after its end. */
  async #removeReplacement(by: JobRef): Promise<void> {
    const client = await this.client();
    const [addedOn, finishedOn] = await client.hmget(
      this.keys.job(by.queue, by.id),
      'timestamp',
      'finishedOn',
    );
    if (addedOn !== null && finishedOn === null) return;
    await (by.queue === CANVAS_QUEUE ? this.removeCanvas(by.id) : this.removeTask(by));
  }

  async #removeNode(id: string, traces: Traces): Promise<void> {
    const key = this.keys.node(id);
    const { hasClosed, hasRefills } = traces;
    const again = this.keys.again(id);
    for (const hash of [`${key}:processed`, `${key}:failed`, ...(hasRefills ? [again] : [])]) {
      let cursor = '0';
      do {
        const [next, flat] = await (await this.client()).hscan(hash, cursor, 'COUNT', SCAN_COUNT);
        await this.#removeChildren(
          id,
          flat.filter((_, at) => at % 2 === 0),
          traces,
        );
        cursor = next;
      } while (cursor !== '0');
    }
    if (hasRefills) await (await this.client()).unlink(again);
    if (hasClosed) await this.#removeLeft(id, traces);
    await this.producers.queue(CANVAS_QUEUE, id).remove(id, { removeChildren: false });
  }

  /** Who waits for what had not ended when the header of a node was closed. */
  async #removeWaiter(node: string): Promise<void> {
    await this.producers.queue(CANVAS_QUEUE, node).remove(childId(node, 'late'), { removeChildren: false });
  }

  /** What had not ended when the header of a node was closed. */
  async #removeLeft(node: string, traces: Traces): Promise<void> {
    const left = this.keys.left(node);
    // What waits for them first: nobody needs to be told of what goes now.
    await this.#removeWaiter(node);
    let cursor = '0';
    do {
      const [next, keys] = await (await this.client()).sscan(left, cursor, 'COUNT', SCAN_COUNT);
      await this.#removeChildren(node, keys, traces);
      cursor = next;
    } while (cursor !== '0');
    await (await this.client()).unlink(left, ...this.keys.late(node));
  }

  /** Those that may still be there: nodes, and tasks that failed. */
  async #removeChildren(node: string, keys: readonly string[], traces: Traces): Promise<void> {
    const prefix = `${this.keys.prefixOf(node)}:`;
    const tasks: Promise<unknown>[] = [];
    for (const key of keys) {
      const id = idInKey(key);
      const queue = key.slice(prefix.length, -id.length - 1);
      if (queue === CANVAS_QUEUE) await this.#removeNode(id, traces);
      else tasks.push(this.producers.queue(queue, id).remove(id));
    }
    await Promise.all(tasks);
  }
}

/** The fields of a hash, as Redis lists them. */
function pairsOf(flat: readonly string[]): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (let at = 0; at + 1 < flat.length; at += 2) pairs[flat[at] ?? ''] = flat[at + 1] ?? '';
  return pairs;
}

/** Data that is no JSON is not ours. */
function failedJob([name, data, priority]: [string, string, string | null]): FailedJob {
  let parsed: unknown;
  try {
    parsed = JSON.parse(data);
  } catch {
    parsed = undefined;
  }
  return { name, data: parsed, text: data, ...(Number(priority) > 0 ? { priority: Number(priority) } : {}) };
}
