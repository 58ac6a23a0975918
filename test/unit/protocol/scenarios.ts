import type { DeadlineData } from '../../../libs/task-queue/src/canvas/deadline-rule.js';
import {
  bad,
  body,
  chord,
  errbacks,
  good,
  isHolding,
  isOver,
  isParked,
  LATE,
  links,
  redrive,
  revoke,
  setBudget,
  sick,
  task,
} from './canvases.js';
import { CANVAS_ID, type Scenario } from './scenario.js';

/** What has to be true wherever nothing is left to do. */
export interface Expected {
  readonly state: 'SUCCESS' | 'FAILURE' | 'REVOKED' | 'STARTED' | 'PENDING' | 'UNKNOWN';
  readonly value?: unknown;
  /** What the callback was told that hears of late members, where it is called. */
  readonly told?: readonly string[];
  /** Every job that may ever be made, by its id below the canvas, and made exactly once. */
  readonly made: readonly string[];
  /** What waits for somebody. */
  readonly unfinished?: readonly string[];
}

/** How a canvas can go, and every end that it may come to. */
export interface Case extends Omit<Scenario, 'losses' | 'tasks'> {
  readonly ends: readonly Expected[];
  /** What it may come to besides when somebody is lost. */
  readonly endsOfLosses?: readonly Expected[];
  /** Where there are too many ways for as many to be lost as elsewhere. */
  readonly fewer?: number;
  /** Of a canvas that is published by somebody else. */
  readonly deadline?: DeadlineData;
  /** Why whoever redrives it may be refused. */
  readonly refusals?: readonly string[];
  /** Takes minutes: gone through with PROTOCOL_LOSSES=2 alone. */
  readonly isLong?: boolean;
}

/** Canvases without anybody who does something from outside. */
export const PLAIN: Readonly<Record<string, Case>> = {
  'a chain': {
    canvas: { kind: 'chain', steps: [good(1), task('plus', 1)], errbacks, links },
    ends: [{ state: 'SUCCESS', value: 2, made: ['', '.0', '.1', '.link.0'] }],
  },
  'a chain whose second step fails': {
    canvas: { kind: 'chain', steps: [good(1), bad, task('plus', 1)], errbacks, links },
    ends: [{ state: 'FAILURE', made: ['', '.0', '.1', '.errback.0'] }],
  },
  'a group': {
    canvas: { kind: 'group', members: [good(1), good(2)], errbacks, links },
    ends: [{ state: 'SUCCESS', value: [1, 2], made: ['', '.0', '.1', '.link.0'] }],
  },
  'a group with a member that fails': {
    canvas: { kind: 'group', members: [good(1), bad], errbacks, links },
    ends: [{ state: 'FAILURE', made: ['', '.0', '.1', '.errback.0'] }],
  },
  'a chord': {
    canvas: chord([good(1), good(2)]),
    ends: [{ state: 'SUCCESS', value: [1, 2], made: ['', '.0', '.1', '.body'] }],
  },
  'a chord with a member that fails': {
    canvas: chord([good(1), bad]),
    ends: [{ state: 'FAILURE', made: ['', '.0', '.1', '.errback.0'] }],
  },
  'a chord that is recovered': {
    canvas: chord([good(1), bad], { recovery: 'CallbackWithSuccesses' }),
    ends: [{ state: 'SUCCESS', value: [1], made: ['', '.0', '.1', '.body'] }],
  },
  'a chord that is recovered, and whose body fails': {
    canvas: chord([good(1), bad], { body: bad, recovery: 'CallbackWithSuccesses' }),
    ends: [{ state: 'FAILURE', made: ['', '.0', '.1', '.body', '.errback.0'] }],
  },
  'a chord with a member that may not lose its worker': {
    canvas: chord([good(1)], { body: task('body') }),
    maxTimesLost: 0,
    loses: /^c\.0/,
    ends: [
      { state: 'SUCCESS', value: [1], made: ['', '.0', '.body'] },
      { state: 'FAILURE', made: ['', '.0', '.errback.0'] },
    ],
  },
  'a chord in the header of a chord': {
    canvas: chord([{ kind: 'chord', header: [good(1)], body }]),
    ends: [{ state: 'SUCCESS', value: [[1]], made: ['', '.0', '.0.0', '.0.body', '.body'] }],
  },
};

/** Whoever sets a budget does it or not: he is not lost in the middle of it. */
const BY_WORKERS = /^c/;
const PARKED: Expected = {
  state: 'STARTED',
  made: ['', '.0'],
  unfinished: [`${CANVAS_ID} waiting-children`, `${CANVAS_ID}.hold delayed`],
};
const PARKS = { count: 0, onBreach: 'park' } as const;
const DEADLINE = { afterMs: 100, from: 'dispatch', rest: 'leave' } as const;

