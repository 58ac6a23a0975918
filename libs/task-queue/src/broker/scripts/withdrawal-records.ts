import { script } from './script.js';

/*
 * The record of a task that is to be taken out of its queue. It is written before, so that the task is never gone
 * without one, and taken back where the task was not there to be taken: then an attempt runs, or has just ended, whose
 * own record has to stay.
 */

/**
 * Writes the record over whatever is there.
 * KEYS: record. ARGV: field, failure as JSON, time to live in ms or ''. Returns what was there, or nil.
 */
export const WRITE_OVER = script(`
local before = redis.call('HGET', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if ARGV[3] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return before`);

/**
 * Takes it back, unless somebody has written another one since.
 * KEYS: record. ARGV: field, failure as JSON, what was there before or ''.
 */
export const TAKE_BACK = script(`
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return end
if ARGV[3] == '' then redis.call('HDEL', KEYS[1], ARGV[1])
else redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end`);
