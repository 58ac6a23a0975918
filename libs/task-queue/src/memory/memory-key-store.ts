import { KEY_HOLD_MS, type KeyClaim, type KeyRecord, type KeyStore } from '../backend/key-store.js';
import type { JsonValue } from '../primitives/json.js';

interface Kept extends Omit<KeyRecord, 'value'> {
  /** As JSON, as everything that is stored. */
  readonly json?: string;
  readonly goesAtMs: number;
}

/** Idempotency keys in memory, by the same rules as in Redis. */
export class MemoryKeyStore implements KeyStore {
  readonly #records = new Map<string, Kept>();

  async claim(name: string, claim: KeyClaim, nowMs: number): Promise<KeyRecord> {
    const kept = this.#find(name, nowMs);
    if (kept === undefined) return this.#write(name, claim, nowMs);
    if (kept.id === claim.id && claim.confirmed) await this.confirm(name, claim.id);
    return recordOf(this.#find(name, nowMs) ?? kept);
  }

  async replace(name: string, from: string, claim: KeyClaim, nowMs: number): Promise<KeyRecord> {
    const kept = this.#find(name, nowMs);
    return kept === undefined || kept.id === from ? this.#write(name, claim, nowMs) : recordOf(kept);
  }

  async confirm(name: string, id: string): Promise<void> {
    const kept = this.#records.get(name);
    if (kept?.id === id) this.#records.set(name, { ...kept, confirmed: true });
  }

  async finish(
    name: string,
    owners: readonly string[],
    value: JsonValue,
    nowMs: number,
  ): Promise<KeyRecord | undefined> {
    const kept = this.#find(name, nowMs);
    if (kept === undefined || !owners.includes(kept.id)) return undefined;
    const json = kept.json ?? JSON.stringify(value);
    const finished = { ...kept, json, goesAtMs: Math.max(nowMs + 1, kept.untilMs) };
    this.#records.set(name, finished);
    return recordOf(finished);
  }

  clear(): void {
    this.#records.clear();
  }

  #write(name: string, claim: KeyClaim, nowMs: number): KeyRecord {
    const kept = { ...claim, atMs: nowMs, goesAtMs: claim.untilMs + KEY_HOLD_MS };
    this.#records.set(name, kept);
    return recordOf(kept);
  }

  #find(name: string, nowMs: number): Kept | undefined {
    const kept = this.#records.get(name);
    if (kept === undefined || kept.goesAtMs > nowMs) return kept;
    this.#records.delete(name);
    return undefined;
  }
}

function recordOf({ json, goesAtMs: _goesAtMs, ...record }: Kept): KeyRecord {
  return json === undefined ? record : { ...record, value: JSON.parse(json) as JsonValue };
}
