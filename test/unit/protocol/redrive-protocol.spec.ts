import { everyEndOf, LOSSES, PATIENCE_MS } from './check.js';
import { CLOSED } from './closed-scenarios.js';
import type { Case } from './scenarios.js';
import { EARLY, WIDELY } from './wide-scenarios.js';

const isShort = ([, { isLong }]: readonly [string, Case]): boolean => isLong !== true || LOSSES > 1;

describe('every way that a redrive of several steps can go', () => {
  it.each(Object.entries({ ...WIDELY, ...EARLY }).filter(isShort))(
    '%s, with workers and whoever redrives it lost at any command',
    async (_name, one) => {
      await everyEndOf(one);
    },
    PATIENCE_MS,
  );
});

describe('every way that a redrive of a closed header can go', () => {
  it.each(Object.entries(CLOSED).filter(isShort))(
    '%s, with workers and whoever redrives it lost at any command',
    async (_name, one) => {
      await everyEndOf(one);
    },
    PATIENCE_MS,
  );
});
