import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type WrittenTest, writtenTests } from './test-titles.js';
import { root } from './workspace.js';

/** A test that a document names: a file, and a title where the file has titles. */
export interface NamedTest {
  readonly file: string;
  readonly title: string | undefined;
}

/** The tests of a cell of a table, one a line: a link to the file, a colon, the title as code. */
export function testsIn(cell: string): NamedTest[] {
  if (cell === '') return [];
  return cell.split('<br>').map((line) => {
    const [, file = line, title] = /^\[[^\]]+\]\(\.\.\/([^)]+)\)(?:: `(.+)`)?$/.exec(line.trim()) ?? [];
    return { file, title };
  });
}

const known = new Map<string, WrittenTest[]>();

/** What is wrong with a test that a document names. */
export function problemsOf({ file, title }: NamedTest): string[] {
  if (!existsSync(join(root, file))) return [`${file} does not exist`];
  let written = known.get(file);
  if (written === undefined) known.set(file, (written = writtenTests(file)));
  const found = written.filter((test) => test.title === title);
  if (found.length === 0) return [`${file} has no test ${JSON.stringify(title)}`];
  return found.every(({ idle }) => idle) ? [`${JSON.stringify(title)} of ${file} does not run`] : [];
}
