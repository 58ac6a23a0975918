import { script } from './script.js';

/*
 * Records of idempotency keys. Each has a life of its own: it goes by itself some time after it has become free.
 */

const READ = `redis.call('HMGET', KEYS[1], 'id', 'digest', 'until', 'confirmed', 'at', 'value')`;
const WRITE = `
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'digest', ARGV[2], 'until', ARGV[3], 'confirmed', ARGV[4], 'at', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[6])`;

/**
 * Claims a key that nobody has. One who claims it for the second time confirms it.
 * KEYS: record. ARGV: id, digest, until, confirmed, now, time to live in ms. Returns: the fields of the record.
 */
export const CLAIM_KEY = script(`
local owner = redis.call('HGET', KEYS[1], 'id')
if not owner then${WRITE}
elseif owner == ARGV[1] and ARGV[4] == '1' then redis.call('HSET', KEYS[1], 'confirmed', '1') end
return ${READ}`);

/** The same, when it is with the one of ARGV[7], or with nobody by now. */
export const REPLACE_KEY = script(`
local owner = redis.call('HGET', KEYS[1], 'id')
if not owner or owner == ARGV[7] then${WRITE} end
return ${READ}`);

/** KEYS: record. ARGV: id. Returns 1 when it is the record's. */
export const CONFIRM_KEY = script(`
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'confirmed', '1')
return 1`);

/**
 * Keeps what the task returned; what was kept first stands.
 * KEYS: record. ARGV: value as JSON, now, ids under which the task may have the key. Returns: the fields, or nil.
 */
export const FINISH_KEY = script(`
local record = redis.call('HMGET', KEYS[1], 'id', 'until')
for at = 3, #ARGV do
  if record[1] == ARGV[at] then
    redis.call('HSETNX', KEYS[1], 'value', ARGV[1])
    local reply = ${READ}
    redis.call('PEXPIRE', KEYS[1], math.max(1, tonumber(record[2]) - tonumber(ARGV[2])))
    return reply
  end
end
return false`);
