/** The clock of somebody's machine is wrong by an hour for a while. Nothing may come of it: the time that counts is that of Redis. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Fault, Scene } from './fault.js';

const HOUR_MS = 3_600_000;

const jump = (name: string, ms: number): Fault => ({
  name,
  sides: ['before'],
  strike: ({ victim }) => setClock(victim, ms),
  /** It goes on with its wrong clock, beside one with the right one that looks for what is lost. */
  async aftermath({ relieve, lostMs, victim }) {
    await relieve();
    await pause(lostMs);
    await setClock(victim, 0);
  },
});

export const ahead = jump('ahead', HOUR_MS);
export const behind = jump('behind', -HOUR_MS);

/** One that was killed meanwhile has no clock any more. */
const setClock = (victim: Scene['victim'], ms: number): Promise<void> =>
  victim.tell({ do: 'jump', ms }).catch(() => undefined);
