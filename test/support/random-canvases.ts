import { isDeepStrictEqual } from 'node:util';
import { type CanvasApp, inTurns } from './canvas-runner.js';
import { CanvasRunner, type Road } from './reference-runner.js';
import type { Ref } from './reference/canvas-model.js';
import { generate, generateWide } from './reference/generate.js';
import { render } from './reference/render.js';
import { shrink } from './reference/shrink.js';

const AT_ONCE = 60;
const ROADS: readonly Road[] = ['data', 'fluent', 'json'];

/** A random canvas, and the road by which it is published. */
export interface Case {
  readonly seed: number;
  readonly canvas: Ref;
  readonly road: Road;
}

/** The canvas of a seed: now and then one of up to 2,000 members, or deeper than others. */
export function canvasOf(seed: number): Ref {
  if (seed % WIDE_EVERY === 0) return generateWide(seed, 200 + ((seed * 7_919) % 1_801));
  // Every fourth canvas meets with trouble nearly everywhere.
  const failureRate = seed % 4 === 0 ? 0.4 : 0.12;
  return generate(seed, { failureRate, ...(seed % 8 === 5 ? { maxDepth: 6, maxNodes: 40 } : {}) });
}

/** One canvas in so many is wide. */
const WIDE_EVERY = 250;

/** The canvases of so many seeds. */
export function randomCases(firstSeed: number, count: number): Case[] {
  return Array.from({ length: count }, (_, at): Case => {
    const seed = firstSeed + at;
    return { seed, canvas: canvasOf(seed), road: ROADS[seed % ROADS.length] as Road };
  });
}

type Runner = CanvasRunner<CanvasApp>;

/** @returns the id of each canvas that came to an end, by seed */
export async function runAll(runner: Runner, all: readonly Case[]): Promise<Map<Case, string>> {
  const ids = new Map<Case, string>();
  await inTurns(all, AT_ONCE, async (one) => {
    const id = await runner.run(one.canvas, one.road).catch((error: unknown) => `no end: ${String(error)}`);
    ids.set(one, id);
  });
  return ids;
}

/** A canvas that went wrong, and what it came to. */
export interface Disagreement {
  readonly one: Case;
  readonly seen: unknown;
}

/** The canvases that came to something else than the semantics say. */
export async function disagreements(runner: Runner, ids: ReadonlyMap<Case, string>): Promise<Disagreement[]> {
  const wrong: Disagreement[] = [];
  await inTurns([...ids], AT_ONCE, async ([one, id]) => {
    const seen = id.startsWith('no end') ? id : await runner.seen(id);
    if (!isDeepStrictEqual(seen, CanvasRunner.expected(one.canvas))) wrong.push({ one, seen });
  });
  return wrong;
}

/** The seeds, and the first of them shrunk to the smallest canvas that still goes wrong. */
export async function explain(runner: Runner, wrong: readonly Disagreement[]): Promise<string> {
  const [first] = [...wrong].sort((a, b) => render(a.one.canvas).length - render(b.one.canvas).length);
  if (first === undefined) return '';
  const { road, seed } = first.one;
  let last = first.seen;
  const { canvas } = await shrink(first.one.canvas, async (smaller) => {
    const [found] = await disagreements(runner, await runOne(runner, { seed, canvas: smaller, road }));
    if (found) last = found.seen;
    return found !== undefined;
  });
  return [
    `${wrong.length} canvases differ; seeds ${wrong.map(({ one }) => one.seed).join(', ')}`,
    `seed ${seed} (${road}): ${render(first.one.canvas)}`,
    `shrunk: ${render(canvas)}`,
    `expected: ${JSON.stringify(CanvasRunner.expected(canvas), undefined, 1)}`,
    `seen: ${JSON.stringify(last, undefined, 1)}`,
  ].join('\n');
}

async function runOne(runner: Runner, { canvas, road, ...rest }: Case): Promise<Map<Case, string>> {
  const id = await runner.publish(canvas, road);
  // Without Redis nothing runs unless somebody waits for quiet.
  const [end] = await Promise.all([
    runner.ended(id, 5_000).then(
      () => id,
      (error: unknown) => `no end: ${String(error)}`,
    ),
    runner.app.quiet().catch(() => undefined),
  ]);
  return new Map([[{ canvas, road, ...rest }, end]]);
}
