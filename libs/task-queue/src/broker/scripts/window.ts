import { WINDOW_PARTS } from '../../primitives/window-counts.js';

/**
 * Counts over a window that moves on with the time, in a hash: `a:<part>` and `b:<part>`, as `countIn` and `sumOf` have
 * them. It needs `key` and `now`. `count` gives what the part holds: 1 says that it has just begun, and then, or when
 * the sum is needed anyway, `sum` takes away what is too old.
 */
export const WINDOW = `
local function count(kind, part)
  local counted = redis.call('HINCRBY', key, string.format('%s:%.0f', kind, math.floor(now / part)), 1)
  redis.call('PEXPIRE', key, math.ceil(part * ${WINDOW_PARTS}) + 1000)
  return counted
end

local function sum(part)
  local oldest = math.floor(now / part) - ${WINDOW_PARTS}
  local a, b = 0, 0
  local fields = redis.call('HGETALL', key)
  for n = 1, #fields, 2 do
    local kind, at = string.match(fields[n], '^([ab]):(%d+)$')
    if kind then
      if tonumber(at) <= oldest then redis.call('HDEL', key, fields[n])
      elseif kind == 'a' then a = a + fields[n + 1]
      else b = b + fields[n + 1] end
    end
  end
  return a, b
end`;
