/** What of a Redis names a canvas. */
import type { Redis } from 'ioredis';

const PAGE = 1_000;

/** What all canvases of the suite are called: a kind, a number or word, and an end that keeps one from being part of another. */
const NAMES = /[a-z]+-[a-z0-9]+-x/g;

/** Dead letters have bounds of their own, and are to outlive what they are about. Streams are trimmed by length. */
const hasOwnBounds = (key: string): boolean => /:_dead(:|$)/.test(key);

/** By canvas the keys that have its name, and the lists, sets and hashes that name it: of these canvases only. */
export async function leftOf(redis: Redis, ids: ReadonlySet<string>): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  if (ids.size === 0) return found;
  const note = (text: string, what: string): void => {
    for (const id of new Set(text.match(NAMES)))
      if (ids.has(id)) found.set(id, [...(found.get(id) ?? []), what]);
  };
  // A page may have a key that another one had.
  for (const key of new Set(await keysOf(redis))) {
    note(key, key);
    if (key.match(NAMES) !== null || hasOwnBounds(key)) continue;
    for (const member of await membersOf(redis, key)) note(member, `${key} has ${member}`);
  }
  return found;
}

async function keysOf(redis: Redis): Promise<string[]> {
  const keys: string[] = [];
  let cursor = '0';
  do {
    const [next, page] = await redis.scan(cursor, 'COUNT', PAGE);
    keys.push(...page);
    cursor = next;
  } while (cursor !== '0');
  return keys;
}

/** What a key holds that may name a canvas. */
async function membersOf(redis: Redis, key: string): Promise<string[]> {
  switch (await redis.type(key)) {
    case 'list':
      return redis.lrange(key, 0, -1);
    case 'set':
      return redis.smembers(key);
    case 'zset':
      return redis.zrange(key, '0', '-1');
    case 'hash':
      return redis.hkeys(key);
    default:
      return [];
  }
}
