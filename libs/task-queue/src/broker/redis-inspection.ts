import { Redis } from 'ioredis';
import { BrokerUnavailableError } from '../errors/publish.errors.js';
import { rootOf } from '../flow/ids.js';
import { bounded } from '../primitives/bounded.js';
import type {
  Answer,
  CanvasReport,
  Inspection,
  QueueReport,
  ServerReport,
  WorkerReport,
} from '../backend/inspection.js';
import { livingWorkers } from './heartbeat.js';
import type { RedisClient } from './redis-client.js';
import type { RedisConnections } from './redis-connections.js';
import type { RedisKeys } from './redis-keys.js';
import { READ_QUEUES, READ_WAITING } from './scripts/inspection.js';
import { runScript } from './scripts/script.js';
import { asksForSnapshots, parseInfo, readServer, type ServerInfo } from './server-info.js';

/** Canvases that are named; the others are counted. */
const NAMED_CANVASES = 5;
/** Steps among which canvases are looked for: several steps of one canvas wait at the same time. */
const LISTED_STEPS = 50;

/**
 * Looks at Redis over the connection that publications use. While that does not answer, nothing piles up on it: one PING
 * waits, and everything else waits for that.
 */
export class RedisInspection implements Inspection {
  #ping: Promise<unknown> | undefined;
  #failedAt = Number.NEGATIVE_INFINITY;
  /** Providers that hide CONFIG note each refusal; one is enough. */
  #hidesConfig = false;

  constructor(
    private readonly connections: RedisConnections,
    private readonly keys: RedisKeys,
  ) {}

  async ping(timeoutMs: number): Promise<Answer> {
    const started = performance.now();
    await this.#ready(timeoutMs);
    const answered = performance.now();
    const since = Math.max(this.#failedAt, this.connections.condition('publish').readyAt ?? started);
    return { latencyMs: answered - started, answeringForMs: answered - since };
  }

  servers(timeoutMs: number): Promise<readonly ServerReport[]> {
    return this.#ask(timeoutMs, async (client) => {
      const reports = await Promise.all(nodesOf(client).map((node) => this.#server(node)));
      return reports.filter((report) => report !== undefined);
    });
  }

  async queues(nowMs: number, timeoutMs: number): Promise<readonly QueueReport[]> {
    const replies = await this.#ask(timeoutMs, (client) =>
      this.#everyShard((prefix) =>
        runScript(client, READ_QUEUES, [this.keys.queues(prefix)], [prefix, nowMs]),
      ),
    );
    const sums = new Map<string, QueueReport>();
    for (const reply of (replies as RawQueue[][]).flat()) {
      const report = readQueue(reply);
      const known = sums.get(report.queue);
      sums.set(report.queue, known ? sum(known, report) : report);
    }
    return [...sums.values()].sort((a, b) => a.queue.localeCompare(b.queue));
  }

  async waitingCanvases(beforeMs: number, timeoutMs: number): Promise<CanvasReport> {
    const replies = (await this.#ask(timeoutMs, (client) =>
      this.#everyShard((prefix) =>
        runScript(client, READ_WAITING, [this.keys.waitingNodes(prefix)], [beforeMs, LISTED_STEPS]),
      ),
    )) as RawWaiting[];
    const oldest = new Map<string, number>();
    for (const [id, since] of replies
      .flatMap(([, , listed]) => pairs(listed))
      .sort(([, a], [, b]) => a - b)) {
      if (oldest.size < NAMED_CANVASES && !oldest.has(rootOf(id))) oldest.set(rootOf(id), since);
    }
    return {
      waiting: replies.reduce((total, [waiting]) => total + waiting, 0),
      overdue: replies.reduce((total, [, overdue]) => total + overdue, 0),
      oldest: [...oldest].map(([id, waitingSinceMs]) => ({ id, waitingSinceMs })),
    };
  }

  workers(timeoutMs: number): Promise<readonly WorkerReport[]> {
    return this.#ask(timeoutMs, (client) => livingWorkers(client, this.keys));
  }

  /** Asks something of a Redis that answers. */
  async #ask<T>(timeoutMs: number, question: (client: RedisClient) => Promise<T>): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    const client = await this.#ready(timeoutMs);
    const left = Math.max(1, deadline - performance.now());
    return bounded(question(client), left, () => this.#late(timeoutMs));
  }

  async #ready(timeoutMs: number): Promise<RedisClient> {
    const deadline = performance.now() + timeoutMs;
    const within = <T>(promise: Promise<T>): Promise<T> =>
      bounded(promise, Math.max(1, deadline - performance.now()), () => this.#late(timeoutMs));
    try {
      const client = this.connections.get('publish');
      await within(refuseLoading(client));
      await within(this.connections.ready('publish', timeoutMs)).catch(() => {
        throw this.#late(timeoutMs);
      });
      this.#ping ??= answerOf(client).finally(() => (this.#ping = undefined));
      await within(this.#ping);
      return client;
    } catch (error) {
      this.#failedAt = performance.now();
      throw error;
    }
  }

  async #server(node: Redis): Promise<ServerReport | undefined> {
    const text = await node.info().catch(() => undefined);
    if (text === undefined) return undefined;
    const info = parseInfo(text);
    return readServer(info, await this.#snapshots(node, info));
  }

  async #snapshots(node: Redis, info: ServerInfo): Promise<boolean | undefined> {
    if (this.#hidesConfig || !asksForSnapshots(info)) return undefined;
    try {
      const [, save = ''] = (await node.config('GET', 'save')) as string[];
      return save !== '';
    } catch {
      this.#hidesConfig = true;
      return undefined;
    }
  }

  #everyShard<T>(ask: (prefix: string) => Promise<T>): Promise<T[]> {
    return Promise.all(
      Array.from({ length: this.keys.shards }, (_, shard) => ask(this.keys.shardPrefix(shard))),
    );
  }

  /** Says what keeps the connection from being there, where that is known. */
  #late(timeoutMs: number): BrokerUnavailableError {
    const { trouble } = this.connections.condition('publish');
    const why = trouble === undefined || this.connections.isReady('publish') ? '' : ` (${trouble.message})`;
    return new BrokerUnavailableError(`Redis did not answer within ${timeoutMs} ms${why}`);
  }
}

