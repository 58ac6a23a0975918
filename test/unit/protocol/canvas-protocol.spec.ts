import type { CanvasData } from '../../../libs/task-queue/src/canvas/canvas-data.js';
import { TASKS } from './canvases.js';
import { everyEndOf, everyWay, LOSSES, PATIENCE_MS } from './check.js';
import { CANVAS_ID, type Scenario } from './scenario.js';
import { PLAIN } from './scenarios.js';

/**
 * The protocol of canvases, every way that it can go: see docs/protocol.md. Not a model of it: the code of production, on
 * the store in memory, with each command of each worker as a step of its own, workers lost between any two of them, and
 * those who were lost going on at any later time.
 *
 * PROTOCOL_LOSSES=2 loses two workers in each scenario, and takes far longer.
 */
const task = (name: string, ...args: number[]): CanvasData => ({ kind: 'task', task: name, args });
const [one, two, bad, body, errback] = [
  task('good', 1),
  task('good', 2),
  task('bad'),
  task('body'),
  task('errback'),
];

/** Chords that are revoked; the second one takes as long as everything else together. */
const REVOKED = [
  ['a chord', [one, two], 'ErrbackOnly'],
  ['a chord that is recovered', [one, bad], 'CallbackWithSuccesses'],
] as const;

describe('every way that a canvas can go', () => {
  it.each(Object.entries(PLAIN))(
    '%s, with workers lost at any command',
    async (_name, plain) => {
      expect((await everyEndOf(plain)).ends).toBeGreaterThan(1);
    },
    PATIENCE_MS,
  );

  it.each(REVOKED.slice(0, LOSSES))(
    '%s that is revoked at any moment',
    async (_name, header, recovery) => {
      const canvas: CanvasData = { kind: 'chord', header, body, errbacks: [errback], recovery };
      const ends = new Set<string>();
      const meanwhile: Scenario['meanwhile'] = {
        revoke: { act: (engine) => engine.revocation.revoke(CANVAS_ID) },
      };
      await everyWay({ canvas, tasks: TASKS, losses: 0, meanwhile }, async (world) => {
        expect(world.unfinished()).toEqual([]);
        const state = await world.state();
        ends.add(state);
        const { [`${CANVAS_ID}.body`]: bodies = 0, [`${CANVAS_ID}.errback.0`]: released = 0 } = world.made();
        expect(bodies).toBeLessThanOrEqual(1);
        expect(released).toBe(state === 'SUCCESS' ? 0 : 1);
        if (state === 'SUCCESS') expect(bodies).toBe(1);
      });
      expect([...ends].sort()).toEqual(['REVOKED', 'SUCCESS']);
    },
    PATIENCE_MS,
  );
});
