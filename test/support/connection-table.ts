/** The table of docs/connections.md that says how many connections there are: what the tests expect is read there. */
import { readFileSync } from 'node:fs';

const COLUMNS = ['publish', 'ledger', 'listen', 'consume', 'blocking', 'together'] as const;
type Column = (typeof COLUMNS)[number];

/** Numbers of connections, by what they are for. */
export type Counts = Readonly<Record<Column, number>>;

/** Formulas of one row, such as `q + 1`. */
export interface ConnectionRow {
  readonly what: string;
  readonly formulas: Readonly<Record<Column, string>>;
}

/** The rows of the table. @throws when the document has none that can be read */
export function connectionTable(): ConnectionRow[] {
  const text = readFileSync('docs/connections.md', 'utf8');
  const head = new RegExp(
    `^\\| what it does +${COLUMNS.map((column) => `\\| ${column} +`).join('')}\\|$`,
    'm',
  );
  const lines = text.split('\n');
  const at = lines.findIndex((line) => head.test(line));
  if (at < 0) throw new Error(`docs/connections.md has no table with the columns ${COLUMNS.join(', ')}`);
  const rest = lines.slice(at + 2);
  const end = rest.findIndex((line) => !line.startsWith('|'));
  return rest.slice(0, end).map((line) => {
    const [what = '', ...cells] = line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim());
    const formulas = COLUMNS.map((column, index) => [column, /^`(.*)`$/.exec(cells[index] ?? '')?.[1] ?? '']);
    return { what, formulas: Object.fromEntries(formulas) as ConnectionRow['formulas'] };
  });
}

/** What the formulas come to. @throws when one is no sum of numbers and known letters */
export function countsOf(
  { what, formulas }: ConnectionRow,
  letters: Readonly<Record<string, number>>,
): Counts {
  const value = (formula: string): number =>
    formula.split(' + ').reduce((sum, term) => {
      const number = /^\d+$/.test(term) ? Number(term) : letters[term];
      if (number === undefined) throw new Error(`"${what}": "${formula}" is no sum of numbers and letters`);
      return sum + number;
    }, 0);
  return Object.fromEntries(COLUMNS.map((column) => [column, value(formulas[column])])) as Counts;
}

/** Counts connections by the names that Redis has for them. */
export function countConnections(names: readonly string[]): Counts {
  const of = (purpose: string): number => names.filter((name) => name.endsWith(`:${purpose}`)).length;
  return {
    publish: of('publish'),
    ledger: of('ledger'),
    listen: of('listen'),
    consume: of('consume'),
    blocking: names.filter((name) => name.startsWith('{')).length,
    together: names.length,
  };
}
