import type { JsonValue } from '../primitives/json.js';

/** Who has an idempotency key. */
export interface KeyClaim {
  /** The task or canvas. */
  readonly id: string;
  /** Tells calls with other arguments apart. */
  readonly digest: string;
  /** When the key is free again, once the task has ended: epoch milliseconds. */
  readonly untilMs: number;
  /** Whether the task is known to have been published. */
  readonly confirmed: boolean;
}

/** What is known about a key. */
export interface KeyRecord extends KeyClaim {
  /** When it was claimed, in epoch milliseconds. */
  readonly atMs: number;
  /** What the task returned, once it has. */
  readonly value?: JsonValue;
}

/**
 * Idempotency keys, by a name of fixed length each. A record says who has the key; whether that one has ended, and how, is
 * what the queues say.
 */
export interface KeyStore {
  /** Claims a key that nobody has. @returns who has it now */
  claim(name: string, claim: KeyClaim, nowMs: number): Promise<KeyRecord>;
  /** Hands a key on, if it is still with the one who is to lose it. @returns who has it now */
  replace(name: string, from: string, claim: KeyClaim, nowMs: number): Promise<KeyRecord>;
  /** Notes that the task which has the key has been published. */
  confirm(name: string, id: string): Promise<void>;
  /**
   * Keeps what the task returned that has the key. What was kept first stands.
   *
   * @param owners the ids under which the task may have it
   * @returns what stands; undefined when none of them has it (any more)
   */
  finish(
    name: string,
    owners: readonly string[],
    value: JsonValue,
    nowMs: number,
  ): Promise<KeyRecord | undefined>;
}

/** For how long after its time a key is kept for a task that may not have ended. */
export const KEY_HOLD_MS = 86_400_000;
