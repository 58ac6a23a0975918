import type { CanvasData } from '../../../libs/task-queue/src/canvas/canvas-data.js';
import type { DeadlineData } from '../../../libs/task-queue/src/canvas/deadline-rule.js';
import { TASKS } from './canvases.js';
import { explore, type Explored } from './explore.js';
import { CANVAS_ID, type Scenario } from './scenario.js';
import type { Case, Expected } from './scenarios.js';
import type { World } from './world.js';

/** How many are lost in each way: PROTOCOL_LOSSES=2 takes far longer. */
export const LOSSES = Math.max(1, Number(process.env['PROTOCOL_LOSSES'] ?? 1));

/** Longer than every exploration takes. */
export const PATIENCE_MS = 3_600_000;

/** Goes every way of a scenario, and says how many there were. */
export async function everyWay(
  scenario: Scenario,
  atEnd: (world: World) => Promise<void>,
): Promise<Explored> {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0; // thousands of errors that nobody reads
  try {
    const explored = await explore(scenario, atEnd);
    const { states, ends, isWhole } = explored;
    const name = expect.getState().currentTestName ?? '';
    const whole = isWhole ? '' : ', and not all of them';
    process.stdout.write(`protocol: ${String(states)} states${whole}, ${String(ends)} ends: ${name}\n`);
    return explored;
  } finally {
    Error.stackTraceLimit = limit;
  }
}

/** Goes every way of a case: each end is one of those that it may come to, and all of those are come to. */
export async function everyEndOf(one: Case, losses = LOSSES - (one.fewer ?? 0)): Promise<Explored> {
  const { ends, endsOfLosses = [], refusals = [], fewer: _fewer, isLong: _isLong, ...rest } = one;
  const { deadline = deadlineOf(one.canvas), ...scenario } = rest;
  const met = new Set<Expected>();
  const refused = new Set<string>();
  const explored = await everyWay({ ...scenario, tasks: TASKS, losses }, async (world) => {
    const end = await endOf(world, losses > 0 ? [...ends, ...endsOfLosses] : ends);
    expect(world.unfinished().sort()).toEqual(end.unfinished ?? []);
    met.add(end);
    expect(world.forgotten).toEqual([]);
    if (await world.isRevoked()) expect(world.unfinished()).toEqual([]);
    for (const [call, count] of world.calls)
      if (count > 1 + losses) throw new Error(`${call} was called ${String(count)} times`);
    const closing = world.closing(deadline?.from);
    if (closing?.by === 'deadline')
      expect(closing.afterMs).toBeGreaterThanOrEqual(deadline?.afterMs ?? Infinity);
    // Whoever is told that a generation has begun can rely on it.
    for (const [who, outcome] of world.outcomes) {
      refused.add(outcome);
      if (!/redrive|the same/.test(who) || refusals.includes(outcome)) continue;
      expect(outcome).toBe('done');
      expect(world.made()[`${CANVAS_ID} g1`]).toBe(1);
    }
  });
  if (explored.isWhole && losses >= 1 - (one.fewer ?? 0)) {
    expect(ends.filter((end) => !met.has(end))).toEqual([]);
    expect(refusals.filter((reason) => !refused.has(reason))).toEqual([]);
  }
  return explored;
}

function deadlineOf(canvas: CanvasData): DeadlineData | undefined {
  return canvas.kind === 'chord' ? canvas.deadline : undefined;
}

/** The callback that hears of late members. */
const TOLD = `${CANVAS_ID}.late.0`;

async function endOf(world: World, ends: readonly Expected[]): Promise<Expected> {
  const [state, value, made] = [await world.state(), await world.value(), world.made()];
  const told = await world.value(TOLD);
  for (const end of ends) {
    const whole = Object.fromEntries(end.made.map((id) => [`${CANVAS_ID}${id}`, 1]));
    const isSame =
      state === end.state &&
      equal(made, whole) &&
      (end.state !== 'SUCCESS' || equal(value, end.value)) &&
      equal(told, end.told);
    if (isSame) return end;
  }
  throw new Error(`it came to ${JSON.stringify({ state, value, made, told })}`);
}

function equal(one: unknown, other: unknown): boolean {
  return JSON.stringify(inOrder(one)) === JSON.stringify(inOrder(other));
}

function inOrder(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
}
