import { script } from './script.js';

/**
 * How far a node has come.
 * KEYS: node's job, record. ARGV: node id, keys of its sentinel and of its hold, the fields under which a revocation of it
 * or of a node above it would stand.
 * Returns: stage JSON, size if it is noted, values, failures, pending, whether the sentinel ran, own failure JSON, decision JSON, 1 when
 * it is revoked, members dispatched so far and how the dispatch ended if it has been opened for one; closing JSON, parked
 * JSON, budget JSON, 1 when the hold is pending, 1 when its deadline
 * has passed, members that are still to be put back by a redrive, 1 when its header was closed, 1 when what came late to its
 * closed header is kept.
 */
export const READ_NODE = script(`
local revoked = 0
for at = 4, #ARGV do revoked = revoked + redis.call('HEXISTS', KEYS[2], ARGV[at]) end
local judged = redis.call('HMGET', KEYS[2], 'c:' .. ARGV[1], 'p:' .. ARGV[1], 'b:' .. ARGV[1], 'd:' .. ARGV[1], 'k:' .. ARGV[1])
local noted = redis.call('HMGET', KEYS[1], 'tq:stage', 'tq:size', 'tq:dispatched', 'tq:end', 'tq:closed')
local isKept = judged[5] and 1 or 0
-- Before that was noted, what was kept told of it.
if judged[1] and isKept == 0 and redis.call('EXISTS', KEYS[1] .. ':left:processed', KEYS[1] .. ':left:failed') > 0 then isKept = 1 end
return {
  noted[1],
  noted[2],
  redis.call('HLEN', KEYS[1] .. ':processed'),
  redis.call('HLEN', KEYS[1] .. ':failed'),
  redis.call('SCARD', KEYS[1] .. ':dependencies'),
  redis.call('HEXISTS', KEYS[1] .. ':failed', ARGV[2]),
  redis.call('HGET', KEYS[2], 'f:' .. ARGV[1]),
  redis.call('HGET', KEYS[2], 'r:' .. ARGV[1]),
  revoked > 0 and 1 or 0,
  noted[3],
  noted[4],
  judged[1],
  judged[2],
  judged[3],
  redis.call('SISMEMBER', KEYS[1] .. ':dependencies', ARGV[3]),
  judged[4],
  redis.call('HLEN', KEYS[1] .. ':again'),
  noted[5],
  isKept
}`);

/**
 * What became of one child of a node.
 * KEYS: node's job. ARGV: the child's key.
 * Returns: value JSON, failed reason, 1 when it is pending.
 */
export const READ_CHILD = script(`
return {
  redis.call('HGET', KEYS[1] .. ':processed', ARGV[1]),
  redis.call('HGET', KEYS[1] .. ':failed', ARGV[1]),
  redis.call('SISMEMBER', KEYS[1] .. ':dependencies', ARGV[1])
}`);

/**
 * Which members of a node are in none of its lists, of those with the indexes from `from` to before `to`. They are looked for by
 * name, in a list and of a queue that had the one before first: mostly that is one look each, whatever the length of the lists.
 *
 * A member's queue is one of those that are known from a set; there are few.
 * KEYS: node's job, queues. ARGV: prefix, node id, from, to. Returns their indexes.
 */
export const LOST_MEMBERS = script(`
local prefix, node, lost = ARGV[1], ARGV[2], {}
local queues = redis.call('SMEMBERS', KEYS[2])
table.insert(queues, '_canvas')
local lists = {}
for _, list in ipairs({ ':dependencies', ':processed', ':failed', ':again', ':left:processed', ':left:failed' }) do
  if redis.call('EXISTS', KEYS[1] .. list) == 1 then table.insert(lists, list) end
end
local lastQueue, lastList = queues[1], lists[1]
local function has(list, queue, member)
  local command = list == ':dependencies' and 'SISMEMBER' or 'HEXISTS'
  return redis.call(command, KEYS[1] .. list, prefix .. ':' .. queue .. ':' .. member) == 1
end
local function isThere(member)
  if lastList and has(lastList, lastQueue, member) then return true end
  for _, queue in ipairs(queues) do
    for _, list in ipairs(lists) do
      if has(list, queue, member) then
        lastQueue, lastList = queue, list
        return true
      end
    end
  end
  return false
end
for index = tonumber(ARGV[3]), tonumber(ARGV[4]) - 1 do
  if not isThere(string.format('%s.%d', node, index)) then table.insert(lost, index) end
end
return lost`);

