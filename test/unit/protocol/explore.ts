import { type Phase } from './phase.js';
import type { Move, Scenario } from './scenario.js';
import { World } from './world.js';

/** What an exploration has seen. */
export interface Explored {
  readonly states: number;
  readonly moves: number;
  /** Those in which nothing was left to do, except for who was lost. */
  readonly ends: number;
  readonly phases: ReadonlySet<Phase>;
  /** From which state to which one it came in one step: `header → after the header`. */
  readonly transitions: ReadonlySet<string>;
  /** The commands between which somebody could be lost. */
  readonly commands: ReadonlySet<string>;
}

/**
 * Goes every way that a scenario can go, each state once: depth first, from the beginning again for each way that was put
 * off, because running code cannot be copied.
 *
 * @param atEnd looks at each world in which nobody has anything left to do but those who were lost; what it throws is
 *   told with the way there
 */
export async function explore(scenario: Scenario, atEnd: (world: World) => Promise<void>): Promise<Explored> {
  const seen = new Set<string>();
  const phases = new Set<Phase>();
  const transitions = new Set<string>();
  const commands = new Set<string>();
  const putOff: (readonly Move[])[] = [[]];
  let moves = 0;
  let ends = 0;
  for (let path = putOff.pop(); path !== undefined; path = putOff.pop()) {
    const way = [...path];
    const world = await World.begin(scenario);
    try {
      const last = way.pop();
      for (const move of way) await world.make(move);
      let before = await world.phase();
      if (last !== undefined) {
        await world.make(last);
        way.push(last);
      }
      for (;;) {
        const phase = await world.phase();
        if (phase !== undefined) phases.add(phase);
        if (before !== undefined && phase !== undefined && before !== phase)
          transitions.add(`${before} → ${phase}`);
        before = phase;
        const { key } = world;
        if (seen.has(key)) break;
        seen.add(key);
        const [first, ...others] = world.moves();
        for (const move of others) putOff.push([...way, move]);
        // Whoever has been lost may never go on.
        if (world.isQuiet) {
          ends += 1;
          await atEnd(world);
        }
        if (first === undefined) break;
        await world.make(first);
        way.push(first);
        moves += 1;
      }
    } catch (error) {
      throw new Error(`${String(error)}\n  by way of\n${way.map(shown).join('\n')}`, { cause: error });
    } finally {
      for (const command of world.commands) commands.add(command);
      await world.end();
    }
  }
  return { states: seen.size, moves, ends, phases, transitions, commands };
}

function shown(move: Move): string {
  return `    ${Object.values(move).join(' ')}`;
}
