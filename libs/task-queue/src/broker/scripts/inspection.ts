import { script } from './script.js';

/*
 * Reads for those who watch, and the heartbeats of workers. All are bounded: they look at a few members of each
 * list and set, however long it is.
 */

/**
 * What is in every queue of a shard.
 *
 * A task waits since it was published, its countdown was over or its last attempt began, whichever came last. The oldest
 * one is looked for among a few: at both ends and at places in between of a list, which lifo and retries keep from being
 * in order of age, and at the head of each of the 16 highest priorities.
 *
 * Failed parts of a canvas are kept beside it, and it counts as one: what failed is counted without parts. Of more than
 * 1,000 failures, the share of parts is that of the newest 1,000.
 * KEYS: queues. ARGV: prefix, now in ms.
 * Returns for each queue: name, waiting, delayed, active, failed, 1 when it is paused, since when its oldest task
 * waits in ms or 0.
 */
export const READ_QUEUES = script(`
local prefix, now = ARGV[1], tonumber(ARGV[2])
local reply = {}

local function since(key)
  local fields = redis.call('HMGET', key, 'timestamp', 'opts', 'processedOn')
  local at = tonumber(fields[1])
  if not at then return end
  local read, opts = pcall(cjson.decode, fields[2] or '')
  if read and type(opts) == 'table' and tonumber(opts.delay) then at = at + tonumber(opts.delay) end
  return math.max(at, tonumber(fields[3]) or 0)
end

-- A released canvas has a path as well: <node>.errback.0
local function isWhole(id)
  if not string.find(id, '.', 1, true) then return true end
  local kind = string.match(id, '%.(%l+)%.%d+$')
  return kind ~= nil and kind ~= 'body'
end

local function failures(key)
  local newest = redis.call('ZREVRANGE', key, 0, 999)
  local whole = 0
  for _, id in ipairs(newest) do if isWhole(id) then whole = whole + 1 end end
  if #newest < 1000 then return whole end
  return math.floor(whole * redis.call('ZCARD', key) / #newest + 0.5)
end

local queues = redis.call('SMEMBERS', KEYS[1])
table.insert(queues, '_canvas')
for _, queue in ipairs(queues) do
  local base = prefix .. ':' .. queue .. ':'
  local oldest = 0
  local function consider(at)
    if at and (oldest == 0 or at < oldest) then oldest = at end
  end

  local waiting = redis.call('ZCARD', base .. 'prioritized')
  for _, list in ipairs({ base .. 'wait', base .. 'paused' }) do
    local length = redis.call('LLEN', list)
    waiting = waiting + length
    local last = -1
    for step = 0, 7 do
      local index = math.floor(step * (length - 1) / 7)
      if length > 0 and index ~= last then consider(since(base .. redis.call('LINDEX', list, index))) end
      last = index
    end
  end

  local from = '-inf'
  for _ = 1, 16 do
    local head = redis.call('ZRANGEBYSCORE', base .. 'prioritized', from, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if #head == 0 then break end
    consider(since(base .. head[1]))
    from = string.format('%.0f', (math.floor(tonumber(head[2]) / 4294967296) + 1) * 4294967296)
  end

  local due = redis.call('ZCOUNT', base .. 'delayed', '-inf', string.format('%.0f', now * 4096 + 4095))
  if due > 0 then
    consider(math.floor(tonumber(redis.call('ZRANGE', base .. 'delayed', 0, 0, 'WITHSCORES')[2]) / 4096))
  end

  table.insert(reply, {
    queue,
    waiting + due,
    redis.call('ZCARD', base .. 'delayed') - due,
    redis.call('LLEN', base .. 'active'),
    failures(base .. 'failed'),
    redis.call('HEXISTS', base .. 'meta', 'paused'),
    queue == '_canvas' and 0 or oldest
  })
end
return reply`);

/**
 * The steps of canvases that wait for what is below them, of a shard.
 * KEYS: waiting-children of _canvas. ARGV: those that wait since before this time in ms, how many.
 * Returns: how many wait, how many of them since before, then id and since when of the oldest of these.
 */
export const READ_WAITING = script(`
local before = '(' .. ARGV[1]
return {
  redis.call('ZCARD', KEYS[1]),
  redis.call('ZCOUNT', KEYS[1], '-inf', before),
  redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', before, 'WITHSCORES', 'LIMIT', 0, ARGV[2])
}`);

const NOW = `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`;

/**
 * A heartbeat, which also forgets those who have stopped beating. The clock is the server's: those of workers differ.
 * KEYS: workers, their descriptions. ARGV: id, description as JSON, time to live in ms.
 * Returns the server's time, in ms.
 */
export const BEAT = script(`${NOW}
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3], 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[1], gone)
  redis.call('HDEL', KEYS[2], gone)
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return now`);

/**
 * The workers that have beaten lately.
 * KEYS: workers, their descriptions. ARGV: time to live in ms, how many at most.
 * Returns for each: its description as JSON, how long ago it has beaten in ms.
 */
export const READ_WORKERS = script(`${NOW}
local reply = {}
local alive = redis.call('ZRANGEBYSCORE', KEYS[1], now - ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
for at = 1, #alive, 2 do
  table.insert(reply, { redis.call('HGET', KEYS[2], alive[at]), now - tonumber(alive[at + 1]) })
end
return reply`);