/** Headers that are judged before their last member has ended. */
export const JUDGED: Readonly<Record<string, Case>> = {
  'a group that fails fast': {
    canvas: { kind: 'group', members: [bad, good(1)], errbacks, failFast: true },
    fewer: 1,
    ends: [{ state: 'FAILURE', made: ['', '.0', '.1', '.errback.0'] }],
  },
  'a group of one that is to fail fast': {
    canvas: { kind: 'group', members: [bad], errbacks, failFast: true },
    ends: [{ state: 'FAILURE', made: ['', '.0', '.errback.0'] }],
  },
  'a chord whose budget is not spent': {
    canvas: chord([bad, good(1)], { recovery: 'CallbackWithSuccesses', budget: { count: 1 } }),
    fewer: 1,
    ends: [{ state: 'SUCCESS', value: [1], made: ['', '.0', '.1', '.body'] }],
  },
  'a chord whose strategy answers differently each time': {
    canvas: chord([good(1), bad], { recovery: 'Fickle' }),
    strategies: { Fickle: (time) => (time === 1 ? { run: 'callback', args: [7] } : { run: 'errback' }) },
    ends: [
      { state: 'SUCCESS', value: 7, made: ['', '.0', '.1', '.body'] },
      // Whoever asked first was lost before he could write down what he heard.
      { state: 'FAILURE', made: ['', '.0', '.1', '.errback.0'] },
    ],
  },
  'a chord that is parked': { canvas: chord([bad], { budget: PARKS }), ends: [PARKED] },
  'a chord that is parked, and whose budget is raised': {
    canvas: chord([bad], { recovery: 'CallbackWithSuccesses', budget: PARKS }),
    from: isParked,
    loses: BY_WORKERS,
    meanwhile: { raise: setBudget({ count: 1 }) },
    fewer: 1,
    ends: [{ state: 'SUCCESS', value: [], made: ['', '.0', '.body'] }],
  },
  'a chord that is parked while a member runs, and whose budget is raised': {
    canvas: chord([good(1), bad], { recovery: 'CallbackWithSuccesses', budget: PARKS }),
    loses: BY_WORKERS,
    meanwhile: { raise: setBudget({ count: 1 }) },
    fewer: 1,
    ends: [{ state: 'SUCCESS', value: [1], made: ['', '.0', '.1', '.body'] }],
  },
  'a chord that is parked, and whose budget lets it fail': {
    canvas: chord([bad], { recovery: 'CallbackWithSuccesses', budget: PARKS }),
    from: isParked,
    loses: BY_WORKERS,
    meanwhile: { 'give up': setBudget({ count: 0 }) },
    ends: [{ state: 'FAILURE', made: ['', '.0', '.errback.0'] }],
  },
  'a chord that is parked, and revoked': {
    canvas: chord([bad], { budget: PARKS }),
    from: isParked,
    meanwhile: { revoke },
    // Who asks for it may be lost before anybody has heard of it.
    ends: [{ state: 'REVOKED', made: ['', '.0', '.errback.0'] }, PARKED],
  },
  'a chord that is parked, and goes on while its hold is at work': {
    canvas: chord([good(1), bad], { recovery: 'CallbackWithSuccesses', budget: PARKS }),
    from: isHolding,
    waits: 1,
    loses: BY_WORKERS,
    meanwhile: { raise: setBudget({ count: 1 }) },
    fewer: 1,
    ends: [{ state: 'SUCCESS', value: [1], made: ['', '.0', '.1', '.body'] }],
  },
  'a chord that is parked, and fails while its hold is at work': {
    canvas: chord([bad], { budget: PARKS }),
    from: isHolding,
    waits: 1,
    fewer: 1,
    loses: BY_WORKERS,
    meanwhile: { 'give up': setBudget({ count: 0 }) },
    ends: [{ state: 'FAILURE', made: ['', '.0', '.errback.0'] }],
  },
  'a chord whose deadline passes': {
    canvas: chord([good(1)], { deadline: DEADLINE }),
    waits: 1,
    from: ({ isDue }) => isDue,
    fewer: 1,
    ends: [[1], []].map((value) => ({ state: 'SUCCESS', value, made: ['', '.0', '.body'] })),
  },
  'a chord with a deadline whose timer is lost': {
    canvas: chord([good(1)], { deadline: DEADLINE }),
    waits: 1,
    loses: /deadline/,
    ends: [[1], []].map((value) => ({ state: 'SUCCESS', value, made: ['', '.0', '.body'] })),
  },
  'a chord whose deadline counts from its first outcome': {
    canvas: chord([good(1), good(2)], { deadline: { ...DEADLINE, from: 'first-outcome' } }),
    loses: /deadline/,
    untaken: /^c\.1$/,
    ends: [
      {
        state: 'SUCCESS',
        value: [1],
        made: ['', '.0', '.1', '.body'],
        unfinished: [`${CANVAS_ID}.1 waiting`, LATE],
      },
    ],
  },
  'a chord whose deadline counts from a member that is revoked while it waits': {
    canvas: chord([good(1), good(2)], {
      recovery: 'CallbackWithSuccesses',
      deadline: { ...DEADLINE, from: 'first-outcome' },
    }),
    loses: /deadline|revoke/,
    untaken: /^c\.1$/,
    meanwhile: { revoke: { act: (engine) => engine.revocation.revoke(`${CANVAS_ID}.0`) } },
    ends: [[1], []].map((value) => ({
      state: 'SUCCESS',
      value,
      made: ['', '.0', '.1', '.body'],
      unfinished: [`${CANVAS_ID}.1 waiting`, LATE],
    })),
  },
  'a chord whose deadline counts from its last outcome': {
    canvas: chord([good(1), bad, good(3)], {
      recovery: 'CallbackWithSuccesses',
      deadline: { ...DEADLINE, from: 'last-outcome' },
    }),
    untaken: /^c\.2$/,
    waits: 1,
    fewer: 1,
    from: ({ isTicking }) => isTicking,
    ends: [
      {
        state: 'SUCCESS',
        value: [1],
        made: ['', '.0', '.1', '.2', '.body'],
        unfinished: [`${CANVAS_ID}.2 waiting`, LATE],
      },
    ],
  },
  'a chord of two with a deadline': {
    canvas: chord([good(1), good(2)], { deadline: DEADLINE }),
    waits: 1,
    fewer: 1,
    ends: [[1, 2], [1], [2], []].map((value) => ({
      state: 'SUCCESS',
      value,
      made: ['', '.0', '.1', '.body'],
    })),
  },
};

