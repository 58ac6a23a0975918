import { script } from './script.js';

/**
 * Whether a job can be taken out of its queue: it is there, and neither runs, nor waits for a canvas in its place, nor has
 * ended.
 * KEYS: job, the jobs of its queue that wait for children. ARGV: id. Returns 1 or 0.
 */
export const CAN_WITHDRAW = script(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('EXISTS', KEYS[1] .. ':lock') == 1 then return 0 end
if redis.call('HEXISTS', KEYS[1], 'finishedOn') == 1 then return 0 end
return redis.call('ZSCORE', KEYS[2], ARGV[1]) and 0 or 1`);
