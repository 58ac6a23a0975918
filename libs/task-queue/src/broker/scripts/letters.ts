import { script } from './script.js';

/*
 * Dead letters: a sorted set of ids by the time at which their tasks failed, and beside it, by id, the letters themselves,
 * what lists show of them, and under which ids their tasks were run again. KEYS of every script end with these four.
 *
 * A letter counts once its task has ended: the job is gone, or says when it finished. Before that, it was written by a
 * worker that is about to say so, or that has died.
 */

const DROP = `
local function drop(keys, ids)
  if #ids == 0 then return 0 end
  for at = 2, 4 do redis.call('HDEL', keys[at], unpack(ids)) end
  return redis.call('ZREM', keys[1], unpack(ids))
end`;

/** Takes away what is too old or too much, at most 200 letters of each at a time. */
const TRIM = `${DROP}
local function trim(keys, oldest, most)
  local gone = drop(keys, redis.call('ZRANGEBYSCORE', keys[1], '-inf', '(' .. oldest, 'LIMIT', 0, 200))
  local over = math.min(redis.call('ZCARD', keys[1]) - tonumber(most), 200)
  if over > 0 then gone = gone + drop(keys, redis.call('ZRANGE', keys[1], 0, over - 1)) end
  return gone
end`;

const IS_OVER = `
local function isOver(prefix, queue, id)
  local job = prefix .. ':' .. queue .. ':' .. id
  return redis.call('EXISTS', job) == 0 or redis.call('HEXISTS', job, 'finishedOn') == 1
end`;

/**
 * Records the failure of a task together with its dead letter, over those of an attempt before.
 * KEYS: job, record, letters (4). ARGV: token, id, failure as JSON, time to live in ms or '', failed at, letter as JSON,
 * what lists show as JSON, time before which letters are too old, how many are kept. Returns 1, or nil when superseded.
 */
export const RECORD_LETTER = script(`${TRIM}
if redis.call('GET', KEYS[1] .. ':lock') ~= ARGV[1] then return false end
redis.call('HSET', KEYS[2], 'f:' .. ARGV[2], ARGV[3])
if ARGV[4] ~= '' then redis.call('PEXPIRE', KEYS[2], ARGV[4]) end
local keys = { KEYS[3], KEYS[4], KEYS[5], KEYS[6] }
redis.call('ZADD', keys[1], ARGV[5], ARGV[2])
redis.call('HSET', keys[2], ARGV[2], ARGV[6])
redis.call('HSET', keys[3], ARGV[2], ARGV[7])
redis.call('HDEL', keys[4], ARGV[2])
trim(keys, ARGV[8], ARGV[9])
return 1`);

/**
 * Takes back the letter of an attempt that died before its task could end.
 * KEYS: job, letters (4). ARGV: token, id. Returns 1, or nil when superseded.
 */
export const WITHDRAW_LETTER = script(`${DROP}
if redis.call('GET', KEYS[1] .. ':lock') ~= ARGV[1] then return false end
drop({ KEYS[2], KEYS[3], KEYS[4], KEYS[5] }, { ARGV[2] })
return 1`);

/** KEYS: letters (4). ARGV: time before which letters are too old, how many are kept. Returns how many went. */
export const TRIM_LETTERS = script(`${TRIM}
return trim(KEYS, ARGV[1], ARGV[2])`);

/** KEYS: letters (4). ARGV: ids. Returns how many were there. */
export const REMOVE_LETTERS = script(`${DROP}
return drop(KEYS, ARGV)`);

/**
 * One letter, once it counts.
 * KEYS: letters (4). ARGV: prefix, id. Returns letter, id of the run that followed; nil when there is none.
 */
export const READ_LETTER = script(`${IS_OVER}
local about = redis.call('HGET', KEYS[3], ARGV[2])
if not about or not isOver(ARGV[1], cjson.decode(about).queue, ARGV[2]) then return false end
return { redis.call('HGET', KEYS[2], ARGV[2]), redis.call('HGET', KEYS[4], ARGV[2]) }`);

/** KEYS: letters (4). ARGV: id, id of the run that follows. Returns the id that stands, or nil without a letter. */
export const MARK_RETRIED = script(`
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return false end
redis.call('HSETNX', KEYS[4], ARGV[1], ARGV[2])
return redis.call('HGET', KEYS[4], ARGV[1])`);

/**
 * Letters that a filter lets through, newest first. It looks at 500 of them at most, and says where it stopped.
 * KEYS: letters (4). ARGV: prefix, how many, newest time, id at that time after which it begins or '', oldest time,
 * task or '', queue or '', name or code of the error or '', 1 for those that were retried, 0 for those that were not, or ''.
 * Returns the time and the id at which it stopped, or '' at the end, then of each letter: time, what lists show, id of the
 * run that followed or ''.
 */
export const PAGE_LETTERS = script(`${IS_OVER}
local prefix, wanted = ARGV[1], tonumber(ARGV[2])
local task, queue, error, retried = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local found, seen, offset, last = {}, 0, 0, nil

local function fits(id, json)
  local again = redis.call('HEXISTS', KEYS[4], id) == 1
  if retried == '1' and not again or retried == '0' and again then return false end
  local about = cjson.decode(json)
  if task ~= '' and about.task ~= task then return false end
  if queue ~= '' and about.queue ~= queue then return false end
  if error ~= '' and about.error.name ~= error and about.error.code ~= error then return false end
  return isOver(prefix, about.queue, id)
end

while true do
  local page = redis.call('ZREVRANGEBYSCORE', KEYS[1], ARGV[3], ARGV[5], 'WITHSCORES', 'LIMIT', offset, 100)
  if #page == 0 then return { '', '', found } end
  for at = 1, #page, 2 do
    local id, time = page[at], page[at + 1]
    local isBefore = ARGV[4] ~= '' and time == ARGV[3] and id >= ARGV[4]
    if not isBefore then
      seen = seen + 1
      local json = redis.call('HGET', KEYS[3], id)
      if json and fits(id, json) then
        table.insert(found, time)
        table.insert(found, json)
        table.insert(found, redis.call('HGET', KEYS[4], id) or '')
      end
      if #found / 3 >= wanted or seen >= 500 then return { time, id, found } end
    end
  end
  offset = offset + 100
end`);
