/** Nothing of a canvas is left in Redis when its time is over, whatever happened to it. */
import type { Redis } from 'ioredis';
import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../test/support/reference/random.js';
import { BOUNDS, endure } from './endurance.js';
import { faultsOf } from './faults/all.js';
import type { Lane } from './lane.js';
import type { Report } from './report.js';
import { SCENARIOS } from './scenarios/all.js';
import { Strike } from './strike.js';

const UP_TO_COMMANDS = 15;
const WITHIN_MS = 120_000;

/** Lets each scenario end under some fault, on a lane that keeps results for a moment only, and waits for its keys to go. */
export async function expire(lane: Lane, random: Random, report: Report): Promise<void> {
  const plans = SCENARIOS.map((scenario) => scenario.plan(2)).filter(({ isRedriven }) => isRedriven !== true);
  const faults = faultsOf('worker');
  const ids = plans.map((_, at) => `expiring-${at}-x`);
  for (const [at, plan] of plans.entries()) {
    const fault = faults[at % faults.length];
    const [side] = fault?.sides ?? [];
    if (fault === undefined || side === undefined) throw new Error('no fault');
    const k = 1 + Math.floor(random() * UP_TO_COMMANDS);
    const mark = ids[at] ?? '';
    const strike = new Strike(lane, { role: 'worker', fault, side, k, mark }, report);
    await lane.publish(mark, plan);
    await lane.quiet();
    await strike.end();
    await lane.quiet();
    await lane.tidy();
  }
  const { redis } = lane.site;
  let left = await keysOf(redis, ids);
  const waited = endure(
    {
      work: async (signal) => {
        for (; left.length > 0 && !signal.aborted; left = await keysOf(redis, ids)) await pause(250);
      },
      moves: () => left.length,
      areAble: () => lane.areAble('worker'),
      explain: async () => `${left.length} keys are left`,
    },
    { ...BOUNDS, withinMs: WITHIN_MS },
  );
  // What is left says it as well.
  report.slowed('expiry', await waited.catch(() => undefined));
  report.expired(ids.length, left);
}

async function keysOf(redis: Redis, ids: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for await (const page of redis.scanStream({ match: '*expiring-*', count: 1_000 }))
    found.push(...(page as string[]).filter((key) => ids.some((id) => key.includes(id))));
  return found;
}
