import { QUEUES } from '../job-events.js';
import type { Fault } from './fault.js';

/**
 * Every job that somebody has is delivered a second time, as if its lock had run out: whoever has it goes on, before, in or
 * after its handler, and nobody may hear of that.
 */
export const again: Fault = {
  name: 'again',
  sides: ['before', 'after'],
  roles: ['worker'],
  async strike({ site, prefix, delivered }) {
    for (const queue of QUEUES) {
      const base = `{${prefix}:0}:${queue}`;
      const keys = ['active', 'wait', 'marker'].map((name) => `${base}:${name}`);
      delivered(Number(await site.redis.eval(GIVE_BACK, keys.length, ...keys, base)));
    }
  },
};

/** What BullMQ does with a job whose lock has run out; the lock goes first. Returns how many there were. */
const GIVE_BACK = `
local jobs = redis.call('LRANGE', KEYS[1], 0, -1)
for _, id in ipairs(jobs) do
  redis.call('DEL', ARGV[1] .. ':' .. id .. ':lock')
  redis.call('LREM', KEYS[1], 1, id)
  redis.call('RPUSH', KEYS[2], id)
end
if #jobs > 0 then redis.call('ZADD', KEYS[3], 0, '0') end
return #jobs`;
