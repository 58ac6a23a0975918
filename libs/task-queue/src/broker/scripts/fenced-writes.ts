import { script } from './script.js';

/*
 * Writes that belong to an attempt. Each begins by asking whether the attempt still holds its lock; a
 * superseded attempt is refused, so that it can neither settle nor report (semantics 11).
 */

const FENCE = `if redis.call('GET', KEYS[1] .. ':lock') ~= ARGV[1] then return false end`;

/**
 * Notes how far a node has come.
 * KEYS: job. ARGV: token, stage as JSON. Returns 1, or nil when superseded.
 */
export const SET_STAGE = script(`${FENCE}
redis.call('HSET', KEYS[1], 'tq:stage', ARGV[2])
return 1`);

/**
 * Replaces the stored data of a task; used to count retries.
 * KEYS: job. ARGV: token, data as JSON. Returns 1, or nil when superseded.
 */
export const SET_DATA = script(`${FENCE}
redis.call('HSET', KEYS[1], 'data', ARGV[2])
return 1`);

/**
 * Replaces the stored data of a task whose place a canvas takes, and notes that canvas in the one around the task.
 * KEYS: job, record. ARGV: token, data as JSON, id of the canvas in its place, queue of that one's root.
 * Returns 1, or nil when superseded.
 */
export const SET_REPLACED = script(`${FENCE}
redis.call('HSET', KEYS[1], 'data', ARGV[2])
redis.call('HSET', KEYS[2], 'i:' .. ARGV[3], ARGV[4], 'replaced', '1')
return 1`);

/**
 * Stores what a node came to, where BullMQ stores it as well when the node ends, which follows.
 * KEYS: job. ARGV: token, value as JSON. Returns 1, or nil when superseded.
 */
export const SET_VALUE = script(`${FENCE}
redis.call('HSET', KEYS[1], 'returnvalue', ARGV[2])
return 1`);

/**
 * Records the failure of a task, over that of an attempt before. It counts only once BullMQ has the task as
 * failed, which follows.
 * KEYS: job, record. ARGV: token, id, failure as JSON, time to live in ms or ''. Returns 1, or nil.
 */
export const RECORD_FAILURE = script(`${FENCE}
redis.call('HSET', KEYS[2], 'f:' .. ARGV[2], ARGV[3])
if ARGV[4] ~= '' then redis.call('PEXPIRE', KEYS[2], ARGV[4]) end
return 1`);

/**
 * Writes once what a node came to or what was decided for it; the first write stands, also after a crash.
 * KEYS: job, record. ARGV: token, field, JSON. Returns what stands, or nil when superseded.
 */
export const DECIDE_ONCE = script(`${FENCE}
redis.call('HSETNX', KEYS[2], ARGV[2], ARGV[3])
return redis.call('HGET', KEYS[2], ARGV[2])`);

/**
 * Starts the clock of a finished canvas. Its record goes with it and not by a time of its own: it says what belongs to it.
 * KEYS: job, expiry. ARGV: token, canvas id, expires at. Returns 1, or nil.
 */
export const START_EXPIRY = script(`${FENCE}
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[2])
return 1`);

/**
 * Stores progress of a running task.
 * KEYS: job, events. ARGV: token, id, progress as JSON, max length of the event stream. Returns 1, or nil.
 */
export const SET_PROGRESS = script(`${FENCE}
redis.call('HSET', KEYS[1], 'progress', ARGV[3])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'event', 'progress', 'jobId', ARGV[2], 'data', ARGV[3])
return 1`);
