import { call, indexes, members, once, type Scenario, times } from './scenario.js';

/** Every member succeeds: the body runs, and what is linked to the chord. */
export const join: Scenario = {
  name: 'join',
  paths: ['producer', 'worker'],
  plan: (size) => ({
    canvas: {
      kind: 'chord',
      header: members(...times(size, 'value' as const)),
      body: call('body'),
      links: [call('link')],
      errbacks: [call('errback')],
    },
    made: once(...indexes(size), '.body', '.link.0'),
    judge: ({ state, gotBy }) => [
      ...(state === 'SUCCESS' ? [] : [`it is ${state}`]),
      ...(gotBy('.body').every((got) => Array.isArray(got) && got.length === size)
        ? []
        : ['the body did not get every value']),
    ],
  }),
};
