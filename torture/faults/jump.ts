/** The clock of a worker's machine is wrong by an hour for a while. */
import { setTimeout as pause } from 'node:timers/promises';
import { QUEUES } from '../evidence.js';
import type { Fault, Scene } from './fault.js';

const HOUR_MS = 3_600_000;

const jump = (name: string, ms: number): Fault => ({
  name,
  sides: ['before'],
  roles: ['worker'],
  isOfClocks: true,
  strike: ({ victim }) => setClock(victim, ms),
  /** It goes on with its wrong clock, beside one with the right one that looks for what is lost. */
  async aftermath(scene) {
    await scene.relieve();
    await pause(scene.lostMs);
    await setClock(scene.victim, 0);
    await hasten(scene);
  },
});

export const ahead = jump('ahead', HOUR_MS);
export const behind = jump('behind', -HOUR_MS);

/** One that was killed meanwhile has no clock any more. */
const setClock = (victim: Scene['victim'], ms: number): Promise<void> =>
  victim.tell({ do: 'jump', ms }).catch(() => undefined);

/** What is delayed is due by the clock of who delays it: nobody waits an hour to see that it still runs. */
async function hasten({ site: { redis }, prefix, hastened }: Scene): Promise<void> {
  for (const queue of QUEUES) {
    const keys = ['delayed', 'marker'].map((name) => `{${prefix}:0}:${queue}:${name}`);
    hastened(Number(await redis.eval(HASTEN, keys.length, ...keys, Date.now(), HOUR_MS / 2)));
  }
}

/** Makes due what is due much later. BullMQ's scores are milliseconds times 4,096. Returns how many there were. */
const HASTEN = `
local now = tonumber(ARGV[1])
local late = redis.call('ZRANGEBYSCORE', KEYS[1], (now + ARGV[2]) * 4096, '+inf')
for _, id in ipairs(late) do redis.call('ZADD', KEYS[1], now * 4096, id) end
if #late > 0 then redis.call('ZADD', KEYS[2], now, '1') end
return #late`;
