import { script } from './script.js';

/**
 * Where a job lies, of which `key`, `base` and `id` are known. Nothing is between two lists: BullMQ moves jobs within scripts.
 */
export const PLACE = `local FAR = 10000
local function place()
  if redis.call('EXISTS', key) == 0 then return 'gone' end
  for _, set in ipairs({ 'completed', 'failed', 'waiting-children' }) do
    local at = redis.call('ZSCORE', base .. set, id)
    if at then return set, at end
  end
  local due = redis.call('ZSCORE', base .. 'delayed', id)
  if due then return 'delayed', string.format('%.0f', math.floor(tonumber(due) / 4096)) end
  if redis.call('LPOS', base .. 'active', id) then return 'active' end
  local rank = redis.call('ZRANK', base .. 'prioritized', id)
  if rank then return 'waiting', false, rank + redis.call('LLEN', base .. 'wait') end
  local isLong = false
  for _, list in ipairs({ 'wait', 'paused' }) do
    local length = redis.call('LLEN', base .. list)
    local index = redis.call('LPOS', base .. list, id, 'RANK', -1, 'MAXLEN', FAR)
    if index then return 'waiting', false, length - 1 - index end
    isLong = isLong or length > FAR
  end
  if isLong then return 'waiting' end
  return 'nowhere'
end`;

/**
 * How one job stands. Lists are looked through as far as 10,000 places from the end that is served next: Redis does that
 * in less than a millisecond.
 * KEYS: job. ARGV: what the keys of its queue begin with, id, length of the longest data that is answered.
 * Returns: place, time of a delay or since when it waits for its children, how many go before it or nil, ms that its lock
 * holds or nil, children that it waits for, 1 when the queue is paused, name, timestamp, processedOn, atm, ats, stc,
 * priority, pb, failedReason, defa, data.
 */
export const EXAMINE = script(`
local key, base, id, longest = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
${PLACE}

local where, at, ahead = place()
local lock = redis.call('PTTL', key .. ':lock')
local reply = {
  where,
  at or false,
  ahead or false,
  lock >= 0 and lock or false,
  redis.call('SCARD', key .. ':dependencies'),
  redis.call('HEXISTS', base .. 'meta', 'paused')
}
local fields = redis.call('HMGET', key, 'name', 'timestamp', 'processedOn', 'atm', 'ats', 'stc', 'priority', 'pb', 'failedReason', 'defa')
for index = 1, 10 do reply[6 + index] = fields[index] end
if redis.call('HSTRLEN', key, 'data') <= longest then reply[17] = redis.call('HGET', key, 'data') end
return reply`);
