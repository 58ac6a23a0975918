import { script } from './script.js';

/*
 * Verdicts over headers. Each begins by asking whether the activation still holds its node, and whether what the verdict
 * was reached by is still so: the budget that somebody may have changed, and where it matters the failures.
 */

const FENCE = `
if redis.call('GET', KEYS[1] .. ':lock') ~= ARGV[1] then return false end
if (redis.call('HGET', KEYS[2], 'b:' .. ARGV[2]) or '') ~= ARGV[3] then return 0 end`;

/**
 * Closes a header: the verdict, and the members that have not ended set aside, in one step. The first verdict stands.
 * Where their ends are to be heard of, they become children of another job: BullMQ reads a job's parent when the job ends.
 * KEYS: node's job, record, those set aside, what waits for them. ARGV: token, node id, budget seen or '', verdict as JSON,
 * id of what waits for them or '', members that were seen pending.
 * Returns 1, 0 when the budget has changed or nothing is there that could wait, or nil when superseded.
 */
export const CLOSE_HEADER = script(`${FENCE}
if ARGV[5] ~= '' and redis.call('EXISTS', KEYS[4]) == 0 and redis.call('HEXISTS', KEYS[2], 'c:' .. ARGV[2]) == 0 then return 0 end
local pending, verdict = KEYS[1] .. ':dependencies', ARGV[4]
local beside = redis.call('SISMEMBER', pending, KEYS[1] .. '.sentinel') + redis.call('SISMEMBER', pending, KEYS[1] .. '.hold')
local members = redis.call('SCARD', pending) - beside
local ended = tonumber(ARGV[6]) - members
if ended > 0 or members == 0 then
  local counted = cjson.decode(verdict)
  counted.pending = math.max(0, counted.pending - math.max(0, ended))
  -- Nobody comes late.
  if members == 0 then counted.late = nil end
  verdict = cjson.encode(counted)
end
if redis.call('HSETNX', KEYS[2], 'c:' .. ARGV[2], verdict) == 0 then return 1 end
redis.call('HSET', KEYS[1], 'tq:closed', 1)
redis.call('HSET', KEYS[2], 'closed', 1)
redis.call('HDEL', KEYS[2], 'p:' .. ARGV[2])
if redis.call('EXISTS', pending) == 0 then return 1 end
redis.call('RENAME', pending, KEYS[3])
if ARGV[5] == '' then return 1 end
local late, known = KEYS[4] .. ':dependencies', {}
redis.call('SUNIONSTORE', late, KEYS[3])
redis.call('SREM', late, KEYS[1] .. '.sentinel', KEYS[1] .. '.hold')
for _, child in ipairs(redis.call('SMEMBERS', late)) do
  local parent = redis.call('HGET', child, 'parent')
  if not parent then
    redis.call('SREM', late, child)
  else
    if not known[parent] then
      local changed = cjson.decode(parent)
      changed.id, changed.cpof, changed.idof = ARGV[5], nil, true
      known[parent] = cjson.encode(changed)
    end
    redis.call('HSET', child, 'parentKey', KEYS[4], 'parent', known[parent])
  end
end
return 1`);

/**
 * Marks a member as revoked that had not ended when its header was closed. What somebody has asked for stands.
 * KEYS: those set aside, record. ARGV: member's key, field of the mark. Returns 1, or 0 when it is none of them.
 */
export const CANCEL_STRAGGLER = script(`
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSETNX', KEYS[2], ARGV[2], 'closed')
return 1`);

/**
 * Keeps what the members of a closed header came to in the end, beside the header.
 * KEYS: what waited for them, header's job, values and failures as they are kept, record. ARGV: token, header's id.
 * Returns 1, or nil when superseded.
 */
export const KEEP_LATE = script(`
if redis.call('GET', KEYS[1] .. ':lock') ~= ARGV[1] then return false end
if redis.call('EXISTS', KEYS[2]) == 0 then return 1 end
for at, list in ipairs({ ':processed', ':failed' }) do
  if redis.call('EXISTS', KEYS[1] .. list) == 1 then redis.call('RENAME', KEYS[1] .. list, KEYS[at + 2]) end
end
redis.call('HSET', KEYS[5], 'k:' .. ARGV[2], 1)
return 1`);

