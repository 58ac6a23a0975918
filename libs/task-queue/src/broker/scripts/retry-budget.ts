import { script } from './script.js';
import { WINDOW } from './window.js';

/* Retry budgets: a hash each, with first attempts as `a` and retries as `b`. KEYS: budget. ARGV of all: now in ms or '' for
 * the server's clock, part of the window in ms. */

const READ = `
local key, now, part = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end${WINDOW}`;

/** A first attempt begins. */
export const COUNT_FIRST = script(`${READ}
if count('a', part) == 1 then sum(part) end
return 1`);

/**
 * A retry is to be made; the same as spendRetry. ARGV: share, floor.
 * Returns nil when it may be made, else ms after which to ask again.
 */
export const SPEND_RETRY = script(`${READ}
local firsts, retries = sum(part)
if retries + 1 <= tonumber(ARGV[4]) + tonumber(ARGV[3]) * firsts then
  count('b', part)
  return false
end
return math.ceil((math.floor(now / part) + 1) * part - now)`);
