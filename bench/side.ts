import { Redis } from 'ioredis';
import { findCelery } from './celery.js';
import { comparisons } from './comparisons.js';
import { REDIS_URL } from './redis-url.js';
import { Stopwatch } from './stopwatch.js';

/*
 * One side of one comparison, in a process of its own: what one side switches on (AsyncLocalStorage makes every promise
 * of a process dearer on Node.js 20, for good) or leaves behind (garbage, compiled code) must not be paid by the other.
 * The process stays for all rounds, so the first one, which is not counted, is also what warms it.
 */
const [name, side, profiles] = process.argv.slice(2);
const comparison = comparisons(findCelery()).find((candidate) => candidate.name === name);
if (comparison === undefined) throw new Error(`no comparison is called ${name}`);
const measure = side === 'ours' ? comparison.ours : comparison.reference;
Stopwatch.profiles = profiles === 'profile';

process.on('message', () => void measureOnce());
process.on('disconnect', () => process.exit());

async function measureOnce(): Promise<void> {
  const redis = new Redis(REDIS_URL);
  await redis.flushall();
  redis.disconnect();
  globalThis.gc?.();
  process.send?.(await measure());
}
