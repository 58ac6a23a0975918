/** Chords that are parts of something. */
import type { CanvasData } from 'nestjs-task-queue';
import { call, indexes, members, once, type Scenario, stateIs, times, unlessAll } from './scenario.js';

/** A chord among the members of a chord; it recovers by itself. */
export const nested: Scenario = {
  name: 'nested',
  paths: ['worker'],
  plan: (size) => {
    const inner: CanvasData = {
      kind: 'chord',
      header: members('final', ...times(size - 1, 'value' as const)),
      body: call('body'),
      recovery: 'CallbackWithSuccesses',
      errbacks: [call('errback')],
    };
    return {
      canvas: {
        kind: 'chord',
        header: [inner, ...members('value')],
        body: call('body'),
        errbacks: [call('errback')],
      },
      made: once(...indexes(size, '.0'), '.0.body', '.1', '.body'),
      judge: ({ state, gotBy }) => [
        ...stateIs('SUCCESS', state),
        ...unlessAll(
          gotBy('.0.body'),
          (got) => Array.isArray(got) && got.length === size - 1,
          'the successes',
        ),
        ...unlessAll(gotBy('.body'), (got) => Array.isArray(got) && got.length === 2, 'every value'),
      ],
    };
  },
};

/** A chord between the steps of a chain, and a chain among its members. */
export const chained: Scenario = {
  name: 'chained',
  paths: ['worker'],
  plan: (size) => ({
    canvas: {
      kind: 'chain',
      steps: [
        ...members('value'),
        {
          kind: 'chord',
          header: [{ kind: 'chain', steps: [call('step'), call('step')] }, ...times(size - 1, call('step'))],
          body: call('body'),
        },
        call('step'),
      ],
      links: [call('link')],
    },
    made: once('.0', '.1.0.0', '.1.0.1', ...indexes(size, '.1').slice(1), '.1.body', '.2', '.link.0'),
    judge: ({ state, gotBy }) => [
      ...stateIs('SUCCESS', state),
      ...unlessAll(gotBy('.1.body'), (got) => Array.isArray(got) && got.length === size, 'every value'),
    ],
  }),
};

/** Many chords side by side, in a group. */
export const grove: Scenario = {
  name: 'grove',
  paths: ['worker'],
  plan: (size) => ({
    canvas: {
      kind: 'group',
      members: times(size, { kind: 'chord', header: members('value', 'value'), body: call('body') } as const),
    },
    made: once(...indexes(size).flatMap((chord) => [...indexes(2, chord), `${chord}.body`])),
    judge: ({ state, gotBy }) => [
      ...stateIs('SUCCESS', state),
      ...indexes(size).flatMap((chord) =>
        unlessAll(gotBy(`${chord}.body`), (got) => Array.isArray(got) && got.length === 2, 'every value'),
      ),
    ],
  }),
};
