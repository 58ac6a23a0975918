import { KEY_HOLD_MS, type KeyClaim, type KeyRecord, type KeyStore } from '../backend/key-store.js';
import type { JsonValue } from '../primitives/json.js';
import type { RedisKeys } from './redis-keys.js';
import type { ScriptRunner } from './script-runner.js';
import { CLAIM_KEY, CONFIRM_KEY, FINISH_KEY, REPLACE_KEY } from './scripts/keys.js';

type Fields = readonly [
  id: string,
  digest: string,
  until: string,
  confirmed: string,
  at: string,
  value: string | null,
];

/** Idempotency keys in Redis: each record a hash that goes by itself. */
export class RedisKeyStore implements KeyStore {
  constructor(
    private readonly keys: RedisKeys,
    private readonly scripts: ScriptRunner,
  ) {}

  async claim(name: string, claim: KeyClaim, nowMs: number): Promise<KeyRecord> {
    return recordOf(await this.scripts.run(CLAIM_KEY, [this.keys.once(name)], written(claim, nowMs)));
  }

  async replace(name: string, from: string, claim: KeyClaim, nowMs: number): Promise<KeyRecord> {
    const args = [...written(claim, nowMs), from];
    return recordOf(await this.scripts.run(REPLACE_KEY, [this.keys.once(name)], args));
  }

  async confirm(name: string, id: string): Promise<void> {
    await this.scripts.run(CONFIRM_KEY, [this.keys.once(name)], [id]);
  }

  async finish(
    name: string,
    owners: readonly string[],
    value: JsonValue,
    nowMs: number,
  ): Promise<KeyRecord | undefined> {
    const args = [JSON.stringify(value), nowMs, ...owners];
    const reply = await this.scripts.run(FINISH_KEY, [this.keys.once(name)], args);
    return reply === null ? undefined : recordOf(reply);
  }
}

function written({ id, digest, untilMs, confirmed }: KeyClaim, nowMs: number): (string | number)[] {
  return [id, digest, untilMs, confirmed ? 1 : 0, nowMs, untilMs - nowMs + KEY_HOLD_MS];
}

function recordOf(reply: unknown): KeyRecord {
  const [id, digest, until, confirmed, at, value] = reply as Fields;
  return {
    id,
    digest,
    untilMs: Number(until),
    confirmed: confirmed === '1',
    atMs: Number(at),
    ...(value === null ? {} : { value: JSON.parse(value) as JsonValue }),
  };
}
