import type { RedisClient } from './redis-client.js';
import type { RedisKeys } from './redis-keys.js';

/** How soon a canvas is looked at again that would be removed if all of its members had ended. */
export const STRAGGLERS_MS = 10_000;

const SCAN_COUNT = 1_000;

/**
 * Whether members go on that had not ended when a header of a canvas was closed. They write into its record, and nodes
 * among them read there what was decided for them: it cannot go before they have.
 *
 * It reads the verdicts of the canvas, and who was set aside by each, up to the first who goes on.
 */
export async function hasStragglers(client: RedisClient, keys: RedisKeys, id: string): Promise<boolean> {
  for await (const node of closedNodes(client, keys, id))
    if (await goesOn(client, keys.left(node))) return true;
  return false;
}

/** The nodes of a canvas whose headers were closed. */
export async function* closedNodes(client: RedisClient, keys: RedisKeys, id: string): AsyncGenerator<string> {
  const record = keys.record(id);
  let cursor = '0';
  do {
    const [next, flat] = await client.hscan(record, cursor, 'MATCH', 'c:*', 'COUNT', SCAN_COUNT);
    for (let at = 0; at < flat.length; at += 2) {
      const node = (flat[at] ?? '').slice(2);
      if (node === id || node.startsWith(`${id}.`)) yield node;
    }
    cursor = next;
  } while (cursor !== '0');
}

async function goesOn(client: RedisClient, left: string): Promise<boolean> {
  let cursor = '0';
  do {
    const [next, jobs] = await client.sscan(left, cursor, 'COUNT', SCAN_COUNT);
    const times = await Promise.all(jobs.map((job) => client.hmget(job, 'timestamp', 'finishedOn')));
    if (times.some(([addedOn, finishedOn]) => addedOn !== null && finishedOn === null)) return true;
    cursor = next;
  } while (cursor !== '0');
  return false;
}