/**
 * Notes that a header waits for somebody to decide.
 * KEYS: node's job, record. ARGV: token, node id, budget seen or '', note as JSON. Returns as above.
 */
export const PARK_HEADER = script(`${FENCE}
redis.call('HSETNX', KEYS[2], 'p:' .. ARGV[2], ARGV[4])
return 1`);

/**
 * Puts a node back among those that wait for their children, as BullMQ does it, unless a member has failed since the
 * node was judged, or was taken out of its queue and is in no list: a node is released for that only while it waits.
 * KEYS: node's job, record, active, waiting-children, stalled, events. ARGV: token, node id, budget seen or '', failures
 * seen, key of its sentinel, now, 1 when it was seen to be past its deadline, members seen in its lists. Returns 1, 0 when there is something new, or nil when superseded.
 */
export const WAIT_FOR_MEMBERS = script(`${FENCE}
local failed = redis.call('HLEN', KEYS[1] .. ':failed') - redis.call('HEXISTS', KEYS[1] .. ':failed', ARGV[5])
if ARGV[7] ~= '1' and redis.call('HEXISTS', KEYS[2], 'd:' .. ARGV[2]) == 1 then return 0 end
local pending = KEYS[1] .. ':dependencies'
if failed > tonumber(ARGV[4]) or redis.call('SCARD', pending) == 0 then return 0 end
local beside = redis.call('SISMEMBER', pending, ARGV[5]) + redis.call('SISMEMBER', pending, KEYS[1] .. '.hold')
local members = redis.call('HLEN', KEYS[1] .. ':processed') + failed + redis.call('SCARD', pending) - beside
if members < tonumber(ARGV[8]) then return 0 end
if redis.call('LREM', KEYS[3], -1, ARGV[2]) == 0 then return false end
redis.call('DEL', KEYS[1] .. ':lock')
redis.call('SREM', KEYS[5], ARGV[2])
redis.call('ZADD', KEYS[4], ARGV[6], ARGV[2])
redis.call('XADD', KEYS[6], '*', 'event', 'waiting-children', 'jobId', ARGV[2], 'prev', 'active')
return 1`);

/** Releases a node that waits for its children, as BullMQ does when the last of them has ended. */
const WAKE = `
local function wake(node, waiting, wait, marker, meta, active, events, id)
  if redis.call('ZREM', waiting, id) == 0 then return end
  redis.call('RPUSH', wait, id)
  local limits = redis.call('HMGET', meta, 'paused', 'concurrency')
  local isFull = limits[2] and redis.call('LLEN', active) >= tonumber(limits[2])
  if not limits[1] and not isFull then redis.call('ZADD', marker, 0, '0') end
  redis.call('XADD', events, '*', 'event', 'waiting', 'jobId', id, 'prev', 'waiting-children')
end`;

/** Whether nothing waits for the members of a node any more; nil when there is no such node. */
export const OVER = `
local function isOver(node, record, id)
  if redis.call('EXISTS', node) == 0 then return nil end
  if redis.call('HEXISTS', node, 'finishedOn') + redis.call('HEXISTS', node, 'tq:stage') > 0 then return true end
  for _, field in ipairs({ 'c:', 'r:', 'f:' }) do
    if redis.call('HEXISTS', record, field .. id) == 1 then return true end
  end
  return false
end`;

/** Which generation a node is in: only deadlines ask. Anybody may have written what is read there. */
export const GENERATION = `
local function generationOf(node)
  local isRead, data = pcall(cjson.decode, redis.call('HGET', node, 'data') or '')
  local redriven = isRead and type(data) == 'table' and data.redriven
  return type(redriven) == 'table' and tonumber(redriven.generation) or 0
end`;

/**
 * Has a header judged that is not over.
 * KEYS: node's job, waiting-children, wait, marker, meta, active, events, record. ARGV: node id. Returns 1, or 0 when it is over.
 */
export const WAKE_NODE = script(`${WAKE}${OVER}
if isOver(KEYS[1], KEYS[8], ARGV[1]) ~= false then return 0 end
wake(KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], ARGV[1])
return 1`);

