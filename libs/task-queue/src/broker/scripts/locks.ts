import { script } from './script.js';

/**
 * Takes a lock, unless somebody else holds it. A later attempt of the task that holds it takes it over.
 *
 * The token is the server's time in microseconds, or one more than the last where that is not higher: it grows over all
 * locks, also when the server has lost its data.
 * KEYS: lock, last token. ARGV: owner, time to live in ms, task or '', activation.
 * Returns: token as text; or nil, holder's task, ms that are left.
 */
export const TAKE_LOCK = script(`
local held = redis.call('HMGET', KEYS[1], 'owner', 'task', 'activation', 'token')
if held[1] == ARGV[1] then return { held[4] } end
if held[1] then
  local later = ARGV[3] ~= '' and held[2] == ARGV[3] and tonumber(ARGV[4]) > tonumber(held[3])
  if not later then return { false, held[2], redis.call('PTTL', KEYS[1]) } end
end
local time = redis.call('TIME')
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
local token = string.format('%.0f', math.max(last + 1, tonumber(time[1]) * 1000000 + tonumber(time[2])))
redis.call('SET', KEYS[2], token)
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'task', ARGV[3], 'activation', ARGV[4], 'token', token)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return { token }`);

/** KEYS: lock. ARGV: owner, time to live in ms. Returns 1 when it is the owner's. */
export const RENEW_LOCK = script(`
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`);

/** KEYS: lock. ARGV: owner. Returns 1 when it was the owner's. */
export const RELEASE_LOCK = script(`
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`);
