import { everyEndOf, LOSSES, PATIENCE_MS } from './check.js';
import { PLANTED, type WrongDecisions } from './planted.js';
import { PLANTED_REDRIVES } from './planted-redrives.js';

/** The decisions that are wrong in this moment. */
const mockWrong: WrongDecisions = {};

jest.mock('../../../libs/task-queue/src/flow/advance-node.js', () => {
  const right = jest.requireActual('../../../libs/task-queue/src/flow/advance-node.js');
  return {
    ...right,
    advanceNode: (...args: [never, never]) =>
      mockWrong.advanceNode?.(right.advanceNode, ...args) ?? right.advanceNode(...args),
  };
});
jest.mock('../../../libs/task-queue/src/chords/judge-header.js', () => {
  const right = jest.requireActual('../../../libs/task-queue/src/chords/judge-header.js');
  return {
    ...right,
    judgeHeader: (...args: [never, never]) =>
      mockWrong.judgeHeader?.(right.judgeHeader, ...args) ?? right.judgeHeader(...args),
  };
});
jest.mock('../../../libs/task-queue/src/flow/ids.js', () => {
  const right = jest.requireActual('../../../libs/task-queue/src/flow/ids.js');
  return {
    ...right,
    releasedId: (...args: unknown[]) =>
      mockWrong.releasedId?.(right.releasedId, ...args) ?? right.releasedId(...args),
  };
});

/** A search that cannot find anything finds nothing: each of these is a defect that it finds. */
describe('a defect is found', () => {
  it.each(
    Object.entries({ ...PLANTED, ...PLANTED_REDRIVES }).filter(
      ([, { isLong }]) => isLong !== true || LOSSES > 1,
    ),
  )(
    '%s',
    async (_what, { at, losses = 1, defects, decisions = {} }) => {
      if (at === undefined) throw new Error('there is no such scenario');
      Object.assign(mockWrong, decisions);
      try {
        const found = everyEndOf({ ...at, ...(defects && { defects }) }, losses);
        await expect(found).rejects.toThrow('by way of');
      } finally {
        for (const decision of Object.keys(decisions)) delete mockWrong[decision as keyof WrongDecisions];
      }
    },
    PATIENCE_MS,
  );
});
