import { script } from './script.js';

/**
 * Tasks in one list or sorted set of a queue that fit. Bounded by the number of jobs that are looked at, and by how much of
 * their data has to be read for that.
 * KEYS: list or sorted set. ARGV: 'list' or 'set', front of the keys of its jobs, how many to look at, where to begin (an
 * index of a list, a score of a set), the id at that score after which it begins or '', name of the task or '', stamps as JSON
 * or ''.
 * Returns how many were looked at, score and id of the last of them in a set, the ids that fit.
 */
export const PAGE_TASKS = script(`
local base, wanted, from, after = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local name, stamps = ARGV[6], ARGV[7] ~= '' and cjson.decode(ARGV[7])
local most = 1048576

local function has(value, stamp)
  if type(value) ~= 'table' then return value == stamp end
  for _, one in ipairs(value) do if one == stamp then return true end end
  return false
end

local function isStamped(data)
  local read, fields = pcall(cjson.decode, data)
  if not read or type(fields) ~= 'table' or type(fields.headers) ~= 'table' then return false end
  for key, stamp in pairs(stamps) do if not has(fields.headers[key], stamp) then return false end end
  return true
end

local members = {}
if ARGV[1] == 'list' then
  for _, id in ipairs(redis.call('LRANGE', KEYS[1], from, from + wanted - 1)) do
    table.insert(members, { id, '' })
  end
else
  local offset = 0
  repeat
    local page = redis.call('ZRANGEBYSCORE', KEYS[1], from, '+inf', 'WITHSCORES', 'LIMIT', offset, wanted)
    for at = 1, #page, 2 do
      if not (after ~= '' and page[at + 1] == from and page[at] <= after) then
        table.insert(members, { page[at], page[at + 1] })
      end
    end
    offset = offset + wanted
  until #page == 0 or #members > 0
end

local found, seen, bytes = {}, 0, 0
local last = { '', '' }
for _, member in ipairs(members) do
  if bytes > most then break end
  seen, last = seen + 1, member
  local key = base .. member[1]
  -- What runs after the end of a task has its name, and is no task.
  local isTask = not string.find(member[1], '%.hook%.%d+$')
  if isTask and (name == '' or redis.call('HGET', key, 'name') == name) then
    local fits = true
    if stamps then
      local data = redis.call('HGET', key, 'data') or ''
      bytes = bytes + #data
      fits = isStamped(data)
    end
    if fits then table.insert(found, member[1]) end
  end
end
return { seen, last[2], last[1], found }`);