/**
 * What became of a task or node, by its id alone: its job if there is one, else its node's memory of it.
 *
 * The queues that could hold it are known from a set; there are few. Keys are built from the prefix, all
 * under the hash tag of KEYS.
 * KEYS: queues, record. ARGV: prefix, id, parent node's id or ''.
 * Returns: source, own failure JSON, decision JSON, then by source
 *   'job': queue, place, then name, timestamp, processedOn, finishedOn, returnvalue, failedReason, atm, ats, progress, and of a node: data, values, failures, pending, stage,
 *   size if it is noted, members dispatched and how the dispatch ended, whether the sentinel ran out, and whether the child of that stage is among the values, among the failures, that it is parked as JSON,
 *   1 when the hold is pending, members that are still to be put back by a redrive, members that had not ended when its header was closed
 *   'value' | 'failed': queue, JSON or reason
 *   'absent' (its node exists, but never heard of it) | 'unknown'
 */
export const READ_TASK = script(`
local prefix, id, parent = ARGV[1], ARGV[2], ARGV[3]
local failure = redis.call('HGET', KEYS[2], 'f:' .. id)
local decision = redis.call('HGET', KEYS[2], 'r:' .. id)
local queues = redis.call('SMEMBERS', KEYS[1])
table.insert(queues, '_canvas')
for _, queue in ipairs(queues) do
  local base = prefix .. ':' .. queue .. ':'
  local key = base .. id
  if redis.call('EXISTS', key) == 1 then
    local place = 'waiting'
    if redis.call('ZSCORE', base .. 'completed', id) then place = 'completed'
    elseif redis.call('ZSCORE', base .. 'failed', id) then place = 'failed'
    elseif redis.call('EXISTS', key .. ':lock') == 1 then place = 'active'
    elseif redis.call('ZSCORE', base .. 'delayed', id) then place = 'delayed'
    elseif redis.call('ZSCORE', base .. 'waiting-children', id) then place = 'waiting-children'
    end
    local fields = redis.call('HMGET', key, 'name', 'timestamp', 'processedOn', 'finishedOn', 'returnvalue', 'failedReason', 'atm', 'ats', 'progress')
    local reply = { 'job', failure, decision, queue, place }
    for index = 1, 9 do reply[5 + index] = fields[index] end
    if queue == '_canvas' then
      reply[15] = redis.call('HGET', key, 'data')
      reply[16] = redis.call('HLEN', key .. ':processed')
      reply[17] = redis.call('HLEN', key .. ':failed')
      reply[18] = redis.call('SCARD', key .. ':dependencies')
      local noted = redis.call('HMGET', key, 'tq:stage', 'tq:size', 'tq:dispatched', 'tq:end')
      for index = 1, 4 do reply[18 + index] = noted[index] end
      reply[23] = reply[17] > 0 and redis.call('HEXISTS', key .. ':failed', key .. '.sentinel') or 0
      local child = reply[19] and cjson.decode(reply[19]).child
      local field = child and prefix .. ':' .. child.queue .. ':' .. child.id
      reply[24] = field and redis.call('HEXISTS', key .. ':processed', field) or 0
      reply[25] = field and redis.call('HEXISTS', key .. ':failed', field) or 0
      reply[26] = redis.call('HGET', KEYS[2], 'p:' .. id)
      reply[27] = redis.call('SISMEMBER', key .. ':dependencies', key .. '.hold')
      reply[28] = redis.call('HLEN', key .. ':again')
      local left = key .. ':left'
      reply[29] = redis.call('SCARD', left) - redis.call('SISMEMBER', left, key .. '.sentinel') - redis.call('SISMEMBER', left, key .. '.hold')
    end
    return reply
  end
end
if parent ~= '' then
  local node = prefix .. ':_canvas:' .. parent
  for _, queue in ipairs(queues) do
    local child = prefix .. ':' .. queue .. ':' .. id
    local value = redis.call('HGET', node .. ':processed', child)
    if value then return { 'value', failure, decision, queue, value } end
    local reason = redis.call('HGET', node .. ':failed', child)
    if reason then return { 'failed', failure, decision, queue, reason } end
  end
  if redis.call('EXISTS', node) == 1 then return { 'absent', failure, decision } end
end
return { 'unknown', failure, decision }`);

/**
 * The jobs of tasks that have failed, as far as they are there.
 * KEYS: for each of them the failed jobs of its queue, its job. ARGV: its id.
 * Returns: for each of them name, data, priority, or nil.
 */
export const READ_FAILED = script(`
local found = {}
for at, id in ipairs(ARGV) do
  found[at] = redis.call('ZSCORE', KEYS[2 * at - 1], id)
    and redis.call('HMGET', KEYS[2 * at], 'name', 'data', 'priority') or false
end
return found`);
