import { everyEndOf, LOSSES, PATIENCE_MS } from './check.js';
import { JUDGED, REDRIVEN, STREAMED } from './scenarios.js';

describe('every way that a header can go', () => {
  it.each(Object.entries({ ...JUDGED, ...STREAMED }))(
    '%s, with workers and producers lost at any command',
    async (_name, one) => {
      await everyEndOf(one);
    },
    PATIENCE_MS,
  );
});

describe('every way that a redrive can go', () => {
  it.each(Object.entries(REDRIVEN).filter(([, { isLong }]) => isLong !== true || LOSSES > 1))(
    '%s, with workers and whoever redrives it lost at any command',
    async (_name, one) => {
      await everyEndOf(one);
    },
    PATIENCE_MS,
  );
});
