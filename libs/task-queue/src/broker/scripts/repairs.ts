import { PLACE } from './examination.js';
import { NOTE } from './headers.js';
import { script } from './script.js';

/*
 * Repairs of what was damaged from outside. Each begins by asking whether the damage is there.
 */

/**
 * Tells a job that waits for its children what became of some of them. It is not released here, also when none is pending
 * any more. Where a deadline counts from their ends it is noted that there were some: nobody may have.
 * KEYS: the job, jobs of its queue that wait for their children, record. ARGV: id of the job, now or '', then for each child its
 * key, what the keys of its queue begin with, its id.
 * Returns for each: 'known' | 'alive' | 'again' | 'vanished' | 'unheard'.
 */
export const TELL = script(`${NOTE}
local parent = KEYS[1]
local pending, processed, failed = parent .. ':dependencies', parent .. ':processed', parent .. ':failed'
local isWaiting = redis.call('ZSCORE', KEYS[2], ARGV[1])

local function tell(child, base, id)
  if not isWaiting then return 'known' end
  local isPending = redis.call('SISMEMBER', pending, child) == 1
  if not isPending and redis.call('HEXISTS', processed, child) + redis.call('HEXISTS', failed, child) > 0 then
    return 'known'
  end
  local told = 'unheard'
  if redis.call('EXISTS', child) == 0 then
    if not isPending then return 'known' end
    told = 'vanished'
  elseif redis.call('ZSCORE', base .. 'completed', id) then
    redis.call('HSET', processed, child, redis.call('HGET', child, 'returnvalue') or 'null')
  elseif redis.call('ZSCORE', base .. 'failed', id) then
    redis.call('HSET', failed, child, redis.call('HGET', child, 'failedReason') or 'unknown reason')
    redis.call('HDEL', child, 'parentKey', 'parent')
  else
    if isPending or redis.call('HGET', child, 'parentKey') ~= parent then return 'alive' end
    redis.call('SADD', pending, child)
    return 'again'
  end
  redis.call('SREM', pending, child)
  if ARGV[2] ~= '' then note(KEYS[3], ARGV[1], ARGV[2]) end
  return told
end

local heard = {}
for at = 3, #ARGV, 3 do table.insert(heard, tell(ARGV[at], ARGV[at + 1], ARGV[at + 2])) end
return heard`);

/**
 * Puts a job back that is in none of its queue's lists. It goes where those are that run; without a lock it is taken for one
 * whose worker has died.
 * KEYS: job. ARGV: what the keys of its queue begin with, id. Returns 1 when it was so.
 */
export const PUT_BACK = script(`
local key, base, id = KEYS[1], ARGV[1], ARGV[2]
${PLACE}
if place() ~= 'nowhere' then return 0 end
redis.call('LPUSH', base .. 'active', id)
if redis.call('EXISTS', key .. ':lock') == 0 then redis.call('SADD', base .. 'stalled', id) end
return 1`);

/**
 * Has a node settle that was failed without a record: it is run once more, and finds the record.
 * One that is about to be removed is left as it is.
 * KEYS: job, record, expiry. ARGV: what the keys of its queue begin with, id, failure as JSON. Returns 1 when it was so.
 */
export const SETTLE = script(`
local base, id = ARGV[1], ARGV[2]
if not redis.call('ZSCORE', base .. 'failed', id) or redis.call('ZSCORE', KEYS[3], id) then return 0 end
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HSETNX', KEYS[2], 'f:' .. id, ARGV[3]) == 0 then return 0 end
redis.call('HDEL', KEYS[1], 'defa', 'finishedOn', 'failedReason', 'parentKey', 'parent')
redis.call('ZREM', base .. 'failed', id)
redis.call('LPUSH', base .. 'active', id)
redis.call('SADD', base .. 'stalled', id)
return 1`);

/**
 * Removes a job that is gone from those that wait for their children.
 * KEYS: job, jobs of its queue that wait for their children. ARGV: id. Returns 1 when it was so.
 */
export const DROP = script(`
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
return redis.call('ZREM', KEYS[2], ARGV[1])`);
