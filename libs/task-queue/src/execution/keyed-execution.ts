import type { Delivery, Verdict } from '../backend/delivery.js';
import type { Ledger } from '../backend/ledger.js';
import type { StoredValues } from '../codec/stored-values.js';
import { IdempotencyConflictError, IdempotencyTimeoutError } from '../errors/idempotency.errors.js';
import type { TaskFailure } from '../failure/task-failure.js';
import type { TaskEnvelope } from '../flow/envelope.js';
import { type KeyedCall, keyOfExecution, readingKey } from '../idempotency/key-of-call.js';
import type { KeyedCalls, Turn } from '../idempotency/keyed-calls.js';
import type { Clock } from '../primitives/clock.js';
import type { JsonValue } from '../primitives/json.js';
import type { KeyRules } from '../task/idempotency.js';
import type { TaskDefinition } from '../task/task-definition.js';
import type { EngineLog } from './engine-log.js';
import { superseded } from './failure-settling.js';
import { untilStored } from './until-stored.js';

/** What executions of calls with idempotency keys need. */
export interface KeyedExecutionDeps {
  readonly keyedCalls: KeyedCalls;
  readonly ledger: Ledger;
  readonly values: StoredValues;
  readonly resultExpiresMs: (queue: string) => number;
  readonly clock: Clock;
  readonly log: EngineLog;
  /** Aborts when the worker is shut down. */
  readonly stopping: AbortSignal;
}

/** What an execution comes to that does not call its handler. */
export type Entry =
  | { readonly come: 'value'; readonly value: JsonValue }
  /** That of the task which has the key. */
  | { readonly come: 'failure'; readonly failure: TaskFailure }
  | { readonly come: 'error'; readonly error: unknown }
  | { readonly come: 'verdict'; readonly verdict: Verdict };

/** How soon to look again whether the task that has the key has ended: later each time. */
const LOOK_MS = { soonest: 200, latest: 5_000 } as const;

/** Executions of calls that have an idempotency key. Without one nothing of this is asked. */
export class KeyedExecution {
  readonly #running = new WeakMap<Delivery, KeyedCall>();

  constructor(private readonly deps: KeyedExecutionDeps) {}

  /** @returns undefined when the handler is to be called */
  async enter(
    delivery: Delivery,
    definition: TaskDefinition,
    envelope: TaskEnvelope,
    args: readonly JsonValue[],
  ): Promise<Entry | undefined> {
    const { keyedCalls, stopping, log } = this.deps;
    let call: KeyedCall | undefined;
    try {
      // Items of a list have keys of their own, unless the call says one for all of them.
      const declared = envelope.each === undefined ? definition.idempotent : undefined;
      call = keyOfExecution(delivery.name, args, envelope.once, readingKey(declared, this.deps.values));
    } catch (error) {
      return { come: 'error', error };
    }
    if (call === undefined) return undefined;
    const known = call;
    const lifeMs = call.rules.ttlMs ?? this.deps.resultExpiresMs(delivery.queue);
    let turn: Turn | IdempotencyConflictError;
    try {
      turn = await untilStored(
        () => keyedCalls.begin(delivery.id, known, lifeMs).catch(conflictOnly),
        stopping,
        log,
      );
    } catch {
      return { come: 'verdict', verdict: { do: 'give-back' } };
    }
    if (turn instanceof IdempotencyConflictError) return { come: 'error', error: turn };
    switch (turn.do) {
      case 'run':
        this.#running.set(delivery, call);
        return undefined;
      case 'end':
        return { come: 'value', value: turn.value };
      case 'fail':
        return { come: 'failure', failure: turn.failure };
      case 'wait':
        return this.#wait(delivery, envelope, call, turn.for);
    }
  }

  /** Whether the value of an execution has to be kept for others before its task ends. */
  concerns(delivery: Delivery): boolean {
    return this.#running.has(delivery);
  }

  /** Keeps what the handler returned. @throws when the worker is shut down before the store has answered */
  async finish(delivery: Delivery, value: JsonValue): Promise<JsonValue> {
    const call = this.#running.get(delivery);
    if (call === undefined) return value;
    const { keyedCalls, stopping, log } = this.deps;
    return untilStored(() => keyedCalls.finish(delivery.id, call, value), stopping, log);
  }

  /** Gives the task back, to be asked again later: it holds no slot meanwhile. */
  async #wait(delivery: Delivery, envelope: TaskEnvelope, call: KeyedCall, owner: string): Promise<Entry> {
    const { clock, ledger, log, stopping } = this.deps;
    const nowMs = clock.wallMs();
    const wait = waitFor(envelope, call.rules, nowMs);
    if (wait === undefined) {
      return { come: 'error', error: new IdempotencyTimeoutError(call.key, owner, call.rules.waitMs) };
    }
    if (envelope.waitingSince === undefined) {
      const noted = { ...envelope, waitingSince: wait.since };
      try {
        const isHeard = await untilStored(() => ledger.setData(delivery, noted), stopping, log);
        if (!isHeard) return { come: 'verdict', verdict: superseded(delivery, log) };
      } catch {
        return { come: 'verdict', verdict: { do: 'give-back' } };
      }
    }
    return { come: 'verdict', verdict: { do: 'give-back', delayMs: wait.delayMs } };
  }
}

/** How long to wait before looking again, and since when; undefined when it has been waited for long enough. */
export function waitFor(
  { waitingSince: since }: TaskEnvelope,
  { waitMs }: KeyRules,
  nowMs: number,
): { readonly since: number; readonly delayMs: number } | undefined {
  const waitedMs = nowMs - (since ?? nowMs);
  const leftMs = waitMs - waitedMs;
  if (leftMs <= 0) return undefined;
  const delayMs = Math.min(Math.max(waitedMs / 2, LOOK_MS.soonest), LOOK_MS.latest, leftMs);
  return { since: since ?? nowMs, delayMs: Math.ceil(delayMs) };
}

/** A conflict is an answer; everything else is a store that gave none. */
export function conflictOnly(error: unknown): IdempotencyConflictError {
  if (error instanceof IdempotencyConflictError) return error;
  throw error;
}