/** What workers do in a later generation is what they do in the first. */
const REDRIVERS = /redrive|same/;

/** Canvases that are redriven when they have failed. */
export const REDRIVEN: Readonly<Record<string, Case>> = {
  'a chord that is redriven': {
    canvas: chord([sick]),
    loses: REDRIVERS,
    meanwhile: { redrive },
    ends: again(['', '.0', '.errback.0'], ['well'], ['', '.0', '.body']),
  },
  'a chord with a deadline that is redriven while its timer is at work': {
    canvas: chord([sick], { deadline: DEADLINE }),
    waits: 1,
    fewer: 1,
    from: ({ isTicking }) => isTicking,
    meanwhile: { redrive: { ...redrive, when: (canvas) => canvas.isOver && !canvas.isDue } },
    ends: [
      // The deadline has passed before the member had failed.
      { state: 'SUCCESS', value: [], made: ['', '.0', '.body'] },
      ...again(['', '.0', '.errback.0'], ['well'], ['', '.0', '.body']),
    ],
  },
  'a chord that is redriven by two at the same time': {
    canvas: chord([sick]),
    fewer: 1,
    isLong: true,
    from: isOver,
    meanwhile: { redrive, 'the same': redrive },
    ends: again(['', '.0', '.errback.0'], ['well'], ['', '.0', '.body']),
  },
  'a chord whose body alone is redriven': {
    canvas: chord([good(1)], { body: task('sickBody') }),
    from: isOver,
    meanwhile: { redrive },
    ends: again(['', '.0', '.body', '.errback.0'], [1], ['', '.body']),
  },
  'a chain that is redriven from its failed step': {
    canvas: { kind: 'chain', steps: [good(1), sick, body], errbacks },
    from: isOver,
    loses: REDRIVERS,
    meanwhile: { redrive },
    ends: again(['', '.0', '.1', '.errback.0'], 'well', ['', '.1', '.2']),
  },
  'a recovered chord that is redriven, and whose body runs anew': {
    canvas: chord([good(1), sick], { recovery: 'CallbackWithSuccesses' }),
    from: isOver,
    loses: REDRIVERS,
    meanwhile: { redrive },
    ends: again(['', '.0', '.1', '.body'], [1, 'well'], ['', '.1', '.body-1'], {
      state: 'SUCCESS',
      value: [1],
    }),
  },
  'a chord in a chord, both redriven': {
    canvas: chord([{ kind: 'chord', header: [sick], body, recovery: 'ErrbackOnly' }]),
    from: isOver,
    loses: REDRIVERS,
    meanwhile: { redrive },
    ends: again(['', '.0', '.0.0', '.errback.0'], [['well']], ['', '.0', '.0.0', '.0.body', '.body']),
  },
  'a chord that is redriven in vain': {
    canvas: chord([good(1), bad]),
    from: isOver,
    loses: REDRIVERS,
    meanwhile: { redrive },
    ends: [
      { state: 'FAILURE', made: ['', '.0', '.1', '.errback.0'] },
      { state: 'FAILURE', made: ['', '.0', '.1', '.errback.0', ' g1', '.1 g1', '.g1.errback.0 g1'] },
    ],
  },
};

/** What there is after one generation, for who asks for another one may be lost, and after two. */
function again(
  first: readonly string[],
  value: unknown,
  second: readonly string[],
  before: Omit<Expected, 'made'> = { state: 'FAILURE' },
): Expected[] {
  return [
    { ...before, made: first },
    { state: 'SUCCESS', value, made: [...first, ...second.map((id) => `${id} g1`)] },
  ];
}
