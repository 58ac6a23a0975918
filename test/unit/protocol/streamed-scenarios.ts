import type { CanvasData, ChordData } from '../../../libs/task-queue/src/canvas/canvas-data.js';
import { bad, chord, good, LATE, setBudget } from './canvases.js';
import { CANVAS_ID, type Outside } from './scenario.js';
import type { Case, Expected } from './scenarios.js';

/** Headers whose members are read while they are published. */
const streamed = (members: readonly CanvasData[], more: Partial<ChordData> = {}): Outside => ({
  act: async (engine) => {
    const canvas = chord([], { ...more, options: { taskId: CANVAS_ID } });
    const read = (member: unknown): CanvasData => member as CanvasData;
    const { sealed } = await engine.publishStream({
      canvas,
      source: () => members,
      read,
      window: 1_000,
    });
    await sealed;
  },
});

/** What becomes of one whose producer may be lost, before and after it has published its members. */
const streamEnds = (value: readonly number[]): Expected[] => {
  const members = value.map((_, index) => `.${String(index)}`);
  return [
    { state: 'SUCCESS', value, made: ['', ...members, '.body'] },
    { state: 'FAILURE', made: ['', ...members, '.errback.0'] },
    { state: 'FAILURE', made: ['', '.errback.0'] },
    { state: 'UNKNOWN', made: [] },
  ];
};

const CUT = { afterMs: 100, from: 'dispatch', rest: 'leave' } as const;
const RECOVERED = { recovery: 'CallbackWithSuccesses' } as const;
const SEALED = { afterMs: 100, from: 'seal', rest: 'leave' } as const;
const sealed = streamed([good(1)], { deadline: SEALED });
/** The member that nobody takes up stays behind. */
const LEFT_BEHIND = [`${CANVAS_ID}.0 waiting`];
const SEALING: Case = {
  canvas: chord([]),
  deadline: SEALED,
  isStreamed: true,
  from: ({ isDispatching }) => isDispatching,
  loses: /producer/,
  untaken: /^c\.0$/,
  waits: 1,
  ends: [{ state: 'SUCCESS', value: [], made: ['', '.0', '.body'], unfinished: [...LEFT_BEHIND, LATE] }],
  endsOfLosses: [
    // Nobody went on: at the deadline it fails, as it is not whole.
    { state: 'FAILURE', made: ['', '.0', '.errback.0'], unfinished: LEFT_BEHIND },
    { state: 'FAILURE', made: ['', '.errback.0'] },
  ],
};

/** Headers whose producer may be lost, and another one goes on. */
export const STREAMED: Readonly<Record<string, Case>> = {
  'a chord whose members are read while they are published': {
    canvas: chord([]),
    isStreamed: true,
    meanwhile: { producer: streamed([good(1)]) },
    ends: streamEnds([1]),
  },
  'a chord that somebody else goes on to publish': {
    canvas: chord([]),
    isStreamed: true,
    meanwhile: { producer: streamed([good(1)]), another: streamed([good(1)]) },
    fewer: 1,
    ends: streamEnds([1]).slice(0, 1),
    endsOfLosses: streamEnds([1]).slice(1),
  },
  'a chord whose deadline counts from a seal that somebody else sets': {
    ...SEALING,
    fewer: 1,
    meanwhile: { producer: sealed, another: sealed },
  },
  'a chord whose deadline counts from a seal that may never come': {
    ...SEALING,
    meanwhile: { producer: sealed },
  },
  'a chord that is parked while its members are published, by a producer who may be lost': {
    canvas: chord([]),
    isStreamed: true,
    from: ({ isDispatching }) => isDispatching,
    isLong: true,
    loses: /producer/,
    fewer: 1,
    meanwhile: {
      producer: streamed([bad], {
        budget: { count: 0, onBreach: 'park' },
        recovery: 'CallbackWithSuccesses',
      }),
      raise: setBudget({ count: 1 }),
    },
    ends: [{ state: 'SUCCESS', value: [], made: ['', '.0', '.body'] }],
    endsOfLosses: [
      { state: 'FAILURE', made: ['', '.0', '.errback.0'] },
      { state: 'FAILURE', made: ['', '.errback.0'] },
    ],
  },
  'a chord that is closed while it is read, and amended': {
    canvas: chord([]),
    deadline: CUT,
    isStreamed: true,
    from: ({ isDispatching }) => isDispatching,
    loses: /producer/,
    waits: 1,
    meanwhile: { producer: streamed([good(1)], { ...RECOVERED, deadline: CUT, late: 'amend' }) },
    ends: [
      { state: 'SUCCESS', value: [1], made: ['', '.0', '.body'] },
      { state: 'SUCCESS', value: [1], made: ['', '.0', '.body', ' g1', '.body-1 g1'] },
      { state: 'SUCCESS', value: [], made: ['', '.body'] },
    ],
    endsOfLosses: [
      { state: 'FAILURE', made: ['', '.0', '.errback.0'] },
      { state: 'FAILURE', made: ['', '.errback.0'] },
    ],
  },
  'a chord whose deadline counts from its seal, and passes while its member ends': {
    canvas: chord([]),
    deadline: SEALED,
    isStreamed: true,
    from: ({ isTicking }) => isTicking,
    loses: /deadline/,
    waits: 1,
    meanwhile: { producer: sealed },
    ends: [[1], []].map((value) => ({ state: 'SUCCESS', value, made: ['', '.0', '.body'] })),
  },
};
