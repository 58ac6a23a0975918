import { createHash } from 'node:crypto';
import { type Phase } from './phase.js';
import type { Move, Scenario } from './scenario.js';
import { World } from './world.js';

/** Moves on one way: a canvas of few members comes to its end in far fewer. */
const LONGEST = 300;
/** How many states are looked at: PROTOCOL_STATES bounds what would take hours, and proves as much less. */
const MOST = Number(process.env['PROTOCOL_STATES'] ?? Infinity);

/** What an exploration has seen. */
export interface Explored {
  readonly states: number;
  readonly moves: number;
  /** Those in which nothing was left to do, except for who was lost. */
  readonly ends: number;
  /** Whether every way was gone, and not only as many as there were to be. */
  readonly isWhole: boolean;
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
  const putOff: (Way | undefined)[] = [undefined];
  let moves = 0;
  let ends = 0;
  while (putOff.length > 0 && seen.size < MOST) {
    let way = putOff.pop();
    const world = await World.begin(scenario);
    try {
      for (const move of movesOf(way?.before)) await world.make(move);
      let before = await world.phase();
      if (way !== undefined) await world.make(way.move);
      for (;;) {
        const phase = await world.phase();
        if (phase !== undefined) phases.add(phase);
        if (before !== undefined && phase !== undefined && before !== phase)
          transitions.add(`${before} → ${phase}`);
        before = phase;
        const key = createHash('sha1').update(world.key).digest('base64');
        if (seen.has(key)) break;
        seen.add(key);
        const [first, ...others] = world.moves();
        for (const move of others) putOff.push({ before: way, move, length: (way?.length ?? 0) + 1 });
        // Whoever has been lost may never go on.
        if (world.isQuiet) {
          ends += 1;
          await atEnd(world);
        }
        if (first === undefined) break;
        way = { before: way, move: first, length: (way?.length ?? 0) + 1 };
        if (way.length > LONGEST) throw new Error('it does not come to an end');
        await world.make(first);
        moves += 1;
      }
    } catch (error) {
      throw new Error(`${String(error)}\n  by way of\n${movesOf(way).map(shown).join('\n')}`, {
        cause: error,
      });
    } finally {
      for (const command of world.commands) commands.add(command);
      await world.end();
    }
  }
  return { states: seen.size, moves, ends, isWhole: putOff.length === 0, phases, transitions, commands };
}

/** The moves to somewhere, the last one first: ways share their beginnings. */
interface Way {
  readonly before: Way | undefined;
  readonly move: Move;
  readonly length: number;
}

function movesOf(way: Way | undefined): Move[] {
  const moves: Move[] = [];
  for (let at = way; at !== undefined; at = at.before) moves.push(at.move);
  return moves.reverse();
}

function shown(move: Move): string {
  return `    ${Object.values(move).join(' ')}`;
}
