import { setTimeout as pause } from 'node:timers/promises';
import type { Role } from '../actors.js';
import { again } from './again.js';
import type { Fault } from './fault.js';
import { freeze } from './freeze.js';
import { ahead, behind } from './jump.js';
import { restart } from './restart.js';

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

export const FAULTS: readonly Fault[] = [kill, cut, stall, freeze, restart, again, ahead, behind];

/** Those that may strike one who plays this part. */
export const faultsOf = (role: Role): Fault[] =>
  FAULTS.filter(({ roles }) => roles === undefined || roles.includes(role));
