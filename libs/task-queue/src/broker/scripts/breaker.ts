import { script } from './script.js';
import { WINDOW } from './window.js';

/*
 * Breakers: a hash each with the fields of BreakerKept, and of its window `a:<part>` calls and `b:<part>` failures. A set
 * holds the names of those that are not closed. KEYS: breaker, set. ARGV of all: name, now in ms or '' for the server's
 * clock. Changes come back as phase, until when in ms or '', why.
 */

const READ = `
local key, troubled, name = KEYS[1], KEYS[2], ARGV[1]
local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local kept = redis.call('HMGET', key, 'phase', 'epoch', 'until', 'probe', 'passed', 'line', 'why')
local phase, epoch = kept[1] or 'closed', tonumber(kept[2]) or 0
local untilMs, probe = tonumber(kept[3]) or 0, tonumber(kept[4]) or 0
local passed, line = tonumber(kept[5]) or 0, tonumber(kept[6]) or 0
local why = kept[7] or ''
local FOREVER, DAY = ${Number.MAX_SAFE_INTEGER}, 86400000

local function text(number) return string.format('%.17g', number) end

local function begin(to, reason)
  redis.call('DEL', key)
  phase, why, epoch = to, reason, math.max(epoch + 1, math.floor(now))
  untilMs, probe, passed = 0, 0, 0
  if to == 'closed' then line = 0; redis.call('SREM', troubled, name) else redis.call('SADD', troubled, name) end
end

local function keep(ttl)
  redis.call('HSET', key, 'phase', phase, 'epoch', text(epoch), 'until', text(untilMs), 'probe', text(probe),
    'passed', passed, 'line', text(line), 'why', why)
  if untilMs >= FOREVER then redis.call('PERSIST', key)
  else redis.call('PEXPIRE', key, math.ceil(ttl + math.max(untilMs, line, now) - now)) end
end

local function change()
  if phase == 'open' and untilMs < FOREVER then return { phase, text(untilMs), why } end
  return { phase, '', why }
end

local function open(to, reason)
  begin('open', reason)
  untilMs = to
  keep(DAY)
end`;

/**
 * One asks whether he may start; the same as askBreaker.
 * ARGV: part of the window in ms, ms for which it is open, ms between probes, ms between those who come back.
 * Returns 1 for a start and 0 for none; then the epoch, 1 for a probe; or ms to wait; then the change, if any.
 */
export const ASK_BREAKER = script(`${READ}${WINDOW}
local part, openMs, probeMs, releaseMs = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if phase == 'closed' then
  if count('a', part) == 1 then sum(part) end
  return { 1, text(epoch), 0 }
end
local changed = false
local function park(soonest)
  local slot = math.max(line, soonest)
  line = slot + releaseMs
  keep(DAY)
  return { 0, math.ceil(slot - now), 0, changed }
end
if phase == 'open' then
  if now < untilMs then return park(math.min(untilMs, now + openMs)) end
  begin('half-open', why)
  probe = now
  changed = change()
end
if now < probe then return park(probe) end
probe = now + probeMs
keep(DAY)
return { 1, text(epoch), 1, changed }`);

/**
 * What a call has come to; the same as reportToBreaker.
 * ARGV: epoch in which it was let in, 1 when it failed, threshold, share, part of the window in ms, ms for which it opens,
 * after how many probes it closes. Returns the change, or nil.
 */
export const REPORT_TO_BREAKER = script(`${READ}${WINDOW}
local failed, threshold, share, part = ARGV[4] == '1', tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local openMs, closeAfter = tonumber(ARGV[8]), tonumber(ARGV[9])
if tonumber(ARGV[3]) ~= epoch or phase == 'open' then return false end
if phase == 'half-open' then
  if failed then open(now + openMs, 'a probe failed'); return change() end
  passed = passed + 1
  if passed < closeAfter then keep(DAY); return false end
  begin('closed', '')
  keep(DAY)
  return change()
end
if not failed then return false end
count('b', part)
local calls, failures = sum(part)
if failures < threshold or failures < share * calls then return false end
open(now + openMs, string.format('%d of %d calls failed', failures, math.max(calls, failures)))
return change()`);

/** It is opened by hand. ARGV: ms, or '' for good; why. Returns the change. */
export const TRIP_BREAKER = script(`${READ}
open(ARGV[3] == '' and FOREVER or now + tonumber(ARGV[3]), ARGV[4])
return change()`);

/** It is closed by hand. Returns the change, or nil when it was closed. */
export const RESET_BREAKER = script(`${READ}
if phase == 'closed' then return false end
begin('closed', '')
keep(DAY)
return change()`);

/** How it stands. Returns phase, epoch, until, why. One that has gone by itself is closed. */
export const READ_BREAKER = script(`${READ}
if phase == 'closed' then redis.call('SREM', troubled, name) end
return { phase, text(epoch), text(untilMs), why }`);
