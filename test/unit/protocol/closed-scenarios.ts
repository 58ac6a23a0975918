import type { CanvasData } from '../../../libs/task-queue/src/canvas/canvas-data.js';
import { body, chord, good, isOver, LATE, redrive, redriveLast, sick, task } from './canvases.js';
import { CANVAS_ID, type Standing } from './scenario.js';
import type { Case, Expected } from './scenarios.js';

/** The first failure closes it, and the rest is cancelled. */
const CANCELS = { budget: { count: 0 } } as const;
/** The first failure closes it, and the rest goes on. */
const LEAVES = { budget: { count: 0, rest: 'leave' } } as const;
const DEADLINE = { afterMs: 100, from: 'dispatch', rest: 'leave' } as const;
const isClosed = (canvas: Standing): boolean => canvas.isClosed;
const REDRIVERS = /redrive|same/;

const FAILED = ['', '.0', '.1', '.errback.0'];
/** The generation that failed. */
const BEFORE: Expected = { state: 'FAILURE', made: FAILED };
/** The next one, in which so much was made besides. */
const after = (value: unknown, ...made: string[]): Expected => ({
  state: 'SUCCESS',
  value,
  made: [...FAILED, ...['', ...made, '.body'].map((id) => `${id} g1`)],
});
const MENDED = after([1, 'well'], '.0', '.1');
/** The first member had returned, before or after the header was closed. */
const KEPT = after([1, 'well'], '.1');
/** All of it is put back, and nobody takes it up. */
const PUT_BACK: Expected = {
  state: 'PENDING',
  made: [...FAILED, ...['', '.0', '.1'].map((id) => `${id} g1`)],
  unfinished: [`${CANVAS_ID} waiting-children`, `${CANVAS_ID}.0 waiting`, `${CANVAS_ID}.1 waiting`],
};
const BODY_FAILED = ['', '.0', '.body', '.errback.0'];
const GOES_ON = [`${CANVAS_ID}.0 waiting`, LATE];
const inner: CanvasData = { kind: 'chord', header: [good(1)], body, recovery: 'ErrbackOnly' };

/** Headers that are closed while members are pending, and redriven. */
export const CLOSED: Readonly<Record<string, Case>> = {
  'a closed chord whose cancelled member is redriven': {
    canvas: chord([good(1), sick], CANCELS),
    from: isOver,
    untaken: /^c\.\d$/,
    loses: REDRIVERS,
    meanwhile: { redrive },
    ends: [BEFORE, PUT_BACK],
  },
  'a closed chord whose late member has returned, and that is redriven': {
    canvas: chord([good(1), sick], LEAVES),
    from: isOver,
    fewer: 1,
    meanwhile: { redrive },
    refusals: ['running'],
    ends: [BEFORE, KEPT],
  },
  'a closed chord whose cancelled member is a chord, both redriven': {
    canvas: chord([inner, sick], CANCELS),
    from: isOver,
    fewer: 1,
    untaken: /^c\.(0\.0|1)$/,
    meanwhile: { redrive },
    refusals: ['running'],
    ends: [
      { state: 'FAILURE', made: ['', '.0', '.0.0', '.1', '.errback.0'] },
      {
        state: 'PENDING',
        made: ['', '.0', '.0.0', '.1', '.errback.0', ...['', '.0', '.0.0', '.1'].map((id) => `${id} g1`)],
        unfinished: ['waiting-children', '.0 waiting-children', '.0.0 waiting', '.1 waiting'].map(
          (id) => `${CANVAS_ID}${id.startsWith('.') ? '' : ' '}${id}`,
        ),
      },
    ],
  },
  'a wide chord that is closed, and redriven in steps': {
    canvas: chord([good(1), sick], CANCELS),
    steps: { first: 1, chunk: 1 },
    from: isOver,
    untaken: /^c\.\d$/,
    fewer: 1,
    meanwhile: { redrive },
    ends: [PUT_BACK],
  },
  'a chord whose deadline has passed, and whose body alone is redriven while a member goes on': {
    canvas: chord([good(1)], { body: task('sickBody'), deadline: DEADLINE }),
    untaken: /^c\.0$/,
    waits: 1,
    from: (canvas) => canvas.isDue || canvas.isOver,
    fewer: 1,
    meanwhile: { redrive },
    ends: [{ state: 'SUCCESS', value: [], made: [...BODY_FAILED, ' g1', '.body g1'], unfinished: GOES_ON }],
  },
  'a closed chord whose closing worker is lost, and whose cancelled member is redriven': {
    canvas: chord([good(1), sick], CANCELS),
    isLong: true,
    from: isClosed,
    untaken: /^c\.\d$/,
    loses: /^c$/,
    meanwhile: { redrive },
    ends: [PUT_BACK],
  },
  'a closed chord that is redriven, with a member that is cancelled or returns': {
    canvas: chord([good(1), sick], CANCELS),
    from: isClosed,
    loses: REDRIVERS,
    meanwhile: { redrive },
    refusals: ['running'],
    ends: [BEFORE, MENDED, KEPT],
  },
  'a closed chord whose late member is heard by workers that are lost': {
    canvas: chord([good(1), sick], LEAVES),
    from: isClosed,
    loses: /late|redrive/,
    meanwhile: { redrive },
    refusals: ['running'],
    ends: [BEFORE, KEPT],
  },
  'a closed chord whose member is run again by workers that are lost': {
    canvas: chord([good(1), sick], CANCELS),
    from: isOver,
    loses: /^c\.\d/,
    meanwhile: { redrive },
    ends: [MENDED],
  },
  'a closed chord that two redrive': {
    canvas: chord([good(1), sick], CANCELS),
    from: isOver,
    untaken: /^c\.\d$/,
    fewer: 1,
    meanwhile: { redrive, 'the same': redriveLast },
    ends: [PUT_BACK],
  },
};
