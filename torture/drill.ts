/** Shows that the suite would notice: what hangs is wrong, what has to wait for its worker is slow, and what stays is left. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Bounds } from './endurance.js';
import { Expiry } from './expiry.js';
import type { Lane } from './lane.js';
import type { Report } from './report.js';
import { join } from './scenarios/chords.js';
import { call, members, type Plan } from './scenarios/scenario.js';

/** So short that a drill takes no time. */
export const SHORT: Bounds = { withinMs: 2_000, stillMs: 5_000, mostMs: 300_000 };

/** Longer than what hangs would be waited for. */
const STARVED_MS = SHORT.withinMs + SHORT.stillMs + 1_000;

/** A member of it never ends. */
const HANGING: Plan = {
  canvas: { kind: 'chord', header: members('value', 'never'), body: call('body') },
  judge: () => [],
};

/** @param lane with short bounds, one worker, and results that are kept for long */
export async function drill(lane: Lane, report: Report): Promise<void> {
  report.drilled('a canvas whose worker stands still is slow', await isSlow(lane));
  const both = [isFound(lane, 'drill-slow-x'), isWrong(lane)] as const;
  const [found, hung] = await Promise.all(both);
  report.drilled('a canvas that has not expired is found', found);
  report.drilled('a canvas that hangs is wrong', hung);
}

async function isSlow(lane: Lane): Promise<string | undefined> {
  const id = 'drill-slow-x';
  const [worker] = lane.playing('worker');
  worker?.freeze();
  try {
    await lane.publish(id, join.plan(2));
    const ended = lane.ended(id).then(
      () => undefined,
      (error: unknown) => String(error),
    );
    await pause(STARVED_MS);
    worker?.thaw();
    const trouble = await ended;
    return trouble ?? (lane.slowMs(id) === undefined ? 'nobody noticed' : undefined);
  } finally {
    worker?.thaw();
  }
}

/** Looks for it as for one whose time is over. */
async function isFound(lane: Lane, id: string): Promise<string | undefined> {
  const areAble = (): Promise<boolean> => lane.areAble('worker');
  const expiry = new Expiry({ redis: () => lane.site.redis, areAble }, 0, SHORT);
  expiry.over(id, 'a drill');
  const { gone, left } = await expiry.end();
  // By its keys, and by the list of what has ended.
  const isRight =
    gone === 0 && [`_canvas:${id}`, `_expiry has ${id}`].every((what) => left[0]?.includes(what));
  return isRight ? undefined : `found ${JSON.stringify(left)}`;
}

async function isWrong(lane: Lane): Promise<string | undefined> {
  const id = 'drill-hangs-x';
  await lane.publish(id, HANGING);
  return lane.ended(id).then(
    () => 'it has ended',
    (error: unknown) => (/it hangs.*drill-hangs-x/s.test(String(error)) ? undefined : String(error)),
  );
}
