import { script } from './script.js';

const READ = `
local kept = redis.call('HMGET', KEYS[1], 'next', 'line')
local nextStart, line = tonumber(kept[1]) or 0, tonumber(kept[2]) or 0
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local interval, tolerance = tonumber(ARGV[2]), tonumber(ARGV[3])`;

const WRITE = `
redis.call('HSET', KEYS[1], 'next', string.format('%.17g', nextStart), 'line', string.format('%.17g', line))
redis.call('PEXPIRE', KEYS[1], math.ceil(math.max(nextStart, line) - now) + 1000)`;

/**
 * One asks whether he may start; the same as takeSlot.
 * KEYS: limit. ARGV: now in ms or '' for the server's clock, interval, tolerance, the slot that he had or ''.
 * Returns: nil when he may; else his slot as text, and ms until it.
 */
export const TAKE_SLOT = script(`${READ}
local slot = tonumber(ARGV[4])
if slot and slot > now then return { ARGV[4], math.ceil(slot - now) } end
local due = math.max(now, nextStart - tolerance)
if due <= now and (slot or line <= now) then
  nextStart = math.max(nextStart, now) + interval
  ${WRITE}
  return false
end
local given = math.max(line, due)
line = given + interval
${WRITE}
return { string.format('%.17g', given), math.ceil(given - now) }`);

/**
 * Nobody starts for a while; the same as holdLine.
 * KEYS: limit. ARGV: now in ms or '', interval, tolerance, ms.
 */
export const HOLD_LINE = script(`${READ}
nextStart = math.max(nextStart, now + tonumber(ARGV[4]) + tolerance)
${WRITE}
return 1`);
