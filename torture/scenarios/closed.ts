/** Chords that do not wait for all of their members: a budget, or a deadline with somebody who hears what comes late. */
import type { Evidence } from '../evidence.js';
import {
  call,
  indexes,
  members,
  once,
  type Plan,
  type Scenario,
  stateIs,
  times,
  unlessAll,
} from './scenario.js';

const values = (size: number) => times(size, 'value' as const);

/** As many fail as may: the body runs with what the others came to. */
export const tolerated: Scenario = {
  name: 'tolerated',
  paths: ['worker'],
  plan: (size) => ({
    canvas: {
      kind: 'chord',
      header: members('final', ...values(size - 1)),
      body: call('body'),
      recovery: 'CallbackWithSuccesses',
      budget: { count: 1 },
      errbacks: [call('errback')],
    },
    made: once(...indexes(size), '.body'),
    judge: ({ state, gotBy }) => [
      ...stateIs('SUCCESS', state),
      ...unlessAll(
        gotBy('.body'),
        (got) => Array.isArray(got) && got.length === size - 1,
        'every value of those who succeeded',
      ),
    ],
  }),
};

/** More fail than may: the errback runs, and no body. Members go on. */
export const breached: Scenario = { name: 'breached', paths: ['worker'], plan: (size) => breach(size, 1) };

/** The first member that fails is one too many. */
export const fast: Scenario = { name: 'fast', paths: ['worker'], plan: (size) => breach(size, 0) };

/**
 * A member fails, and the rest is cancelled; what failed and what was cancelled is run again, and the body follows with what
 * returned meanwhile.
 */
export const reopened: Scenario = {
  name: 'reopened',
  paths: ['producer', 'worker'],
  plan: (size) => ({
    canvas: {
      kind: 'chord',
      header: members('mended', 'late', ...values(size - 2)),
      body: call('body'),
      failFast: true,
      errbacks: [call('errback')],
    },
    isRedriven: true,
    // Who had returned when the header was closed, or after it, is not made again.
    made: ({ made }) => ({
      ...Object.fromEntries(indexes(size).map((path) => [path, made[path] === 2 ? 2 : 1])),
      ...once('.errback.0', '.body'),
      '.0': 2,
    }),
    judge: ({ state, gotBy, runs }) => [
      ...stateIs('SUCCESS', state),
      ...unlessAll(gotBy('.errback.0'), (got) => isOfAll(got, size), 'what became of every member'),
      ...unlessAll(gotBy('.body'), (got) => Array.isArray(got) && got.length === size, 'every value'),
      ...runs
        .filter(({ task, generation }) => generation !== (task === 'body' ? 1 : 0) && task !== 'member')
        .map(({ task, generation }) => `${task} ran in generation ${generation}`),
    ],
  }),
};

/** What an errback notes. */
interface Told {
  readonly failed: readonly number[];
  readonly succeeded: readonly unknown[];
}

/** One more fails than may. */
function breach(size: number, count: number): Plan {
  const failing = count + 1;
  return {
    canvas: {
      kind: 'chord',
      header: members(...times(failing, 'final' as const), ...values(size - failing)),
      body: call('body'),
      budget: { count, rest: 'leave' },
      errbacks: [call('errback')],
    },
    made: once(...indexes(size), '.errback.0'),
    judge: ({ state, gotBy }) => [
      ...stateIs('FAILURE', state),
      ...unlessAll(
        gotBy('.errback.0'),
        // Members that had not ended by then stand among those who failed.
        (got) => {
          const { failed } = got as unknown as Told;
          const isTold = Array.from({ length: failing }, (_, at) => failed.includes(at));
          return isTold.every(Boolean) && isOfAll(got, size);
        },
        'what became of every member',
      ),
    ],
  };
}

/** Whether an errback was told of every member. */
function isOfAll(got: unknown, size: number): boolean {
  const { failed, succeeded } = got as Told;
  return failed.length + succeeded.length === size;
}

/** What comes after the deadline goes to a callback of its own. */
export const late: Scenario = {
  name: 'late',
  paths: ['worker'],
  plan: (size) => closing(size, call('link'), '.late.0'),
};

/** What comes after the deadline amends the chord: its body runs once more, with all. */
export const amended: Scenario = {
  name: 'amended',
  paths: ['worker'],
  plan: (size) => closing(size, 'amend', '.body-1'),
};

/** @param follows what is released for a member that is late: a fault may hold up the deadline until none is */
function closing(size: number, rule: 'amend' | ReturnType<typeof call>, follows: string): Plan {
  const wasLate = ({ gotBy }: Evidence): boolean => {
    const [got] = gotBy('.body');
    return Array.isArray(got) && got.length < size;
  };
  return {
    isAmended: rule === 'amend',
    canvas: {
      kind: 'chord',
      header: members(...values(size - 1), 'late'),
      body: call('body'),
      deadline: { afterMs: 700, from: 'dispatch', rest: 'leave' },
      late: rule,
      errbacks: [call('errback')],
    },
    made: (evidence) => once(...indexes(size), '.body', ...(wasLate(evidence) ? [follows] : [])),
    judge: ({ state, gotBy }) => [
      ...stateIs('SUCCESS', state),
      ...unlessAll(gotBy('.body'), (got) => Array.isArray(got) && got.length <= size, 'values'),
      ...unlessAll(gotBy('.body-1'), (got) => Array.isArray(got) && got.length === size, 'every value'),
    ],
  };
}
