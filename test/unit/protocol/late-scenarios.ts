import type { CanvasData, ChordData } from '../../../libs/task-queue/src/canvas/canvas-data.js';
import {
  bad,
  chord,
  errbacks,
  good,
  isOver,
  isParked,
  LATE as UNHEARD,
  revoke,
  setBudget,
  task,
} from './canvases.js';
import { CANVAS_ID } from './scenario.js';
import type { Case, Expected } from './scenarios.js';

const DEADLINE = { afterMs: 100, from: 'dispatch', rest: 'leave' } as const;
const RECOVERED = { recovery: 'CallbackWithSuccesses', deadline: DEADLINE } as const;
/** The deadline has passed, and nobody has closed the header yet. */
const DUE = { waits: 1, from: ({ isDue }: { readonly isDue: boolean }) => isDue };
/** Nobody has ended by then. */
const CLOSED = { waits: 1, from: ({ isClosed }: { readonly isClosed: boolean }) => isClosed };
/** Nor by the end of the chord. */
const ENDED = { waits: 1, from: isOver };
const BOTH = ['', '.0', '.1', '.body'];
const LATE = { kind: 'task', task: 'told', args: [] } as const;

/** A chord whose deadline has passed, of one member or two. */
const late = (header: readonly CanvasData[], more: Partial<ChordData>): CanvasData =>
  chord(header, { ...RECOVERED, ...more });

/** What is told, and what the body got before. */
function told(value: unknown, ...outcomes: string[]): Expected {
  const made = outcomes.length > 0 ? [...BOTH, '.late.0'] : BOTH;
  return { state: 'SUCCESS', value, made, ...(outcomes.length > 0 ? { told: outcomes } : {}) };
}

function toldOfOne(value: unknown, ...outcomes: string[]): Expected {
  const expected = told(value, ...outcomes);
  return { ...expected, made: expected.made.filter((id) => id !== '.1') };
}

/** The chord after another generation of its body, and only its body. */
function amended(value: unknown, header: readonly string[]): Expected {
  return { state: 'SUCCESS', value, made: ['', ...header, '.body', ' g1', '.body-1 g1'] };
}

/** Members that have not ended by the deadline, and come to something after it: nobody is told. */
export const DROPPED: Readonly<Record<string, Case>> = {
  'a chord with a member that fails about the time of the deadline': {
    canvas: chord([bad], { deadline: DEADLINE }),
    ...DUE,
    fewer: 1,
    ends: [
      { state: 'SUCCESS', value: [], made: ['', '.0', '.body'] },
      { state: 'FAILURE', made: ['', '.0', '.errback.0'] },
    ],
  },
  'a chord with members that end after the deadline': {
    canvas: chord([good(1), bad], { deadline: DEADLINE }),
    ...CLOSED,
    fewer: 1,
    ends: [{ state: 'SUCCESS', value: [], made: BOTH }],
  },
};

/** The same, and somebody is told. */
export const TOLD: Readonly<Record<string, Case>> = {
  'a chord whose member ends about the time of the deadline, and is told': {
    canvas: late([good(1)], { late: LATE }),
    ...DUE,
    fewer: 1,
    isLong: true,
    ends: [toldOfOne([1]), toldOfOne([], '0 came to 1')],
  },
  'a chord whose late members are told': {
    canvas: late([good(1), bad], { late: LATE }),
    ...ENDED,
    fewer: 1,
    ends: [told([], '0 came to 1', '1 failed')],
  },
  'a chord whose late member is told by workers that are lost': {
    canvas: late([good(1)], { late: LATE }),
    ...ENDED,
    loses: /late/,
    ends: [toldOfOne([], '0 came to 1')],
  },
  'a chord whose late member loses its worker': {
    canvas: late([good(1)], { late: LATE }),
    ...ENDED,
    loses: /^c\.0/,
    ends: [toldOfOne([], '0 came to 1')],
  },
  'a chord whose late members are revoked, and not told': {
    canvas: late([good(1)], { late: LATE, deadline: { ...DEADLINE, rest: 'revoke' } }),
    ...DUE,
    fewer: 1,
    isLong: true,
    ends: [toldOfOne([1]), toldOfOne([]), toldOfOne([], '0 came to 1')],
  },
};

/** The same, and the chord goes on with them. */
export const AMENDED: Readonly<Record<string, Case>> = {
  'a chord whose member ends about the time of the deadline, and amends it': {
    canvas: late([good(1)], { late: 'amend' }),
    ...DUE,
    fewer: 1,
    isLong: true,
    ends: [toldOfOne([1]), amended([1], ['.0'])],
  },
  'a chord that is amended by its late members': {
    canvas: late([good(1), bad], { late: 'amend' }),
    ...ENDED,
    fewer: 1,
    ends: [amended([1], ['.0', '.1'])],
  },
  'a chord that is amended by a late member that fails': {
    canvas: chord([bad], { deadline: DEADLINE, late: 'amend' }),
    ...ENDED,
    fewer: 1,
    ends: [{ state: 'FAILURE', made: ['', '.0', '.body', ' g1', '.g1.errback.0 g1'] }],
  },
  'a chord that is amended by workers that are lost': {
    canvas: late([good(1)], { late: 'amend' }),
    ...ENDED,
    loses: /late/,
    ends: [amended([1], ['.0'])],
  },
};

