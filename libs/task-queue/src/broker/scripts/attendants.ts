import { PLACE } from './examination.js';
import { GENERATION, OVER } from './headers.js';
import { FORGET } from './redrive.js';
import { script } from './script.js';

/*
 * What stands beside a node, and is nobody's child: the timer of its deadline, or who waits for the late members of its closed
 * header.
 */

/** Whether it is needed, and neither there nor on its way. */
const UNATTENDED = `${OVER}${GENERATION}
local key, node, record, left = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local keys, base, id, nodeId, generation = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
${PLACE}
local function isNeeded()
  if generation ~= 'late' then
    if isOver(node, record, nodeId) ~= false or redis.call('HEXISTS', record, 'd:' .. nodeId) == 1 then return false end
    return generationOf(node) == tonumber(generation)
  end
  if redis.call('EXISTS', node) == 0 or redis.call('EXISTS', KEYS[5], KEYS[6]) > 0 then return false end
  local closing = redis.call('HGET', record, 'c:' .. nodeId)
  if not closing or redis.call('HEXISTS', record, 'k:' .. nodeId) == 1 then return false end
  local isRead, verdict = pcall(cjson.decode, closing)
  return isRead and type(verdict) == 'table' and verdict.late == true
end
local function isUnattended()
  local where = place()
  return (where == 'gone' or where == 'failed' or where == 'completed') and isNeeded()
end`;

/**
 * Whether a node misses what is to stand beside it.
 * KEYS: the job beside it, the node's job, record, members that were set aside, what they came to as it is kept (2).
 * ARGV: what all keys begin with, what those of its queue begin with, id of the job, id of the node, the timer's generation or 'late'.
 * Returns 1 when it does.
 */
export const IS_UNATTENDED = script(`${UNATTENDED}
return isUnattended() and 1 or 0`);

/**
 * Takes away what is left of it. Who waits for late members waits for those again that have not ended, and knows what of the
 * others is still to be known; this is done before it is there, so that it does not go without them.
 *
 * Runs in the transaction that adds the job, in front of it. KEYS and ARGV as above.
 */
export const MAKE_WAY = script(`${UNATTENDED}${FORGET}
if not isUnattended() then return 0 end
forget(base, id)
if generation ~= 'late' then return 1 end
local pending, processed, failed = key .. ':dependencies', key .. ':processed', key .. ':failed'
-- Where the list of those that are pending is left, BullMQ has kept it right.
if redis.call('EXISTS', pending) == 1 then return 1 end
for _, child in ipairs(redis.call('SMEMBERS', left)) do
  local isMember = child ~= node .. '.sentinel' and child ~= node .. '.hold'
  local isHeard = redis.call('HEXISTS', processed, child) + redis.call('HEXISTS', failed, child) > 0
  if isMember and not isHeard and redis.call('EXISTS', child) == 1 then
    local colon = string.find(child, ':', #keys + 1, true)
    local queue, member = string.sub(child, 1, colon), string.sub(child, colon + 1)
    if redis.call('ZSCORE', queue .. 'completed', member) then
      redis.call('HSET', processed, child, redis.call('HGET', child, 'returnvalue') or 'null')
    elseif redis.call('ZSCORE', queue .. 'failed', member) then
      redis.call('HSET', failed, child, redis.call('HGET', child, 'failedReason') or 'unknown reason')
    elseif redis.call('HGET', child, 'parentKey') == key then
      redis.call('SADD', pending, child)
    end
  end
end
return 1`);

/**
 * Notes that nobody is to wait for the late members of a node any more.
 * KEYS: record. ARGV: id of the node. Returns 1, or 0 when there is nothing about it.
 */
export const WANT_NO_LATE = script(`
if redis.call('HEXISTS', KEYS[1], 'c:' .. ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'k:' .. ARGV[1], 1)
return 1`);
