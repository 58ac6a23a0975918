// @ts-check
/**
 * Sentinels that watch one Redis: a program that starts them, answers with a line of JSON, and takes them with it when
 * it ends, which it does with its parent.
 *
 *   node sentinel-program.mjs <dir> <name of the master> <its port> <how many sentinels> <ms until it is taken for down>
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startKept } from '../../../tools/redis/keeper-client.mjs';
import { findFreePort } from '../../../tools/redis/private-server.mjs';
import { locateRedis } from '../../../tools/redis/provision.mjs';

const [dir = '', name = '', masterPort = '', count = '1', downAfterMs = '1500'] = process.argv.slice(2);
const quorum = Math.floor(Number(count) / 2) + 1;

/** @param {number} index */
async function startSentinel(index) {
  const server = await locateRedis({ private: true, quiet: true });
  if (server.image)
    throw new Error('Sentinels are tested with a server on this machine, not in a container.');
  const port = await findFreePort();
  const own = join(dir, `sentinel-${index}`);
  mkdirSync(own, { recursive: true });
  const file = join(own, 'sentinel.conf');
  // Sentinel keeps what it learns in its file.
  writeFileSync(
    file,
    [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${own}`,
      `sentinel monitor ${name} 127.0.0.1 ${masterPort} ${quorum}`,
      `sentinel down-after-milliseconds ${name} ${downAfterMs}`,
      `sentinel failover-timeout ${name} 6000`,
      `sentinel parallel-syncs ${name} 1`,
      '',
    ].join('\n'),
  );
  const kept = await startKept({ command: [server.binary, file, '--sentinel'], env: server.env, dir: own });
  kept.release();
  return { port, pid: kept.pid, stop: kept.stop };
}

const sentinels = await Promise.all(
  Array.from({ length: Number(count) }, (_, index) => startSentinel(index)),
);
console.log(JSON.stringify(sentinels.map(({ port, pid }) => ({ port, pid }))));
for await (const _ of createInterface({ input: process.stdin })) continue;
await Promise.all(sentinels.map(({ stop }) => stop()));
