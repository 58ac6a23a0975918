import { everyEndOf, LOSSES, PATIENCE_MS } from './check.js';
import { AMENDED, CHANGED, DROPPED, TOLD } from './late-scenarios.js';
import { type Case, JUDGED, REDRIVEN } from './scenarios.js';
import { STREAMED } from './streamed-scenarios.js';

const isShort = ([, { isLong }]: readonly [string, Case]): boolean => isLong !== true || LOSSES > 1;

describe('every way that a header can go', () => {
  it.each(Object.entries({ ...JUDGED, ...STREAMED }).filter(isShort))(
    '%s, with workers and producers lost at any command',
    async (_name, one) => {
      await everyEndOf(one);
    },
    PATIENCE_MS,
  );
});

describe('every way that a redrive can go', () => {
  it.each(Object.entries(REDRIVEN).filter(isShort))(
    '%s, with workers and whoever redrives it lost at any command',
    async (_name, one) => {
      await everyEndOf(one);
    },
    PATIENCE_MS,
  );
});

describe('every way that a header can be changed, and its late members can go', () => {
  it.each(Object.entries({ ...CHANGED, ...DROPPED, ...TOLD, ...AMENDED }).filter(isShort))(
    '%s, with workers lost at any command',
    async (_name, one) => {
      await everyEndOf(one);
    },
    PATIENCE_MS,
  );
});
