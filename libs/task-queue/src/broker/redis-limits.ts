import type { LimitStore, StoredLimits } from '../backend/limit-store.js';
import type { Rate } from '../rate-limit/rate-limit.js';
import type { RedisKeys } from './redis-keys.js';
import type { ScriptRunner } from './script-runner.js';

/** Changed limits in Redis: a hash of JSON, which stays until they are taken back. */
export class RedisLimits implements LimitStore {
  constructor(
    private readonly keys: RedisKeys,
    private readonly scripts: ScriptRunner,
  ) {}

  async read(): Promise<ReadonlyMap<string, StoredLimits>> {
    const found = await this.scripts.ask((client) => client.hgetall(this.keys.limits));
    return new Map(Object.entries(found).map(([name, json]) => [name, limitsIn(json)]));
  }

  async write(name: string, limits: StoredLimits): Promise<void> {
    await this.scripts.ask((client) => client.hset(this.keys.limits, name, JSON.stringify(limits)));
  }

  async remove(name: string): Promise<boolean> {
    return (await this.scripts.ask((client) => client.hdel(this.keys.limits, name))) === 1;
  }
}

/** Anybody may have written it: what is no limit of ours says nothing. */
function limitsIn(json: string): StoredLimits {
  let found: Partial<Record<keyof StoredLimits, unknown>>;
  try {
    found = (JSON.parse(json) ?? {}) as typeof found;
  } catch {
    return {};
  }
  const { softMs, hardMs, rate, concurrency } = found;
  return {
    ...(isTime(softMs) ? { softMs } : {}),
    ...(isTime(hardMs) ? { hardMs } : {}),
    ...(isRate(rate) ? { rate } : {}),
    ...(isTime(concurrency) && Number.isSafeInteger(concurrency) ? { concurrency } : {}),
  };
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0;
}

function isRate(value: unknown): value is Rate {
  const { intervalMs, toleranceMs } = (value ?? {}) as Partial<Rate>;
  return isTime(intervalMs) && Number.isFinite(toleranceMs);
}
