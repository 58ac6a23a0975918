import type { CanvasData } from '../../../libs/task-queue/src/canvas/canvas-data.js';
import {
  bad,
  body,
  chord,
  good,
  isOver,
  redrive,
  redriveEarly,
  redriveHalf,
  redriveLast,
  redriveLater,
  revoke,
  setBudget,
  sick,
} from './canvases.js';
import { CANVAS_ID, type Outside, type Scenario, type Standing } from './scenario.js';
import type { Case, Expected } from './scenarios.js';

/** Each step puts back one member, so that two of them are too many for the first one. */
const WIDE = { steps: { first: 1, chunk: 1 }, from: isOver };
const isHeldBack = (canvas: Standing): boolean => canvas.isHeldBack;
/** Whoever asks for it at any time, and not only of a canvas that has ended. */
const again: Outside = { act: redrive.act, when: (canvas) => canvas.isOver || canvas.isHeldBack };

const FAILED = ['', '.0', '.1', '.errback.0'];

/** The chord as it was before. */
const BEFORE: Expected = { state: 'FAILURE', made: FAILED };

/** The chord after another generation, of which so much was made. */
function after(state: Expected['state'], made: readonly string[], more: Partial<Expected> = {}): Expected {
  return { state, made: [...FAILED, ' g1', ...made.map((id) => `${id} g1`)], ...more };
}

const MENDED = after('SUCCESS', ['.0', '.1', '.body'], { value: ['well', 'well'] });
/** Nobody went on after the first step, or after the second: the member that failed first is put back first. */
const LEFT = [[], ['.1']].map((put) => after('FAILURE', [...put, '.g1.errback.0']));
/** All of it is there, and nobody takes it up. */
const UNTAKEN = after('PENDING', ['.0', '.1'], {
  unfinished: [`${CANVAS_ID} waiting-children`, `${CANVAS_ID}.0 waiting`, `${CANVAS_ID}.1 waiting`],
});
/** Somebody revoked it after so much was put back; the errback of a generation that has begun is released. */
const REVOKED = [[], ['.1'], ['.0', '.1']].map((put) => after('REVOKED', [...put, '.g1.errback.0']));

const NESTED = ['', '.0', '.0.0', '.0.1', '.1', '.errback.0'];
const NESTED_AGAIN = ['', '.0', '.0.0', '.0.1', '.1'];

const WHILE_HELD: Case = { canvas: chord([sick, sick]), ...WIDE, from: isHeldBack, fewer: 1, ends: [] };
/** It was breached by the last of them: nothing was pending, so that it can be redriven. */
const BUDGET: CanvasData = chord([bad, bad], { budget: { count: 1 }, recovery: 'CallbackWithSuccesses' });

/** A generation of which somebody has put back a half, and which is closed; then the next one. */
const AFTER_HALF: Scenario['meanwhile'] = {
  half: redriveHalf(1),
  lower: { ...setBudget({ count: 0 }), when: isHeldBack },
  redrive: { ...redriveLater, when: isOver },
};
const PUT_BACK: Expected = {
  ...UNTAKEN,
  made: [...FAILED, ' g1', '.1 g1', '.g1.errback.0 g1', ' g2', '.0 g2', '.1 g2'],
};

