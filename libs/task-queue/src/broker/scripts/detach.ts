import { script } from './script.js';

/**
 * Has a job that failed forget the node above it.
 * KEYS: job, failed jobs of its queue. ARGV: id.
 */
export const DETACH = script(`
if redis.call('ZSCORE', KEYS[2], ARGV[1]) then redis.call('HDEL', KEYS[1], 'parentKey', 'parent') end`);
