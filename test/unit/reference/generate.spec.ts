import {
  childrenOf,
  chord,
  nodesOf,
  task,
  type Json,
  type Ref,
} from '../../support/reference/canvas-model.js';
import { generate, generateWide } from '../../support/reference/generate.js';
import { interpret } from '../../support/reference/interpret.js';
import { mulberry32 } from '../../support/reference/random.js';
import { ALL_SHAPES, shapesOf } from '../../support/reference/shapes.js';
import { peakValueSize } from '../../support/reference/value-size.js';

const SEEDS = Array.from({ length: 2_000 }, (_, seed) => seed);

const depthOf = (ref: Ref): number =>
  ref.kind === 'task' ? 0 : 1 + Math.max(0, ...childrenOf(ref).map(depthOf));

const widthOf = (ref: Ref): number => (ref.kind === 'chord' ? ref.header.length : childrenOf(ref).length);

const sizeOf = (value: Json): number =>
  typeof value === 'object' && value !== null
    ? Object.values(value).reduce<number>((size, inner) => size + sizeOf(inner), 1)
    : 1;

describe('mulberry32', () => {
  it('gives the published sequence', () => {
    const random = mulberry32(0);
    expect([random(), random(), random()]).toEqual([
      0.26642920868471265, 0.0003297457005828619, 0.2232720274478197,
    ]);
  });
});

describe('generate', () => {
  const canvases = SEEDS.map((seed) => generate(seed));

  it('gives the same canvas for the same seed', () => {
    expect(SEEDS.map((seed) => generate(seed))).toEqual(canvases);
    expect(new Set(canvases.map((canvas) => JSON.stringify(canvas))).size).toBeGreaterThan(1_800);
  });

  it('makes every shape, each in at least 5 of 2,000 canvases', () => {
    const counts = new Map(ALL_SHAPES.map((shape) => [shape, 0]));
    for (const canvas of canvases) {
      for (const shape of shapesOf(canvas)) counts.set(shape, (counts.get(shape) ?? 0) + 1);
    }
    expect([...counts.keys()]).toEqual(ALL_SHAPES);
    expect([...counts].filter(([, count]) => count < 5)).toEqual([]);
  });

  it('makes successes and failures alike, and every kind of failure', () => {
    const outcomes = canvases.map((canvas) => interpret(canvas).outcome);
    const kinds = outcomes.map((outcome) => (outcome.ok ? 'success' : outcome.failure.kind));
    for (const kind of ['success', 'task', 'group', 'chord']) {
      expect(kinds.filter((found) => found === kind).length).toBeGreaterThan(50);
    }
  });

  it('records links and errbacks, and skips some of each', () => {
    const recorded = canvases.flatMap((canvas) => interpret(canvas).observations);
    const attached = canvases.flatMap((canvas) => [...nodesOf(canvas)]);
    for (const kind of ['link', 'errback'] as const) {
      const ran = recorded.filter((observation) => observation.kind === kind).length;
      expect(ran).toBeGreaterThan(500);
      expect(attached.filter((node) => node[kind] !== undefined).length).toBeGreaterThan(ran);
    }
  });

  it('records no label twice but those that hang on each member of a group', () => {
    for (const canvas of canvases) {
      const each = new Set([...nodesOf(canvas)].map((node) => node.kind === 'group' && node.eachErrback));
      const all = interpret(canvas).observations.map(({ label }) => label);
      const labels = all.filter((label) => !each.has(label));
      expect(new Set(labels).size).toBe(labels.length);
    }
  });

  it('gives every label, tag included, to one node only', () => {
    for (const canvas of canvases) {
      const labels = [...nodesOf(canvas)].flatMap((node) => {
        const tags = node.kind === 'task' && node.name === 'fail' ? node.args : [];
        const each = node.kind === 'group' ? node.eachErrback : undefined;
        return [node.link, node.errback, each, ...tags].filter((label) => label !== undefined);
      });
      expect(new Set(labels).size).toBe(labels.length);
    }
  });

  it('keeps to its limits, and values stay small', () => {
    for (const canvas of canvases) {
      const nodes = [...nodesOf(canvas)];
      expect(depthOf(canvas)).toBeLessThanOrEqual(4);
      expect(Math.max(...nodes.map(widthOf))).toBeLessThanOrEqual(4);
      expect(nodes.length).toBeLessThanOrEqual(46);
      expect(peakValueSize(canvas)).toBeLessThanOrEqual(1_000);
    }
  });

  it('takes smaller limits', () => {
    for (const seed of SEEDS.slice(0, 200)) {
      const canvas = generate(seed, { maxDepth: 2, maxWidth: 1, maxNodes: 5 });
      expect(depthOf(canvas)).toBeLessThanOrEqual(2);
      expect(Math.max(...[...nodesOf(canvas)].map(widthOf))).toBeLessThanOrEqual(1);
    }
  });

  it('makes wide canvases small enough to run', () => {
    for (const seed of SEEDS.slice(0, 50)) {
      expect(peakValueSize(generate(seed, { maxWidth: 12, maxNodes: 200 }))).toBeLessThanOrEqual(1_000);
    }
  });

  it('makes canvases as wide as asked for, whose join is small', () => {
    for (const seed of SEEDS.slice(0, 40)) {
      const canvas = generateWide(seed, 500);
      expect(Math.max(...[...nodesOf(canvas)].map(widthOf))).toBe(500);
    }
    expect(
      new Set(SEEDS.slice(0, 40).map((seed) => interpret(generateWide(seed, 200)).outcome.ok)).size,
    ).toBe(2);
  });

  it('makes nothing that fails at a failure rate of 0', () => {
    for (const seed of SEEDS) expect(interpret(generate(seed, { failureRate: 0 })).outcome.ok).toBe(true);
  });
});

describe('peakValueSize', () => {
  it('counts the records of settled members', () => {
    const header = [task('fail'), task('fail')];
    const canvas = chord(header, task('ident'), 'callback-with-outcomes');
    const { outcome } = interpret(canvas);
    const records = outcome.ok ? sizeOf(outcome.value) : Infinity;
    expect(records).toBe(13);
    expect(peakValueSize(canvas)).toBeGreaterThanOrEqual(records);
  });

  it('is never below a value that a canvas hands around', () => {
    for (const seed of SEEDS) {
      const canvas = generate(seed, { failureRate: 0.05 });
      const { outcome, observations } = interpret(canvas, undefined, {
        outcomesWhenHeaderSucceeds: 'outcomes',
      });
      const values = observations.filter(({ kind }) => kind === 'link').map(({ payload }) => payload);
      if (outcome.ok) values.push(outcome.value);
      expect(Math.max(0, ...values.map(sizeOf))).toBeLessThanOrEqual(peakValueSize(canvas));
    }
  });
});