/** Canvases that are redriven in more than one step. */
export const WIDELY: Readonly<Record<string, Case>> = {
  'a wide chord whose caller is lost while it is put back': {
    ...WHILE_HELD,
    fewer: 0,
    loses: /redrive|sentinel/,
    meanwhile: { redrive },
    ends: [MENDED, ...LEFT],
  },
  'a wide chord that is redriven': {
    canvas: chord([sick, sick]),
    ...WIDE,
    isLong: true,
    loses: /redrive|sentinel/,
    meanwhile: { redrive },
    ends: [MENDED, BEFORE, ...LEFT],
  },
  'a wide chord that two put back at the same time': {
    ...WHILE_HELD,
    untaken: /^c\.\d$/,
    meanwhile: { redrive, 'the same': again },
    ends: [UNTAKEN],
  },
  'a wide chord that another one goes on with': {
    ...WHILE_HELD,
    untaken: /^c\.\d$/,
    fewer: 0,
    loses: /redrive/,
    meanwhile: { redrive, 'the same': again },
    ends: [UNTAKEN],
  },
  'a wide chord whose lease runs out while it is put back': {
    ...WHILE_HELD,
    waits: 1,
    meanwhile: { redrive },
    ends: [MENDED, ...LEFT],
  },
  'a wide chord whose lease runs out while two put it back': {
    ...WHILE_HELD,
    isLong: true,
    waits: 1,
    meanwhile: { redrive, 'the same': again },
    ends: [MENDED, ...LEFT],
  },
  'a wide chord that is revoked while it is put back': {
    ...WHILE_HELD,
    untaken: /^c\.\d$/,
    meanwhile: { redrive, revoke: { ...revoke, when: isHeldBack } },
    ends: [UNTAKEN, ...REVOKED],
  },
  'a wide chord whose budget is lowered while it is put back': {
    ...WHILE_HELD,
    canvas: BUDGET,
    isLong: true,
    meanwhile: { redrive, lower: { ...setBudget({ count: 0 }), when: isHeldBack } },
    ends: [[], ['.1'], ['.0', '.1']].map((put) => after('FAILURE', [...put, '.g1.errback.0'])),
  },
  'a wide chord whose header was closed, and that two begin at the same time': {
    ...WHILE_HELD,
    canvas: chord([bad], { budget: { count: 0 } }),
    from: isOver,
    isLong: true,
    untaken: /^c\.\d$/,
    meanwhile: { redrive: again, 'the same': again },
    ends: [
      {
        state: 'PENDING',
        made: ['', '.0', '.errback.0', ' g1', '.0 g1'],
        unfinished: [`${CANVAS_ID} waiting-children`, `${CANVAS_ID}.0 waiting`],
      },
    ],
  },
  'a wide chord whose closing worker is lost, and that is redriven': {
    canvas: BUDGET,
    steps: WIDE.steps,
    isLong: true,
    from: (canvas) => canvas.isClosed && canvas.isHeldBack,
    untaken: /^c\.\d$/,
    loses: /^c$/,
    meanwhile: AFTER_HALF,
    ends: [PUT_BACK],
  },
  'a wide chord that is closed and redriven while somebody has its sentinel': {
    canvas: BUDGET,
    steps: WIDE.steps,
    isLong: true,
    from: (canvas) => canvas.isRunOut,
    untaken: /^c\.\d$/,
    fewer: 1,
    loses: /sentinel/,
    meanwhile: {
      ...AFTER_HALF,
      lower: { ...setBudget({ count: 0 }), when: (canvas) => canvas.isHeldBack && canvas.isRunOut },
    },
    ends: [PUT_BACK],
  },
  'a wide chord in a wide chord, both redriven': {
    ...WHILE_HELD,
    canvas: chord([{ kind: 'chord', header: [sick, sick], body, recovery: 'ErrbackOnly' }, sick]),
    from: isOver,
    isLong: true,
    meanwhile: { redrive },
    ends: [
      {
        state: 'SUCCESS',
        value: [['well', 'well'], 'well'],
        made: [...NESTED, ...[...NESTED_AGAIN, '.0.body', '.body'].map((id) => `${id} g1`)],
      },
    ],
  },
  'a wide chord in a wide chord, both put back by two at the same time': {
    ...WHILE_HELD,
    canvas: chord([{ kind: 'chord', header: [sick], body, recovery: 'ErrbackOnly' }, sick]),
    untaken: /^c(\.\d)+$/,
    meanwhile: { redrive, 'the same': again },
    ends: [
      {
        state: 'PENDING',
        made: [
          ...['', '.0', '.0.0', '.1', '.errback.0'],
          ...['', '.0', '.0.0', '.1'].map((id) => `${id} g1`),
        ],
        unfinished: ['waiting-children', '.0 waiting-children', '.0.0 waiting', '.1 waiting'].map(
          (id) => `${CANVAS_ID}${id.startsWith('.') ? '' : ' '}${id}`,
        ),
      },
    ],
  },
};

const ENDING = { from: ({ isEnding }: Standing) => isEnding };
const ONCE: Expected[] = [
  { state: 'FAILURE', made: ['', '.0', '.errback.0'] },
  { state: 'SUCCESS', value: ['well'], made: ['', '.0', '.errback.0', ' g1', '.0 g1', '.body g1'] },
];
const IN_VAIN = ['', '.0', '.errback.0', ' g1', '.0 g1', '.g1.errback.0 g1'];

/** Canvases that somebody redrives while they run, or are about to end. */
export const EARLY: Readonly<Record<string, Case>> = {
  'a chord that is redriven while it fails': {
    canvas: chord([sick]),
    meanwhile: { redrive: redriveEarly },
    fewer: 1,
    refusals: ['running'],
    ends: ONCE,
  },
  'a chord that is redriven while it succeeds': {
    canvas: chord([good(1)]),
    meanwhile: { redrive: redriveEarly },
    fewer: 1,
    refusals: ['running', 'succeeded'],
    ends: [{ state: 'SUCCESS', value: [1], made: ['', '.0', '.body'] }],
  },
  'a chord that two redrive while it fails': {
    canvas: chord([sick]),
    ...ENDING,
    meanwhile: { redrive: redriveEarly, 'the same': redriveEarly },
    fewer: 1,
    isLong: true,
    refusals: ['running'],
    ends: ONCE,
  },
  'a chord that is redriven while its next generation fails': {
    canvas: chord([bad]),
    ...ENDING,
    meanwhile: { redrive: redriveLast, 'redrive again': redriveLast },
    fewer: 1,
    isLong: true,
    refusals: ['running'],
    ends: [
      { state: 'FAILURE', made: ['', '.0', '.errback.0'] },
      { state: 'FAILURE', made: IN_VAIN },
      { state: 'FAILURE', made: [...IN_VAIN, ' g2', '.0 g2', '.g2.errback.0 g2'] },
    ],
  },
};
