import { setImmediate as turn } from 'node:timers/promises';
import { CanvasRunner } from '../../support/reference-runner.js';
import { Duplicates } from '../../support/duplicates.js';
import { type MemoryApp, startMemoryApp } from '../../support/memory-app.js';
import { RandomCanvases, randomCases } from '../../support/random-canvases.js';
import { ALL_SHAPES, shapesOf } from '../../support/reference/shapes.js';

/**
 * Most canvases are compared with the written semantics without Redis, which is faster. CANVAS_CASES says how many;
 * CANVAS_SEED begins with the seed that a failure names.
 */
const CASES = Number(process.env['CANVAS_CASES'] ?? 2_000);
const FIRST_SEED = Number(process.env['CANVAS_SEED'] ?? 1);
const cases = randomCases(FIRST_SEED, CASES);

jest.setTimeout(60_000 + CASES * 100);

interface World {
  readonly mode: 'stepwise' | 'immediate';
  readonly clock: 'virtual' | 'system';
  /** Of all cases. */
  readonly share: number;
  readonly inline: number;
  /** Which share of the jobs is handed out twice. */
  readonly twice: number;
}

describe.each<World>([
  { mode: 'stepwise', clock: 'virtual', share: 1, inline: 16_384, twice: 0 },
  // One job in eight is handed out twice.
  { mode: 'stepwise', clock: 'virtual', share: 0.25, inline: 16_384, twice: 0.125 },
  // Every value stays where it came about, and is referred to.
  { mode: 'stepwise', clock: 'virtual', share: 0.25, inline: 1, twice: 0 },
  // Publishing waits for its canvas, so there is nobody to move a clock on to the limit of a task.
  { mode: 'immediate', clock: 'system', share: 0.1, inline: 16_384, twice: 0 },
])(
  'random canvases without Redis, $mode, values of up to $inline characters inline, $twice of all jobs twice',
  ({ mode, clock, share, inline, twice }: World) => {
    const some = cases
      .slice(0, Math.ceil(CASES * share))
      .filter(({ revocation }) => twice === 0 || revocation === undefined);
    let runner: CanvasRunner<MemoryApp>;
    afterEach(async () => {
      jest.restoreAllMocks();
      await runner.app.close();
    });

    it(`do what the semantics say, seeds ${FIRST_SEED} to ${FIRST_SEED + some.length - 1}`, async () => {
      const duplicates = twice === 0 ? undefined : Duplicates.inMemory(twice);
      runner = new CanvasRunner(
        await startMemoryApp(CanvasRunner.providers, {
          mode,
          clock,
          maxSteps: 1_000_000,
          patience: '15ms',
          limits: { inlineCharacters: inline },
        }),
      );

      const canvases = new RandomCanvases(runner, true, duplicates);
      let isOver = false;
      const published = canvases.runAll(some).finally(() => (isOver = true));
      for (; mode === 'stepwise' && !isOver; await turn()) await runner.app.quiet();
      const ids = await published;
      await runner.app.quiet();

      const wrong = await canvases.disagreements(ids);
      if (wrong.length > 0) throw new Error(await canvases.explain(wrong));
      expect(runner.app.queue.waiting()).toEqual([]);
      // One canvas that is looked at has what it has.
      if (some.length > 100)
        for (const count of Object.values(duplicates?.counts ?? {}))
          expect(count).toBeGreaterThan(some.length / 20);
    });
  },
);

it('cover every shape that a canvas can have', () => {
  expect(new Set(cases.map(({ road }) => road)).size).toBe(4);
  const covered = new Set(cases.flatMap(({ canvas }) => [...shapesOf(canvas)]));
  expect(ALL_SHAPES.filter((shape) => !covered.has(shape))).toEqual([]);
});
