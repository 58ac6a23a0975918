import type { LockAnswer, LockRequest, LockStore } from '../backend/lock-store.js';
import type { RedisKeys } from './redis-keys.js';
import type { ScriptRunner } from './script-runner.js';
import { RELEASE_LOCK, RENEW_LOCK, TAKE_LOCK } from './scripts/locks.js';

/** Locks in Redis: each a hash with an expiry. */
export class RedisLocks implements LockStore {
  constructor(
    private readonly keys: RedisKeys,
    private readonly scripts: ScriptRunner,
  ) {}

  async take({ name, owner, ttlMs, attempt }: LockRequest): Promise<LockAnswer> {
    const args = [owner, ttlMs, attempt?.task ?? '', attempt?.activation ?? 0];
    const reply = await this.scripts.run(TAKE_LOCK, this.keys.lock(name), args);
    const [token, task, leftMs] = reply as [string | null, string?, number?];
    if (token !== null) return { taken: true, token: Number(token) };
    return { taken: false, by: task || undefined, forMs: Math.max(0, leftMs ?? 0) };
  }

  async renew(name: string, owner: string, ttlMs: number): Promise<boolean> {
    const [lock] = this.keys.lock(name);
    return (await this.scripts.run(RENEW_LOCK, [lock], [owner, ttlMs])) === 1;
  }

  async release(name: string, owner: string): Promise<void> {
    const [lock] = this.keys.lock(name);
    await this.scripts.run(RELEASE_LOCK, [lock], [owner]);
  }
}