/**
 * Sets the budget of a header that is not over, and has it judged by it.
 * KEYS: as above. ARGV: node id, budget as JSON. Returns 1, or 0 when it is over.
 */
export const SET_BUDGET = script(`${WAKE}${OVER}
local id, record = ARGV[1], KEYS[8]
if isOver(KEYS[1], record, id) ~= false then return 0 end
redis.call('HSET', record, 'b:' .. id, ARGV[2])
redis.call('HDEL', record, 'p:' .. id)
wake(KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], id)
return 1`);

/**
 * Notes that the deadline of a header has passed, and has it judged.
 * KEYS: as above. ARGV: node id, generation. Returns 1, or 0 when it is over or in another generation.
 */
export const SET_DUE = script(`${WAKE}${OVER}${GENERATION}
local id, record = ARGV[1], KEYS[8]
if isOver(KEYS[1], record, id) ~= false or generationOf(KEYS[1]) ~= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', record, 'd:' .. id, 1)
wake(KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], id)
return 1`);

/**
 * What the deadline of a header can count from.
 * KEYS: node's job, record. ARGV: node id, generation. Returns 'unknown', also before the generation has begun, or 'over';
 * or when it was published, when it was sealed, when its first and its last member ended, as far as that has happened. One that
 * is never sealed, because its dispatch ended otherwise, counts as sealed when it was published.
 */
export const HEADER_TIMES = script(`${OVER}${GENERATION}
local over = isOver(KEYS[1], KEYS[2], ARGV[1])
if over == nil then return 'unknown' end
local generation, asked = generationOf(KEYS[1]), tonumber(ARGV[2])
if generation < asked then return 'unknown' end
if over or generation > asked then return 'over' end
local node = redis.call('HMGET', KEYS[1], 'timestamp', 'tq:dispatched', 'tq:sealed', 'tq:end')
local ends = redis.call('HMGET', KEYS[2], 'first:' .. ARGV[1], 'last:' .. ARGV[1])
local isEnded = not node[2] or node[4] or redis.call('HEXISTS', KEYS[1] .. ':failed', KEYS[1] .. '.sentinel') == 1
return { node[1], node[3] or isEnded and node[1], ends[1], ends[2] }`);

/** Notes that a member has ended. */
export const NOTE = `
local function note(record, node, nowMs)
  redis.call('HSETNX', record, 'first:' .. node, nowMs)
  redis.call('HSET', record, 'last:' .. node, nowMs)
end`;

/**
 * Notes that a member ends, for whoever holds it: BullMQ refuses the end of any other, who may be of an older generation.
 * KEYS: member's job, record. ARGV: token, node id, now. Returns 1, or nil when superseded.
 */
export const NOTE_OUTCOME = script(`${NOTE}
if redis.call('GET', KEYS[1] .. ':lock') ~= ARGV[1] then return false end
note(KEYS[2], ARGV[2], ARGV[3])
return 1`);

/**
 * Notes that a member ends by being taken out of its queue, in the transaction that does it.
 * KEYS: record. ARGV: node id, now. Returns 1.
 */
export const NOTE_WITHDRAWAL = script(`${NOTE}
note(KEYS[1], ARGV[1], ARGV[2])
return 1`);

/**
 * How many members failed with which error: what BullMQ keeps of each begins with its name. Of two names of which one
 * begins with the other it is the longer one.
 * KEYS: node's failures. ARGV: cursor, how many to look at, names. Returns the next cursor, then name and count in turn.
 */
export const COUNT_FAILURES = script(`
local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local counts, reply = {}, { page[1] }
for at = 2, #page[2], 2 do
  local name
  for index = 3, #ARGV do
    local one = ARGV[index]
    local begins = string.sub(page[2][at], 1, #one + 2) == one .. ': '
    if begins and (not name or #one > #name) then name = one end
  end
  if name then counts[name] = (counts[name] or 0) + 1 end
end
for name, count in pairs(counts) do
  table.insert(reply, name)
  table.insert(reply, count)
end
return reply`);
