import { inTurns, until } from '../support/canvas-runner.js';
import { CanvasRunner } from '../support/reference-runner.js';
import { RandomCanvases, randomCases } from '../support/random-canvases.js';
import { ALL_SHAPES, shapesOf } from '../support/reference/shapes.js';

/**
 * Random canvases, run for real and compared with what an interpreter of the written semantics says: value or
 * failure at every depth, every callback once with its payload, every handler as often as it should run.
 *
 * CANVAS_CASES=5000 runs that many; CANVAS_SEED=123 begins with that seed, for the one that a failure names.
 */
const CASES = Number(process.env['CANVAS_CASES'] ?? 800);
const FIRST_SEED = Number(process.env['CANVAS_SEED'] ?? 1);

/**
 * What stays of a prefix when nothing is stored about any task: per queue BullMQ's counter of ids, options,
 * event stream, marker and the time of the last look for stalled jobs, the set of queue names, and who mends damage in this
 * moment. Dead letters outlive their tasks, within bounds of their own.
 */
const BOOKKEEPING =
  /^(_queues|_token|_lock:_reconciler|_workers(:about)?|_dead(:about|:letters)?|(default|_canvas):(id|meta|events|marker|stalled-check))$/;

const isHook = (job: string): boolean => /\.hook\.\d+$/.test(job);

const cases = randomCases(FIRST_SEED, CASES);

jest.setTimeout(120_000 + CASES * 1_000);

describe('random canvases', () => {
  let runner: CanvasRunner;
  afterEach(() => runner.app.close());

  it(`do what the semantics say, seeds ${FIRST_SEED} to ${FIRST_SEED + CASES - 1}, and leave nothing when forgotten`, async () => {
    runner = await CanvasRunner.start();

    const canvases = new RandomCanvases(runner, false);
    const ids = await canvases.runAll(cases);
    await runner.app.quiet();

    const wrong = await canvases.disagreements(ids);
    if (wrong.length > 0) throw new Error(await canvases.explain(wrong));
    await inTurns([...ids], 60, ([, id]) => runner.forget(id));
    // Hooks go by the age of their queue, as the next test shows.
    const { prefix, redis } = runner.app;
    const ended = await redis.zrange(`{${prefix}:0}:default:completed`, '0', '-1');
    const kept = new Set(['default:completed', ...ended.filter(isHook).map((hook) => `default:${hook}`)]);
    expect(ended.filter((job) => !isHook(job))).toEqual([]);
    const left = (await runner.app.keys()).filter((key) => !BOOKKEEPING.test(key) && !kept.has(key));
    expect(left).toEqual([]);
  });

  it('leave nothing behind when their results expire, in any shard', async () => {
    runner = await CanvasRunner.start({ defaults: { resultExpires: '1s' }, shards: 3 });
    const keys = async (): Promise<string[]> =>
      (await runner.app.keys()).filter((key) => !BOOKKEEPING.test(key));

    const runs = cases.slice(0, 60).map(({ canvas, road }) => runner.run(canvas, road));

    await until(keys, (stored) => stored.includes('_expiry'));
    await Promise.allSettled(runs);
    await until(keys, (left) => left.length === 0);
  });
});

it('cover every shape that a canvas can have', () => {
  expect(new Set(cases.map(({ road }) => road)).size).toBe(4);
  const covered = new Set(cases.flatMap(({ canvas }) => [...shapesOf(canvas)]));
  expect(ALL_SHAPES.filter((shape) => !covered.has(shape))).toEqual([]);
});
