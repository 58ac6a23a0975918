import { setTimeout as pause } from 'node:timers/promises';
import type { Fault } from './fault.js';
import { freeze } from './freeze.js';

/** kill -9 of the process. Another one takes its place. */
const kill: Fault = {
  name: 'kill',
  sides: ['before', 'after'],
  async strike({ victim, relieve }) {
    victim.kill();
    victim.proxy.cut();
    await relieve();
  },
};

/** The connection is lost, and with it the command or its answer. */
const cut: Fault = {
  name: 'cut',
  sides: ['before', 'after'],
  async strike({ line }) {
    line.cut();
  },
};

/** Nothing passes until others have taken over; then everything does that was held back. */
const stall: Fault = {
  name: 'stall',
  sides: ['before', 'after'],
  async strike({ relieve, lostMs }) {
    await relieve();
    await pause(lostMs);
  },
};

export const FAULTS: readonly Fault[] = [kill, cut, stall, freeze];
