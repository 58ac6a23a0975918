import type { ChainableCommander } from 'ioredis';
import { Mutex } from './mutex.js';
import type { RedisClient } from './redis-client.js';
import type { Script } from './scripts/script.js';

/**
 * A connection on which several additions of BullMQ can be made one transaction, together with writes of our own: while
 * one is being put together, BullMQ's pipelines and transactions on it are all the same one, which is carried out when
 * the last of them is to be.
 *
 * BullMQ adds many jobs of one queue fastest in a pipeline, which is neither atomic nor heeds WATCH; several queues take
 * several calls. BullMQ gets the connection from us and asks it for a pipeline or transaction: that is all this rests on.
 */
export class JointClient {
  /** What BullMQ's producers on this connection are given. */
  readonly forBullmq: RedisClient;
  readonly #assembly = new Mutex();
  #joint: Joint | undefined;

  constructor(private readonly client: RedisClient) {
    const bound = new Map<PropertyKey, unknown>();
    this.forBullmq = new Proxy(client, {
      get: (target, key) => {
        const joint = this.#joint;
        if (joint !== undefined && (key === 'pipeline' || key === 'multi')) return () => joint.commands;
        const value = Reflect.get(target, key) as unknown;
        // BullMQ looks here whether its scripts are defined, too.
        if (typeof value !== 'function') return value;
        if (joint !== undefined && isRemoval(key)) return (args: unknown[]) => joint.remove(key, args);
        let method = bound.get(key);
        if (method === undefined) {
          // On the connection itself: its own calls must not come back here.
          method = (value as (...args: unknown[]) => unknown).bind(target);
          bound.set(key, method);
        }
        return method;
      },
    });
  }

  /**
   * Puts additions together, without a word to Redis: also while the transaction before is under way, so that neither
   * side waits for the other. One that is never carried out leaves nothing behind.
   *
   * @param first a script that runs before them
   */
  prepare(additions: readonly (() => Promise<unknown>)[], first?: ScriptCall): Promise<Joint> {
    return this.#assembly.run(async () => {
      const joint = new Joint(this.client, additions.length, first);
      this.#joint = joint;
      try {
        await joint.assemble(additions);
      } finally {
        this.#joint = undefined;
      }
      return joint;
    });
  }
}

/** One transaction that several additions are put into. */
export class Joint {
  /** Resolves when every addition has asked for the execution, which the last one starts for all. */
  readonly #complete = deferred<void>();
  readonly #results = deferred<[error: Error | null, result: unknown][]>();
  #multi: ChainableCommander | undefined;
  #exec: ChainableCommander['exec'] | undefined;
  #hset: ((key: string, fields: object) => unknown) | undefined;
  #zadd: ((key: string, score: number, member: string) => unknown) | undefined;
  #pexpire: ((key: string, ms: number) => unknown) | undefined;
  #asked = 0;
  #added: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly client: RedisClient,
    private readonly additions: number,
    private readonly first: ScriptCall | undefined,
  ) {}

  /** Made when it is first asked for: by then BullMQ has defined its scripts on the connection. */
  get commands(): ChainableCommander {
    if (this.#multi === undefined) {
      const multi = this.client.multi();
      this.#exec = multi.exec.bind(multi);
      this.#hset = multi.hset.bind(multi);
      this.#zadd = multi.zadd.bind(multi) as (key: string, score: number, member: string) => unknown;
      this.#pexpire = multi.pexpire.bind(multi);
      multi.exec = () => this.#ask();
      this.#multi = multi;
      if (this.first !== undefined) {
        const { script, keys, args } = this.first;
        // By its text: one that the server does not know would fail amid the others.
        multi.eval(script.lua, keys.length, ...keys, ...args);
      }
    }
    return this.#multi;
  }

  /** Puts BullMQ's removal of a job in. @returns what BullMQ takes for the answer of its script, once it has happened */
  async remove(script: string, args: unknown[]): Promise<number> {
    const commands = this.commands as unknown as Record<string, (args: unknown[]) => unknown>;
    commands[script]?.(args);
    await this.#ask();
    return 1;
  }

  #ask(): Promise<[error: Error | null, result: unknown][]> {
    if (++this.#asked === this.additions) this.#complete.resolve();
    return this.#results.promise;
  }

  async assemble(additions: readonly (() => Promise<unknown>)[]): Promise<void> {
    this.#added = Promise.all(additions.map((add) => add()));
    this.#added.catch(() => undefined);
    if (additions.length > 0) await Promise.race([this.#complete.promise, this.#added]);
  }

  /**
   * Carries out the additions and our own writes as one transaction; the writes come last.
   *
   * @returns false when a watched key has changed, and nothing was done
   * @throws what Redis said to one of the commands
   */
  async carryOut(write: (own: OwnWrites) => void): Promise<boolean> {
    const multi = this.commands;
    let results: Awaited<ReturnType<ChainableCommander['exec']>>;
    try {
      write({
        set: (key, fields) => void this.#hset?.(key, fields),
        rank: (key, score, member) => void this.#zadd?.(key, score, member),
        expire: (key, ms) => void this.#pexpire?.(key, ms),
      });
      if (this.#exec) multi.exec = this.#exec; // ioredis calls it itself where it has to send again
      results = await multi.exec();
    } catch (error) {
      this.#results.reject(error);
      throw error;
    }
    if (results === null) {
      await loadScripts(this.client);
      this.#results.reject(new Error('a watched key has changed'));
      return false;
    }
    this.#results.resolve(results);
    for (const [error, result] of results) {
      if (error) throw error;
      if (typeof result === 'number' && result < 0)
        throw new Error(`BullMQ refused a part of a transaction: ${result}`);
    }
    await this.#added;
    return true;
  }
}

/**
 * ioredis sends the text of a script once on each connection and its digest from then on, also when the transaction which
 * the text was in has been discarded. A server that did not know it before does not know it now: the next transaction would
 * be carried out in part, and release a node without its children (hole H14).
 */
async function loadScripts(client: RedisClient): Promise<void> {
  const scripts = Object.values(client.scriptsSet as Readonly<Record<string, Script>>);
  const known = (await client.script('EXISTS', ...scripts.map(({ sha }) => sha))) as number[];
  const unknown = scripts.filter((_, at) => known[at] !== 1);
  await Promise.all(unknown.map(({ lua }) => client.script('LOAD', lua)));
}

/** A script with what it is called with. */
export interface ScriptCall {
  readonly script: Script;
  readonly keys: readonly string[];
  readonly args: readonly (string | number)[];
}

/** Writes of ours in a transaction. */
export interface OwnWrites {
  /** Sets fields of a hash. */
  set(key: string, fields: Readonly<Record<string, string | number>>): void;
  /** Adds to a sorted set. */
  rank(key: string, score: number, member: string): void;
  /** Has a key go by itself after a time. */
  expire(key: string, ms: number): void;
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

/** BullMQ calls the script that removes a job on the connection itself, under its name and version. */
function isRemoval(key: PropertyKey): key is string {
  return typeof key === 'string' && /^removeJob(:|$)/.test(key);
}
