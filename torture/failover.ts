/** A fail-over to a replica while canvases are under way. What replication had not carried over may be forgotten. */
import type { Random } from '../test/support/reference/random.js';
import { ResultUnknownError } from 'nestjs-task-queue';
import { recollect } from './after-loss.js';
import { type Drawn, draw } from './draw.js';
import type { Lane } from './lane.js';
import type { Report } from './report.js';
import { SCENARIOS } from './scenarios/all.js';
import { type Loss, WatchedRedis } from './watched-redis.js';

const CANVASES = 120;
const AT_ONCE = 40;
/** So many have ended at the earliest and at the latest when the master is lost. */
const ENDED = [5, 70] as const;
const MOST_BEHIND_MS = 600;

/**
 * Loses the master of a lane once, and looks at every canvas when nothing waits or runs any more.
 *
 * A redrive that is forgotten has to be asked for again, and a source to be read again: those are left out.
 */
export async function failOver(
  lane: Lane,
  site: WatchedRedis,
  how: Loss,
  random: Random,
  report: Report,
): Promise<void> {
  const scenarios = SCENARIOS.filter((one) => one.isLeased !== true && one.plan(2).isRedriven !== true);
  const drawn = Array.from({ length: CANVASES }, () => draw(random, scenarios));
  const lostAfter = ENDED[0] + Math.floor(random() * (ENDED[1] - ENDED[0]));
  const behindMs = random() * MOST_BEHIND_MS;
  const trouble = new Map<string, string>();
  const told = { unknown: 0 };
  let ended = 0;
  let lost: Promise<number> | undefined;

  await eachOf(drawn, async ({ id, plan }) => {
    await lane.publish(id, plan);
    await settled(lane, { id, plan }, told).catch((error: unknown) => trouble.set(id, String(error)));
    ended++;
    if (ended >= lostAfter) lost ??= lose(lane, site, how, behindMs);
  });
  const tookMs = await lost;
  // Also of one that had ended before, nothing may be known any more.
  await eachOf(drawn, async (one) => {
    if (trouble.has(one.id)) return;
    await settled(lane, one, told).catch((error: unknown) => trouble.set(one.id, String(error)));
  });
  await lane.quiet().catch((error: unknown) => trouble.set('round', String(error)));
  report.slowed(`fail-over, the master was ${how}`, lane.slowMs());
  const forgotten = { runs: 0, late: 0 };
  for (const { id, name, plan } of drawn) {
    const why = trouble.get(id) ?? trouble.get('round');
    const found =
      why === undefined ? await lane.judge(id, plan, (ms) => site.masterAt(ms)) : { wrong: [why] };
    if ('evidence' in found) {
      const { forgotten: runs, late } = recollect(found.evidence);
      forgotten.runs += runs.length;
      forgotten.late += late.length;
    }
    report.add({ label: `fail-over ${name} ${id}`, scenario: name, fault: 'fail-over', plan, ...found });
  }
  const { unknown } = told;
  const { runs, late } = forgotten;
  report.failedOver(how, { canvases: drawn.length, unknown, forgotten: runs, late, tookMs: tookMs ?? 0 });
}

async function lose(lane: Lane, site: WatchedRedis, how: Loss, behindMs: number): Promise<number> {
  const since = Date.now();
  await site.lose(how, behindMs);
  const tookMs = Date.now() - since;
  await lane.readAnew();
  return tookMs;
}

/** Waits for its end. Whoever hears that nothing is known of it publishes it again, under its id. */
async function settled(
  lane: Lane,
  { id, plan }: Pick<Drawn, 'id' | 'plan'>,
  told: { unknown: number },
): Promise<void> {
  for (;;) {
    try {
      return await lane.ended(id);
    } catch (error) {
      if (!(error instanceof ResultUnknownError)) throw error;
      told.unknown++;
      await lane.publish(id, plan);
    }
  }
}

async function eachOf<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let one = left.shift(); one !== undefined; one = left.shift()) await work(one);
    }),
  );
}
