import { script } from './script.js';

/** Takes away a job of ours that may be anywhere, and at work; not what its children came to. */
export const FORGET = `
local function forget(base, id)
  for _, set in ipairs({ 'delayed', 'waiting-children', 'completed', 'failed' }) do redis.call('ZREM', base .. set, id) end
  for _, list in ipairs({ 'wait', 'paused', 'active' }) do redis.call('LREM', base .. list, 0, id) end
  redis.call('SREM', base .. 'stalled', id)
  redis.call('DEL', base .. id, base .. id .. ':lock')
end`;

/**
 * Whether a canvas, and what is to be put back of it, is as it was when a redrive was planned.
 * KEYS: root's job, expiry. ARGV: prefix, root's queue, root, root's data, now, then queue and id of each task that is to be put back.
 * Returns 1 when it is, -1 when its time is over and nobody has cleared it up yet.
 */
export const IS_AS_PLANNED = script(`
local prefix, base, root = ARGV[1], ARGV[1] .. ':' .. ARGV[2] .. ':', ARGV[3]
if redis.call('HGET', KEYS[1], 'data') ~= ARGV[4] then return 0 end
if not redis.call('ZSCORE', base .. 'failed', root) and not redis.call('ZSCORE', base .. 'completed', root) then return 0 end
local expires = redis.call('ZSCORE', KEYS[2], root)
if expires and tonumber(expires) <= tonumber(ARGV[5]) then return -1 end
for at = 6, #ARGV, 2 do
  if not redis.call('ZSCORE', prefix .. ':' .. ARGV[at] .. ':failed', ARGV[at + 1]) then return 0 end
end
return 1`);

/**
 * Takes away what is about to be put back: jobs that have ended, what was recorded of them, and what the nodes above them
 * say of them. A node's own lists stay: what its other children came to. The canvas does not expire any more.
 *
 * Runs in the transaction that adds the jobs, in front of them.
 * KEYS: record, expiry, letters (4). ARGV: prefix, root, then four of each job: what it is ('node', 'decided' for a chord
 * whose decision stands, 'held' for a header whose failed members are set aside, 'task', 'dropped' for a body that nobody follows any more,
 * 'late' for what waits for the late members of a header, who become members of it: it may have been left behind, and what they
 * came to is kept beside the header; 'amending' where it still has that and asks for this itself; both stand before their header),
 * queue, id, the node above it or ''.
 */
export const CLEAR_FOR_RERUN = script(`
local prefix, root = ARGV[1], ARGV[2]
local function take(from, into)
  local cursor = '0'
  repeat
    local page = redis.call('HSCAN', from, cursor, 'COUNT', 1000)
    cursor = page[1]
    if #page[2] > 0 then redis.call('HSET', into, unpack(page[2])) end
  until cursor == '0'
  redis.call('DEL', from)
end
${FORGET}
redis.call('ZREM', KEYS[2], root)
-- What is kept of a task that stands alone goes by itself.
if ARGV[4] == '_canvas' or ARGV[6] ~= '' then redis.call('PERSIST', KEYS[1]) end
for at = 3, #ARGV, 4 do
  local kind, queue, id, above = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local base = prefix .. ':' .. queue .. ':'
  local key = base .. id
  if above ~= '' then
    local node = prefix .. ':_canvas:' .. above
    redis.call('HDEL', node .. ':failed', key)
    redis.call('HDEL', node .. ':again', key)
    redis.call('HDEL', node .. ':processed', key)
  end
  redis.call('HDEL', KEYS[1], 'f:' .. id)
  if redis.call('HGET', KEYS[1], 'x:' .. id) == 'closed' then redis.call('HDEL', KEYS[1], 'x:' .. id) end
  if kind ~= 'decided' then
    for _, field in ipairs({ 'r:', 'c:', 'k:', 'p:', 'd:', 'first:', 'last:' }) do redis.call('HDEL', KEYS[1], field .. id) end
  end
  if kind == 'late' or kind == 'amending' then
    local node = prefix .. ':_canvas:' .. above
    for _, list in ipairs({ ':processed', ':failed' }) do
      if kind == 'amending' then take(key .. list, node .. list) else take(node .. ':left' .. list, node .. list) end
    end
    redis.call('DEL', node .. ':left')
    if kind == 'late' and redis.call('EXISTS', key) == 1 then forget(base, id) end
  elseif kind == 'dropped' and queue == '_canvas' then
    redis.call('ZADD', KEYS[2], 0, id)
  else
    redis.call('ZREM', base .. 'failed', id)
    redis.call('ZREM', base .. 'completed', id)
    redis.call('DEL', key, key .. ':logs')
    if kind == 'held' then
      -- One that has been left behind would be taken for the new one, which has the same id. Whoever has it is not heard without a lock.
      local sentinel = key .. '.sentinel'
      if redis.call('EXISTS', sentinel) == 1 then forget(base, id .. '.sentinel') end
      redis.call('HDEL', key .. ':failed', sentinel)
      if redis.call('EXISTS', key .. ':failed') == 1 then redis.call('RENAME', key .. ':failed', key .. ':again') end
    end
    if queue ~= '_canvas' then
      redis.call('DEL', key .. ':dependencies', key .. ':processed', key .. ':failed', key .. ':unsuccessful')
      if kind == 'task' and redis.call('ZSCORE', KEYS[3], id) then redis.call('HSET', KEYS[6], id, id) end
    end
  end
end
return 1`);
