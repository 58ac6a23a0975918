import { readFileSync } from 'node:fs';
import type { CanvasData } from '../../../libs/task-queue/src/canvas/canvas-data.js';
import { explore, type Explored } from './explore.js';
import { CANVAS_ID, type Phase, PHASES, type Scenario, type World } from './world.js';

/**
 * The protocol of canvases, every way that it can go: see docs/protocol.md. Not a model of it: the code of production, on
 * the store in memory, with each command of each worker as a step of its own, workers lost between any two of them, and
 * those who were lost going on at any later time.
 *
 * PROTOCOL_LOSSES=2 loses two workers in each scenario, and takes far longer.
 */
const LOSSES = Math.max(1, Number(process.env['PROTOCOL_LOSSES'] ?? 1));

const task = (name: string, ...args: number[]): CanvasData => ({ kind: 'task', task: name, args });
const good = (value: number): CanvasData => task('good', value);
const bad = task('bad');
const errbacks = [task('errback')];
const links = [task('link')];

const tasks: Scenario['tasks'] = {
  good: ([value]) => value ?? null,
  bad: () => {
    throw new TypeError('broken');
  },
  plus: ([value, more]) => Number(value) + Number(more),
  body: ([values]) => values ?? null,
  errback: () => null,
  link: () => null,
};

/** What has to be true wherever nothing is left to do. */
interface Expected {
  readonly state: 'SUCCESS' | 'FAILURE';
  readonly value?: unknown;
  /** Every job that may ever be made, by its id below the canvas, and made exactly once. */
  readonly made: readonly string[];
  /** Where there are too many ways for as many workers to be lost as elsewhere. */
  readonly losses?: number;
}

const SCENARIOS: Readonly<Record<string, readonly [CanvasData, Expected]>> = {
  'a chain': [
    { kind: 'chain', steps: [good(1), task('plus', 1)], errbacks, links },
    { state: 'SUCCESS', value: 2, made: ['', '.0', '.1', '.link.0'] },
  ],
  'a chain whose second step fails': [
    { kind: 'chain', steps: [good(1), bad, task('plus', 1)], errbacks, links },
    { state: 'FAILURE', made: ['', '.0', '.1', '.errback.0'] },
  ],
  'a group': [
    { kind: 'group', members: [good(1), good(2)], errbacks, links },
    { state: 'SUCCESS', value: [1, 2], made: ['', '.0', '.1', '.link.0'] },
  ],
  'a group with a member that fails': [
    { kind: 'group', members: [good(1), bad], errbacks, links },
    { state: 'FAILURE', made: ['', '.0', '.1', '.errback.0'] },
  ],
  'a chord': [
    { kind: 'chord', header: [good(1), good(2)], body: task('body'), errbacks },
    { state: 'SUCCESS', value: [1, 2], made: ['', '.0', '.1', '.body'] },
  ],
  'a chord with a member that fails': [
    { kind: 'chord', header: [good(1), bad], body: task('body'), errbacks, recovery: 'ErrbackOnly' },
    { state: 'FAILURE', made: ['', '.0', '.1', '.errback.0'] },
  ],
  'a chord that is recovered': [
    {
      kind: 'chord',
      header: [good(1), bad],
      body: task('body'),
      errbacks,
      recovery: 'CallbackWithSuccesses',
    },
    { state: 'SUCCESS', value: [1], made: ['', '.0', '.1', '.body'] },
  ],
  'a chord that is recovered, and whose body fails': [
    { kind: 'chord', header: [good(1), bad], body: bad, errbacks, recovery: 'CallbackWithSuccesses' },
    { state: 'FAILURE', made: ['', '.0', '.1', '.body', '.errback.0'] },
  ],
  'a group that fails fast': [
    { kind: 'group', members: [bad, good(1)], errbacks, failFast: true },
    { state: 'FAILURE', made: ['', '.0', '.1', '.errback.0'], losses: LOSSES - 1 },
  ],
  'a chord in the header of a chord': [
    {
      kind: 'chord',
      header: [{ kind: 'chord', header: [good(1)], body: task('body') }],
      body: task('body'),
      errbacks,
    },
    { state: 'SUCCESS', value: [[1]], made: ['', '.0', '.0.0', '.0.body', '.body'] },
  ],
};

/** Chords that are revoked; the second one takes as long as everything else together. */
const REVOKED = [
  ['a chord', [good(1), good(2)], 'ErrbackOnly'],
  ['a chord that is recovered', [good(1), bad], 'CallbackWithSuccesses'],
] as const;

/** What was seen over all scenarios. */
const seen = new Set<Phase>();

afterEach(() => {
  Error.stackTraceLimit = 10;
});

async function everyWay(scenario: Scenario, atEnd: (world: World) => Promise<void>): Promise<Explored> {
  Error.stackTraceLimit = 0; // thousands of errors that nobody reads
  const explored = await explore(scenario, atEnd);
  for (const phase of explored.phases) seen.add(phase);
  process.stdout.write(
    `protocol: ${String(explored.states)} states, ${String(explored.ends)} ends: ${expect.getState().currentTestName ?? ''}\n`,
  );
  return explored;
}

function expectMade(world: World, made: readonly string[]): void {
  expect(world.made()).toEqual(Object.fromEntries(made.map((id) => [`${CANVAS_ID}${id}`, 1])));
}

describe('every way that the protocol can go', () => {
  it.each(Object.entries(SCENARIOS))(
    '%s, with workers lost at any command',
    async (_name, [canvas, expected]) => {
      const { losses = LOSSES } = expected;
      const explored = await everyWay({ canvas, tasks, losses }, async (world) => {
        expect(world.unfinished()).toEqual([]);
        expect(await world.state()).toBe(expected.state);
        if (expected.state === 'SUCCESS') expect(await world.value()).toEqual(expected.value);
        expectMade(world, expected.made);
        for (const count of world.calls.values()) expect(count).toBeLessThanOrEqual(1 + losses);
      });
      expect(explored.ends).toBeGreaterThan(1);
    },
    1_800_000,
  );

  it.each(REVOKED.slice(0, LOSSES))(
    '%s that is revoked at any moment',
    async (_name, header, recovery) => {
      const canvas: CanvasData = { kind: 'chord', header, body: task('body'), errbacks, recovery };
      const ends = new Set<string>();
      const revoke: Scenario['meanwhile'] = (engine) => engine.revocation.revoke(CANVAS_ID);
      await everyWay({ canvas, tasks, losses: 0, meanwhile: revoke }, async (world) => {
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
    1_800_000,
  );

  it('comes through every state that the guide names', () => {
    const guide = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8');
    const [, table = ''] = guide.split('| state ');
    const named = Array.from(table.split('\n\n')[0]?.matchAll(/^\| `([^`]+)`/gm) ?? [], ([, state]) => state);
    expect(named).toEqual([...PHASES]);
    expect([...PHASES].filter((phase) => !seen.has(phase))).toEqual([]);
  });
});
