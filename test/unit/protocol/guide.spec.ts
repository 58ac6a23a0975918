import { readFileSync } from 'node:fs';
import { everyEndOf, PATIENCE_MS } from './check.js';
import { CLOSED } from './closed-scenarios.js';
import { PHASES } from './phase.js';
import { PLANTED } from './planted.js';
import { PLANTED_REDRIVES } from './planted-redrives.js';
import { EARLY, WIDELY } from './wide-scenarios.js';
import { AMENDED, CHANGED, TOLD } from './late-scenarios.js';
import { JUDGED, PLAIN, REDRIVEN } from './scenarios.js';
import { STREAMED } from './streamed-scenarios.js';

const guide = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8');

/** The rows of the table whose head begins with a word, cell by cell. */
function table(head: string): string[][] {
  const [, text = ''] = guide.split(new RegExp(`^\\| ${head} .*$`, 'm'));
  const [rows = ''] = text.trim().split('\n\n');
  return rows
    .split('\n')
    .slice(1)
    .map((row) =>
      row
        .slice(1, -1)
        .split(' | ')
        .map((cell) => cell.trim()),
    );
}

function named(cell = ''): string[] {
  return Array.from(cell.matchAll(/`([^`]+)`/g), ([, name = '']) => name);
}

/** Those that come through the same as smaller ones. */
const LARGE =
  /in the header of|while a member runs|of two|fails fast|goes on to publish|same time|timer is at work|hold is at work|somebody else sets|redriven in steps|two redrive|is revoked while/;

/** Of those that are changed and come late, who have commands and states of their own. */
const OTHERS = Object.fromEntries(
  Object.entries({ ...CHANGED, ...TOLD, ...AMENDED }).filter(([name]) =>
    /member adds another|members are told|amended by its/.test(name),
  ),
);

/** Redrives of several steps, and such as come early. */
const REDRIVES = Object.fromEntries(
  Object.entries({ ...WIDELY, ...EARLY }).filter(([name]) =>
    /lease runs out while it|revoked while it is put back|redriven while it succeeds/.test(name),
  ),
);

describe('docs/protocol.md', () => {
  it(
    'names the states that canvases come through, which follows which, and the commands in between',
    async () => {
      const transitions = new Set<string>();
      const commands = new Set<string>();
      for (const [name, one] of Object.entries({
        ...PLAIN,
        ...JUDGED,
        ...STREAMED,
        ...REDRIVEN,
        ...OTHERS,
        ...REDRIVES,
        ...CLOSED,
      })) {
        if (LARGE.test(name) || one.isLong === true) continue;
        const explored = await everyEndOf(one, 0);
        for (const transition of explored.transitions) transitions.add(transition);
        for (const command of explored.commands) commands.add(command);
      }
      const rows = table('state');
      expect(rows.map(([state]) => named(state)[0])).toEqual([...PHASES]);
      const told = rows.flatMap(([state, , , next]) =>
        named(next).map((other) => `${named(state)[0] ?? ''} → ${other}`),
      );
      expect(told.sort()).toEqual([...transitions].sort());
      const listed = table('commands').flatMap(([names]) => named(names));
      expect(listed.sort()).toEqual([...commands].sort());
    },
    PATIENCE_MS,
  );

  it('names the defects that are planted', () => {
    expect(table('planted defect').map(([defect]) => defect)).toEqual(
      Object.keys({ ...PLANTED, ...PLANTED_REDRIVES }),
    );
  });
});
