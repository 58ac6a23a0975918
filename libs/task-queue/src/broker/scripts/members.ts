import { script } from './script.js';

/**
 * Where a member goes that a running task adds: behind all others of the nearest group or header, once for each call of the
 * task. A header whose members are still being counted gets none.
 * KEYS: the task's job, then for each node that it may be a member of, from the inside out: its job, its record.
 * ARGV: token, field of the note, then for each node its line, joined by spaces.
 * Returns: 'superseded' | 'nowhere' | 'revoked' | 'closed' | 'open' | 'exists' | 'free', of the last two which node (from 1),
 * index, 1 when the node hears of each failure, 1 when its
 * deadline counts from the ends of members.
 */
export const FIND_PLACE = script(`
if redis.call('GET', KEYS[1] .. ':lock') ~= ARGV[1] then return { 'superseded' } end
for at = 1, (#KEYS - 1) / 2 do
  local node, record = KEYS[2 * at], KEYS[2 * at + 1]
  local name = redis.call('HGET', node, 'name')
  if name == 'group' or name == 'chord' then
    local known = redis.call('HGET', record, ARGV[2])
    if known then return { 'exists', at, tonumber(known) } end
    for id in string.gmatch(ARGV[2 + at], '%S+') do
      if redis.call('HEXISTS', record, 'x:' .. id) == 1 then return { 'revoked' } end
    end
    local noted = redis.call('HMGET', node, 'tq:size', 'tq:dispatched', 'tq:end', 'tq:closed')
    if noted[4] then return { 'closed' } end
    local data = cjson.decode(redis.call('HGET', node, 'data'))
    local published = data.size
    if published == 0 and noted[2] and not noted[3] then return { 'open' } end
    local from = data.deadline and data.deadline.from or ''
    return { 'free', at, tonumber(noted[1] or published), data.budget and 1 or 0, string.find(from, 'outcome') and 1 or 0 }
  end
end
return { 'nowhere' }`);