const PARKS = { count: 0, onBreach: 'park' } as const;
const BY_WORKERS = /^c/;
const WITHHELD = { untaken: /^c\.1$/ };

/** Headers that somebody changes, or does away with, while they are at work. */
export const CHANGED: Readonly<Record<string, Case>> = {
  'a group that fails fast while a member is never taken up': {
    canvas: { kind: 'group', members: [bad, good(1)], errbacks, failFast: true },
    ...WITHHELD,
    fewer: 1,
    ends: [{ state: 'FAILURE', made: ['', '.0', '.1', '.errback.0'] }],
  },
  'a chord whose second failure breaches the budget': {
    canvas: chord([bad, good(1), bad], { budget: { count: 1 }, recovery: 'CallbackWithSuccesses' }),
    ...WITHHELD,
    fewer: 1,
    ends: [{ state: 'FAILURE', made: ['', '.0', '.1', '.2', '.errback.0'] }],
  },
  'a chord with a budget whose deadline passes while it is judged': {
    canvas: late([bad, good(1)], { budget: { count: 1 } }),
    ...WITHHELD,
    waits: 1,
    fewer: 1,
    ends: [{ state: 'SUCCESS', value: [], made: BOTH, unfinished: [`${CANVAS_ID}.1 waiting`, UNHEARD] }],
  },
  'a chord whose budget is lowered while it runs': {
    canvas: chord([bad, good(1)], { budget: { count: 1 }, recovery: 'CallbackWithSuccesses' }),
    ...WITHHELD,
    loses: BY_WORKERS,
    fewer: 1,
    meanwhile: { lower: setBudget({ count: 0 }) },
    ends: [{ state: 'FAILURE', made: ['', '.0', '.1', '.errback.0'] }],
  },
  'a chord that is parked in the moment in which its budget is raised': {
    canvas: chord([bad], { recovery: 'CallbackWithSuccesses', budget: PARKS }),
    loses: BY_WORKERS,
    fewer: 1,
    meanwhile: { raise: setBudget({ count: 1 }) },
    ends: [{ state: 'SUCCESS', value: [], made: ['', '.0', '.body'] }],
  },
  'a chord whose budget two change at the same time': {
    canvas: chord([bad], { recovery: 'CallbackWithSuccesses', budget: PARKS }),
    from: isParked,
    loses: BY_WORKERS,
    fewer: 1,
    meanwhile: { raise: setBudget({ count: 1 }), 'give up': setBudget({ count: 0 }) },
    ends: [
      { state: 'SUCCESS', value: [], made: ['', '.0', '.body'] },
      { state: 'FAILURE', made: ['', '.0', '.errback.0'] },
    ],
  },
  'a chord that is parked in the moment in which it is revoked': {
    canvas: chord([bad], { budget: PARKS }),
    fewer: 1,
    meanwhile: { revoke },
    ends: [{ state: 'REVOKED', made: ['', '.0', '.errback.0'] }],
  },
  'a chord that is revoked by somebody who may be lost': {
    canvas: chord([good(1)]),
    isLong: true,
    loses: /revoke/,
    meanwhile: { revoke },
    ends: [
      { state: 'SUCCESS', value: [1], made: ['', '.0', '.body'] },
      { state: 'REVOKED', made: ['', '.0', '.errback.0'] },
      { state: 'REVOKED', made: ['', '.0', '.body', '.errback.0'] },
    ],
  },
  'a chord that is revoked, whose body is never taken up': {
    canvas: chord([good(1)]),
    untaken: /body/,
    fewer: 1,
    meanwhile: { revoke },
    ends: [
      { state: 'REVOKED', made: ['', '.0', '.errback.0'] },
      { state: 'REVOKED', made: ['', '.0', '.body', '.errback.0'] },
    ],
  },
  'a group whose member adds another': {
    canvas: { kind: 'group', members: [task('adder')], errbacks, links: [task('link')] },
    ends: [{ state: 'SUCCESS', value: [1, 2], made: ['', '.0', '.1', '.link.0'] }],
  },
  'a group that is revoked while its member adds another': {
    canvas: { kind: 'group', members: [task('adder')], errbacks },
    fewer: 1,
    meanwhile: { revoke },
    ends: [
      { state: 'SUCCESS', value: [1, 2], made: ['', '.0', '.1'] },
      { state: 'REVOKED', made: ['', '.0', '.errback.0'] },
      { state: 'REVOKED', made: ['', '.0', '.1', '.errback.0'] },
    ],
  },
  'a chord whose member adds another when the deadline has passed': {
    canvas: chord([task('adder')], RECOVERED),
    ...DUE,
    fewer: 1,
    isLong: true,
    ends: [
      { state: 'SUCCESS', value: [1, 2], made: BOTH },
      { state: 'SUCCESS', value: [1], made: BOTH },
      { state: 'SUCCESS', value: [2], made: BOTH },
      { state: 'SUCCESS', value: [], made: BOTH },
      { state: 'SUCCESS', value: [], made: ['', '.0', '.body'] },
    ],
  },
};
