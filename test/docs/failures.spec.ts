/** Every row of the table of failures names a test that is there and runs. */
import { problemsOf, testsIn } from './named-tests.js';
import { read } from './workspace.js';

const PAGE = 'docs/failures.md';

interface Row {
  readonly event: string;
  readonly cells: readonly string[];
}

function rowsOf(page: string): Row[] {
  const section = read(page)
    .split(/^## /m)
    .find((text) => text.startsWith('Event by event\n'));
  const lines = (section ?? '').split('\n').filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) => {
    const [event = '', ...cells] = line
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim());
    return { event, cells };
  });
}

describe(PAGE, () => {
  const rows = rowsOf(PAGE);

  it('says of each event what runs, what is stored and which test shows it', () => {
    expect(rows.length).toBeGreaterThan(30);
    const incomplete = rows.filter(({ cells }) => cells.length !== 3 || cells.includes(''));
    expect(incomplete).toEqual([]);
  });

  it('names tests that are there, and that run', () => {
    const problems = rows.flatMap(({ event, cells }) =>
      testsIn(cells[2] ?? '').flatMap((test) => problemsOf(test).map((problem) => `${event}: ${problem}`)),
    );
    expect(problems).toEqual([]);
  });
});
