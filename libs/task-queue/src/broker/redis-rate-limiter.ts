import type { Admission, Limit, RateLimiter } from '../backend/rate-limiter.js';
import type { RedisKeys } from './redis-keys.js';
import type { ScriptRunner } from './script-runner.js';
import { HOLD_LINE, TAKE_SLOT } from './scripts/rate-slots.js';
import type { Script } from './scripts/script.js';

/** By the clock of the server. */
const SERVER_CLOCK = '';

/** Limits in Redis: a small hash each, which goes by itself. */
export class RedisRateLimiter implements RateLimiter {
  constructor(
    private readonly keys: RedisKeys,
    private readonly scripts: ScriptRunner,
  ) {}

  async ask(limit: Limit, slot: number | undefined): Promise<Admission> {
    const reply = (await this.#run(TAKE_SLOT, limit, slot ?? '')) as [string, number] | null;
    return reply === null ? { go: true } : { go: false, slot: Number(reply[0]), waitMs: reply[1] };
  }

  async hold(limit: Limit, ms: number): Promise<void> {
    await this.#run(HOLD_LINE, limit, ms);
  }

  #run(script: Script, { name, rate }: Limit, last: number | string): Promise<unknown> {
    const args = [SERVER_CLOCK, rate.intervalMs, rate.toleranceMs, last];
    return this.scripts.run(script, [this.keys.rateLimit(name)], args);
  }
}
