import { script } from './script.js';

/**
 * Whether a job can be taken out of its queue: it is there, and neither runs, nor waits for a canvas in its place, nor has
 * ended.
 *
 * Of a task that is revoked it also says how it goes. Where somebody asked for that, it is gone; where the closing of a header
 * did, its call is kept, because a redrive may run it again. Without a mark it stays: it has been redriven since.
 * KEYS: job, the jobs of its queue that wait for children, record. ARGV: id, then of a task the fields under which a revocation
 * of it or of a node above it would stand. Returns 0, 1, or the fields of the job that is kept.
 */
export const CAN_WITHDRAW = script(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('EXISTS', KEYS[1] .. ':lock') == 1 then return 0 end
if redis.call('HEXISTS', KEYS[1], 'finishedOn') == 1 then return 0 end
if redis.call('ZSCORE', KEYS[2], ARGV[1]) then return 0 end
if #ARGV == 1 then return 1 end
local byClosing = false
for at = 2, #ARGV do
  local mark = redis.call('HGET', KEYS[3], ARGV[at])
  if mark == 'closed' then byClosing = true elseif mark then return 1 end
end
return byClosing and redis.call('HGETALL', KEYS[1]) or 0`);

/**
 * Notes that somebody has revoked what only the closing of a header had.
 * KEYS: record. ARGV: the field under which a revocation of it stands, and those of the nodes above it. Returns 1, or 0 when it
 * is not revoked, or by somebody already.
 */
export const REVOKE_BY_HAND = script(`
local byClosing = false
for _, field in ipairs(ARGV) do
  local mark = redis.call('HGET', KEYS[1], field)
  if mark == 'closed' then byClosing = true elseif mark then return 0 end
end
if not byClosing then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], '1')
return 1`);
