/** docs/connections.md: what its numbers come to. That they hold is asserted with CLIENT LIST, by the row. */
import { connectionTable, countsOf } from '../support/connection-table.js';

describe('docs/connections.md', () => {
  const rows = connectionTable();

  it('has a row for everything that an application does', () => {
    expect(rows.length).toBeGreaterThan(5);
  });

  it.each(rows)('adds up for $what', (row) => {
    const { together, ...parts } = countsOf(row, { q: 2, k: 5 });
    expect(Object.values(parts).reduce((sum, part) => sum + part, 0)).toBe(together);
  });
});
