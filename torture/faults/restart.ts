import type { Fault } from './fault.js';

/**
 * Redis is killed with SIGKILL and started again on the same file, to which it appends every write before it answers
 * (`appendfsync always`). Nothing may be lost: everybody loses the connection, and with it the command or its answer.
 */
export const restart: Fault = {
  name: 'restart',
  sides: ['before', 'after'],
  async strike({ site }) {
    await site.restart();
  },
};