type RawQueue = [string, number, number, number, number, number, number];
type RawWaiting = [waiting: number, overdue: number, listed: string[]];

/** A server that reads its data back in takes connections and answers INFO; ioredis waits with everything else. */
async function refuseLoading(client: RedisClient): Promise<void> {
  if (!(client instanceof Redis) || client.status !== 'connect') return;
  const info = parseInfo(await client.info('persistence').catch(() => ''));
  if (info.get('loading') !== '1') return;
  const done = info.get('loading_loaded_perc');
  throw new BrokerUnavailableError(`Redis is loading its data${done === undefined ? '' : ` (${done} %)`}`);
}

/** A refusal for want of a permission is an answer, too. */
async function answerOf(client: RedisClient): Promise<void> {
  try {
    await client.ping();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (message.startsWith('NOPERM')) return;
    throw new BrokerUnavailableError(`Redis answers PING with: ${message}`, undefined, { cause: error });
  }
}

/** The servers behind a connection to which there is one already. */
function nodesOf(client: RedisClient): Redis[] {
  return client instanceof Redis
    ? [client]
    : client.nodes('master').filter((node) => node.status === 'ready');
}

function readQueue([queue, waiting, delayed, active, failed, paused, since]: RawQueue): QueueReport {
  const waitingSinceMs = since === 0 ? undefined : since;
  return { queue, waiting, delayed, active, failed, paused: paused === 1, waitingSinceMs };
}

function sum(a: QueueReport, b: QueueReport): QueueReport {
  return {
    queue: a.queue,
    waiting: a.waiting + b.waiting,
    delayed: a.delayed + b.delayed,
    active: a.active + b.active,
    failed: a.failed + b.failed,
    paused: a.paused || b.paused,
    waitingSinceMs:
      a.waitingSinceMs === undefined || b.waitingSinceMs === undefined
        ? (a.waitingSinceMs ?? b.waitingSinceMs)
        : Math.min(a.waitingSinceMs, b.waitingSinceMs),
  };
}

/** Members and scores, which Redis gives in turn. */
function pairs(flat: readonly string[]): [member: string, score: number][] {
  return Array.from({ length: flat.length / 2 }, (_, at) => [flat[2 * at] ?? '', Number(flat[2 * at + 1])]);
}
