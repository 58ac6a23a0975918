import type { KeyClaim, KeyRecord, KeyStore } from '../backend/key-store.js';
import { IdempotencyConflictError } from '../errors/idempotency.errors.js';
import type { TaskFailure } from '../failure/task-failure.js';
import { lineOf } from '../flow/ids.js';
import type { Clock } from '../primitives/clock.js';
import type { JsonValue } from '../primitives/json.js';
import type { TaskReader } from '../results/task-reader.js';
import type { KeyedCall } from './key-of-call.js';

/** What becomes of an execution whose call has a key. */
export type Turn =
  /** The key is its own: the handler is to be called. */
  | { readonly do: 'run' }
  /** The work is done: this is its value. */
  | { readonly do: 'end'; readonly value: JsonValue }
  /** It has failed, and the failure is kept. */
  | { readonly do: 'fail'; readonly failure: TaskFailure }
  /** Another task has the key, and has not ended. */
  | { readonly do: 'wait'; readonly for: string };

/** A reservation that nobody published is given up after this long, when another call wants the key. */
const ABANDONED_MS = 60_000;

/**
 * One effect for all calls with one key, in two places: where calls are published, and where they run.
 *
 * A record says which task has the key, and nothing else that the queues know better. So there is no moment at which the
 * two could say different things: who died between reserving a key and publishing leaves a reservation that the next
 * caller publishes, under the id that is reserved; who died after publishing leaves a task that is there.
 */
export class KeyedCalls {
  constructor(
    private readonly store: KeyStore,
    private readonly reader: TaskReader,
    private readonly clock: Clock,
  ) {}

  /**
   * Publishes a call, unless another one has its key.
   *
   * @param lifeMs how long it has the key
   * @param freshId makes the id under which it is published if it is the first
   * @param publish publishes it once under an id
   * @returns the id of the call that has the key
   * @throws IdempotencyConflictError when that one has other arguments
   */
  async publish(
    call: KeyedCall,
    lifeMs: number,
    freshId: () => string,
    publish: (id: string) => Promise<void>,
  ): Promise<string> {
    const claim = this.#claim(call, freshId(), lifeMs, false);
    let record = await this.store.claim(call.name, claim, this.clock.wallMs());
    while (record.id !== claim.id && (await this.#isFree(record, call))) {
      record = await this.store.replace(call.name, record.id, claim, this.clock.wallMs());
    }
    refuseOther(record, call);
    if (isItem(record)) {
      // An item of a list has no handle. The call ends with its value where it runs.
      await publish(claim.id);
      return claim.id;
    }
    if (!record.confirmed) {
      await publish(record.id);
      await this.store.confirm(call.name, record.id);
    }
    return record.id;
  }

  /**
   * Whether an execution is to call its handler, and if not, what it comes to.
   *
   * @throws IdempotencyConflictError when the task that has the key has other arguments
   */
  begin(id: string, call: KeyedCall, lifeMs: number): Promise<Turn> {
    // A task with callbacks was published as a node, which has the key, with the task below it.
    return this.#begin(id, lineOf(id), call, lifeMs);
  }

  /** The same for one item of a list: its key is its own, what the task as a whole comes to is not its value. */
  beginItem(id: string, call: KeyedCall, lifeMs: number): Promise<Turn> {
    const item = itemOf(id);
    return this.#begin(item, [item], call, lifeMs);
  }

  async #begin(id: string, own: readonly string[], call: KeyedCall, lifeMs: number): Promise<Turn> {
    const claim = this.#claim(call, id, lifeMs, true);
    let record = await this.store.claim(call.name, claim, this.clock.wallMs());
    for (;;) {
      const isOwn = own.includes(record.id);
      if (isOwn && record.value === undefined) return { do: 'run' };
      if (isOwn && !isItem(record)) return { do: 'end', value: record.value ?? null };
      const turn = await this.#turnAfter(record, call);
      if (turn !== 'free') {
        refuseOther(record, call);
        return turn;
      }
      record = await this.store.replace(call.name, record.id, claim, this.clock.wallMs());
    }
  }

  /** Keeps what the handler returned, before its task ends. @returns the value that stands: that of who was first */
  finish(id: string, call: KeyedCall, value: JsonValue): Promise<JsonValue> {
    return this.#finish(lineOf(id), call, value);
  }

  finishItem(id: string, call: KeyedCall, value: JsonValue): Promise<JsonValue> {
    return this.#finish([itemOf(id)], call, value);
  }

  async #finish(own: readonly string[], call: KeyedCall, value: JsonValue): Promise<JsonValue> {
    const record = await this.store.finish(call.name, own, value, this.clock.wallMs());
    return record?.value === undefined ? value : record.value;
  }

  #claim({ digest }: KeyedCall, id: string, lifeMs: number, confirmed: boolean): KeyClaim {
    return { id, digest, untilMs: this.clock.wallMs() + lifeMs, confirmed };
  }

  /** Whether the key of a publication may go to a new call. */
  async #isFree(record: KeyRecord, call: KeyedCall): Promise<boolean> {
    const nowMs = this.clock.wallMs();
    const isOld = nowMs > record.untilMs;
    const isForeign = !record.confirmed && differs(record, call) && nowMs > record.atMs + ABANDONED_MS;
    if (!isOld && !isForeign && call.rules.onFailure === 'keep') return false;
    const { state } = await this.reader.read(taskOf(record));
    switch (state) {
      case 'FAILURE':
      case 'REVOKED':
        return isOld || call.rules.onFailure === 'release';
      case 'SUCCESS':
        return isOld;
      case 'UNKNOWN':
        return isOld || isForeign;
      case 'PENDING':
      case 'RECEIVED':
      case 'STARTED':
      case 'RETRY':
        return false;
    }
  }

  async #turnAfter(record: KeyRecord, { rules }: KeyedCall): Promise<Turn | 'free'> {
    if (record.value !== undefined) return { do: 'end', value: record.value };
    const owner = await this.reader.read(taskOf(record));
    const isOld = this.clock.wallMs() > record.untilMs;
    switch (owner.state) {
      case 'SUCCESS':
        return isOld || isItem(record) ? 'free' : { do: 'end', value: owner.value ?? null };
      case 'FAILURE':
      case 'REVOKED':
        return isOld || rules.onFailure === 'release' || owner.failure === undefined
          ? 'free'
          : { do: 'fail', failure: owner.failure };
      case 'UNKNOWN':
        // It has kept no value, so it never came to one: it was never published, or was taken away.
        return 'free';
      case 'PENDING':
      case 'RECEIVED':
      case 'STARTED':
      case 'RETRY':
        return { do: 'wait', for: taskOf(record) };
    }
  }
}

function differs(record: KeyRecord, { digest, rules }: KeyedCall): boolean {
  return rules.compareArguments && record.digest !== digest;
}

function refuseOther(record: KeyRecord, call: KeyedCall): void {
  if (differs(record, call)) throw new IdempotencyConflictError(call.key, taskOf(record));
}

/** Under what the items of a list have their keys. No id holds the sign. */
const ITEM = '#item';

function itemOf(id: string): string {
  return id + ITEM;
}

function isItem({ id }: KeyRecord): boolean {
  return id.endsWith(ITEM);
}

function taskOf(record: KeyRecord): string {
  return isItem(record) ? record.id.slice(0, -ITEM.length) : record.id;
}
