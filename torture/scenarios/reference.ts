/** A random canvas, and what the reference interpreter says that it has to come to. */
import { isDeepStrictEqual } from 'node:util';
import { canvasOf } from '../../test/support/reference/canvas-of.js';
import { toCanvasData } from '../../test/support/reference-canvas.js';
import { CanvasRunner } from '../../test/support/reference-runner.js';
import { RunLog } from '../../test/support/reference-tasks.js';
import type { Random } from '../../test/support/reference/random.js';
import { render } from '../../test/support/reference/render.js';
import type { Plan } from './scenario.js';

export function referencePlan(random: Random): Plan {
  const seed = Math.floor(random() * 1_000_000);
  const canvas = canvasOf(seed);
  // A task that has expired is refused when it is first taken up; the next worker cannot tell that it never began.
  // What several tasks add has an order only where none of them is lost.
  if (/expired|adder/.test(render(canvas))) return referencePlan(random);
  return {
    canvas: toCanvasData(canvas),
    judge: async ({ id, runs, callbacks }, workflows) => {
      const log = new RunLog();
      // A callback runs at least once, and is told the same each time.
      const told = new Map(callbacks.map((callback) => [callback.id, callback]));
      for (const callback of told.values()) log.recorded(callback);
      const runner = new CanvasRunner({ workflows, module: { get: () => log } } as never);
      const { outcome, observations, got } = await runner.seen(id);
      const expected = CanvasRunner.expected(canvas);
      const [seen, wanted] = [
        { outcome, observations, got },
        { outcome: expected.outcome, observations: expected.observations, got: expected.got },
      ];
      const wrong = Object.entries(expected.runs).flatMap(([key, times]) => {
        const ran = runs.filter((run) => `${run.id.slice(id.length)} ${run.task}` === key).length;
        return ran < times ? [`"${key}" ran ${ran}× instead of ${times}× or more`] : [];
      });
      if (!isDeepStrictEqual(seen, wanted))
        wrong.push(`expected ${JSON.stringify(wanted)}`, `seen ${JSON.stringify(seen)}`);
      return wrong.length === 0 ? [] : [`canvas of seed ${seed}: ${render(canvas)}`, ...wrong];
    },
  };
}
