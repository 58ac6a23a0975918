import { setTimeout as pause } from 'node:timers/promises';
import type { Fault } from './fault.js';

/**
 * The process stands still for longer than its locks last, as a virtual machine does that is moved: others take over, and
 * then it goes on where it was and knows nothing of that.
 */
export const freeze: Fault = {
  name: 'freeze',
  sides: ['before', 'after'],
  async strike({ victim, relieve, lostMs }) {
    victim.freeze();
    try {
      await relieve();
      await pause(lostMs);
    } finally {
      victim.thaw();
    }
  },
};
