import { readFileSync } from 'node:fs';
import { everyEndOf, PATIENCE_MS } from './check.js';
import { PHASES } from './phase.js';
import { JUDGED, PLAIN, REDRIVEN, STREAMED } from './scenarios.js';

const guide = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8');

/** The rows of the table whose head begins with a word, cell by cell. */
function table(head: string): string[][] {
  const [, text = ''] = guide.split(new RegExp(`^\\| ${head} .*$`, 'm'));
  const [rows = ''] = text.trim().split('\n\n');
  return rows.split('\n').slice(1).map((row) => row.split(' | ').map((cell) => cell.replace(/^\||\|$/g, '').trim()));
}

const named = (cell = ''): string[] => Array.from(cell.matchAll(/`([^`]+)`/g), ([, name = '']) => name);

/** Small ones that come through everything together, without losses but where those are the point. */
const CASES = {
  ...PLAIN,
  ...JUDGED,
  ...STREAMED,
  ...REDRIVEN,
};

describe('docs/protocol.md', () => {
  it('names the states that the code comes through, from which it comes to which, and the commands in between', async () => {
    const transitions = new Set<string>();
    const commands = new Set<string>();
    const big = /in the header of|at the same time|while a member runs|of two|goes on to publish|fails fast/;
    for (const [name, one] of Object.entries(CASES)) {
      if (big.test(name)) continue;
      const losses = WITH_LOSSES.has(name) ? 1 : 0;
      const explored = await everyEndOf(one, losses);
      for (const transition of explored.transitions) transitions.add(transition);
      for (const command of explored.commands) commands.add(command);
    }
    const rows = table('state');
    expect(rows.map(([state]) => named(state)[0])).toEqual([...PHASES]);
    const told = rows.flatMap(([state, , , next]) => named(next).map((other) => `${named(state)[0] ?? ''} → ${other}`));
    expect(told.sort()).toEqual([...transitions].sort());
    expect(table('what it does').flatMap(([, list]) => named(list)).sort()).toEqual([...commands].sort());
  }, PATIENCE_MS);
});

const WITH_LOSSES = new Set(['a chord that is parked', 'a chord that is recovered', 'a chord whose members are read while they are published']);
