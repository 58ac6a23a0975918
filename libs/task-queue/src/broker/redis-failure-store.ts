import type { FailureStore, LetterBounds, LetterPosition, LetterQuery } from '../backend/failure-store.js';
import { BrokerUnavailableError } from '../errors/publish.errors.js';
import type { DeadLetter, DeadLetterSummary } from '../failure/dead-letter.js';
import { bounded } from '../primitives/bounded.js';
import type { RedisClient } from './redis-client.js';
import type { RedisKeys } from './redis-keys.js';
import { MARK_RETRIED, PAGE_LETTERS, READ_LETTER, REMOVE_LETTERS, TRIM_LETTERS } from './scripts/letters.js';
import { runScript, type Script } from './scripts/script.js';

/** How many ids one script takes. */
const AT_ONCE = 500;

/** A letter of one shard, on its way into a page. */
interface Found {
  readonly atMs: number;
  readonly summary: DeadLetterSummary;
}

/** Dead letters in Redis: each lies in the shard of its task. */
export class RedisFailureStore implements FailureStore {
  constructor(
    private readonly keys: RedisKeys,
    private readonly client: () => Promise<RedisClient>,
    private readonly timeoutMs: number,
  ) {}

  async page(
    query: LetterQuery,
    limit: number,
    after?: LetterPosition,
  ): Promise<readonly DeadLetterSummary[]> {
    const shards = await Promise.all(
      this.#prefixes().map((prefix) => this.#pageOf(prefix, query, limit, after)),
    );
    const found = shards.flat();
    found.sort((one, other) => other.atMs - one.atMs || (one.summary.id < other.summary.id ? 1 : -1));
    return found.slice(0, limit).map(({ summary }) => summary);
  }

  async read(id: string): Promise<DeadLetter | undefined> {
    const prefix = this.keys.prefixOf(id);
    const reply = (await this.#run(prefix, READ_LETTER, [prefix, id])) as [string, string | null] | null;
    if (reply === null) return undefined;
    const [letter, retriedAs] = reply;
    return { ...(JSON.parse(letter) as DeadLetter), ...(retriedAs === null ? {} : { retriedAs }) };
  }

  async count(): Promise<number> {
    const counts = await Promise.all(
      this.#prefixes().map((prefix) =>
        this.#ask((client) => client.zcard(this.keys.letters(prefix)[0] ?? '')),
      ),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async markRetried(id: string, as: string): Promise<string | undefined> {
    const standing = await this.#run(this.keys.prefixOf(id), MARK_RETRIED, [id, as]);
    return (standing as string | null) ?? undefined;
  }

  async remove(ids: readonly string[]): Promise<number> {
    let removed = 0;
    for (const prefix of this.#prefixes()) {
      const own = ids.filter((id) => this.keys.prefixOf(id) === prefix);
      for (let at = 0; at < own.length; at += AT_ONCE) {
        removed += Number(await this.#run(prefix, REMOVE_LETTERS, own.slice(at, at + AT_ONCE)));
      }
    }
    return removed;
  }

  /** Takes away what is too old or too much, in every shard. */
  async trim({ maxAgeMs, maxCount }: LetterBounds, nowMs: number): Promise<void> {
    for (const prefix of this.#prefixes()) {
      while (Number(await this.#run(prefix, TRIM_LETTERS, [nowMs - maxAgeMs, maxCount])) > 0);
    }
  }

  async #pageOf(
    prefix: string,
    query: LetterQuery,
    limit: number,
    after: LetterPosition | undefined,
  ): Promise<Found[]> {
    const { task = '', queue = '', error = '', fromMs, untilMs, retried } = query;
    const found: Found[] = [];
    let newest: string | number = untilMs === undefined ? '+inf' : `(${untilMs}`;
    let beyond = '';
    if (after !== undefined) [newest, beyond] = [after.atMs, after.id];
    while (found.length < limit) {
      const flag = retried === undefined ? '' : Number(retried);
      const args = [prefix, limit - found.length, newest, beyond, fromMs ?? '-inf', task, queue, error, flag];
      const [time, id, flat] = (await this.#run(prefix, PAGE_LETTERS, args)) as [string, string, string[]];
      for (let at = 0; at + 2 < flat.length; at += 3) found.push(foundOf(flat.slice(at, at + 3)));
      if (time === '') break;
      [newest, beyond] = [time, id];
    }
    return found;
  }

  #prefixes(): string[] {
    return Array.from({ length: this.keys.shards }, (_, shard) => this.keys.shardPrefix(shard));
  }

  #run(prefix: string, script: Script, args: readonly (string | number)[]): Promise<unknown> {
    return this.#ask((client) => runScript(client, script, this.keys.letters(prefix), args));
  }

  async #ask<T>(question: (client: RedisClient) => Promise<T>): Promise<T> {
    const client = await this.client();
    return bounded(
      question(client),
      this.timeoutMs,
      () => new BrokerUnavailableError(`Redis did not answer within ${this.timeoutMs} ms.`),
    ).catch((error: unknown) => {
      if (error instanceof BrokerUnavailableError) throw error;
      throw new BrokerUnavailableError(`Redis did not answer: ${String(error)}`, undefined, { cause: error });
    });
  }
}

function foundOf([time = '', json = '', retriedAs = '']: readonly string[]): Found {
  const summary = JSON.parse(json) as DeadLetterSummary;
  return { atMs: Number(time), summary: { ...summary, ...(retriedAs === '' ? {} : { retriedAs }) } };
}
