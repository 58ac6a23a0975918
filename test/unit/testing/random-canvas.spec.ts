import { setImmediate as turn } from 'node:timers/promises';
import { CanvasRunner } from '../../support/reference-runner.js';
import { type MemoryApp, startMemoryApp } from '../../support/memory-app.js';
import { RandomCanvases, randomCases } from '../../support/random-canvases.js';
import { ALL_SHAPES, shapesOf } from '../../support/reference/shapes.js';

/** Without Redis many more canvases can be compared with the written semantics: CANVAS_CASES says how many. */
const CASES = Number(process.env['CANVAS_CASES'] ?? 600);
const FIRST_SEED = Number(process.env['CANVAS_SEED'] ?? 1);
const cases = randomCases(FIRST_SEED, CASES);

jest.setTimeout(60_000 + CASES * 100);

describe.each([
  { mode: 'stepwise', clock: 'virtual', share: 1, inline: 16_384 },
  // Every value stays where it came about, and is referred to.
  { mode: 'stepwise', clock: 'virtual', share: 0.5, inline: 1 },
  // Publishing waits for its canvas, so there is nobody to move a clock on to the limit of a task.
  { mode: 'immediate', clock: 'system', share: 0.2, inline: 16_384 },
] as const)(
  'random canvases without Redis, $mode, values of up to $inline characters inline',
  ({ mode, clock, share, inline }) => {
    const some = cases.slice(0, Math.ceil(CASES * share));
    let runner: CanvasRunner<MemoryApp>;
    afterEach(() => runner.app.close());

    it(`do what the semantics say, seeds ${FIRST_SEED} to ${FIRST_SEED + some.length - 1}`, async () => {
      runner = new CanvasRunner(
        await startMemoryApp(CanvasRunner.providers, {
          mode,
          clock,
          maxSteps: 1_000_000,
          patience: '15ms',
          limits: { inlineCharacters: inline },
        }),
      );

      const canvases = new RandomCanvases(runner, true);
      let isOver = false;
      const published = canvases.runAll(some).finally(() => (isOver = true));
      for (; mode === 'stepwise' && !isOver; await turn()) await runner.app.quiet();
      const ids = await published;
      await runner.app.quiet();

      const wrong = await canvases.disagreements(ids);
      if (wrong.length > 0) throw new Error(await canvases.explain(wrong));
      expect(runner.app.queue.waiting()).toEqual([]);
    });
  },
);

it('cover every shape that a canvas can have', () => {
  const covered = new Set(cases.flatMap(({ canvas }) => [...shapesOf(canvas)]));
  expect(ALL_SHAPES.filter((shape) => !covered.has(shape))).toEqual([]);
});
