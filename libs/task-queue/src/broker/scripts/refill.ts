import { script } from './script.js';

/**
 * Whether members that were set aside can be put back.
 * KEYS: header's job, record. ARGV: prefix, node id, generation, how many fields follow under which a revocation of the header
 * or of a node above it would stand, those, then three of each job: which of the members it belongs to, queue, id.
 * Returns nil when no more is put back into this header, or which of the members are not as they were when this was planned.
 */
export const ARE_SET_ASIDE = script(`
local prefix, node, fields = ARGV[1], KEYS[1], tonumber(ARGV[4])
local noted = redis.call('HMGET', node, 'tq:again', 'tq:closed')
if noted[1] ~= ARGV[3] or noted[2] then return false end
if redis.call('SISMEMBER', node .. ':dependencies', node .. '.sentinel') == 0 then return false end
for at = 5, 4 + fields do
  if redis.call('HEXISTS', KEYS[2], ARGV[at]) == 1 then return false end
end
local others, last = {}, nil
for at = 5 + fields, #ARGV, 3 do
  local member, base, id = ARGV[at], prefix .. ':' .. ARGV[at + 1] .. ':', ARGV[at + 2]
  local isThere = redis.call('ZSCORE', base .. 'failed', id) or ARGV[at + 1] == '_canvas' and redis.call('ZSCORE', base .. 'completed', id)
  -- Each begins with the member itself.
  if isThere and member ~= last then isThere = redis.call('HEXISTS', node .. ':again', base .. id) == 1 end
  if not isThere then table.insert(others, tonumber(member)) end
  last = member
end
return others`);

/**
 * Has failed members count as such again: of those that were set aside these, or a page of them.
 *
 * In the first case whoever puts back for this generation goes on; in the other nobody does from then on.
 * KEYS: header's job, those set aside. ARGV: generation or '' for any, cursor or '', keys of members.
 * Returns the next cursor.
 */
export const LEAVE_FAILED = script(`
local node, again, generation, cursor = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local noted = redis.call('HGET', node, 'tq:again')
if generation ~= '' and noted ~= generation and not (noted == 'left' and cursor ~= '') then return '0' end
if redis.call('EXISTS', node) == 0 then
  redis.call('UNLINK', again)
  return '0'
end
if redis.call('EXISTS', again) == 0 then
  if cursor ~= '' then redis.call('HDEL', node, 'tq:again') end
  return '0'
end
local function leave(child, reason)
  redis.call('HSET', node .. ':failed', child, reason)
  redis.call('HDEL', again, child)
end
if cursor == '' then
  for at = 3, #ARGV do
    local reason = redis.call('HGET', again, ARGV[at])
    if reason then leave(ARGV[at], reason) end
  end
  return '0'
end
redis.call('HSET', node, 'tq:again', 'left')
local page = redis.call('HSCAN', again, cursor, 'COUNT', 500)
for at = 1, #page[2], 2 do leave(page[2][at], page[2][at + 1]) end
if redis.call('EXISTS', again) == 0 then
  redis.call('HDEL', node, 'tq:again')
  return '0'
end
-- What the pages missed is begun with anew.
return page[1] == '0' and 'again' or page[1]`);

/**
 * Whether a header can be let go.
 * KEYS: header's job, those set aside. ARGV: generation. Returns 'over', 'open' while something is set aside, or nil.
 */
export const IS_REFILLED = script(`
if redis.call('HGET', KEYS[1], 'tq:again') ~= ARGV[1] then return 'over' end
return redis.call('EXISTS', KEYS[2]) == 1 and 'open' or false`);

/** Notes that a header is whole. KEYS: header's job. */
export const NOTE_REFILLED = script(`return redis.call('HDEL', KEYS[1], 'tq:again')`);
