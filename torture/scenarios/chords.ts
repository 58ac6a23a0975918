/** What becomes of one chord: its body, or its errback. */
import { call, indexes, members, once, type Scenario, stateIs, times, unlessAll } from './scenario.js';

const values = (size: number) => times(size, 'value' as const);

/** Every member succeeds: the body runs, and what is linked to the chord. */
export const join: Scenario = {
  name: 'join',
  paths: ['producer', 'worker'],
  plan: (size) => ({
    canvas: {
      kind: 'chord',
      header: members(...values(size)),
      body: call('body'),
      links: [call('link')],
      errbacks: [call('errback')],
    },
    made: once(...indexes(size), '.body', '.link.0'),
    judge: ({ state, gotBy }) => [
      ...stateIs('SUCCESS', state),
      ...unlessAll(gotBy('.body'), (got) => Array.isArray(got) && got.length === size, 'every value'),
    ],
  }),
};

/** A member fails at first and is tried again. */
export const retry: Scenario = {
  name: 'retry',
  paths: ['worker'],
  plan: (size) => ({
    canvas: { kind: 'chord', header: members('flaky', ...values(size - 1)), body: call('body') },
    made: once(...indexes(size), '.body'),
    judge: ({ state }) => stateIs('SUCCESS', state),
  }),
};

/** A member fails, and the chord recovers: its body is told what became of each member. */
export const recovery: Scenario = {
  name: 'recovery',
  paths: ['worker'],
  plan: (size) => ({
    canvas: {
      kind: 'chord',
      header: members('final', ...values(size - 1)),
      body: call('body'),
      recovery: 'CallbackWithOutcomes',
      errbacks: [call('errback')],
    },
    made: once(...indexes(size), '.body'),
    judge: ({ state, gotBy }) => [
      ...stateIs('SUCCESS', state),
      ...unlessAll(
        gotBy('.body'),
        (got) => statusesOf(got) === ['rejected', ...times(size - 1, 'fulfilled')].join(),
        'what became of every member',
      ),
    ],
  }),
};

/** A member fails, and with it the chord: its errback is told what became of each member. */
export const errback: Scenario = {
  name: 'errback',
  paths: ['worker'],
  plan: (size) => ({
    canvas: {
      kind: 'chord',
      header: members(...values(size - 1), 'final'),
      body: call('body'),
      errbacks: [call('errback')],
    },
    made: once(...indexes(size), '.errback.0'),
    judge: ({ state, gotBy }) => [
      ...stateIs('FAILURE', state),
      ...unlessAll(gotBy('.errback.0'), (got) => hasFailed(got, [size - 1], size), 'every member'),
    ],
  }),
};

/** It fails; what failed is run again, and this time the body follows. */
export const redrive: Scenario = {
  name: 'redrive',
  paths: ['producer', 'worker'],
  plan: (size) => ({
    canvas: {
      kind: 'chord',
      header: members('mended', ...values(size - 1)),
      body: call('body'),
      errbacks: [call('errback')],
    },
    isRedriven: true,
    made: { ...once(...indexes(size), '.errback.0', '.body'), '.0': 2 },
    judge: ({ state, gotBy, runs }) => [
      ...stateIs('SUCCESS', state),
      // It may run while the next generation is under way, and then sees what has become of the member.
      ...unlessAll(
        gotBy('.errback.0'),
        (got) => hasFailed(got, [0], size) || hasFailed(got, [], size),
        'every member',
      ),
      ...unlessAll(gotBy('.body'), (got) => Array.isArray(got) && got.length === size, 'every value'),
      ...runs
        .filter(({ task, generation }) => generation !== (task === 'body' ? 1 : 0) && task !== 'member')
        .map(({ task, generation }) => `${task} ran in generation ${generation}`),
    ],
  }),
};

/** Its time is over before its last member has ended: the body runs with what is there, and what comes later is dropped. */
export const deadline: Scenario = {
  name: 'deadline',
  paths: ['worker'],
  plan: (size) => ({
    canvas: {
      kind: 'chord',
      header: members(...values(size - 1), 'late'),
      body: call('body'),
      deadline: { afterMs: 700, from: 'dispatch', rest: 'leave' },
      errbacks: [call('errback')],
    },
    made: once(...indexes(size), '.body'),
    judge: ({ state, gotBy }) => [
      ...stateIs('SUCCESS', state),
      ...unlessAll(gotBy('.body'), (got) => Array.isArray(got) && got.length <= size, 'values'),
    ],
  }),
};

/** Its header is read from a source, and published in several chunks. */
export const wide: Scenario = {
  name: 'wide',
  paths: ['producer'],
  isLeased: true,
  plan: (size) => ({
    canvas: { kind: 'chord', header: members(...values(3 * size)), body: call('body') },
    isStreamed: true,
    made: once(...indexes(3 * size), '.body'),
    judge: ({ state, gotBy }) => [
      ...stateIs('SUCCESS', state),
      ...unlessAll(gotBy('.body'), (got) => Array.isArray(got) && got.length === 3 * size, 'every value'),
    ],
  }),
};

const statusesOf = (got: unknown): string =>
  Array.isArray(got) ? got.map((outcome: { status?: string }) => outcome.status).join() : String(got);

function hasFailed(got: unknown, failed: readonly number[], size: number): boolean {
  const told = got as { failed?: number[]; succeeded?: { index: number }[] };
  const others = Array.from({ length: size }, (_, index) => index).filter((index) => !failed.includes(index));
  return (
    told.failed?.join() === failed.join() &&
    told.succeeded?.map(({ index }) => index).join() === others.join()
  );
}
