import type { JobRef } from '../backend/job-ref.js';
import { CANVAS_QUEUE, placeOf, rootOf, shardOf } from '../flow/ids.js';

/**
 * Every key name of ours, and the parts of BullMQ's that we read. All keys of one canvas carry the hash tag of
 * its shard, so that no script and no transaction crosses a slot of a Redis Cluster.
 *
 * ```
 * {tq:0}:<queue>:…            BullMQ's, per queue; composite nodes live in the queue _canvas
 * {tq:0}:_record:<canvas>     hash: f:<id> failure of a task or node · r:<id> what a chord's recovery decided ·
 *                             x:<id> revoked, or closed with its header · a:<id>:<call> place of a member that a task added ·
 *                             c:<id> that a header is closed · p:<id> parked · b:<id> its budget by now ·
 *                             k:<id> that what came late to it is kept · d:<id> past its deadline · first:<id>, last:<id> when members ended ·
 *                             closed that a header of the canvas is · i:<canvas> the queue of what took a task's place ·
 *                             replaced that there is one of those · again that it has been redriven in several steps
 * {tq:0}:_canvas:<id>:left    set: members that had not ended when the header of this node was closed
 * …:left:processed, …:failed  hash: what they came to, when all of them had ended
 * {tq:0}:_canvas:<id>:again   hash: failures of its members that are still to be put back, while a wide redrive begins
 * {tq:0}:_expiry              sorted set: canvases whose results expire, by time
 * {tq:0}:_dead                sorted set: dead letters, by the time at which their tasks failed
 * {tq:0}:_dead:letters        hash: the letters · _dead:about what lists show · _dead:retried as what they ran again
 * {tq:0}:_queues              set: every queue that was ever published to
 * {tq:0}:_control             channel: revocations, for the workers that run what is revoked
 * {tq:0}:_events              channel: what happens to tasks, while somebody watches
 * {tq:0}:_workers             sorted set: worker applications that are alive, by their last heartbeat
 * {tq:0}:_workers:about       hash: what each of them serves
 * {tq:0}:_lock:<name>         hash: owner, task, activation and token of a lock that is held
 * {tq:0}:_once:<hash>         hash: which task has an idempotency key, and what it returned
 * {tq:0}:_token               the last fencing token of the locks of a shard
 * {tq:0}:_rate:<limit>        hash: when its next start is due, and the next slot in its line
 * {tq:0}:_retries:<budget>      hash: first attempts and retries of late
 * {tq:0}:_limits              hash: limits that were changed, by the names of tasks and rate limits
 * {tq:0}:_breaker:<name>      hash: how a breaker stands, and what it has counted
 * {tq:0}:_breakers            set: breakers that are not closed
 * ```
 */
export class RedisKeys {
  constructor(
    readonly prefix: string,
    readonly shards: number,
  ) {}

  /** BullMQ's `prefix` for the shard of a canvas. */
  prefixOf(id: string): string {
    return this.shardPrefix(shardOf(id, this.shards));
  }

  shardPrefix(shard: number): string {
    return `{${this.prefix}:${shard}}`;
  }

  job(queue: string, id: string): string {
    return `${this.prefixOf(id)}:${queue}:${id}`;
  }

  node(id: string): string {
    return this.job(CANVAS_QUEUE, id);
  }

  /** The members that had not ended when a node's header was closed. */
  left(node: string): string {
    return `${this.node(node)}:left`;
  }

  /** What these came to when all of them had ended: values and failures, as in BullMQ's own lists. */
  late(node: string): readonly [values: string, failures: string] {
    return [`${this.left(node)}:processed`, `${this.left(node)}:failed`];
  }

  /** The failures of a node's members that are still to be put back. */
  again(node: string): string {
    return `${this.node(node)}:again`;
  }

  /** The key that holds failures and decisions of the canvas that an id belongs to. */
  record(id: string): string {
    return `${this.prefixOf(id)}:_record:${rootOf(id)}`;
  }

  expiry(prefix: string): string {
    return `${prefix}:_expiry`;
  }

  /** The index of a shard's dead letters, the letters, what lists show of them, and as what they were run again. */
  letters(prefix: string): readonly string[] {
    const key = `${prefix}:_dead`;
    return [key, `${key}:letters`, `${key}:about`, `${key}:retried`];
  }

  queues(prefix: string): string {
    return `${prefix}:_queues`;
  }

  /** The channel on which workers hear of revocations; one for all shards. */
  get control(): string {
    return `${this.shardPrefix(0)}:_control`;
  }

  /** The channel on which whoever watches hears of events; one for all shards. */
  get events(): string {
    return `${this.shardPrefix(0)}:_events`;
  }

  /** Where workers show that they are alive, and what they serve; one for all shards. */
  get workers(): readonly [beats: string, about: string] {
    const key = `${this.shardPrefix(0)}:_workers`;
    return [key, `${key}:about`];
  }

  /** A lock, and the last token of its shard. The name of a lock says which shard holds it. */
  lock(name: string): readonly [lock: string, token: string] {
    const prefix = this.shardPrefix(placeOf(name, this.shards));
    return [`${prefix}:_lock:${name}`, `${prefix}:_token`];
  }

  /** A rate limit; one for all shards. */
  rateLimit(name: string): string {
    return `${this.shardPrefix(0)}:_rate:${name}`;
  }

  /** A retry budget; one for all shards. */
  retryBudget(name: string): string {
    return `${this.shardPrefix(0)}:_retries:${name}`;
  }

  /** Limits that were changed; one for all shards. */
  get limits(): string {
    return `${this.shardPrefix(0)}:_limits`;
  }

  /** A breaker; one for all shards. */
  breaker(name: string): string {
    return `${this.shardPrefix(0)}:_breaker:${name}`;
  }

  /** The breakers that are not closed; one for all shards. */
  get troubledBreakers(): string {
    return `${this.shardPrefix(0)}:_breakers`;
  }

  /** What is known of an idempotency key, by its name of fixed length. */
  once(name: string): string {
    return `${this.shardPrefix(placeOf(name, this.shards))}:_once:${name}`;
  }

  /** The nodes of a shard that wait for what is below them. */
  waitingNodes(prefix: string): string {
    return `${prefix}:${CANVAS_QUEUE}:waiting-children`;
  }
}

/** The id in a BullMQ job key: the part after the last colon. Ids of ours hold none. */
export function idInKey(key: string): string {
  return key.slice(key.lastIndexOf(':') + 1);
}

/** The job that a BullMQ job key names: its last two parts. */
export function jobInKey(key: string): JobRef {
  const [queue = '', id = ''] = key.split(':').slice(-2);
  return { queue, id };
}

/** The field of a canvas' record under which it stands that a task or node is revoked. */
export function revocationField(id: string): string {
  return `x:${id}`;
}
