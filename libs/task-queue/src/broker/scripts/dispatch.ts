import { script } from './script.js';

/**
 * How the dispatch of a node's members stands, for a producer that is about to change it.
 * KEYS: node's job, record. ARGV: key of its sentinel, the fields under which a revocation of it or of a node above it
 * would stand.
 * Returns: 1 when the node is there, who dispatches, members added so far, how it ended, queues of the members as JSON,
 * 1 when the sentinel holds the node, children that have not ended, 1 when it is revoked, 1 when its header is closed.
 * One that is held back by a redrive has all of its members: for its producer there is nothing to do.
 */
export const READ_DISPATCH = script(`
local revoked = 0
for at = 2, #ARGV do revoked = revoked + redis.call('HEXISTS', KEYS[2], ARGV[at]) end
local noted = redis.call('HMGET', KEYS[1], 'tq:by', 'tq:dispatched', 'tq:end', 'tq:queues', 'tq:closed')
local isRedriven = redis.call('HEXISTS', KEYS[1], 'tq:again') == 1
return {
  redis.call('EXISTS', KEYS[1]),
  noted[1],
  noted[2],
  noted[3],
  noted[4],
  isRedriven and 0 or redis.call('SISMEMBER', KEYS[1] .. ':dependencies', ARGV[1]),
  redis.call('SCARD', KEYS[1] .. ':dependencies'),
  revoked > 0 and 1 or 0,
  noted[5]
}`);

/**
 * Whether a node has a child of this key, in whatever state. Adding one again that has ended would be waited for in vain
 * (hole H3).
 * KEYS: node's job. ARGV: the child's key.
 */
export const KNOWS_CHILD = script(`
return math.min(1, redis.call('SISMEMBER', KEYS[1] .. ':dependencies', ARGV[1])
  + redis.call('HEXISTS', KEYS[1] .. ':processed', ARGV[1])
  + redis.call('HEXISTS', KEYS[1] .. ':failed', ARGV[1]))`);
