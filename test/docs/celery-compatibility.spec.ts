import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type WrittenTest, writtenTests } from './test-titles.js';
import { read, root } from './workspace.js';

const PAGE = 'docs/celery-compatibility.md';
/** What a row can say; the first three are claims, which need a test. */
const CLAIMS = ['same', 'better', 'differs'];
const OTHERS = ['not applicable', 'open'];
/** Rows of areas that other pages are about: hooks, retries, limits, revocation and states; acknowledging and lost workers. */
const ELSEWHERE = [
  { from: 124, to: 159 },
  { from: 183, to: 189 },
];
const LAST = 193;
/**
 * Rows in which Celery hangs, surprises or leaves something out: the same would not do. B065, the hooks of a body that never
 * ran, is not among them: hooks are for tasks that began.
 */
const DEFECTS =
  '7 18-21 25 31 35 36 38 39 41 42 44-47 51 52 55 56 60 61 63 64 68 70-72 74-80 86 88-90 92-98 101 102 105 111 113 116 ' +
  '119-121 163 167 170 173 174 179 181 191 192';

interface Row {
  readonly id: string;
  readonly verdict: string;
  readonly note: string;
  /** Tests that it names: a file, and a title where the file has titles. */
  readonly tests: readonly { readonly file: string; readonly title: string | undefined }[];
}

const idOf = (number: number): string => `B${String(number).padStart(3, '0')}`;

function rowsOf(page: string): Row[] {
  return read(page)
    .split('\n')
    .filter((line) => /^\| B\d/.test(line))
    .map((line) => {
      const [id = '', , verdict = '', note = '', shown = ''] = line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim());
      const tests = shown === '' ? [] : shown.split('<br>').map(testOf);
      return { id, verdict: verdict.replaceAll('*', ''), note, tests };
    });
}

function testOf(cell: string): Row['tests'][number] {
  const [, file = cell, title] = /^\[[^\]]+\]\(\.\.\/([^)]+)\)(?:: `(.+)`)?$/.exec(cell.trim()) ?? [];
  return { file, title };
}

const known = new Map<string, WrittenTest[]>();

/** What is wrong with the tests of a row. */
function problemsOf({ id, tests }: Row): string[] {
  return tests.flatMap(({ file, title }) => {
    if (!existsSync(join(root, file))) return [`${file} does not exist`];
    if (file.endsWith('.test-d.ts')) return read(file).includes(id) ? [] : [`${file} does not name ${id}`];
    let written = known.get(file);
    if (written === undefined) known.set(file, (written = writtenTests(file)));
    const found = written.filter((test) => test.title === title);
    if (found.length === 0) return [`${file} has no test ${JSON.stringify(title)}`];
    return found.every(({ idle }) => idle) ? [`${JSON.stringify(title)} of ${file} does not run`] : [];
  });
}

describe(PAGE, () => {
  const rows = rowsOf(PAGE);

  it('has every row of its areas once, in order', () => {
    const expected = Array.from({ length: LAST }, (_, at) => at + 1)
      .filter((number) => ELSEWHERE.every(({ from, to }) => number < from || number > to))
      .map(idOf);
    expect(rows.map(({ id }) => id)).toEqual(expected);
  });

  it('says of each what it is; what claims something names a test, what does not says why', () => {
    const wrong = rows.filter(({ verdict, note, tests }) =>
      CLAIMS.includes(verdict)
        ? tests.length === 0
        : !OTHERS.includes(verdict) || note === '' || tests.length > 0,
    );
    expect(wrong).toEqual([]);
  });

  it('is better where Celery is broken', () => {
    const broken = new Set(
      DEFECTS.split(' ').flatMap((range) => {
        const [from = 0, to = from] = range.split('-').map(Number);
        return Array.from({ length: to - from + 1 }, (_, at) => idOf(from + at));
      }),
    );
    const worse = rows.filter(({ id, verdict }) => broken.has(id) && verdict !== 'better');
    expect(worse.map(({ id, verdict }) => `${id}: ${verdict}`)).toEqual([]);
  });

  it('names tests that are there, and that run', () => {
    expect(rows.flatMap((row) => problemsOf(row).map((problem) => `${row.id}: ${problem}`))).toEqual([]);
  });
});

describe('the tests of a file', () => {
  it('are found by their titles and by the rows of their tables, with those that do not run', () => {
    const titles = writtenTests('test/docs/test-titles.sample.ts').map(({ title, idle }) => [title, idle]);
    expect(titles).toEqual([
      ['plain', false],
      ['a %s', false],
      ['a cat', false],
      ['a dog', false],
      ['left out', true],
      ['inside', true],
      ['written down for later', true],
    ]);
  });
});
